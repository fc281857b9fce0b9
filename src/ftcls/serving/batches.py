"""Texts of many requests, gathered into batches for one model, so that no request stops the others."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from ftcls.inference.base_classifier import BaseClassifier, Prediction

SMALL: Final = 512
"""Tokens of a small request: the length that most encoders read of one text, or a screen of short ones."""
_STOPPING: Final = "the server is stopping"
_LONGEST_ADVICE: Final = 60
"""Seconds: what Retry-After says at most."""
_BATCH_SECONDS: Final = 0.05
"""What a batch may take while others can come: a batch that is with the model cannot be called back. On a CPU a batch
of this size is as quick per token as any, and a GPU computes some thousand tokens in it."""
_FIRST_BATCH: Final = 512.0
"""Tokens of the first batch, before anything was measured."""
_SMALLEST_BATCH: Final = 16.0
_READ: Final = 100
"""Tokens that are read and cut away cost about as much as one that goes through a small model."""


class Overloaded(Exception):
    """More texts are waiting than are taken, or the server is stopping."""

    def __init__(self, retry_after: int, reason: str = "too many texts are waiting") -> None:
        super().__init__(f"{reason}; try again in {retry_after} s")
        self.retry_after = retry_after


@dataclass(eq=False)
class _Job:
    """The texts of one request."""

    texts: Sequence[str]
    costs: Sequence[float]
    """Tokens of each text, about."""
    answer: "asyncio.Future[list[Prediction]]"
    taken: int = 0
    """How many went to the model."""
    found: list[Prediction] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Texts that no batch has taken yet."""
        return len(self.texts) - self.taken


_Piece = tuple[_Job, int, int]
"""A job, with the first of its texts that are in the batch, and the end of them."""


class Batcher:
    """Two lanes to one model: small requests go through it beside large ones, each lane in a thread of its own.

    A large request takes at most half of the machine from small ones, however many texts and tokens it has, and fills
    no place in their line. What a text costs is counted in tokens as the model sees them: by its characters, at the
    rate of the texts that were labelled until then.
    """

    def __init__(self, classifier: BaseClassifier, *, waiting: int, together: int, delay: float) -> None:
        """Take texts for a classifier.

        Args:
            classifier: what labels them.
            waiting: texts that may wait in each lane.
            together: texts of a batch at most.
            delay: seconds that the first text of a batch waits for others, where the model is idle.
        """
        self.most_waiting = waiting
        self.stopping = False
        """Whether new requests are refused."""
        self.over = False
        """Whether the rest of those that were accepted is refused too."""
        self._longest = classifier.settings.max_length
        self._characters_per_token = 4.0
        self.small = _Lane(classifier, together=together, delay=delay, learn=self._learn)
        self.large = _Lane(classifier.for_another_thread(), together=together, delay=0.0, learn=self._learn)

    @property
    def waiting(self) -> int:
        """Texts that no batch has taken yet."""
        return self.small.waiting + self.large.waiting

    @property
    def full(self) -> bool:
        """Whether small requests are refused."""
        return self.small.waiting >= self.most_waiting

    @property
    def busy(self) -> bool:
        """Whether a batch is with the model, out of which nothing can call it."""
        return self.small.busy or self.large.busy

    def start(self) -> None:
        """Begin to work; called inside the event loop."""
        for lane in (self.small, self.large):
            lane.start()

    def give_up(self) -> None:
        """End what was accepted with `Overloaded`; a batch that is with the model goes on in its thread."""
        self.stopping = self.over = True
        for lane in (self.small, self.large):
            lane.give_up(Overloaded(1, _STOPPING))

    async def stop(self) -> None:
        """Finish what was accepted, unless it was given up, and take nothing more."""
        self.stopping = True
        await asyncio.gather(*(lane.stop() for lane in (self.small, self.large)))
        self.over = True

    async def submit(self, texts: Sequence[str], *, patient: bool = False) -> list[Prediction]:
        """Predictions of n texts, in order.

        Args:
            texts: n texts.
            patient: for the parts of a large request that was accepted: wait however many are waiting already, with
                the large ones.

        Raises:
            Overloaded: too many texts are waiting, or the server is stopping.
        """
        if not texts:
            return []
        costs = [self._cost(text) for text in texts]
        lane = self.large if patient or sum(costs) > SMALL else self.small
        full = lane.waiting >= self.most_waiting or 0 < lane.waiting > self.most_waiting - len(texts)
        if self.over or (self.stopping and not patient):
            raise Overloaded(1, _STOPPING)
        if full and not patient:
            raise Overloaded(lane.advice())
        job = _Job(texts, costs, asyncio.get_running_loop().create_future())
        lane.add(job)
        return await job.answer

    def advice(self) -> int:
        """Seconds after which it is worth trying again."""
        return max(self.small.advice(), self.large.advice())

    def _cost(self, text: str) -> float:
        tokens = 2 + len(text) / self._characters_per_token
        return min(tokens, self._longest) + tokens / _READ

    def _learn(self, texts: Sequence[str], found: Sequence[Prediction]) -> None:
        characters, tokens = sum(map(len, texts)), sum(each.tokens for each in found)
        if characters and tokens:
            self._characters_per_token += 0.1 * (min(100.0, characters / tokens) - self._characters_per_token)


class _Lane:
    """A line of jobs, and the thread in which the model takes them.

    The first text of a batch waits a moment for others, if the lane was idle; while the model works, requests gather by
    themselves. Each job in turn gives its share of a batch and goes to the end of the line. How many tokens a batch has
    is set by how long the last ones took.
    """

    def __init__(
        self,
        classifier: BaseClassifier,
        *,
        together: int,
        delay: float,
        learn: Callable[[Sequence[str], Sequence[Prediction]], None],
    ) -> None:
        self.classifier = classifier
        self.together = together
        self.delay = delay
        self.learn = learn
        self.waiting = 0
        """Texts that no batch has taken yet."""
        self.busy = False
        """Whether a batch is with the model."""
        self._stopping = False
        self._budget = _FIRST_BATCH
        """Tokens of a batch."""
        self._seconds_per_token = _BATCH_SECONDS / _FIRST_BATCH
        self._jobs: deque[_Job] = deque()
        self._accepted: set[_Job] = set()
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._worker = asyncio.get_running_loop().create_task(self._work())

    def add(self, job: _Job) -> None:
        self._jobs.append(job)
        self._accepted.add(job)
        job.answer.add_done_callback(lambda _: self._accepted.discard(job))
        self.waiting += len(job.texts)
        self._arrived.set()

    def give_up(self, reason: Exception) -> None:
        for job in tuple(self._accepted):
            self._fail(job, reason)
        if self._worker is not None:
            self._worker.cancel()

    async def stop(self) -> None:
        self._stopping = True
        self._arrived.set()
        if self._worker is not None:
            await asyncio.wait((self._worker,))
        self._thread.shutdown(wait=not self.busy)

    def advice(self) -> int:
        tokens = sum(sum(job.costs[job.taken :]) for job in self._jobs)
        return min(_LONGEST_ADVICE, max(1, math.ceil(tokens * self._seconds_per_token)))

    async def _work(self) -> None:
        while True:
            if not self._jobs:
                if self._stopping:
                    return
                self._arrived.clear()
                await self._arrived.wait()
                if self.delay and self.waiting < self.together and not self._stopping:
                    await asyncio.sleep(self.delay)
            pieces = self._next()
            if pieces:
                await self._label(pieces)

    async def _label(self, pieces: Sequence[_Piece]) -> None:
        texts = [text for job, start, end in pieces for text in job.texts[start:end]]
        tokens = sum(sum(job.costs[start:end]) for job, start, end in pieces)
        begun = time.perf_counter()
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self._classify, texts)
        except Exception as error:  # noqa: BLE001 - it belongs to a request; the worker has to go on
            if len(pieces) == 1:
                self._fail(pieces[0][0], error)
                return
            for piece in pieces:  # whose it is shows when each goes alone
                await self._label([piece])
            return
        self._measure(tokens, time.perf_counter() - begun)
        self.learn(texts, found)
        self._deliver(pieces, found)

    def _classify(self, texts: Sequence[str]) -> list[Prediction]:
        self.busy = True
        try:
            return self.classifier.classify(texts)
        finally:
            self.busy = False

    def _measure(self, tokens: float, seconds: float) -> None:
        """Set how many tokens the next batch has by what the last one took."""
        self._seconds_per_token += 0.2 * (seconds / tokens - self._seconds_per_token)
        fitting = tokens * _BATCH_SECONDS / max(seconds, 1e-6)
        if seconds > _BATCH_SECONDS:
            self._budget = max(_SMALLEST_BATCH, fitting)
        elif tokens > self._budget / 2:  # one that was not full says little about a full one
            self._budget = max(self._budget, min(2 * self._budget, fitting))

    def _next(self) -> list[_Piece]:
        """The next batch; nobody waits for the jobs that are left out."""
        pieces: list[_Piece] = []
        room, tokens = self.together, self._budget
        while self._jobs and room and (tokens > 0 or not pieces):
            share = tokens / len(self._jobs)
            for _ in range(len(self._jobs)):
                if not room or (tokens <= 0 and pieces):
                    break
                job = self._jobs.popleft()
                if job.answer.done():  # the client gave up, or an earlier part failed
                    self.waiting -= job.left
                    continue
                piece = _take(job, share, room)
                pieces.append(piece)
                room -= piece[2] - piece[1]
                tokens -= sum(job.costs[piece[1] : piece[2]])
                self.waiting -= piece[2] - piece[1]
                if job.left:
                    self._jobs.append(job)
        return pieces

    def _deliver(self, pieces: Sequence[_Piece], found: Sequence[Prediction]) -> None:
        place = 0
        for job, start, end in pieces:
            job.found += found[place : place + end - start]
            place += end - start
            if len(job.found) == len(job.texts) and not job.answer.done():
                job.answer.set_result(job.found)

    def _fail(self, job: _Job, error: Exception) -> None:
        if not job.answer.done():
            job.answer.set_exception(error)


def _take(job: _Job, tokens: float, texts: int) -> _Piece:
    """Texts of a job, at least one, at most so many tokens and texts."""
    start = job.taken
    job.taken += 1
    tokens -= job.costs[start]
    while job.left and job.taken - start < texts and job.costs[job.taken] <= tokens:
        tokens -= job.costs[job.taken]
        job.taken += 1
    return job, start, job.taken

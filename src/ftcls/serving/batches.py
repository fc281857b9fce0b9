"""Texts of many requests, gathered into batches for one model."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ftcls.inference.base_classifier import BaseClassifier, Prediction

_LONGEST_ADVICE = 60
"""Seconds: what Retry-After says at most."""


class Overloaded(Exception):
    """More texts are waiting than are taken, or the server is stopping."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many texts are waiting; try again in {retry_after} s")
        self.retry_after = retry_after


@dataclass(eq=False)
class _Job:
    """The texts of one request."""

    texts: Sequence[str]
    answer: "asyncio.Future[list[Prediction]]"
    taken: int = 0
    """How many went to the model."""
    found: list[Prediction] = field(default_factory=list)


_Piece = tuple[_Job, int, int]
"""A job, with the first of its texts that are in the batch, and the end of them."""


class Batcher:
    """Gives the texts of waiting requests to the model together, one batch after the other, in a thread of its own.

    The first text of a batch waits a moment for others, if the model was idle; while it works, requests gather by
    themselves. A request with more texts than a batch has room for goes to the end of the line after each batch, so
    that it does not hold up small ones.
    """

    def __init__(self, classifier: BaseClassifier, *, waiting: int, together: int, delay: float) -> None:
        self.classifier = classifier
        self.most_waiting = waiting
        self.together = together
        self.delay = delay
        self.waiting = 0
        """Texts that no batch has taken yet."""
        self.stopping = False
        self._jobs: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._seconds_per_text = 0.01
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work; called inside the event loop."""
        self._worker = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """Finish what was accepted, and take nothing more."""
        self.stopping = True
        self._arrived.set()
        if self._worker is not None:
            await self._worker
        self._thread.shutdown()

    async def submit(self, texts: Sequence[str], *, patient: bool = False) -> list[Prediction]:
        """Predictions of n texts, in order.

        Args:
            texts: n texts.
            patient: wait however many are waiting already: for the parts of a request that was accepted.

        Raises:
            Overloaded: too many texts are waiting, or the server is stopping.
        """
        if not texts:
            return []
        full = not patient and self.waiting + len(texts) > self.most_waiting
        if self.stopping or full:
            raise Overloaded(self.advice())
        job = _Job(texts, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self.waiting += len(texts)
        self._arrived.set()
        return await job.answer

    def advice(self) -> int:
        """Seconds after which it is worth trying again."""
        return min(_LONGEST_ADVICE, max(1, math.ceil(self.waiting * self._seconds_per_text)))

    async def _work(self) -> None:
        while True:
            if not self._jobs:
                if self.stopping:
                    return
                self._arrived.clear()
                await self._arrived.wait()
                if self.waiting < self.together and not self.stopping:
                    await asyncio.sleep(self.delay)
            pieces = self._next()
            if not pieces:
                continue
            await self._label(pieces)

    async def _label(self, pieces: Sequence[_Piece]) -> None:
        texts = [text for job, start, end in pieces for text in job.texts[start:end]]
        begun = time.perf_counter()
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self.classifier.classify, texts)
        except Exception as error:  # noqa: BLE001 - it belongs to a request; the worker has to go on
            if len(pieces) == 1:
                self._fail(pieces[0][0], error)
                return
            for piece in pieces:  # whose it is shows when each goes alone
                await self._label([piece])
            return
        latest = (time.perf_counter() - begun) / len(texts)
        self._seconds_per_text += 0.2 * (latest - self._seconds_per_text)
        self._deliver(pieces, found)

    def _next(self) -> list[_Piece]:
        """The next batch; nobody waits for the jobs that are left out."""
        pieces = []
        room = self.together
        for _ in range(len(self._jobs)):
            if not room:
                break
            job = self._jobs.popleft()
            if job.answer.done():  # the client gave up, or an earlier part failed
                self.waiting -= len(job.texts) - job.taken
                continue
            start, job.taken = job.taken, min(job.taken + room, len(job.texts))
            pieces.append((job, start, job.taken))
            room -= job.taken - start
            self.waiting -= job.taken - start
            if job.taken < len(job.texts):
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

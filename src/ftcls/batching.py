"""How the examples of one optimizer step become micro-batches with little padding, the same plan on every process.

The plan is made from the whole step's lengths: sort by length, cut under a token budget, split until the number of
micro-batches divides by the number of processes, deal round robin. The step's loss is the sum of its examples' losses
over their number, so neither the budget nor the number of processes changes it (other than by rounding, and by the
shapes of dropout masks).
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class MicroBatch:
    """Examples that go through the model together."""

    rows: NDArray[np.int64]
    """[b] row numbers in the split."""
    step_examples: int
    """Examples in the whole optimizer step, over all processes: what the summed loss is divided by."""
    step_tokens: int
    """Tokens of those examples, without padding."""
    weight: float = 1.0
    """0 for a copy that only gives an idle process something to do."""


def plan(
    rows: NDArray[np.int64],
    lengths: NDArray[np.int64],
    *,
    token_budget: int,
    processes: int = 1,
    max_rows: int | None = None,
) -> list[MicroBatch]:
    """Cut some rows into micro-batches of at most ``token_budget`` tokens, padding included.

    Args:
        rows: [m] row numbers.
        lengths: [n] tokens of every row of the split.
        token_budget: tokens in one padded micro-batch; a row that is longer by itself goes alone.
        processes: the number of micro-batches returned is a multiple of it; process r takes ``[r::processes]``.
        max_rows: most rows in one micro-batch.
    """
    # Longest first: if memory is short, that shows in the first forward pass and not in the last.
    ordered = rows[np.argsort(-lengths[rows], kind="stable")]
    cuts = list(_cut(lengths[ordered], token_budget, max_rows))
    parts = [ordered[a:b] for a, b in itertools.pairwise(cuts)]
    while len(parts) % processes:
        widest = max(range(len(parts)), key=lambda i: (len(parts[i]) > 1) * len(parts[i]) * lengths[parts[i][0]])
        if len(parts[widest]) == 1:
            break
        middle = (len(parts[widest]) + 1) // 2
        parts[widest : widest + 1] = [parts[widest][:middle], parts[widest][middle:]]
    tokens = int(lengths[rows].sum())
    batches = [MicroBatch(part, step_examples=len(rows), step_tokens=tokens) for part in parts]
    while len(batches) % processes:
        batches.append(replace(batches[-1], weight=0.0))
    return batches


def _cut(lengths: NDArray[np.int64], token_budget: int, max_rows: int | None) -> Iterator[int]:
    start = 0
    yield start
    while start < len(lengths):
        count = max(1, token_budget // max(1, int(lengths[start])))
        if max_rows is not None:
            count = min(count, max_rows)
        start = min(start + count, len(lengths))
        yield start


def narrow(batch: MicroBatch, lengths: NDArray[np.int64], token_budget: int) -> list[MicroBatch]:
    """The same examples under a smaller budget: how one process alone goes on after it ran out of memory."""
    return [replace(batch, rows=part.rows) for part in plan(batch.rows, lengths, token_budget=token_budget)]


class StepSampler:
    """Yields, for each optimizer step, the micro-batches of one process.

    The order of the examples comes from (seed, epoch) and from nothing else, so a resumed run sees what the
    undisturbed one would have seen.
    """

    def __init__(
        self,
        lengths: NDArray[np.int64],
        *,
        batch_size: int,
        token_budget: int,
        seed: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.token_budget = token_budget
        self.seed = seed
        self.rank = rank
        self.processes = processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, that the next iteration yields."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[MicroBatch]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.lengths))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            whole = plan(rows, self.lengths, token_budget=self.token_budget, processes=self.processes)
            yield whole[self.rank :: self.processes]

"""How the examples of one optimizer step become micro-batches with little padding, the same plan on every process.

The plan is made from the whole step's lengths: sort by length, cut where padding costs more than another forward pass,
never above a token budget; split until the number of micro-batches divides by the number of processes, deal round
robin. The step's loss is the sum of its examples' losses over their number, so neither the budget nor the number of
processes changes it (other than by rounding, and by the shapes of dropout masks).
"""

import functools
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
    pass_cost: int = 0,
    processes: int = 1,
    max_rows: int | None = None,
) -> list[MicroBatch]:
    """Cut some rows into micro-batches of at most ``token_budget`` tokens, padding included.

    Args:
        rows: [m] row numbers.
        lengths: [n] tokens of every row of the split.
        token_budget: tokens in one padded micro-batch; a row that is longer by itself goes alone.
        pass_cost: what one more forward pass costs, in tokens of padding; 0 fills every micro-batch to the budget,
            which is best for rows so many that neighbours in the order are equally long.
        processes: the number of micro-batches returned is a multiple of it; process r takes ``[r::processes]``.
        max_rows: most rows in one micro-batch.
    """
    # Longest first: if memory is short, that shows in the first forward pass and not in the last.
    ordered = rows[np.argsort(-lengths[rows], kind="stable")]
    fill = _fill if not pass_cost else functools.partial(_cheapest, pass_cost=pass_cost)
    cuts = fill(lengths[ordered], token_budget, max_rows)
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


def _fill(lengths: NDArray[np.int64], token_budget: int, max_rows: int | None) -> list[int]:
    """Cuts of rows in falling order of length: every piece as large as the budget lets it be."""
    cuts = [0]
    while cuts[-1] < len(lengths):
        cuts.append(min(cuts[-1] + _most(int(lengths[cuts[-1]]), token_budget, max_rows), len(lengths)))
    return cuts


def _cheapest(lengths: NDArray[np.int64], token_budget: int, max_rows: int | None, *, pass_cost: int) -> list[int]:
    """Cuts of rows in falling order of length that cost least: padded tokens, and a fixed cost for every piece.

    The shortest path over the places between rows, from the last to the first: cost[i] is that of the rows from i on.
    """
    n = len(lengths)
    cost = np.zeros(n + 1)
    following = np.zeros(n + 1, dtype=np.int64)
    for start in range(n - 1, -1, -1):
        most = min(_most(int(lengths[start]), token_budget, max_rows), n - start)
        counts = np.arange(1, most + 1)
        costs = pass_cost + counts * lengths[start] + cost[start + 1 : start + most + 1]
        best = int(costs.argmin())
        cost[start], following[start] = costs[best], start + best + 1
    cuts = [0]
    while cuts[-1] < n:
        cuts.append(int(following[cuts[-1]]))
    return cuts


def _most(longest: int, token_budget: int, max_rows: int | None) -> int:
    """Rows of a piece whose longest row has so many tokens."""
    count = max(1, token_budget // max(1, longest))
    return count if max_rows is None else min(count, max_rows)


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
        pass_cost: int = 0,
        seed: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.token_budget = token_budget
        self.pass_cost = pass_cost
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
            whole = plan(
                rows,
                self.lengths,
                token_budget=self.token_budget,
                pass_cost=self.pass_cost,
                processes=self.processes,
            )
            yield whole[self.rank :: self.processes]

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
    copies: NDArray[np.int64] | None = None
    """[b] how often each row came before in this epoch; None: no row comes twice."""
    epoch: int = 0


def plan(
    rows: NDArray[np.int64],
    lengths: NDArray[np.int64],
    *,
    token_budget: int,
    pass_cost: int = 0,
    processes: int = 1,
    max_rows: int | None = None,
    copies: NDArray[np.int64] | None = None,
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
        copies: [m] how often each row came before; goes where its row goes.
    """
    # Longest first: if memory is short, that shows in the first forward pass and not in the last.
    order = np.argsort(-lengths[rows], kind="stable")
    ordered = rows[order]
    fill = _fill if not pass_cost else functools.partial(_cheapest, pass_cost=pass_cost)
    cuts = fill(lengths[ordered], token_budget, max_rows)
    parts = list(itertools.pairwise(cuts))
    while len(parts) % processes:
        widest = max(range(len(parts)), key=lambda i: _worth_splitting(*parts[i], lengths[ordered]))
        first, end = parts[widest]
        if end - first == 1:
            break
        middle = first + (end - first + 1) // 2
        parts[widest : widest + 1] = [(first, middle), (middle, end)]
    tokens = int(lengths[rows].sum())
    batches = [
        MicroBatch(
            ordered[a:b],
            step_examples=len(rows),
            step_tokens=tokens,
            copies=None if copies is None else copies[order[a:b]],
        )
        for a, b in parts
    ]
    while len(batches) % processes:
        batches.append(replace(batches[-1], weight=0.0))
    return batches


def _worth_splitting(first: int, end: int, lengths: NDArray[np.int64]) -> int:
    """Padded tokens of a piece; nothing where there is only one row."""
    return 0 if end - first == 1 else (end - first) * int(lengths[first])


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
    parts = plan(batch.rows, lengths, token_budget=token_budget, copies=batch.copies)
    return [replace(batch, rows=part.rows, copies=part.copies) for part in parts]


def balanced_shares(targets: NDArray[np.int64] | NDArray[np.float32], k: int) -> NDArray[np.float64]:
    """How often each of n rows is to come in an epoch of n draws, on average, float64 [n] with mean 1.

    One label per row: every label gets the same number of draws. Several: a row is drawn by the square root of the
    inverse frequency of its rarest label, as in repeat factor sampling (Gupta et al. 2019, section 4): all of it would
    repeat the few rows of the rarest labels hundreds of times. Rows without any label count as rows of one more label.
    """
    if targets.ndim == 1:
        labels = targets.astype(np.int64)
        raw = 1.0 / np.bincount(labels, minlength=k)[labels]
    else:
        bare = ~targets.any(axis=1)
        counts = np.append(targets.sum(axis=0, dtype=np.float64), bare.sum())
        given = np.column_stack([targets > 0, bare])
        raw = np.sqrt(1.0 / np.where(given, counts, np.inf).min(axis=1))
    shares: NDArray[np.float64] = raw / raw.mean()
    return shares


def drawn(shares: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Row numbers [n] in random order, row i about ``shares[i]`` times.

    Systematic sampling (Madow 1949): a row comes as often as its share says, rounded up or down, so that chance does
    not leave out rows whose share is 1 or more.
    """
    order = rng.permutation(len(shares))
    ends = np.cumsum(shares[order])
    places = (rng.random() + np.arange(len(shares))) * (ends[-1] / len(shares))
    return rng.permutation(order[np.minimum(np.searchsorted(ends, places, side="right"), len(shares) - 1)])


def earlier_copies(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each of m row numbers stands before, [m]."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    copies = np.empty(len(rows), dtype=np.int64)
    copies[order] = np.arange(len(rows)) - np.repeat(starts, np.diff(np.append(starts, len(rows))))
    return copies


class StepSampler:
    """Yields, for each optimizer step, the micro-batches of one process.

    The order of the examples comes from (seed, epoch) and from nothing else, so a resumed run sees what the
    undisturbed one would have seen. With ``shares`` (`balanced_shares`) rows come more or less than once.
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
        shares: NDArray[np.float64] | None = None,
    ) -> None:
        self.lengths = lengths
        self.shares = shares
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
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(len(self.lengths)) if self.shares is None else drawn(self.shares, rng)
        copies = None if self.shares is None else earlier_copies(order)
        for start in range(0, len(order), self.batch_size):
            step = slice(start, start + self.batch_size)
            whole = plan(
                order[step],
                self.lengths,
                token_budget=self.token_budget,
                pass_cost=self.pass_cost,
                processes=self.processes,
                copies=None if copies is None else copies[step],
            )
            yield [replace(batch, epoch=self.epoch) for batch in whole[self.rank :: self.processes]]

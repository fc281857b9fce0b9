"""How the examples of one optimizer step become micro-batches with little padding, the same plan on every process.

The plan is made from the whole step's lengths: sort by length, cut where padding costs more than another forward pass,
never above a token budget; split until the number of micro-batches divides by the number of processes, deal round
robin. The step's loss is the sum of its examples' losses over their number, so neither the budget nor the number of
processes changes it (other than by rounding, and by the shapes of dropout masks).
"""

import itertools
from collections.abc import Iterator, Sequence
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
    padded: bool = True,
) -> list[MicroBatch]:
    """Cut some rows into micro-batches of at most ``token_budget`` tokens, padding included.

    Args:
        rows: [m] row numbers.
        lengths: [n] tokens of every row of the split.
        token_budget: tokens in one micro-batch; a row that is longer by itself goes alone.
        pass_cost: what one more forward pass costs, in tokens of padding; 0 fills every micro-batch to the budget,
            which is best for rows so many that neighbours in the order are equally long.
        processes: the number of micro-batches returned is a multiple of it; process r takes ``[r::processes]``.
        max_rows: most rows in one micro-batch.
        copies: [m] how often each row came before; goes where its row goes.
        padded: whether the rows of a micro-batch are padded to its longest; else they go end to end
            (`ftcls.model.packed_encoder`), and each micro-batch is filled to the budget.
    """
    # Longest first: if memory is short, that shows in the first forward pass and not in the last.
    order = np.argsort(-lengths[rows], kind="stable")
    ordered = rows[order]
    cuts = _cuts(lengths[ordered], token_budget, max_rows, pass_cost=pass_cost, padded=padded)
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


def _cuts(
    lengths: NDArray[np.int64], token_budget: int, max_rows: int | None, *, pass_cost: int, padded: bool
) -> list[int]:
    """Where rows in falling order of length are cut."""
    if not padded:
        return _fill_end_to_end(lengths, token_budget, max_rows)
    if not pass_cost:
        return _fill(lengths, token_budget, max_rows)
    most = [_most(int(length), token_budget, max_rows) for length in lengths]
    return cheapest_cuts(lengths, piece_cost=pass_cost, most=most)


def _fill_end_to_end(lengths: NDArray[np.int64], token_budget: int, max_rows: int | None) -> list[int]:
    """Cuts of rows without padding: every piece as large as the budget lets it be."""
    ends = np.cumsum(lengths)
    cuts = [0]
    while cuts[-1] < len(lengths):
        before = int(ends[cuts[-1] - 1]) if cuts[-1] else 0
        count = max(1, int(np.searchsorted(ends, before + token_budget, side="right")) - cuts[-1])
        cuts.append(cuts[-1] + (count if max_rows is None else min(count, max_rows)))
    return cuts


def _fill(lengths: NDArray[np.int64], token_budget: int, max_rows: int | None) -> list[int]:
    """Cuts of rows in falling order of length: every piece as large as the budget lets it be."""
    cuts = [0]
    while cuts[-1] < len(lengths):
        cuts.append(min(cuts[-1] + _most(int(lengths[cuts[-1]]), token_budget, max_rows), len(lengths)))
    return cuts


def cheapest_cuts(row_costs: NDArray[np.int64], *, piece_cost: int, most: Sequence[int] | None = None) -> list[int]:
    """Cuts of n rows in falling order of cost that make the pieces cheapest, from 0 to n.

    The shortest path over the places between rows, from the last to the first: cost[i] is that of the rows from i on.

    Args:
        row_costs: [n] what each row of a piece costs if this one is the first in it, hence the longest.
        piece_cost: what every piece costs beside its rows.
        most: [n] most rows of a piece that begins here; None: any number.
    """
    n = len(row_costs)
    cost = np.zeros(n + 1)
    following = np.zeros(n + 1, dtype=np.int64)
    for start in range(n - 1, -1, -1):
        counts = np.arange(1, (n - start if most is None else min(most[start], n - start)) + 1)
        costs = piece_cost + counts * row_costs[start] + cost[start + 1 : start + len(counts) + 1]
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


def narrow(
    batch: MicroBatch, lengths: NDArray[np.int64], token_budget: int, *, padded: bool = True
) -> list[MicroBatch]:
    """The same examples under a smaller budget: how one process alone goes on after it ran out of memory."""
    parts = plan(batch.rows, lengths, token_budget=token_budget, copies=batch.copies, padded=padded)
    return [replace(batch, rows=part.rows, copies=part.copies) for part in parts]


def balanced_shares(
    targets: NDArray[np.int64] | NDArray[np.float32], k: int, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """How often each of n rows is to come in an epoch of n draws, on average, float64 [n] with mean 1.

    One label per row: every label gets the same number of draws. Several: a row is drawn by the square root of the
    inverse frequency of its rarest label, as in repeat factor sampling (Gupta et al. 2019, section 4): all of it would
    repeat the few rows of the rarest labels hundreds of times. Rows without any label count as rows of one more label.

    With weights [n] a label is as frequent as its rows weigh: drawn so, and with their weights on their losses, all
    labels count the same.
    """
    if targets.ndim == 1:
        labels = targets.astype(np.int64)
        raw = 1.0 / np.bincount(labels, weights, minlength=k)[labels]
    else:
        bare = ~targets.any(axis=1)
        rows = np.ones(len(targets)) if weights is None else weights
        counts = np.append(rows @ targets, rows @ bare)
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
        padded: bool = True,
    ) -> None:
        self.lengths = lengths
        self.padded = padded
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
                padded=self.padded,
            )
            yield [replace(batch, epoch=self.epoch) for batch in whole[self.rank :: self.processes]]

"""Cutting a data set into splits and drawing fewer rows: pure functions of arrays and a seed.

Everything rests on one order of the rows, `sequence`, whose every beginning is stratified: a test split is its first
rows, a subset of 800 rows is its first 800 and so lies inside the one of 1,600.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ftcls.errors import DataError

Targets = NDArray[np.int64] | NDArray[np.float32]
Seed = int | Sequence[int]
GOLDEN = (5**0.5 - 1) / 2
"""Multiples of the golden ratio, modulo 1, fill [0, 1) most evenly at every length (Knuth, TAOCP 3, 6.4)."""
AFFORDABLE = 2e10
"""Rows x distinct sets of labels x labels up to which iterative stratification takes some ten seconds. Beyond that,
where nearly every row has a set of its own, the class of a row is its rarest label, and the rows of one class are taken
at golden-ratio steps through their other labels."""
TASTE = 0.2
"""How far the seed moves the moment at which a set of labels is due, in rows."""


def text_ids(texts: Sequence[str]) -> NDArray[np.int64]:
    """int64 [n]: equal texts have equal numbers, in order of first appearance."""
    seen: dict[str, int] = {}
    return np.fromiter((seen.setdefault(text, len(seen)) for text in texts), dtype=np.int64, count=len(texts))


def joined(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [n]: the smallest groups that keep both the first and the second groups together."""
    _, first = np.unique(first, return_inverse=True)
    _, second = np.unique(second, return_inverse=True)
    height, width = int(first.max()) + 1, int(second.max()) + 1
    edges = coo_array((np.ones(len(first), dtype=bool), (first, second + height)), shape=(height + width,) * 2)
    _, component = connected_components(edges, directed=False)
    groups: NDArray[np.int64] = component[first].astype(np.int64)
    return groups


def sequence(
    targets: Targets, *, seed: Seed, stratify: bool = True, weights: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """int64 [n]: the rows in an order whose every beginning has each label's share of rows, to within about one row.

    Row j of the n_c rows of class c has the key (j + 1/2) / n_c, and keys ascend (the Sainte-Laguë apportionment, so
    that a class with one or two rows comes late and stays in training). Rows with several labels: see `_iterative`.
    Which rows come first is drawn by ``seed`` from the raw bits of PCG64, a stream that NumPy keeps fixed.

    Args:
        targets: int64 [n] classes, or 0 and 1 of shape [n, k].
        seed: draws the rows.
        stratify: False: a plain random order.
        weights: int64 [n], rows that an entry stands for; None: one each.
    """
    n = len(targets)
    bits = np.random.PCG64(seed).random_raw(n) if n else np.zeros(0, dtype=np.uint64)
    if not stratify or n == 0:
        return np.argsort(bits, kind="stable")
    entries = np.ones(n) if weights is None else weights.astype(np.float64)
    if targets.ndim == 2:
        hot = np.c_[targets > 0, ~(targets > 0).any(axis=1)]  # no label is a label too
        sets = label_sets(hot)
        if n * (int(sets.max()) + 1) * hot.shape[1] <= AFFORDABLE:
            return _iterative(hot, sets, bits, entries)
    stratum, pattern = _strata(targets)
    by_pattern = np.lexsort((bits, pattern, stratum))
    starts, counts = _runs(stratum[by_pattern])
    place = np.arange(n) - np.repeat(starts, counts)
    offset = np.repeat(bits[by_pattern[starts]] / 2.0**64, counts)
    inside = by_pattern[np.lexsort(((place * GOLDEN + offset) % 1.0, np.repeat(np.arange(len(starts)), counts)))]
    weight = entries[inside]
    total = np.repeat(np.add.reduceat(weight, starts), counts)
    before = np.cumsum(weight) - weight
    key = (before - np.repeat(before[starts], counts) + weight / 2) / total
    return inside[np.lexsort((bits[inside], key))]


def _iterative(
    hot: NDArray[np.bool_], sets: NDArray[np.int64], bits: NDArray[np.uint64], weight: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011) as one order, of which any beginning is a part.

    Each place goes to the set of labels that its labels lack most: d is what every label is short of its share at this
    place, and the next row is of the set that makes the sum of d**2 / sqrt(share) smallest; in the set, by ``bits``. On
    Reuters-21578 and GoEmotions a tenth of the rows then has every label's share to within one row, as the original
    algorithm does, but with the size that was asked for, and smaller parts inside larger ones.

    Args:
        hot: bool [n, k], each row with one label or more.
        sets: int64 [n], the number of each row's set of labels.
        bits: uint64 [n], random.
        weight: float64 [n], rows that an entry stands for.
    """
    by_set = np.lexsort((bits, sets))
    starts, counts = _runs(sets[by_set])
    share = (hot * weight[:, None]).sum(axis=0) / weight.sum()
    present = share > 0
    # Float64: how a library adds up must not decide between two sets, or machines would draw other rows.
    members, share = hot[by_set[starts]][:, present].astype(np.float64), share[present]
    gain = 2 * members / np.sqrt(share)
    # Another seed prefers other sets where several would do equally well.
    cost = gain.sum(axis=1) / 2 * (1 + TASTE * (bits[by_set[starts]] / 2.0**64 - 0.5))
    lacking = np.zeros(len(share))
    following, ends = starts.tolist(), (starts + counts).tolist()
    order = np.empty(len(bits), dtype=np.int64)
    for place in range(len(bits)):
        chosen = int((gain @ (lacking + share) - cost).argmax())
        row = by_set[following[chosen]]
        order[place] = row
        following[chosen] += 1
        if following[chosen] == ends[chosen]:
            cost[chosen] = np.inf
        lacking += weight[row] * (share - members[chosen])
    return order


def _runs(ordered: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    return starts, np.diff(np.r_[starts, len(ordered)])


def _strata(targets: Targets) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Class of each row, rarest first, and a number for its set of labels."""
    if targets.ndim == 1:
        _, number, counts = np.unique(targets, return_inverse=True, return_counts=True)
        rank = np.argsort(np.argsort(counts, kind="stable"), kind="stable")[number]
        return rank, rank
    hot = targets[:, np.argsort(targets.sum(axis=0), kind="stable")] > 0
    stratum = np.where(hot.any(axis=1), hot.argmax(axis=1), targets.shape[1])
    return stratum, label_sets(hot)


def label_sets(targets: NDArray[np.generic]) -> NDArray[np.int64]:
    """int64 [n]: equal rows of 0 and 1, of shape [n, k], have equal numbers; rows that begin alike have close ones."""
    packed = np.ascontiguousarray(np.packbits(targets.astype(bool), axis=1))
    _, number = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_inverse=True)
    return number


def cut(
    targets: Targets,
    sizes: Sequence[int],
    *,
    seed: Seed,
    stratify: bool = True,
    groups: NDArray[np.int64] | None = None,
) -> list[NDArray[np.int64]]:
    """Cut n rows into ``len(sizes) + 1`` parts: parts of about these sizes, and the rest.

    Without groups the sizes are exact. Rows of one group stay together, so a part may be smaller than asked (or larger,
    where no group is small enough).

    Args:
        targets: int64 [n] classes, or 0 and 1 of shape [n, k].
        sizes: rows of each part but the last.
        seed: draws the rows.
        stratify: keep the share of each label the same in every part.
        groups: int64 [n], equal for rows that must not be parted.

    Returns:
        The row numbers of each part, ascending, none empty.

    Raises:
        DataError: nothing would be left for one of the parts.
    """
    n = len(targets)
    if sum(sizes) >= n or min(sizes) < 1:
        raise DataError(
            f"{n:,} rows cannot be cut into {' + '.join(f'{size:,}' for size in sizes)} rows and a rest for training; "
            "ask for fewer in data.split"
        )
    if groups is None or len(np.unique(groups)) == n:
        order = sequence(targets, seed=seed, stratify=stratify)
        return [np.sort(part) for part in np.split(order, np.cumsum(sizes))]
    units = _units(groups)
    weights = np.bincount(units)
    leaders = _leaders(targets, units)
    order = sequence(targets[leaders], seed=seed, stratify=stratify, weights=weights)
    part = _fill(order.tolist(), weights.tolist(), sizes)[units]
    return [np.flatnonzero(part == index) for index in range(len(sizes) + 1)]


def _units(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the groups by first appearance, so that the cut does not depend on how they were numbered."""
    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first, kind="stable"), kind="stable")[number]


def _leaders(targets: Targets, units: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [units]: the row of each group that has the rarest class; it stands for the group."""
    stratum, _ = _strata(targets)
    order = np.lexsort((np.arange(len(units)), stratum, units))
    starts, _ = _runs(units[order])
    return order[starts]


def _fill(order: list[int], weights: list[int], sizes: Sequence[int]) -> NDArray[np.int64]:
    """int64 [units]: the part of each group; groups go, in order, into the first part that has room for them."""
    part = np.full(len(order), len(sizes), dtype=np.int64)
    for index, size in enumerate(sizes):
        later = []
        room = size
        for place, unit in enumerate(order):
            if room == 0:
                later.extend(order[place:])
                break
            if weights[unit] <= room:
                part[unit] = index
                room -= weights[unit]
            else:
                later.append(unit)
        if room == size and later:  # every group is larger than the part: the smallest one is the part
            smallest = min(later, key=weights.__getitem__)
            part[smallest] = index
            later.remove(smallest)
        order = later
        if not order:
            raise DataError(
                f"rows that belong together (equal texts, one file, one author) cannot be parted, and {len(part):,} "
                f"such {'group' if len(part) == 1 else 'groups'} cannot be cut into {len(sizes) + 1} parts"
            )
    return part


def subset(
    targets: Targets,
    labels: Sequence[str],
    *,
    seed: Seed,
    rows: int | None = None,
    share: float | None = None,
    per_class: int | None = None,
    balanced: int | None = None,
) -> NDArray[np.int64]:
    """Draw fewer rows: ``rows`` of them or a ``share``, stratified, or as many of every label; name one.

    Of two draws with the same seed, by number and share or by label, the smaller lies inside the larger.

    Args:
        targets: int64 [n] classes, or 0 and 1 of shape [n, k].
        labels: k label names, for the message.
        seed: draws the rows.
        rows: how many rows.
        share: share of the n rows; at least one row.
        per_class: rows of each label.
        balanced: rows of all labels together, as many of each; of 10 rows of 3 labels the first label has one more.

    Returns:
        int64 [m], ascending row numbers.

    Raises:
        DataError: more rows are asked for than there are, or rows per class of multilabel rows.
    """
    if per_class is not None:
        return _per_label(targets, labels, [per_class] * len(labels), seed)
    if balanced is not None:
        least, more = divmod(balanced, len(labels))
        return _per_label(targets, labels, [least + (index < more) for index in range(len(labels))], seed)
    n = len(targets)
    wanted = rows if rows is not None else max(1, round(n * (1.0 if share is None else share)))
    if wanted > n:
        raise DataError(f"{wanted:,} rows are asked for, there are {n:,}")
    return np.sort(sequence(targets, seed=seed)[:wanted])


def _per_label(targets: Targets, labels: Sequence[str], wanted: Sequence[int], seed: Seed) -> NDArray[np.int64]:
    if targets.ndim != 1:
        raise DataError(
            "as many rows of every label need one label per row; a multilabel subset takes a number or a share"
        )
    counts = np.bincount(targets.astype(np.int64), minlength=len(labels))
    scarce = int((counts - np.array(wanted)).argmin())
    if counts[scarce] < wanted[scarce]:
        raise DataError(
            f"{wanted[scarce]:,} rows of each label are asked for, {labels[scarce]!r} has {counts[scarce]:,}"
        )
    order = sequence(targets, seed=seed)
    drawn = [order[targets[order] == index][:count] for index, count in enumerate(wanted)]
    return np.sort(np.concatenate(drawn))


def size(wanted: float, n: int) -> int:
    """Rows that a share (below 1) or a number of n rows stands for; at least one."""
    return max(1, round(n * wanted)) if wanted < 1 else int(wanted)


def groups(texts: Sequence[str] | None, clusters: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    """int64 [n]: what must not be parted, equal texts and rows of one cluster; None where there is neither."""
    if texts is None or len(texts) == 0:
        return clusters
    equal = text_ids(texts)
    return equal if clusters is None else joined(equal, clusters)

"""What is said about the weights of rows, and about their groups."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from ftcls.data.corpus import Check, Split, SplitName
from ftcls.data.raw import RawSplit

_SCORED: Final[tuple[SplitName, ...]] = ("validation", "test")
FEW: Final = 20
"""Groups below which an interval that draws them is a rough one: with 5 to 30 clusters what is inferred from them errs
visibly (Cameron, Gelbach and Miller 2008)."""


def checks(
    raw: Mapping[SplitName, RawSplit], splits: Mapping[SplitName, Split], *, weight: str | None, group: str | None
) -> Iterator[Check]:
    """What the columns data.weight and data.group call for.

    Args:
        raw: the splits as they were read.
        splits: as they are used.
        weight: the column of weights.
        group: the column of groups.
    """
    if weight is not None:
        yield from _weights(raw, weight)
    if group is not None:
        yield from _groups(raw, splits, group)


def _weights(splits: Mapping[SplitName, RawSplit], column: str) -> Iterator[Check]:
    """The rows of weight 0, which are left out of everything, and the splits without weights beside others."""
    zero = {
        (name, int(index))
        for name, split in splits.items()
        if split.weights is not None
        for index in np.flatnonzero(split.weights == 0)
    }
    if zero:
        places = tuple(splits[name].place(index) for name, index in sorted(zero, key=lambda pair: pair[1])[:3])
        advice = f"Rows whose weight (data.weight: {column}) is 0: they are left out, as if the file did not have them."
        yield Check("rows_of_weight_zero", "info", len(zero), places, advice)
    without = tuple(name for name, split in splits.items() if split.weights is None)
    if without:
        advice = f"Splits without the column {column!r} (data.weight): each of their rows counts the same."
        yield Check("splits_without_weights", "info", sum(len(splits[name].texts) for name in without), without, advice)


def _groups(raw: Mapping[SplitName, RawSplit], splits: Mapping[SplitName, Split], column: str) -> Iterator[Check]:
    """Groups on two sides, few groups, rows of none."""
    yield from _shared(splits, column)
    for name in _SCORED:
        count = 0 if name not in splits or (found := splits[name].clusters) is None else len(np.unique(found))
        if 0 < count < FEW:
            advice = (
                f"So few groups (data.group: {column}) are in the {name} split: its intervals, which draw whole "
                f"groups, are rough below {FEW}."
            )
            yield Check("few_groups", "warning", count, (name,), advice)
    alone = [(name, n) for name, split in raw.items() for n, one in enumerate(split.groups or ()) if one is None]
    if alone:
        places = tuple(raw[name].place(index) for name, index in alone[:3])
        advice = f"Rows without a group (column {column!r}, data.group): each is taken for a group of its own."
        yield Check("rows_without_group", "info", len(alone), places, advice)
    without = tuple(name for name, split in raw.items() if split.groups is None)
    if without:
        advice = f"Splits without the column {column!r} (data.group): their rows are taken for independent ones."
        yield Check("splits_without_groups", "info", sum(len(raw[name].texts) for name in without), without, advice)


def _shared(splits: Mapping[SplitName, Split], column: str) -> Iterator[Check]:
    """Groups of validation that are in train, and of test that are in one of both."""
    before: list[Split] = []
    for name in ("train", *_SCORED):
        split = splits[name] if name in splits else None
        if split is None or split.clusters is None:
            continue
        learnt = [each.clusters for each in before if each.clusters is not None and each is not split]
        inside = np.flatnonzero(np.isin(split.clusters, np.concatenate([np.empty(0, np.int64), *learnt])))
        before.append(split)
        if len(inside):
            advice = (
                f"Groups (data.group: {column}) of the {name} split that an earlier split knows too: the scores are "
                "not those of new groups. data.split: {pooled: true} cuts all splits anew, each group on one side."
            )
            places = tuple(f"{name}:{row}" for row in split.rows[inside[:3]].tolist())
            count = len(np.unique(split.clusters[inside]))
            yield Check("groups_shared_between_splits", "warning", count, places, advice)

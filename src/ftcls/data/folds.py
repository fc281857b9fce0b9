"""The folds of a cross-validation: which rows are the test split of which training."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ftcls.data.corpus import Check
from ftcls.data.split import Seed, Targets, cut
from ftcls.errors import DataError

FEWEST_LEFT = 2
"""Rows that a fold's training needs at least: one to learn, one to validate on."""


def assign(
    targets: Targets, folds: int, *, seed: Seed, stratify: bool = True, groups: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """int64 [n]: the fold of each row, from 1 to ``folds``, as many rows of each label in every one as can be.

    Args:
        targets: int64 [n] classes, or 0 and 1 of shape [n, k].
        folds: how many; at least 2.
        seed: draws the rows.
        stratify: keep the share of each label the same in every fold.
        groups: int64 [n], equal for rows that must be in one fold.

    Raises:
        DataError: there are fewer rows, or groups of them, than folds, or a training would have too few.
    """
    n, units = len(targets), len(targets) if groups is None else len(np.unique(groups))
    if units < max(folds, FEWEST_LEFT + 1):
        together = "" if units == n else f", {units:,} counting as one those that must not be parted"
        raise DataError(f"data.split.folds: {folds}: there are {n:,} rows{together}; write fewer folds than that")
    sizes = [n // folds + (index < n % folds) for index in range(folds - 1)]
    found = np.empty(n, dtype=np.int64)
    for number, rows in enumerate(cut(targets, sizes, seed=seed, stratify=stratify, groups=groups), 1):
        found[rows] = number
    return found


def checks(targets: Targets, folds: int, labels: Sequence[str]) -> tuple[Check, ...]:
    """The labels that have fewer rows than there are folds: in some folds no row of them is predicted."""
    counts = targets.sum(axis=0) if targets.ndim == 2 else np.bincount(targets, minlength=len(labels))
    few = [(label, int(count)) for label, count in zip(labels, counts, strict=True) if 0 < count < folds]
    if not few:
        return ()
    advice = (
        f"Labels with fewer rows than the {folds} folds: some folds have none of them, and a label with one row is "
        "predicted by a model that never saw it. Their scores say little; collect more rows, or write fewer folds."
    )
    shown = tuple(f"{label}: {count}" for label, count in sorted(few, key=lambda each: each[1])[:5])
    return (Check("fewer_rows_than_folds", "warning", len(few), shown, advice),)

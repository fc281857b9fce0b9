"""What is said about the weights of rows."""

from collections.abc import Iterator, Mapping

import numpy as np

from ftcls.data.corpus import Check, SplitName
from ftcls.data.raw import RawSplit


def checks(splits: Mapping[SplitName, RawSplit], column: str | None) -> Iterator[Check]:
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
    without = tuple(name for name, split in splits.items() if column is not None and split.weights is None)
    if without:
        advice = f"Splits without the column {column!r} (data.weight): each of their rows counts the same."
        yield Check("splits_without_weights", "info", sum(len(splits[name].texts) for name in without), without, advice)

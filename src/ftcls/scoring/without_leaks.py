"""The scores of the rows that a model cannot have seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftcls.scoring import metrics
from ftcls.scoring.intervals import intervals
from ftcls.scoring.metrics import Predictions
from ftcls.scoring.wilson import Interval


@dataclass(frozen=True)
class WithoutLeaks:
    """Scores without the rows whose text, equal or nearly, is in an earlier split: train, for test also validation."""

    examples: int
    """Rows that are left."""
    equal: int
    """Rows left out because the same text is in an earlier split."""
    near: int
    """Rows left out, beside these, because a text that differs in a few words is."""
    metrics: dict[str, float | None]
    intervals: dict[str, Interval | None]


def without_leaks(
    predictions: Predictions, *, equal: NDArray[np.bool_], near: NDArray[np.bool_], seed: int
) -> WithoutLeaks | None:
    """Score the rows that are in neither of the masks [n]; None where they leave out no row, or all."""
    kept = ~(equal | near)
    if kept.all() or not kept.any():
        return None
    rest = predictions.take(kept)
    return WithoutLeaks(
        examples=len(rest),
        equal=int(equal.sum()),
        near=int(near.sum()),
        metrics=metrics.score(rest),
        intervals=intervals(rest, seed=seed),
    )

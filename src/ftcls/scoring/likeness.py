"""Whether two sets of predictions are of the same rows, so that they can be compared."""

import numpy as np
from numpy.typing import NDArray

from ftcls.errors import DataError
from ftcls.scoring.metrics import Predictions, rows_apart


def refuse_unlike(first: Predictions, second: Predictions) -> None:
    """Do nothing where two sets of predictions are of the same rows with the same gold labels.

    Raises:
        DataError: they are not; says how.
    """
    if (first.task, first.labels, first.positive) != (second.task, second.labels, second.positive):
        raise DataError(
            f"Cannot compare: one is {first.task} over {', '.join(first.labels)}, the other {second.task} over "
            f"{', '.join(second.labels)}. Compare runs of one data set with the same labels."
        )
    if len(first) != len(second) or not np.array_equal(first.rows, second.rows):
        raise DataError(
            f"Cannot compare: the predictions are for different rows ({len(first)} and {len(second)}). "
            "Compare runs with the same data, data.subset and data.split."
        )
    if not np.array_equal(first.gold, second.gold):
        row = int(first.rows[np.argmax(rows_apart(first.gold, second.gold))])
        raise DataError(f"Cannot compare: the gold labels differ, first in row {row}. Compare runs of the same data.")
    for name, differ in (
        ("clusters", "are clustered differently"),
        ("weights", "have other weights"),
        ("soft", "have other votes"),
    ):
        if not _same(getattr(first, name), getattr(second, name)):
            raise DataError(f"Cannot compare: the rows {differ}. Compare runs of the same data.")


def _same(first: NDArray[np.generic] | None, second: NDArray[np.generic] | None) -> bool:
    return first is second if first is None or second is None else np.array_equal(first, second)

"""How much each axis of a sweep matters: the share of the differences between trials that its choices explain."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ftcls.search.results import Results
from ftcls.search.space import SEED, Axis

_GROUPS: Final = 4
"""Groups of a range's values, about equally large."""


@dataclass(frozen=True)
class Importance:
    """One axis."""

    axis: str
    share: float
    """Of the variance of the search's metric on validation, from 0 to 1."""


def importances(found: Results, axes: Sequence[Axis]) -> list[Importance]:
    """The axes, the one that matters most first; none where too few trials are done, or all are alike.

    Each axis by itself: epsilon squared of a one-way analysis of variance (Kelley, An unbiased correlation ratio
    measure, PNAS 21, 1935), which takes off what as many groups would explain by chance. What two axes do together
    counts for neither.
    """
    done = [row for row in found.trials if row.metrics is not None]
    scores = [None if row.metrics is None else row.metrics["validation"][found.metric] for row in done]
    values = np.array([np.nan if score is None else score for score in scores], dtype=np.float64)
    known = np.isfinite(values)
    if known.sum() < 3 or np.ptp(values[known]) == 0:
        return []
    made = []
    for axis in axes:
        group = _group(axis, [row.values[axis.name] for row in done], [row.choices[axis.name] for row in done])[known]
        groups = len(np.unique(group))
        if 1 < groups < known.sum():
            made.append(Importance(axis.name, _epsilon_squared(values[known], group)))
    return sorted(made, key=lambda each: (-each.share, each.axis == SEED))


def _group(axis: Axis, values: Sequence[object], labels: Sequence[str]) -> NDArray[np.int64]:
    """int64 [n]: the group of each trial."""
    if axis.range is None:
        found: NDArray[np.int64] = np.unique(np.array(labels), return_inverse=True)[1]
        return found
    numbers = np.array(values, dtype=np.float64)
    edges = np.quantile(numbers, np.linspace(0, 1, _GROUPS + 1)[1:-1])
    return np.searchsorted(edges, numbers, side="right")


def _epsilon_squared(values: NDArray[np.float64], group: NDArray[np.int64]) -> float:
    numbers, place = np.unique(group, return_inverse=True)
    means = np.bincount(place, weights=values) / np.bincount(place)
    total = float(((values - values.mean()) ** 2).sum())
    within = float(((values - means[place]) ** 2).sum())
    between = total - within
    by_chance = (len(numbers) - 1) * within / (len(values) - len(numbers))
    return max(0.0, (between - by_chance) / total)

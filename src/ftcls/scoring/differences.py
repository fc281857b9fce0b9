"""What the differences between two models on the same rows say, in one metric or several."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ftcls.errors import DataError
from ftcls.scoring import folds
from ftcls.scoring.intervals import DRAWS, percentiles, resampled, score_of
from ftcls.scoring.likeness import refuse_unlike
from ftcls.scoring.metrics import Predictions, higher_is_better, names, rows_apart, score, unlike
from ftcls.scoring.wilson import Interval

SURE: Final = 0.05
"""p-value below which a difference is called one."""
COMPARED: Final = ("accuracy", "f1_macro")
"""What models are compared by beside the chosen metric: the share of right answers, and the mean over labels."""

Verdict = Literal["better", "worse", "open"]
"""What a difference says of the first: better, worse, or nothing that these rows can show."""


@dataclass(frozen=True)
class Difference:
    """By how much one set of predictions scores above another on the same rows."""

    metric: str
    value: float
    """The first's metric minus the second's."""
    interval: Interval
    """95 %"""
    p_value: float
    """Two-sided."""
    rows: int
    clusters: int | None
    """Independent clusters resampled; None where rows were."""


def verdict(difference: Difference) -> Verdict:
    """Whether the first of two models is shown to be the better one, whichever way the metric goes."""
    if difference.p_value >= SURE:
        return "open"
    return "better" if (difference.value > 0) == higher_is_better(difference.metric) else "worse"


def same_labels(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Share of n texts that two models give the same labels, [n], or [n, k] for several."""
    return float(1 - rows_apart(first, second).mean())


def differences(first: Predictions, second: Predictions, *, metrics: Sequence[str], seed: int) -> dict[str, Difference]:
    """The paired difference of every metric, by name; one that has no value for either is left out.

    Raises:
        DataError: the two are not of the same rows, or a metric is none of the task.
    """
    undefined = {name for each in (first, second) for name, value in score(each).items() if value is None}
    names = dict.fromkeys(name for name in metrics if name not in undefined)
    return {name: paired_difference(first, second, metric=name, seed=seed) for name in names}


def paired_difference(
    first: Predictions, second: Predictions, *, metric: str = "accuracy", seed: int = 0, draws: int = DRAWS
) -> Difference:
    """The difference of a metric between two sets of predictions of the same rows, resampled together.

    The p-value inverts the percentile interval: twice the smaller share of draws on either side of zero, a draw of
    exactly zero counting on both, with one added to count and draws so that it is never 0 (Davison & Hinkley 1997,
    section 4.4), and not below what so few rows or clusters as the two differ on can show (`least_p_value`). It is
    below 0.05 where the interval excludes zero.

    Raises:
        DataError: the rows, their gold labels or the label names are not the same, or the metric is undefined.
    """
    refuse_unlike(first, second)
    if metric not in names(first.task):
        raise DataError(f"{metric}: not a metric of a {first.task} task; one of {', '.join(names(first.task))}")
    values = [score_of(each, metric) for each in (first, second)]
    one, other = (resampled(each, metric, seed=seed, draws=draws) for each in (first, second))
    return difference_of(
        one - other,
        metric=metric,
        value=values[0] - values[1],
        rows=len(first),
        clusters=None if first.clusters is None else len(np.unique(first.clusters)),
        extra=folds.extra_of_difference(first, second, metric, seed=seed),
        units=units_apart([first], [second], metric),
    )


def difference_of(
    differences: NDArray[np.float64],
    *,
    metric: str,
    value: float,
    rows: int,
    clusters: int | None,
    units: int,
    extra: float = 0.0,
) -> Difference:
    """A difference with interval and p-value from its draws [d], as `paired_difference` describes.

    Args:
        differences: [d]
        metric: its name.
        value: of the rows as they are.
        rows: how many.
        clusters: of how many clusters.
        units: rows or clusters on which the two differ (`units_apart`).
        extra: what trainings add to its variance: the draws are spread about the value until they have that too.

    Raises:
        DataError: no draw has a value.
    """
    differences = differences[np.isfinite(differences)]
    if extra and len(differences):
        differences = value + (differences - value) * folds.widening(float(differences.var()), extra)
    interval = percentiles(differences)
    if interval is None:
        raise DataError(f"{metric}: has no value in any resample of these {rows} rows; choose another metric")
    tail = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    p_value, least = min(1.0, 2 * (tail + 1) / (len(differences) + 1)), least_p_value(units)
    if p_value < SURE <= least:  # the draws are too sure: what cannot be shown is not excluded either
        interval = min(interval[0], 0.0), max(interval[1], 0.0)
    return Difference(
        metric=metric,
        value=value,
        interval=interval,
        p_value=max(p_value, least),
        rows=rows,
        clusters=clusters,
    )


def least_p_value(units: int) -> float:
    """The smallest two-sided p-value of models that differ on so many rows, or clusters of them: 2^(1 - units).

    Were the two alike, each of these rows could as well have spoken for the other: a test that turns their signs has no
    smaller one. A bootstrap does not know it: of three rows that all speak for one model hardly a draw misses all.
    """
    return min(1.0, 2.0 ** (1 - units))


def units_apart(first: Sequence[Predictions], second: Sequence[Predictions], metric: str) -> int:
    """Rows, or clusters of them, on which some of the first and some of the second differ in what the metric is of."""
    rows = np.any([unlike(one, other, metric) for one in first for other in second], axis=0)
    clusters = first[0].clusters
    return int(rows.sum()) if clusters is None else len(np.unique(clusters[rows]))

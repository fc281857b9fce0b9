"""How sure a score is: 95 % intervals and paired differences by the bootstrap.

Rows are drawn with replacement, n of them; where rows belong together (one file, one author), whole clusters are drawn
instead. An interval runs from the 2.5th to the 97.5th percentile of the metric over the draws. Shares of independent
rows (accuracy and what equals it) take Wilson's interval, which does not shrink to a point at 0 or 1 (Wilson 1927;
Brown, Cai & DasGupta 2001). Draws in which a metric has no value are left out; a metric that has none in any draw
has no interval: None.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftcls.errors import DataError
from ftcls.scoring.metrics import AREAS, Predictions, Statistics, names

Interval = tuple[float, float]

DRAWS = 2000
"""Draws of a bootstrap: a percentile then wobbles by about a fiftieth of the interval's width from seed to seed."""
_AREA_WORK = 1_000_000_000
"""Most row x label x draw steps spent on areas under curves: some ten seconds of one core."""
_AREA_DRAWS = 200
"""Fewest draws for areas under curves, however large the data."""
_WEIGHTS = 1_000_000
"""Weights of one block of draws: 8 MB of float64, which the processor's cache can hold."""
_BLOCK = 32
"""Fewest draws in a block: matrix products want them, and 32 draws of a million rows are 256 MB."""
_SHARES = ("accuracy", "f1_micro")
_MULTILABEL_SHARES = ("accuracy", "subset_accuracy")
_NORMAL_97_5 = 1.959963984540054
"""97.5th percentile of the standard normal distribution."""


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


def area_draws(n: int, k: int, draws: int) -> int:
    """How many of the draws are spent on areas under curves of n rows and k labels."""
    return min(draws, max(_AREA_DRAWS, _AREA_WORK // (n * k)))


def intervals(predictions: Predictions, *, seed: int = 0, draws: int = DRAWS) -> dict[str, Interval | None]:
    """The 95 % interval of every metric of the task; the same for the same seed."""
    wanted = names(predictions.task)
    k = len(predictions.labels) if predictions.task == "multilabel" else 1
    for_areas = area_draws(len(predictions), k, draws)
    samples = _resample(predictions, wanted, seed=seed, draws=draws, for_areas=for_areas)
    found = {name: _percentiles(samples[name]) for name in wanted}
    if predictions.clusters is None:
        shares = _MULTILABEL_SHARES if predictions.task == "multilabel" else _SHARES
        found |= {name: wilson(score_of(predictions, name), len(predictions)) for name in shares}
    return found


def wilson(share: float, n: int) -> Interval:
    """Wilson's 95 % interval of a share of n independent rows."""
    z2 = _NORMAL_97_5**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _NORMAL_97_5 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # At 0 and 1 rounding would leave the share itself just outside.
    return min(share, float(centre - half)), max(share, float(centre + half))


def paired_difference(
    first: Predictions, second: Predictions, *, metric: str = "accuracy", seed: int = 0, draws: int = DRAWS
) -> Difference:
    """The difference of a metric between two sets of predictions of the same rows, resampled together.

    The p-value inverts the percentile interval: twice the smaller share of draws on either side of zero, a draw of
    exactly zero counting on both, with one added to count and draws so that it is never 0 (Davison & Hinkley 1997,
    section 4.4). It is below 0.05 where the interval excludes zero.

    Raises:
        DataError: the rows, their gold labels or the label names are not the same, or the metric is undefined.
    """
    _refuse_unlike(first, second)
    if metric not in names(first.task):
        raise DataError(f"{metric}: not a metric of a {first.task} task; one of {', '.join(names(first.task))}")
    values = [score_of(each, metric) for each in (first, second)]
    k = len(first.labels) if first.task == "multilabel" else 1
    count = area_draws(len(first), k, draws) if metric in AREAS else draws
    samples = [_resample(each, (metric,), seed=seed, draws=count, for_areas=count)[metric] for each in (first, second)]
    differences = samples[0] - samples[1]
    differences = differences[np.isfinite(differences)]
    interval = _percentiles(differences)
    if interval is None:
        raise DataError(f"{metric}: has no value in any resample of these {len(first)} rows; choose another metric")
    tail = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return Difference(
        metric=metric,
        value=values[0] - values[1],
        interval=interval,
        p_value=min(1.0, 2 * (tail + 1) / (len(differences) + 1)),
        rows=len(first),
        clusters=None if first.clusters is None else len(np.unique(first.clusters)),
    )


def score_of(predictions: Predictions, metric: str) -> float:
    """One metric.

    Raises:
        DataError: it is undefined on these rows.
    """
    value = float(Statistics(predictions).at(np.ones((1, len(predictions))), (metric,))[metric][0])
    if np.isnan(value) and metric in AREAS:
        raise DataError(f"{metric}: undefined on these {len(predictions)} rows, their gold labels are all alike")
    return float(np.nan_to_num(value))


def _refuse_unlike(first: Predictions, second: Predictions) -> None:
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
        row = int(first.rows[np.argmax(_differs(first.gold, second.gold))])
        raise DataError(f"Cannot compare: the gold labels differ, first in row {row}. Compare runs of the same data.")
    if not _same_clusters(first.clusters, second.clusters):
        raise DataError("Cannot compare: the rows are clustered differently. Compare runs of the same data.")


def _differs(first: NDArray[np.generic], second: NDArray[np.generic]) -> NDArray[np.bool_]:
    unequal: NDArray[np.bool_] = (first != second).reshape(len(first), -1).any(axis=1)
    return unequal


def _same_clusters(first: NDArray[np.int64] | None, second: NDArray[np.int64] | None) -> bool:
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second)


def _resample(
    predictions: Predictions, wanted: tuple[str, ...], *, seed: int, draws: int, for_areas: int
) -> dict[str, NDArray[np.float64]]:
    """The wanted metrics over the draws; those of `AREAS` over the first `for_areas` of them."""
    statistics = Statistics(predictions)
    cheap = tuple(name for name in wanted if name not in AREAS)
    costly = tuple(name for name in wanted if name in AREAS)
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in wanted}
    done = 0
    for weights in _weights(predictions, seed=seed, draws=draws):
        found = statistics.at(weights, cheap)
        if done < for_areas and costly:
            found |= statistics.at(weights[: for_areas - done], costly)
        for name, values in found.items():
            parts[name].append(values)
        done += len(weights)
    return {name: np.concatenate(values) for name, values in parts.items()}


def _weights(predictions: Predictions, *, seed: int, draws: int) -> Iterator[NDArray[np.float64]]:
    """Blocks [d, n] of how often each row is drawn; the same rows whatever the size of a block."""
    rng = np.random.default_rng(seed)
    n, members = len(predictions), None
    units = n
    if predictions.clusters is not None:
        clusters, members = np.unique(predictions.clusters, return_inverse=True)
        units = len(clusters)
    size = max(_BLOCK, _WEIGHTS // n)
    for start in range(0, draws, size):
        count = min(size, draws - start)
        drawn = np.empty((count, units))
        for index in range(count):
            drawn[index] = np.bincount(rng.integers(0, units, size=units), minlength=units)
        yield drawn if members is None else drawn.take(members, axis=1)


def _percentiles(values: NDArray[np.float64]) -> Interval | None:
    defined = values[np.isfinite(values)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, (0.025, 0.975))
    return float(low), float(high)

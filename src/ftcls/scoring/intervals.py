"""How sure a score is: 95 % intervals.

- Shares, that is accuracy and the precision, recall and F1 of one label: Wilson's interval (`shares`).
- Macro averages: those of the labels put together, each side for itself (Zou & Donner 2008, "MOVER"), by how the
  labels' scores are correlated over a bootstrap. The percentiles of a bootstrap alone hold the truth too seldom where
  labels are rare: the F1 of a few rows is too low on average, and once more in every resample.
- Average precision of a label with few positives: Wilson's, with the number of positives for rows, after the binomial
  interval that Boyd, Eng & Page (2013) recommend.
- Everything else: the 2.5th to the 97.5th percentile of a bootstrap. Rows are drawn with replacement, n of them; where
  rows belong together (one file, one author), whole clusters are drawn instead. Draws in which a metric has no value
  are left out; a metric that has none in any draw has no interval: None.
- Rows with weights are drawn like others and count by their weights; Wilson's takes their effective number.
- Out-of-fold predictions of a cross-validation: the above over all rows, and wider by what the trainings of the folds
  add (`folds`). The labels' own intervals are over rows alone.

A label that neither occurs nor is predicted counts 0 in a macro average, and adds nothing to its interval: that is
about the labels that the rows show. Coverage is measured by ``studies/coverage.py``.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftcls.environment import memory
from ftcls.errors import DataError
from ftcls.scoring import folds, resampling, wilson
from ftcls.scoring.metrics import AREAS, MAY_LACK, Counts, Predictions, Statistics, in_range, names
from ftcls.scoring.wilson import Interval

DRAWS = 2000
"""Draws of a bootstrap: a percentile then wobbles by about a fiftieth of the interval's width from seed to seed."""
_AREA_WORK = 2_000_000_000
"""Most row x label x draw steps spent on areas under curves: some ten seconds of one core."""
_AREA_DRAWS = 200
"""Fewest draws for areas under curves, however large the data; an end then wobbles by a twentieth of the width."""
_FEW_POSITIVES = 20
"""Up to so many positives, average precision takes Wilson's interval."""
_SHARES = ("accuracy", "f1_micro")
_MULTILABEL_SHARES = ("accuracy", "subset_accuracy")
_NEAR = "accuracy_within_one"
_MACRO = {"precision_macro": "precision", "recall_macro": "recall", "f1_macro": "f1"}
_MACRO_AREA = "average_precision_macro"
_OF_POSITIVE = ("precision", "recall", "f1")
_COUNTED = ("hits", "gold", "predicted")


@dataclass(frozen=True)
class LabelIntervals:
    """The 95 % intervals of one label's scores; None where a score has no rows to stand on."""

    precision: Interval | None
    recall: Interval | None
    f1: Interval | None
    average_precision: Interval | None


@dataclass(frozen=True)
class Certainty:
    """The 95 % intervals of one set of predictions."""

    metrics: dict[str, Interval | None]
    """By metric of the task."""
    labels: dict[str, LabelIntervals]
    """By label name."""
    widening: dict[str, float] = field(default_factory=dict)
    """Of out-of-fold predictions: by what the distances of the ends from the metric were multiplied (`folds`)."""


def area_draws(n: int, k: int, draws: int) -> int:
    """How many of the draws are spent on areas under curves of n rows and k labels."""
    return min(draws, max(_AREA_DRAWS, _AREA_WORK // (n * k)))


def intervals(predictions: Predictions, *, seed: int = 0, draws: int = DRAWS) -> dict[str, Interval | None]:
    """The 95 % interval of every metric of the task; the same for the same seed."""
    return _certainty(predictions, seed=seed, draws=draws, areas_of_labels=False).metrics


def certainty(predictions: Predictions, *, seed: int = 0, draws: int = DRAWS) -> Certainty:
    """The 95 % interval of every metric of the task and of every label's scores; the same for the same seed."""
    return _certainty(predictions, seed=seed, draws=draws, areas_of_labels=True)


def _certainty(predictions: Predictions, *, seed: int, draws: int, areas_of_labels: bool) -> Certainty:
    task, wanted, statistics = predictions.task, names(predictions.task), Statistics(predictions)
    areas_of_labels |= task == "multilabel"  # their mean is a metric there
    k = len(predictions.labels) if areas_of_labels else 1
    drawn = _resample(
        statistics,
        wanted,
        seed=seed,
        draws=draws,
        for_areas=area_draws(len(predictions), k, draws),
        areas_of_labels=areas_of_labels,
    )
    found = {name: percentiles(values) for name, values in drawn.metrics.items()}
    ratios = {name: _ratio_intervals(statistics, name) for name in _OF_POSITIVE}
    for name, ratio in _MACRO.items():
        sample, draws_of = (getattr(counts, ratio) for counts in (statistics.sample, drawn.counts))
        found[name] = _macro_interval(sample[0], draws_of, ratios[ratio])
    if predictions.positive is not None:
        found |= {name: ratios[name][predictions.positive] for name in _OF_POSITIVE}
    right = statistics.per_row["accuracy"] > 0
    of_rows = wilson.of_rows(right, predictions.clusters, predictions.weights)
    found |= dict.fromkeys(_MULTILABEL_SHARES if task == "multilabel" else _SHARES, of_rows)
    if task == "ordinal":
        found[_NEAR] = wilson.of_rows(statistics.per_row[_NEAR] > 0, predictions.clusters, predictions.weights)
    areas: list[Interval | None] = [None] * len(predictions.labels)
    if drawn.areas is not None:
        values = statistics.label_areas(predictions.counting[None])[0]
        areas = _area_intervals(statistics, values, drawn.areas)
        if task == "multilabel":
            found[_MACRO_AREA] = _macro_interval(values, drawn.areas, areas)
    labels = {
        label: LabelIntervals(**{name: ratios[name][index] for name in ratios}, average_precision=areas[index])
        for index, label in enumerate(predictions.labels)
    }
    found = {name: found[name] for name in wanted}
    if predictions.folds is None:
        return Certainty(found, labels)
    by = _widening(statistics, wanted, drawn, predictions.folds, seed=seed)
    values = statistics.at(predictions.counting[None], wanted)
    return Certainty({name: _wider(name, found[name], float(values[name][0]), by[name]) for name in wanted}, labels, by)


def _widening(
    statistics: Statistics, wanted: tuple[str, ...], drawn: "_Draws", fold: NDArray[np.int64], *, seed: int
) -> dict[str, float]:
    """By metric, how much wider its interval is to be for the trainings of the folds [n]."""
    of_folds = folds.fold_scores(statistics.predictions, fold, wanted, seed=seed)
    return {
        name: folds.widening(_variance(drawn.metrics[name]), folds.extra_variance(of_folds[name])) for name in wanted
    }


def _variance(drawn: NDArray[np.float64]) -> float:
    some = drawn[np.isfinite(drawn)]
    return float(some.var()) if len(some) else 0.0


def _wider(name: str, interval: Interval | None, value: float, by: float) -> Interval | None:
    if interval is None or not np.isfinite(value):
        return interval
    low, high = interval
    more = by - 1
    return in_range(name, (low - more * max(value - low, 0.0), high + more * max(high - value, 0.0)))


def _ratio_intervals(statistics: Statistics, name: str) -> list[Interval | None]:
    """Of each label: the interval of its precision, recall or F1."""
    gold, predicted = statistics.indicators
    rows = statistics.predictions
    interval = wilson.of_f1 if name == "f1" else wilson.of_rows
    found = []
    for of_label, said in zip(gold.T, predicted.T, strict=True):
        relevant = np.flatnonzero({"precision": said, "recall": of_label, "f1": of_label | said}[name])
        both = of_label[relevant] & said[relevant]
        found.append(interval(both, _some(rows.clusters, relevant), _some(rows.weights, relevant)))
    return found


def _some(values: NDArray[Any] | None, chosen: NDArray[Any]) -> NDArray[Any] | None:
    return None if values is None else values[chosen]


def _area_intervals(
    statistics: Statistics, values: NDArray[np.float64], drawn: NDArray[np.float64]
) -> list[Interval | None]:
    """Of each label: the interval of its average precision [k], which was `drawn` [d, k]."""
    rows = statistics.predictions
    found: list[Interval | None] = []
    for value, draws, of_label in zip(values, drawn.T, statistics.indicators[0].T, strict=True):
        positives = int(of_label.sum())
        if 0 < positives <= _FEW_POSITIVES:
            some = _some(rows.clusters, of_label), _some(rows.weights, of_label)
            found.append(wilson.wilson(float(value), wilson.effective(np.ones(positives, bool), *some)))
        else:
            found.append(percentiles(draws))
    return found


def _macro_interval(
    values: NDArray[np.float64], drawn: NDArray[np.float64], of_labels: list[Interval | None]
) -> Interval | None:
    """The interval of the mean of a score [k], `drawn` [d, k], over the labels; None where no label has one.

    Not the percentiles of the drawn means: a row that is drawn twice lifts average precision, and a draw without a rare
    label's rows says nothing of it, so that with many rare labels they can leave the mean itself out.
    """
    if all(interval is None for interval in of_labels):
        return None
    values = np.nan_to_num(values)
    ends = [(value, value) if each is None else each for value, each in zip(values, of_labels, strict=True)]
    low, high = np.array(ends).T
    drawn = np.where(np.isfinite(drawn), drawn, values)
    # Zou & Donner (2008): the distances to the ends add up as standard deviations do, by how the labels go together.
    together = _correlations(drawn)
    below, above = np.maximum(values - low, 0.0), np.maximum(high - values, 0.0)
    mean, k = float(values.mean()), len(values)
    return (
        max(0.0, mean - float(np.sqrt(max(below @ together @ below, 0.0))) / k),
        min(1.0, mean + float(np.sqrt(max(above @ together @ above, 0.0))) / k),
    )


def _correlations(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """[k, k] correlations of k columns [d, k]; a column that does not vary goes with no other."""
    apart = drawn - drawn.mean(axis=0)
    norms = np.sqrt((apart**2).sum(axis=0))
    apart = apart / np.where(norms > 0, norms, 1.0)
    found: NDArray[np.float64] = apart.T @ apart
    np.fill_diagonal(found, 1.0)
    return found


def resampled(predictions: Predictions, metric: str, *, seed: int = 0, draws: int = DRAWS) -> NDArray[np.float64]:
    """A metric over the draws of the bootstrap, float64 [d]; the same rows are drawn for the same seed.

    Draws without a value are NaN. All of them are 0 where a ratio has no denominator among the rows as they are, such
    as the precision of a label that is never given: that counts as 0, however often a row is drawn.
    """
    k = len(predictions.labels) if predictions.task == "multilabel" else 1
    count = area_draws(len(predictions), k, draws) if metric in AREAS else draws
    statistics = Statistics(predictions)
    if metric not in MAY_LACK and np.isnan(statistics.at(predictions.counting[None], (metric,))[metric][0]):
        return np.zeros(count)
    found = _resample(statistics, (metric,), seed=seed, draws=count, for_areas=count)
    values: NDArray[np.float64] = found.metrics[metric]
    return values


def score_of(predictions: Predictions, metric: str) -> float:
    """One metric.

    Raises:
        DataError: it is undefined on these rows.
    """
    value = float(Statistics(predictions).at(predictions.counting[None], (metric,))[metric][0])
    if np.isnan(value) and metric in MAY_LACK:
        alike = "gold labels are all alike" if metric in AREAS else "gold and predicted labels are all one label"
        raise DataError(f"{metric}: undefined on these {len(predictions)} rows, their {alike}")
    return float(np.nan_to_num(value))


@dataclass(frozen=True, eq=False)
class _Draws:
    metrics: dict[str, NDArray[np.float64]]
    """[d] by metric"""
    counts: Counts
    """[d, k] each"""
    areas: NDArray[np.float64] | None
    """[d, k] average precision of the labels"""


def _resample(statistics: Statistics, wanted: tuple[str, ...], *, draws: int, **how: Any) -> _Draws:
    """The wanted metrics and the counts over the draws; areas over the first `for_areas` of them."""
    return memory.smaller(
        lambda size: _in_blocks(statistics, wanted, draws=draws, size=size, **how),
        min(draws, resampling.block(len(statistics.predictions))),
        least=1,
        what="draws of the bootstrap are scored at once",
    )


def _in_blocks(
    statistics: Statistics,
    wanted: tuple[str, ...],
    *,
    seed: int,
    draws: int,
    for_areas: int,
    size: int,
    areas_of_labels: bool = False,
) -> _Draws:
    cheap = tuple(name for name in wanted if name not in AREAS)
    costly = tuple(name for name in wanted if name in AREAS)
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in wanted}
    counts: list[Counts] = []
    areas: list[NDArray[np.float64]] = []
    done = 0
    for weights in resampling.weights(statistics.predictions, seed=seed, draws=draws, size=size):
        counts.append(statistics.counts(weights))
        found = statistics.at(weights, cheap, counts=counts[-1])
        if done < for_areas and (costly or areas_of_labels):
            first = weights[: for_areas - done]
            if areas_of_labels:
                areas.append(statistics.label_areas(first))
            found |= statistics.at(first, costly, label_areas=areas[-1] if areas_of_labels else None)
        for name, values in found.items():
            parts[name].append(values)
        done += len(weights)
    return _Draws(
        metrics={name: np.concatenate(values) for name, values in parts.items()},
        counts=Counts(*(np.concatenate([getattr(each, name) for each in counts]) for name in _COUNTED)),
        areas=np.concatenate(areas) if areas_of_labels else None,
    )


def percentiles(values: NDArray[np.float64]) -> Interval | None:
    """The 2.5th and the 97.5th percentile of draws [d]; NaN are left out, and None where nothing else is there."""
    defined = values[np.isfinite(values)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, (0.025, 0.975))
    return float(low), float(high)

"""Every score of report.json, from gold labels, predicted labels and probabilities.

Macro averages go over all k labels of the task, whether or not they occur; a ratio without a denominator counts as 0
(scikit-learn's ``labels=range(k), zero_division=0``). An area under a curve that has no positives, or for the ROC
curve no negatives, is undefined: None. In ``average_precision_macro`` a label without positives counts as 0.

The metrics of ordered classes (task ordinal) count steps between neighbouring labels, whatever the labels are called.

Everything is computed under row weights, so that an interval resamples the very statistic that it belongs to. Where
rows have weights of their own, every metric is the weighted one (scikit-learn's ``sample_weight``).
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from ftcls.scoring.decision import Task
from ftcls.scoring.ranking import Ranking, divide, rank

_COUNTS = ("f1_macro", "f1_micro", "f1_weighted", "precision_macro", "recall_macro")
_POSITIVE = ("precision", "recall", "f1")
AREAS = frozenset({"roc_auc", "average_precision", "average_precision_micro", "average_precision_macro"})
"""Metrics that depend on the order of the probabilities; costly to resample, undefined without positives."""
LOWER_IS_BETTER = frozenset({"loss", "hamming_loss", "mean_absolute_error"})
KAPPA = "quadratic_weighted_kappa"
MAY_LACK = AREAS | {KAPPA}
"""Metrics that have no value on some rows; any other counts 0 where its ratio has no denominator."""
_OPEN_ABOVE = frozenset({"loss", "mean_absolute_error"})
"""Metrics without an upper end."""

_NAMES: dict[Task, tuple[str, ...]] = {
    "binary": ("loss", "accuracy", *_COUNTS, *_POSITIVE, "roc_auc", "average_precision"),
    "multiclass": ("loss", "accuracy", *_COUNTS),
    "multilabel": (
        *("loss", "accuracy", *_COUNTS, "f1_samples", "subset_accuracy", "hamming_loss"),
        *("average_precision_micro", "average_precision_macro"),
    ),
    "ordinal": ("loss", "accuracy", *_COUNTS, KAPPA, "mean_absolute_error", "accuracy_within_one"),
}


def names(task: Task) -> tuple[str, ...]:
    """The metrics of a task, in the order of the report."""
    return _NAMES[task]


def higher_is_better(name: str) -> bool:
    """Whether a larger value of this metric is the better one."""
    return name not in LOWER_IS_BETTER


def in_range(name: str, interval: tuple[float, float]) -> tuple[float, float]:
    """An interval cut to the values that a metric can have: a t interval knows nothing of 0 and 1."""
    low, high = interval
    return max(low, -1.0 if name == KAPPA else 0.0), high if name in _OPEN_ABOVE else min(high, 1.0)


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model said about n examples, beside what is true.

    Raises:
        ValueError: no rows, shapes that do not fit each other, or a binary task without a positive label.
    """

    task: Task
    labels: tuple[str, ...]
    """k label names."""
    gold: NDArray[np.int64] | NDArray[np.float32] | NDArray[np.bool_]
    """int64 [n] label index; multilabel: [n, k] of 0 and 1."""
    predicted: NDArray[np.int64] | NDArray[np.bool_]
    """int64 [n] label index; multilabel: bool [n, k]."""
    probabilities: NDArray[np.float64]
    """[n, k]"""
    rows: NDArray[np.int64]
    """[n] row number in the source split."""
    clusters: NDArray[np.int64] | None = None
    """[n] cluster of each row where rows are not independent."""
    positive: int | None = None
    """binary: index of the label that precision, recall, f1 and the areas are about."""
    folds: NDArray[np.int64] | None = None
    """[n] fold of each row, where each fold is predicted by a model of its own: intervals are over rows and folds."""
    weights: NDArray[np.float64] | None = None
    """[n] how much each row counts, above 0; None: all the same."""
    soft: NDArray[np.float32] | None = None
    """[n, k] how probable each label is by those who gave it: the loss is against these. None: `gold` is certain."""

    def __post_init__(self) -> None:
        n, k = len(self.rows), len(self.labels)
        targets = (n, k) if self.task == "multilabel" else (n,)
        shapes = {"gold": targets, "predicted": targets, "probabilities": (n, k), "rows": (n,)}
        shapes |= {"clusters": (n,), "folds": (n,), "weights": (n,), "soft": (n, k)}
        for name, wanted in shapes.items():
            array = getattr(self, name)
            if array is not None and array.shape != wanted:
                raise ValueError(f"{name}: shape {array.shape}, not {wanted}, for {n} rows and {k} labels")
        if n == 0:
            raise ValueError("no rows to score")
        if (self.task == "binary") != (self.positive is not None):
            raise ValueError("positive: the label index for a binary task, None for any other")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def counting(self) -> NDArray[np.float64]:
        """How much each row counts, [n] of mean 1."""
        return np.ones(len(self)) if self.weights is None else self.weights * (len(self) / self.weights.sum())

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each row was given its gold label, or several labels its whole set: bool [n]."""
        return ~rows_apart(self.gold.astype(np.int64), self.predicted.astype(np.int64))

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Predictions":
        """Those of some rows, a mask [n] or their numbers."""
        return replace(
            self,
            gold=self.gold[chosen],
            predicted=self.predicted[chosen],
            probabilities=self.probabilities[chosen],
            rows=self.rows[chosen],
            clusters=None if self.clusters is None else self.clusters[chosen],
            folds=None if self.folds is None else self.folds[chosen],
            weights=None if self.weights is None else self.weights[chosen],
            soft=None if self.soft is None else self.soft[chosen],
        )


@dataclass(frozen=True)
class LabelScores:
    """The scores of one label."""

    precision: float
    recall: float
    f1: float
    support: int
    """Rows whose gold label it is."""
    average_precision: float | None
    """Of this label against the rest; None without a gold row."""
    threshold: float | None
    """multilabel: the probability from which on the label is given."""


@dataclass(frozen=True)
class Counts:
    """Weight of the rows behind every ratio, each [..., k]."""

    hits: NDArray[np.float64]
    gold: NDArray[np.float64]
    predicted: NDArray[np.float64]

    @property
    def precision(self) -> NDArray[np.float64]:
        """NaN where the label was never predicted."""
        return divide(self.hits, self.predicted)

    @property
    def recall(self) -> NDArray[np.float64]:
        """NaN where the label never occurs."""
        return divide(self.hits, self.gold)

    @property
    def f1(self) -> NDArray[np.float64]:
        """NaN where the label neither occurs nor was predicted."""
        return divide(2 * self.hits, self.gold + self.predicted)


class Statistics:
    """Every metric of one set of predictions, under any weighting of its rows."""

    def __init__(self, predictions: Predictions) -> None:
        self.predictions = predictions
        self.task = predictions.task

    def at(
        self,
        weights: NDArray[np.floating[Any]],
        wanted: Collection[str],
        *,
        counts: Counts | None = None,
        label_areas: NDArray[np.float64] | None = None,
    ) -> dict[str, NDArray[np.float64]]:
        """The wanted metrics, each [d], under the weightings [d, n] (how often each row was drawn).

        Weights of a row are best side by side in memory (the transpose of an array [n, d]). What `counts` and
        `label_areas` found under the same weights need not be found again.

        NaN where a metric has no value. A label whose ratio has a denominator among all rows but not under a
        weighting is left out of that weighting's macro average: a rare label that a resample happens to miss says
        nothing about the model, and counting it as 0 would push the whole interval below the score.
        """
        found: dict[str, NDArray[np.float64]] = {}
        means = [name for name in self.per_row if name in wanted]
        if means:
            sums = np.stack([self.per_row[name] for name in means]) @ weights.T
            found |= dict(zip(means, sums / weights.sum(axis=1, dtype=np.float64), strict=True))
        if not set(wanted).isdisjoint((*_COUNTS, *_POSITIVE)):
            found |= self._count_metrics(self.counts(weights) if counts is None else counts)
        found |= {name: self._area(name, weights, label_areas) for name in wanted if name in AREAS}
        if KAPPA in wanted:
            found[KAPPA] = self._kappa(weights)
        return {name: found[name] for name in names(self.task) if name in wanted}

    @cached_property
    def per_row(self) -> dict[str, NDArray[np.float64]]:
        """The metrics that are means over rows: the n values each is the mean of."""
        gold, predicted = self.predictions.gold, self.predictions.predicted
        loss = row_losses(self.predictions)
        if self.task == "ordinal":
            steps = np.abs(gold - predicted).astype(np.float64)
            near = {"mean_absolute_error": steps, "accuracy_within_one": (steps <= 1).astype(np.float64)}
            return {"loss": loss, "accuracy": (steps == 0).astype(np.float64), **near}
        if self.task != "multilabel":
            return {"loss": loss, "accuracy": (gold == predicted).astype(np.float64)}
        truth = gold.astype(bool)
        wrong = (truth != predicted).mean(axis=1)
        exact = (wrong == 0).astype(np.float64)
        overlap = 2.0 * (truth & predicted.astype(bool)).sum(axis=1)
        f1 = np.nan_to_num(divide(overlap, truth.sum(axis=1) + predicted.sum(axis=1)))
        return {"loss": loss, "accuracy": exact, "subset_accuracy": exact, "hamming_loss": wrong, "f1_samples": f1}

    def counts(self, weights: NDArray[np.floating[Any]]) -> Counts:
        """The counts [d, k] under weightings [d, n]."""
        places, columns = self._indicators
        ones = np.ones(len(places), dtype=weights.dtype)
        k = len(self.predictions.labels)
        # Column by column, that is row by row of the data, every weight is read once.
        given = csc_array((ones, places, columns), shape=(3 * k, len(self.predictions)))
        found = (given @ np.ascontiguousarray(weights.T)).astype(np.float64).T
        return Counts(hits=found[:, :k], gold=found[:, k : 2 * k], predicted=found[:, 2 * k :])

    @cached_property
    def sample(self) -> Counts:
        """The counts [1, k] of the rows as they are, by their weights."""
        return self.counts(self.predictions.counting[None])

    @cached_property
    def indicators(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether each label is the gold one, and the predicted one, of each row: bool [n, k] twice."""
        gold, predicted = self.predictions.gold, self.predictions.predicted
        if self.task == "multilabel":
            return gold > 0, predicted > 0
        classes = np.arange(len(self.predictions.labels))
        return gold[:, None] == classes, predicted[:, None] == classes

    @cached_property
    def _indicators(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Hits, gold and predicted of all labels as a sparse matrix [3 k, n]: row numbers, and where columns begin."""
        gold, predicted = self.indicators
        every = np.concatenate([gold & predicted, gold, predicted], axis=1)
        begins = np.append(0, every.sum(axis=1).cumsum())
        return np.nonzero(every)[1].astype(np.int32), begins.astype(np.int32)

    def _count_metrics(self, counts: Counts) -> dict[str, NDArray[np.float64]]:
        sample = self.sample
        found = {
            "f1_macro": _macro(counts.f1, sample.f1),
            "precision_macro": _macro(counts.precision, sample.precision),
            "recall_macro": _macro(counts.recall, sample.recall),
            "f1_micro": divide(2 * counts.hits.sum(axis=1), counts.gold.sum(axis=1) + counts.predicted.sum(axis=1)),
            "f1_weighted": divide((np.nan_to_num(counts.f1) * counts.gold).sum(axis=1), counts.gold.sum(axis=1)),
        }
        positive = self.predictions.positive
        if positive is not None:
            found |= {name: getattr(counts, name)[:, positive] for name in _POSITIVE}
        return found

    def _kappa(self, weights: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Quadratic weighted kappa [d] (Cohen 1968): 1 - mean squared steps / those that chance would make.

        Chance is that gold and predicted labels keep their shares and go together at random. NaN where all rows have
        one gold label and are given that alone.
        """
        gold, predicted = (each.astype(np.float64) for each in (self.predictions.gold, self.predictions.predicted))
        columns = np.stack([gold, predicted, gold**2, predicted**2, (gold - predicted) ** 2])
        means = columns @ weights.T / weights.sum(axis=1, dtype=np.float64)
        return 1 - divide(means[4], means[2] + means[3] - 2 * means[0] * means[1])

    def label_areas(self, weights: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Average precision [d, k] of every label against the rest under weightings [d, n]."""
        return np.stack([ranking.average_precision(weights) for ranking in self.rankings], axis=1)

    def _area(
        self, name: str, weights: NDArray[np.floating[Any]], label_areas: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        positive = self.predictions.positive
        if name == "average_precision_micro":
            return self._pooled.average_precision(weights)
        if positive is None:
            each = self.label_areas(weights) if label_areas is None else label_areas
            return _macro(each, np.where(self.sample.gold > 0, 1.0, np.nan))
        if name == "roc_auc":
            return self.rankings[positive].roc_auc(weights)
        return self.rankings[positive].average_precision(weights) if label_areas is None else label_areas[:, positive]

    @cached_property
    def rankings(self) -> tuple[Ranking, ...]:
        """Of each label: the rows by its probability."""
        gold, scores = self.indicators[0], self.predictions.probabilities
        return tuple(rank(scores[:, j], gold[:, j]) for j in range(scores.shape[1]))

    @cached_property
    def _pooled(self) -> Ranking:
        return rank(self.predictions.probabilities, self.indicators[0])


def score(predictions: Predictions) -> dict[str, float | None]:
    """Every metric of the task; None where it is undefined."""
    found = Statistics(predictions).at(predictions.counting[None], names(predictions.task))
    return {name: _value(name, float(values[0])) for name, values in found.items()}


def per_label(predictions: Predictions, thresholds: tuple[float, ...] | None = None) -> dict[str, LabelScores]:
    """The scores of every label by name; `thresholds` are those that the predictions were made with."""
    statistics = Statistics(predictions)
    counts, areas = statistics.sample, statistics.label_areas(predictions.counting[None])[0]
    support = statistics.indicators[0].sum(axis=0)
    found = {}
    for index, label in enumerate(predictions.labels):
        found[label] = LabelScores(
            precision=float(np.nan_to_num(counts.precision[0, index])),
            recall=float(np.nan_to_num(counts.recall[0, index])),
            f1=float(np.nan_to_num(counts.f1[0, index])),
            support=int(support[index]),
            average_precision=None if np.isnan(areas[index]) else float(areas[index]),
            threshold=None if thresholds is None else thresholds[index],
        )
    return found


def confusion(predictions: Predictions) -> NDArray[np.int64]:
    """Rows by gold (first axis) and predicted label [k, k]; multilabel: not given and given, per label [k, 2, 2].

    Rows are counted, whatever their weights are.
    """
    k = len(predictions.labels)
    if predictions.task == "multilabel":
        cell = 2 * predictions.gold.astype(np.int64) + predictions.predicted.astype(np.int64)
        return np.stack([np.bincount(cell[:, j], minlength=4).reshape(2, 2) for j in range(k)]).astype(np.int64)
    cell = predictions.gold.astype(np.int64) * k + predictions.predicted
    return np.bincount(cell, minlength=k * k).reshape(k, k).astype(np.int64)


def row_losses(predictions: Predictions) -> NDArray[np.float64]:
    """Negative log-likelihood [n] of the gold labels in nats; multilabel: the mean over the k labels.

    Where labels are not certain it is the cross-entropy against how probable each of them is. Probabilities are clipped
    to [eps, 1 - eps] of float64, as scikit-learn's ``log_loss`` does, to stay finite.
    """
    eps = np.finfo(np.float64).eps
    clipped = np.clip(predictions.probabilities, eps, 1 - eps)
    if predictions.soft is not None:
        each = -predictions.soft * np.log(clipped)
        if predictions.task != "multilabel":
            return np.asarray(each.sum(axis=1), dtype=np.float64)
        return np.asarray((each - (1 - predictions.soft) * np.log1p(-clipped)).mean(axis=1), dtype=np.float64)
    if predictions.task == "multilabel":
        likelihood = np.where(predictions.gold > 0, clipped, 1 - clipped)
        losses: NDArray[np.float64] = -np.log(likelihood).mean(axis=1)
        return losses
    of_gold: NDArray[np.float64] = -np.log(np.take_along_axis(clipped, predictions.gold[:, None].astype(np.int64), 1))
    return of_gold[:, 0]


def unlike(first: Predictions, second: Predictions, metric: str) -> NDArray[np.bool_]:
    """Rows on which a metric may tell two sets of predictions apart, bool [n]: other labels, or probabilities."""
    if metric == "loss" or metric in AREAS:
        return rows_apart(first.probabilities, second.probabilities)
    return rows_apart(first.predicted, second.predicted)


def rows_apart(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.bool_]:
    """Rows of two arrays [n, ...] that are not the same, bool [n]."""
    found: NDArray[np.bool_] = (first != second).reshape(len(first), -1).any(axis=1)
    return found


def _macro(ratios: NDArray[np.float64], sample: NDArray[np.float64]) -> NDArray[np.float64]:
    # Labels without a ratio among all rows count as 0: they lower the mean of the others by their share.
    share = float(np.isfinite(sample).mean())
    return share * divide(np.nansum(ratios, axis=1), np.isfinite(ratios).sum(axis=1))


def _value(name: str, value: float) -> float | None:
    if not np.isnan(value):
        return value
    return None if name in MAY_LACK else 0.0

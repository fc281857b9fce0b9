"""How much wider an interval over the rows of a cross-validation is to be, since every fold has a model of its own.

The pooled score of n out-of-fold rows varies with the rows that are predicted and with the rows that the models are
trained on. A bootstrap over rows knows the first alone. What the folds differ by beyond it is the second:

    excess = max(0, variance of the K fold scores - mean of their variances over their own rows)

It estimates w - g of Bengio & Grandvalet (2004), the covariance of two rows of one fold less that of rows of two folds;
of g by itself one cross-validation gives no unbiased estimate. Nadeau & Bengio (2003) put the variance of the mean at
1/K + 1/(K - 1) times that between trainings, since trainings share rows. Here that factor stands on the excess alone:
the rows that are predicted are other ones in every fold, and their part needs no correction. How often such intervals
hold the truth is measured by ``studies/coverage_folds.py``.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftcls.scoring import resampling
from ftcls.scoring.metrics import Predictions, Statistics

_DRAWS = 400
"""Draws for the variance of a fold's score over its rows, which is then known to some seven percent."""
_AREA_WORK = 400_000_000
"""Most row x label x draw steps of one fold spent on areas under curves."""


@dataclass(frozen=True, eq=False)
class FoldScores:
    """One metric in each of K folds."""

    values: NDArray[np.float64]
    """[K]; NaN where it has no value."""
    draws: NDArray[np.float64]
    """[d, K], over the rows of each fold; of two models of the same folds the same rows are drawn for the same seed."""

    def __sub__(self, other: "FoldScores") -> "FoldScores":
        return FoldScores(self.values - other.values, self.draws - other.draws)


def fold_scores(
    predictions: Predictions, folds: NDArray[np.int64], wanted: Collection[str], *, seed: int
) -> dict[str, FoldScores]:
    """By metric, its value in each fold, [n] the fold of each row.

    A label that a fold lacks is left out of its macro averages, as in a draw of a bootstrap.
    """
    statistics = Statistics(predictions)
    inside = folds == np.unique(folds)[:, None]
    draws = min(_DRAWS, max(50, _AREA_WORK // (len(predictions) * len(predictions.labels))))
    values = statistics.at(inside * predictions.counting, wanted)
    drawn: dict[str, list[list[NDArray[np.float64]]]] = {name: [[] for _ in inside] for name in values}
    for block in resampling.weights(predictions, seed=seed, draws=draws):
        for index, rows in enumerate(inside):
            # A fold that a draw misses wholly, of one cluster, has no value in it.
            weights = np.asfortranarray(block * rows)
            some = weights.any(axis=1)
            found = statistics.at(weights[some], wanted) if some.any() else {name: np.zeros(0) for name in values}
            for name, each in found.items():
                whole = np.full(len(block), np.nan)
                whole[some] = each
                drawn[name][index].append(whole)
    return {
        name: FoldScores(each, np.stack([np.concatenate(parts) for parts in drawn[name]], axis=1))
        for name, each in values.items()
    }


def extra_variance(scores: FoldScores) -> float:
    """What the trainings add to the variance over rows of the pooled score; 0 or more."""
    count, excess = _excess(scores)
    return (1 / count + 1 / (count - 1)) * excess if excess else 0.0


def lasting_variance(scores: FoldScores) -> float:
    """Of `extra_variance` what a mean over cross-validations under several seeds keeps, however many there are.

    The mean over R of them varies with 1/KR + 1/(K - 1) (Bouckaert & Frank 2004). The first part is what they differ by
    among each other; the second, of trainings that share all rows but their fold, is in none of these differences.
    """
    count, excess = _excess(scores)
    return excess / (count - 1) if excess else 0.0


def _excess(scores: FoldScores) -> tuple[int, float]:
    """How many folds have a score, and what these differ by beyond their rows; 0 or more."""
    known = np.isfinite(scores.values) & (np.isfinite(scores.draws).sum(axis=0) > 1)
    count = int(known.sum())
    if count < 2:
        return count, 0.0
    own = float(np.nanvar(scores.draws[:, known], axis=0, ddof=1).mean())
    return count, max(0.0, float(scores.values[known].var(ddof=1)) - own)


def widening(over_rows: float, extra: float) -> float:
    """By what distances from a score are multiplied, 1 or more: what the trainings add to its variance over rows."""
    return float(np.sqrt(1 + extra / over_rows)) if over_rows > 0 else 1.0


def extra_of_difference(first: Predictions, second: Predictions, metric: str, *, seed: int) -> float:
    """What the trainings add to the variance of a paired difference; 0 where neither is of a cross-validation.

    Two models of the same folds are compared fold by fold. Where the folds are others, each adds its own.
    """
    return extra_of_means([[first], [second]], metric, seed=seed)


def extra_of_means(groups: Sequence[Sequence[Predictions]], metric: str, *, seed: int) -> float:
    """What the trainings add to the variance of a mean over seeds, or of the difference of two; see `over_seeds`.

    Args:
        groups: the predictions of one model, or of two, each under one seed or more.
        metric: whose mean it is.
        seed: of the bootstrap.
    """

    def own(group: Sequence[Predictions]) -> list[FoldScores]:
        known = [(each, each.folds) for each in group]
        return [fold_scores(each, folds, (metric,), seed=seed)[metric] for each, folds in known if folds is not None]

    if len(groups) == 2 and (pairs := _of_the_same_folds(*groups)):
        first, second = zip(*pairs, strict=True)
        return _mean_extra([one - other for one, other in zip(own(first), own(second), strict=True)])
    return sum(_mean_extra(own(group)) for group in groups)


def _mean_extra(scores: Sequence[FoldScores]) -> float:
    """One cross-validation brings all of its variance; of several the means differ by the rest of it."""
    if not scores:
        return 0.0
    return float(np.mean([(extra_variance if len(scores) == 1 else lasting_variance)(each) for each in scores]))


def _of_the_same_folds(
    first: Sequence[Predictions], second: Sequence[Predictions]
) -> list[tuple[Predictions, Predictions]]:
    """Each of the first beside one of the second that has its folds; none where one of them has no such partner."""
    left, pairs = list(second), []
    for one in first:
        place = next((i for i, other in enumerate(left) if _have_the_same_folds(one, other)), None)
        if place is None:
            return []
        pairs.append((one, left.pop(place)))
    return [] if left else pairs


def _have_the_same_folds(one: Predictions, other: Predictions) -> bool:
    return one.folds is not None and other.folds is not None and np.array_equal(one.folds, other.folds)

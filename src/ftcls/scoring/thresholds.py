"""Thresholds of labels, found on a split.

Labels are searched one by one where the objective lets them, and together for micro-F1: every cut between two different
probabilities is tried, so on these rows the search is exact. On other rows the best cut of a few positives is mostly
noise (Yang 2001 observed that per-label cuts overfit rare categories). So it is searched on bootstrap samples, whose
mean log odds are smoother (Breiman 1996), and drawn to the one threshold that suits all labels, the more the fewer
positive rows a label has (James & Stein 1961 for the idea). A promise of precision is kept as it is found.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Objective = Literal["f1_macro", "f1_micro", "f_beta", "precision"]
DEFAULT: Final = 0.5
NEVER: Final = 1.0
"""The threshold of a label that no cut makes precise enough: only a probability of 1 passes."""
_CLOSE: Final = 1e-12
"""How much better a cut must be: below this it is rounding."""
_SAMPLES: Final = 20
"""Bootstrap samples of the rows."""
_FARTHEST: Final = 13.8
"""Log odds of a threshold that is averaged: one in a million."""
_GRID: Final = 1 / (1 + np.exp(-np.linspace(-5.0, 2.5, 76)))
"""Thresholds for all labels that are tried, in steps of .1 of log odds around one half: .007 to .92."""


@dataclass(frozen=True)
class Thresholds:
    """One threshold per label, and how it came about."""

    values: tuple[float, ...]
    """[k]"""
    shared: tuple[int, ...]
    """Labels with too few positive rows for a threshold of their own."""
    unreachable: tuple[int, ...]
    """Labels that no cut makes as precise as asked."""


@dataclass(frozen=True)
class _Cuts:
    """Every different way to cut one label's rows in two, from none given to all given."""

    thresholds: NDArray[np.float64]
    """[c] where a cut lies: midway between two probabilities, falling."""
    hits: NDArray[np.float64]
    """[c] rows that get the label and have it, by their weights; so are the others."""
    given: NDArray[np.float64]
    """[c] rows that get the label."""
    positives: float
    default: int
    """The cut that a threshold of one half makes."""

    def threshold(self, cut: int) -> float:
        """One half where that makes the same cut."""
        return DEFAULT if cut == self.default else float(self.thresholds[cut])


def tune(
    probabilities: NDArray[np.float64],
    gold: NDArray[np.bool_],
    *,
    objective: Objective,
    beta: float,
    min_precision: float,
    min_positives: int,
    shrinkage: float,
    rows: NDArray[np.float64] | None = None,
) -> Thresholds:
    """Thresholds that raise the objective; one half where nothing is strictly better.

    Args:
        probabilities: [n, k].
        gold: [n, k].
        objective: ``f1_macro``: the F1 of each label by itself; ``f1_micro``: that of all decisions together;
            ``f_beta``: each label's F-beta; ``precision``: each label's highest recall at a precision of at least
            ``min_precision``.
        beta: how many times as much recall counts as precision, of ``f_beta``.
        min_precision: of ``precision``.
        min_positives: labels with fewer positive rows share one, found on their rows together, where nothing is drawn.
        shrinkage: positive rows at which a label's own threshold and the common one count the same; 0: the best on
            these rows. One label, and the objective ``precision``, have nothing to be drawn to.
        rows: [n] how much each row counts, 1 on average; None: all the same. Positive rows are counted all the same.
    """
    each = np.ones(len(gold)) if rows is None else rows
    if not shrinkage or objective == "precision" or probabilities.shape[1] == 1:
        return _best(probabilities, gold, each, objective, beta, min_precision, min_positives)
    positives = gold.sum(axis=0)
    never = tuple(np.flatnonzero(positives == 0).tolist())
    if len(never) == len(positives):
        return Thresholds((DEFAULT,) * len(positives), never, ())
    own = _averaged(probabilities, gold, each, objective, beta)
    share = positives / (positives + shrinkage)
    common = _log_odds(np.array(_common(probabilities, gold, each, objective, beta)))
    values = 1 / (1 + np.exp(-(share * own + (1 - share) * common)))
    return Thresholds(tuple(values.tolist()), never, ())


def _averaged(
    probabilities: NDArray[np.float64],
    gold: NDArray[np.bool_],
    each: NDArray[np.float64],
    objective: Objective,
    beta: float,
) -> NDArray[np.float64]:
    """Log odds [k] of each label's best threshold, the mean of those of bootstrap samples that have the label."""
    rng = np.random.default_rng(0)
    total, counted = np.zeros(gold.shape[1]), np.zeros(gold.shape[1])
    for _ in range(_SAMPLES):
        rows = rng.integers(0, len(gold), len(gold))
        there = gold[rows].any(axis=0)
        if there.any():
            best = _best(probabilities[rows][:, there], gold[rows][:, there], each[rows], objective, beta, 1.0, 0)
            total[there] += _log_odds(np.array(best.values))
            counted[there] += 1
    return total / np.maximum(counted, 1)


def _common(
    probabilities: NDArray[np.float64],
    gold: NDArray[np.bool_],
    each: NDArray[np.float64],
    objective: Objective,
    beta: float,
) -> float:
    """The threshold that is best if all labels have the same; one half where none is strictly better."""
    square = beta**2 if objective == "f_beta" else 1.0

    def score(threshold: float) -> float:
        given = probabilities >= threshold
        hits, below = each @ (given & gold), each @ given + square * (each @ gold)
        if objective == "f1_micro":
            return float(2 * hits.sum() / max(below.sum(), _CLOSE))
        return float(((1 + square) * hits / np.maximum(below, _CLOSE)).mean())

    best = max(_GRID, key=score)
    return float(best) if score(best) > score(DEFAULT) + _CLOSE else DEFAULT


def _log_odds(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        found: NDArray[np.float64] = np.clip(np.log(thresholds) - np.log1p(-thresholds), -_FARTHEST, _FARTHEST)
    return found


def _best(
    probabilities: NDArray[np.float64],
    gold: NDArray[np.bool_],
    each: NDArray[np.float64],
    objective: Objective,
    beta: float,
    min_precision: float,
    min_positives: int,
) -> Thresholds:
    """The thresholds with the best objective on these rows; labels with few positive rows share one."""
    k = probabilities.shape[1]
    positives, weight = gold.sum(axis=0), float((each @ gold).sum())
    few = np.flatnonzero(positives < min_positives)
    alone = np.flatnonzero(positives >= min_positives)
    groups = [np.array([label]) for label in alone]
    # Together they may still be too few to say anything.
    if len(few) and positives[few].sum() >= max(min_positives, 1):
        groups.append(few)
    cuts = [
        _cuts(probabilities[:, group].ravel(), gold[:, group].ravel(), np.repeat(each, len(group))) for group in groups
    ]
    values = np.full(k, DEFAULT)
    unreachable: list[int] = []
    chosen: list[int | None]
    if objective == "f1_micro":
        chosen = [*_best_together(cuts, missing=weight - sum(one.positives for one in cuts))]
    elif objective == "precision":
        chosen = [_most_precise(one, min_precision) for one in cuts]
    else:
        chosen = [_best_f(one, beta if objective == "f_beta" else 1.0) for one in cuts]
    for group, one, cut in zip(groups, cuts, chosen, strict=True):
        values[group] = NEVER if cut is None else one.threshold(cut)
        unreachable += [] if cut is not None else group.tolist()
    return Thresholds(tuple(values.tolist()), tuple(few.tolist()), tuple(sorted(unreachable)))


def _cuts(probabilities: NDArray[np.float64], gold: NDArray[np.bool_], each: NDArray[np.float64]) -> _Cuts:
    order = np.argsort(-probabilities, kind="stable")
    falling = probabilities[order]
    ends = np.append(np.flatnonzero(falling[1:] < falling[:-1]), len(falling) - 1)  # equal probabilities stay together
    distinct = falling[ends]
    below = np.append(distinct[1:], 0.0)
    middles = (distinct + below) / 2
    # Between neighbours among the floats there is no middle: the upper one makes the same cut.
    thresholds = np.where(middles > below, middles, distinct)
    hits, given = np.cumsum((gold * each)[order])[ends], np.cumsum(each[order])[ends]
    default = int((distinct >= DEFAULT).sum()) - 1
    if distinct[0] < 1:  # else no threshold gives nothing
        highest = (1 + distinct[0]) / 2
        thresholds = np.append(highest if highest > distinct[0] else 1.0, thresholds)
        hits, given, default = np.append(0.0, hits), np.append(0.0, given), default + 1
    return _Cuts(thresholds, hits, given, positives=float(gold @ each), default=default)


def _better(values: NDArray[np.float64], default: int) -> int:
    """The first best cut; that of one half where none is strictly better."""
    best = int(values.argmax())
    return best if values[best] > values[default] + _CLOSE else default


def _best_f(cuts: _Cuts, beta: float) -> int:
    # F-beta = (1 + beta^2) hits / (beta^2 positives + given); 0 / 0, nothing to find and nothing given, counts as 0.
    below = beta**2 * cuts.positives + cuts.given
    return _better((1 + beta**2) * cuts.hits / np.maximum(below, _CLOSE), cuts.default)


def _most_precise(cuts: _Cuts, least: float) -> int | None:
    """The cut with the highest recall among those precise enough; among equals the one that gives least."""
    enough = (cuts.given > 0) & (cuts.hits >= least * cuts.given - _CLOSE)
    if not enough.any():
        return None
    recall = np.where(enough, cuts.hits, -1.0)
    return int(recall.argmax())


def _best_together(cuts: list[_Cuts], *, missing: float) -> list[int]:
    """The cuts with the highest F1 of all decisions together; ``missing`` positives are of labels not cut here.

    2 hits / (given + positives) is a ratio of two sums over the labels: Dinkelbach's iteration (1967) maximizes, label
    by label, 2 hits - ratio x given for the ratio reached so far, until the ratio no longer grows. It ends at the
    maximum, in a handful of rounds.
    """
    positives = sum(each.positives for each in cuts) + missing
    chosen = [each.default for each in cuts]

    def ratio() -> float:
        hits = sum(each.hits[cut] for each, cut in zip(cuts, chosen, strict=True))
        given = sum(each.given[cut] for each, cut in zip(cuts, chosen, strict=True))
        return float(2 * hits / max(given + positives, _CLOSE))

    reached = ratio()
    while True:
        chosen = [_better(2 * each.hits - reached * each.given, each.default) for each in cuts]
        found = ratio()
        if found <= reached + _CLOSE:
            return chosen
        reached = found

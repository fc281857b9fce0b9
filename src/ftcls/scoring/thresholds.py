"""Thresholds that are best on a split: every cut between two different probabilities is tried, so the search is exact.

Labels are searched one by one where the objective lets them, and together for micro-F1. A label with few positive rows
would get a threshold from noise; such labels share one, found on their rows together (Yang 2001 observed that per-label
cuts overfit rare categories, and let them fall back to one of a wider group).
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


@dataclass(frozen=True)
class Thresholds:
    """One threshold per label, and how it came about."""

    values: tuple[float, ...]
    """[k]"""
    shared: tuple[int, ...]
    """Labels with too few positive rows, which share a threshold."""
    unreachable: tuple[int, ...]
    """Labels that no cut makes as precise as asked."""


@dataclass(frozen=True)
class _Cuts:
    """Every different way to cut one label's rows in two, from none given to all given."""

    thresholds: NDArray[np.float64]
    """[c] where a cut lies: midway between two probabilities, falling."""
    hits: NDArray[np.float64]
    """[c] rows that get the label and have it."""
    given: NDArray[np.float64]
    """[c] rows that get the label."""
    positives: int
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
) -> Thresholds:
    """The thresholds with the best objective on these rows; one half where nothing is strictly better.

    Args:
        probabilities: [n, k].
        gold: [n, k].
        objective: ``f1_macro``: the F1 of each label by itself; ``f1_micro``: that of all decisions together;
            ``f_beta``: each label's F-beta; ``precision``: each label's highest recall at a precision of at least
            ``min_precision``.
        beta: how many times as much recall counts as precision, of ``f_beta``.
        min_precision: of ``precision``.
        min_positives: labels with fewer positive rows share a threshold.
    """
    k = probabilities.shape[1]
    positives = gold.sum(axis=0)
    few = np.flatnonzero(positives < min_positives)
    alone = np.flatnonzero(positives >= min_positives)
    groups = [np.array([label]) for label in alone]
    # Together they may still be too few to say anything.
    if len(few) and positives[few].sum() >= max(min_positives, 1):
        groups.append(few)
    cuts = [_cuts(probabilities[:, group].ravel(), gold[:, group].ravel()) for group in groups]
    values = np.full(k, DEFAULT)
    unreachable: list[int] = []
    chosen: list[int | None]
    if objective == "f1_micro":
        chosen = [*_best_together(cuts, missing=int(positives.sum()) - sum(each.positives for each in cuts))]
    elif objective == "precision":
        chosen = [_most_precise(each, min_precision) for each in cuts]
    else:
        chosen = [_best_f(each, beta if objective == "f_beta" else 1.0) for each in cuts]
    for group, each, cut in zip(groups, cuts, chosen, strict=True):
        values[group] = NEVER if cut is None else each.threshold(cut)
        unreachable += [] if cut is not None else group.tolist()
    return Thresholds(tuple(values.tolist()), tuple(few.tolist()), tuple(sorted(unreachable)))


def _cuts(probabilities: NDArray[np.float64], gold: NDArray[np.bool_]) -> _Cuts:
    order = np.argsort(-probabilities, kind="stable")
    falling = probabilities[order]
    ends = np.append(np.flatnonzero(falling[1:] < falling[:-1]), len(falling) - 1)  # equal probabilities stay together
    distinct = falling[ends]
    below = np.append(distinct[1:], 0.0)
    middles = (distinct + below) / 2
    # Between neighbours among the floats there is no middle: the upper one makes the same cut.
    thresholds = np.where(middles > below, middles, distinct)
    hits, given = np.cumsum(gold[order])[ends].astype(np.float64), (ends + 1).astype(np.float64)
    default = int((distinct >= DEFAULT).sum()) - 1
    if distinct[0] < 1:  # else no threshold gives nothing
        highest = (1 + distinct[0]) / 2
        thresholds = np.append(highest if highest > distinct[0] else 1.0, thresholds)
        hits, given, default = np.append(0.0, hits), np.append(0.0, given), default + 1
    return _Cuts(thresholds, hits, given, positives=int(gold.sum()), default=default)


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


def _best_together(cuts: list[_Cuts], *, missing: int) -> list[int]:
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

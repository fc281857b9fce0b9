"""Whether probabilities are frequencies: the expected calibration error, and the temperature that lowers it."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit

from ftcls.scoring.decision import Task, probabilities

BINS: Final = 15
"""As in Guo et al. 2017."""
_SHARPEST, _FLATTEST = 0.05, 20.0
_UNCHANGED: Final = np.array([1.0, 0.0])
"""The scale and the shift that change nothing."""


@dataclass(frozen=True)
class Bin:
    """The decisions whose confidence lies in one fifteenth of the range."""

    low: float
    high: float
    count: int
    confidence: float
    """Mean probability of what was said."""
    observed: float
    """Share of it that was true."""
    weight: float
    """Of the rows of its decisions; their number where all rows count the same."""


@dataclass(frozen=True)
class Reliability:
    """How often what is said with a given probability comes true."""

    bins: tuple[Bin, ...]
    """Those that hold something."""
    error: float
    """Expected calibration error: the mean over decisions of |confidence - observed| of their bin (Guo et al. 2017,
    eq. 3)."""


def reliability(
    found: NDArray[np.float64], gold: NDArray[np.generic], task: Task, rows: NDArray[np.float64] | None = None
) -> Reliability:
    """How often decisions of each confidence are right; bins of equal width, empty ones left out.

    binary and multiclass: one decision a row, the most probable label. multilabel: one for each row and label, that the
    label applies.

    Args:
        found: probabilities [n, k].
        gold: int [n], or [n, k] of 0 and 1.
        task: binary, multiclass or multilabel.
        rows: [n] how much each row counts; None: all the same.
    """
    each = np.ones(len(found)) if rows is None else rows
    if task == "multilabel":
        confidence, right, each = found.ravel(), gold.astype(bool).ravel(), np.repeat(each, found.shape[1])
    else:
        confidence, right = found.max(axis=1), found.argmax(axis=1) == gold
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    totals = np.bincount(place, weights=each, minlength=BINS)
    sums = np.bincount(place, weights=each * confidence, minlength=BINS)
    hits = np.bincount(place, weights=each * right, minlength=BINS)
    bins = tuple(
        Bin(
            low=i / BINS,
            high=(i + 1) / BINS,
            count=int(counts[i]),
            confidence=float(sums[i] / totals[i]),
            observed=float(hits[i] / totals[i]),
            weight=float(totals[i]),
        )
        for i in np.flatnonzero(counts).tolist()
    )
    return Reliability(bins, error=float(np.abs(sums - hits).sum() / totals.sum()))


def temperature(
    logits: NDArray[np.floating[Any]], gold: NDArray[np.generic], task: Task, rows: NDArray[np.float64] | None = None
) -> float:
    """What to divide logits [n, k] by for the lowest log loss on these rows, between .05 and 20 (Guo et al. 2017).

    The loss is convex in 1 / temperature, so the bounded search finds the minimum. multilabel: the sigmoid's loss, one
    temperature for all labels; `scale_and_shift` finds a shift beside it. `rows` [n] is how much each row counts.
    `gold` may also be [n, k], how probable each label is.
    """
    k = logits.shape[1]
    given = (gold if gold.ndim == 2 else gold[:, None] == np.arange(k)).astype(np.float64)

    def loss(inverse: float) -> float:
        found = probabilities(logits, task, 1 / inverse)
        least = np.finfo(np.float64).tiny
        logs = np.log(np.maximum(found, least))
        if task == "multilabel":
            likelihoods = (given * logs + (1 - given) * np.log(np.maximum(1 - found, least))).mean(axis=1)
        else:
            likelihoods = (given * logs).sum(axis=1)
        return float(-np.average(likelihoods, weights=rows))

    best = minimize_scalar(loss, bounds=(1 / _FLATTEST, 1 / _SHARPEST), method="bounded", options={"xatol": 1e-6})
    return float(1 / best.x)


def scale_and_shift(
    logits: NDArray[np.floating[Any]], gold: NDArray[np.generic], rows: NDArray[np.float64] | None = None
) -> tuple[float, float]:
    """What to multiply the logits [n, k] of independent labels by, and then add, for the lowest log loss (Platt 1999).

    The same for all labels. One more decision speaks for leaving all as it is, so that both stay finite where every
    answer is right. `rows` [n] is how much each row counts, 1 on average.
    """
    each = np.ones(logits.size) if rows is None else np.repeat(rows, logits.shape[1])
    said, true = logits.astype(np.float64).ravel(), gold.ravel().astype(np.float64)

    def cost(how: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scaled = how[0] * said + how[1]
        error, away = each * (expit(scaled) - true), how - _UNCHANGED
        value = each @ (np.logaddexp(0, scaled) - true * scaled) + (away**2).sum() / 2
        return float(value), np.array([error @ said, error.sum()]) + away

    bounds = [(1 / _FLATTEST, 1 / _SHARPEST), (None, None)]
    scale, shift = minimize(cost, _UNCHANGED, jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(scale), float(shift)

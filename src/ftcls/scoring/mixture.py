"""Mixtures of classifiers: each one's probabilities made truthful, then their likeliest mean."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from ftcls.scoring import calibration

_ITERATIONS: Final = 200
_TOLERANCE: Final = 1e-6
_PRIOR_ROWS: Final = 200
"""Rows that the common weights count as, where a label has weights of its own: few positive rows say little."""
_LEAST: Final = 1e-9
"""Probability that none falls below."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of p models on k labels.

    A model whose loss leaves its probabilities too high (the asymmetric one) would count for little in a mean of them,
    however well it orders the rows. So the log odds of independent labels are scaled and shifted first (Platt 1999),
    and the log probabilities of labels that exclude each other scaled (a temperature).
    """

    weights: NDArray[np.float64]
    """[p], or [k, p] for independent labels; 0 or more, together 1."""
    scales: NDArray[np.float64]
    """[p]"""
    shifts: NDArray[np.float64]
    """[p]; 0 where labels exclude each other."""

    def probabilities(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mixture [n, k] of what the models say, [p, n, k]."""
        independent = self.weights.ndim == 2
        parts = [
            _calibrated(each, scale, shift, independent=independent)
            for each, scale, shift in zip(found, self.scales, self.shifts, strict=True)
        ]
        how = "kp,pnk->nk" if independent else "p,pnk->nk"
        return np.asarray(np.einsum(how, self.weights, np.stack(parts)), dtype=np.float64)


def fit(probabilities: NDArray[np.float64], targets: NDArray[Any], rows: NDArray[np.float64] | None = None) -> Mixture:
    """The mixture that maximizes the likelihood of the targets: each model's calibration first, then the weights.

    The weights are found by expectation and maximization; their likelihood has one maximum.

    Args:
        probabilities: [p, n, k].
        targets: int [n]; or [n, k] of 0 and 1, then every label has weights of its own, drawn to the common ones.
        rows: [n] how much each row counts, 1 on average; None: all the same.
    """
    independent = targets.ndim == 2
    calibrations = np.array([_calibration(each, targets, rows) for each in probabilities])
    scales, shifts = calibrations[:, 0], calibrations[:, 1]
    found = np.stack(
        [
            _calibrated(each, *how, independent=independent)
            for each, how in zip(probabilities, calibrations, strict=True)
        ]
    )
    found = np.clip(found, _LEAST, 1 - _LEAST)
    if not independent:
        return Mixture(_weights(found[:, np.arange(len(targets)), targets.astype(np.int64)], rows), scales, shifts)
    right = np.where(targets[None] > 0, found, 1 - found)
    common = _weights(right.reshape(len(right), -1), None if rows is None else np.repeat(rows, right.shape[2]))
    own = [_weights(right[:, :, label], rows, prior=_PRIOR_ROWS * common) for label in range(right.shape[2])]
    return Mixture(np.stack(own), scales, shifts)


def cross_fitted(
    probabilities: NDArray[np.float64],
    targets: NDArray[Any],
    rows: NDArray[np.float64] | None = None,
    *,
    folds: int,
    seed: int,
) -> NDArray[np.float64]:
    """The mixture [n, k] of rows as it was fitted on the other rows, so that it can be scored."""
    n = probabilities.shape[1]
    fold = np.random.default_rng(seed).permutation(n) % folds
    result = np.empty(probabilities.shape[1:])
    for each in range(folds):
        inside = fold == each
        if inside.any():
            others = None if rows is None else rows[~inside]
            mixed = fit(probabilities[:, ~inside], targets[~inside], others)
            result[inside] = mixed.probabilities(probabilities[:, inside])
    return result


def _calibrated(
    probabilities: NDArray[np.float64], scale: float, shift: float, *, independent: bool
) -> NDArray[np.float64]:
    found = np.clip(probabilities, _LEAST, 1 - _LEAST)
    if not independent:
        return np.asarray(softmax(scale * np.log(found), axis=1), dtype=np.float64)
    return np.asarray(expit(scale * (np.log(found) - np.log1p(-found)) + shift), dtype=np.float64)


def _calibration(
    probabilities: NDArray[np.float64], targets: NDArray[Any], rows: NDArray[np.float64] | None
) -> tuple[float, float]:
    """Scale and shift of the highest likelihood."""
    found = np.clip(probabilities, _LEAST, 1 - _LEAST)
    if targets.ndim == 2:
        return calibration.scale_and_shift(np.log(found) - np.log1p(-found), targets > 0, rows)
    return 1 / calibration.temperature(np.log(found), targets, "multiclass", rows), 0.0


def _weights(
    right: NDArray[np.float64], rows: NDArray[np.float64] | None, prior: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Weights [p] of the probabilities [p, m] that were given to what is true."""
    start = np.ones(len(right)) if prior is None else prior
    weights = start / start.sum()
    for _ in range(_ITERATIONS):
        shares = weights[:, None] * right
        parts = shares / shares.sum(axis=0)
        counts = (parts.sum(axis=1) if rows is None else parts @ rows) + (0 if prior is None else prior)
        updated = counts / counts.sum()
        if np.abs(updated - weights).max() < _TOLERANCE:
            return np.asarray(updated, dtype=np.float64)
        weights = updated
    return np.asarray(weights, dtype=np.float64)

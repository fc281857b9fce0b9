"""Mixtures of classifiers: the weights under which the mean of their probabilities is the likeliest."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_ITERATIONS: Final = 200
_TOLERANCE: Final = 1e-6
_PRIOR_ROWS: Final = 200
"""Rows that the common weights count as, where a label has weights of its own: few positive rows say little."""


def mixed(probabilities: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mixture [n, k] of what p models say, [p, n, k], by weights [p], or [k, p] for each label."""
    if weights.ndim == 1:
        found = np.einsum("p,pnk->nk", weights, probabilities)
    else:
        found = np.einsum("kp,pnk->nk", weights, probabilities)
    return np.asarray(found, dtype=np.float64)


def fit(probabilities: NDArray[np.float64], targets: NDArray[Any]) -> NDArray[np.float64]:
    """Weights that maximize the likelihood of the targets, by expectation and maximization; it has one maximum.

    Args:
        probabilities: [p, n, k].
        targets: int [n]; or [n, k] of 0 and 1, then every label has weights of its own, drawn to the common ones.

    Returns:
        Weights [p], or [k, p]; 0 or more, together 1.
    """
    found = np.clip(probabilities, 1e-12, 1 - 1e-12)
    if targets.ndim == 1:
        return _weights(found[:, np.arange(len(targets)), targets.astype(np.int64)])
    right = np.where(targets[None] > 0, found, 1 - found)
    common = _weights(right.reshape(len(right), -1))
    return np.stack([_weights(right[:, :, label], prior=_PRIOR_ROWS * common) for label in range(right.shape[2])])


def cross_fitted(
    probabilities: NDArray[np.float64], targets: NDArray[Any], *, folds: int, seed: int
) -> NDArray[np.float64]:
    """The mixture [n, k] of rows by weights that were fitted on the other rows, so that it can be scored."""
    n = probabilities.shape[1]
    fold = np.random.default_rng(seed).permutation(n) % folds
    result = np.empty(probabilities.shape[1:])
    for each in range(folds):
        inside = fold == each
        if inside.any():
            weights = fit(probabilities[:, ~inside], targets[~inside])
            result[inside] = mixed(probabilities[:, inside], weights)
    return result


def _weights(right: NDArray[np.float64], prior: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Weights [p] of the probabilities [p, m] that were given to what is true."""
    start = np.ones(len(right)) if prior is None else prior
    weights = start / start.sum()
    for _ in range(_ITERATIONS):
        shares = weights[:, None] * right
        counts = (shares / shares.sum(axis=0)).sum(axis=1) + (0 if prior is None else prior)
        updated = counts / counts.sum()
        if np.abs(updated - weights).max() < _TOLERANCE:
            return np.asarray(updated, dtype=np.float64)
        weights = updated
    return np.asarray(weights, dtype=np.float64)

"""The draws of a bootstrap over rows, or over clusters of them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ftcls.scoring.metrics import Predictions

_WEIGHTS = 4_000_000
"""Weights of one block of draws: 16 MB of float32."""
_BLOCK = 32
"""Fewest draws in a block: sums over rows want many side by side, and 32 draws of a million rows are 128 MB."""


def block(n: int) -> int:
    """Draws of n rows that are made at once, where memory is enough."""
    return max(_BLOCK, _WEIGHTS // max(n, 1))


def weights(
    predictions: Predictions, *, seed: int, draws: int, size: int | None = None
) -> Iterator[NDArray[np.float32]]:
    """Blocks [d, n] of how often each row is drawn, a row's side by side; the same whatever the size of a block.

    Rows with weights are drawn like others, and then count by their weights.
    """
    counting = None if predictions.weights is None else predictions.counting.astype(np.float32)[:, None]
    rng = np.random.default_rng(seed)
    n, members = len(predictions), None
    units = n
    if predictions.clusters is not None:
        clusters, members = np.unique(predictions.clusters, return_inverse=True)
        units = len(clusters)
    size = size or block(n)
    for start in range(0, draws, size):
        count = min(size, draws - start)
        drawn = np.empty((count, units), dtype=np.float32)
        for index in range(count):
            drawn[index] = np.bincount(rng.integers(0, units, size=units), minlength=units)
        by_unit = np.ascontiguousarray(drawn.T)
        by_row = by_unit if members is None else by_unit.take(members, axis=0)
        yield (by_row if counting is None else by_row * counting).T

"""Areas under curves from scores that are sorted once and weighted many times."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Sorted weights held at once: 4 million float64 are 32 MB, which bounds memory whatever n and k are.
_ELEMENTS = 4_000_000


@dataclass(frozen=True, eq=False)
class Ranking:
    """m scores from highest to lowest, in groups of equal ones; each belongs to one of n weighted rows."""

    rows: NDArray[np.intp]
    """[m] the row of each score, highest score first."""
    positive: NDArray[np.bool_]
    """[m] whether it is a positive, in the same order."""
    starts: NDArray[np.intp]
    """[g] where each group of equal scores begins."""

    def average_precision(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average precision [d] under each of the weightings [d, n]; NaN where no positive has weight.

        The sum of precision times the gain in recall over the distinct scores, not interpolated (scikit-learn's
        definition). Groups without a positive gain no recall, so only the others are looked at.
        """
        ends = np.append(self.starts[1:], len(self.rows))
        group = np.repeat(np.arange(len(self.starts)), ends - self.starts)[self.positive]
        if not len(group):
            return np.full(len(weights), np.nan)
        with_positive, first = np.unique(group, return_index=True)
        stops = ends[with_positive]
        segments = np.append(0, stops[:-1])
        ranked = self.rows[: stops[-1]]
        positives = self.rows[self.positive]
        parts = []
        for block in self._blocks(weights):
            above = np.add.reduceat(block[:, ranked], segments, axis=1).cumsum(axis=1)
            gained = np.add.reduceat(block[:, positives], first, axis=1)
            hits = gained.cumsum(axis=1)
            precision = np.divide(hits, above, out=np.zeros_like(hits), where=above > 0)
            parts.append(divide((gained * precision).sum(axis=1), hits[:, -1]))
        return np.concatenate(parts)

    def roc_auc(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Area under the ROC curve [d] under each of the weightings [d, n]; NaN where one class has no weight.

        The chance that a positive is ranked above a negative, equal scores counting one half (Mann-Whitney).
        """
        parts = []
        for block in self._blocks(weights):
            ranked = block[:, self.rows]
            positives = np.add.reduceat(ranked * self.positive, self.starts, axis=1)
            negatives = np.add.reduceat(ranked * ~self.positive, self.starts, axis=1)
            above = positives.cumsum(axis=1)
            wins = (negatives * (above - positives / 2)).sum(axis=1)
            parts.append(divide(wins, above[:, -1] * negatives.sum(axis=1)))
        return np.concatenate(parts)

    def _blocks(self, weights: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
        size = max(1, _ELEMENTS // len(self.rows))
        for start in range(0, len(weights), size):
            yield weights[start : start + size]


def rank(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> Ranking:
    """Sort scores [n], or [n, k] taken together, with whether each is a positive in the same shape."""
    flat = scores.ravel()
    order = np.argsort(-flat, kind="stable")
    ranked = flat[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    return Ranking(rows=order // (flat.size // len(scores)), positive=positive.ravel()[order], starts=starts)


def divide(numerator: NDArray[Any], denominator: NDArray[Any]) -> NDArray[np.float64]:
    """Divide; NaN where the denominator is 0."""
    ratio: NDArray[np.float64] = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    np.divide(numerator, denominator, out=ratio, where=denominator > 0)
    return ratio

"""Accuracy of groups of rows: by length of the text, and of texts that were cut against those seen whole."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ftcls.scoring.metrics import Predictions
from ftcls.scoring.wilson import effective, wilson

GROUPS: Final = 5
"""Groups of texts by length, about equally large."""


@dataclass(frozen=True)
class Slice:
    """The accuracy of a group of rows, with its 95 % Wilson interval; multilabel: of the whole set of labels."""

    name: str
    count: int
    accuracy: float
    low: float
    high: float


def by_length(predictions: Predictions, lengths: NDArray[Any]) -> tuple[Slice, ...]:
    """Accuracy of the rows in about equal groups by tokens; equal lengths stay together, so there may be fewer groups.

    Args:
        predictions: of n rows.
        lengths: [n] tokens of each text, before truncation.
    """
    right = _right(predictions)
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, GROUPS + 1), method="higher")[1:])
    group = np.searchsorted(edges, lengths)
    found = []
    for number in range(len(edges)):
        members = group == number
        if members.any():
            low, high = int(lengths[members].min()), int(lengths[members].max())
            found.append(_slice(f"{low:,}" if low == high else f"{low:,}-{high:,}", predictions, right, members))
    return tuple(found)


def by_truncation(predictions: Predictions, truncated: NDArray[np.bool_]) -> tuple[Slice, ...]:
    """Accuracy of the rows that the model saw whole and of those that were cut; empty where all are alike.

    Args:
        predictions: of n rows.
        truncated: [n] whether the text was longer than max_length.
    """
    if truncated.all() or not truncated.any():
        return ()
    right = _right(predictions)
    return _slice("whole", predictions, right, ~truncated), _slice("truncated", predictions, right, truncated)


def _right(predictions: Predictions) -> NDArray[np.bool_]:
    equal = predictions.gold.astype(np.int64) == predictions.predicted.astype(np.int64)
    right: NDArray[np.bool_] = equal.all(axis=1) if equal.ndim == 2 else equal
    return right


def _slice(name: str, predictions: Predictions, right: NDArray[np.bool_], members: NDArray[np.bool_]) -> Slice:
    hits, weights = right[members], None if predictions.weights is None else predictions.weights[members]
    share = float(np.average(hits, weights=weights))
    low, high = wilson(share, len(hits) if weights is None else effective(hits, None, weights))
    return Slice(name, len(hits), share, low, high)

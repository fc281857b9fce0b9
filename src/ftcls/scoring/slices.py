"""Accuracy of groups of rows: by length of the text, and of texts that were cut against those seen whole."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ftcls.scoring.metrics import Predictions
from ftcls.scoring.wilson import of_rows

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
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, GROUPS + 1), method="higher")[1:])
    group = np.searchsorted(edges, lengths)
    found = []
    for number in range(len(edges)):
        members = group == number
        if members.any():
            low, high = int(lengths[members].min()), int(lengths[members].max())
            found.append(_slice(f"{low:,}" if low == high else f"{low:,}-{high:,}", predictions, members))
    return tuple(found)


def by_truncation(predictions: Predictions, truncated: NDArray[np.bool_]) -> tuple[Slice, ...]:
    """Accuracy of the rows that the model saw whole and of those that were cut; empty where all are alike.

    Args:
        predictions: of n rows.
        truncated: [n] whether the text was longer than max_length.
    """
    if truncated.all() or not truncated.any():
        return ()
    return _slice("whole", predictions, ~truncated), _slice("truncated", predictions, truncated)


def _slice(name: str, predictions: Predictions, members: NDArray[np.bool_]) -> Slice:
    rows = predictions.take(members)
    share = float(np.average(rows.right, weights=rows.weights))
    interval = of_rows(rows.right, rows.clusters, rows.weights)
    if interval is None:
        raise ValueError(f"{name}: a group without a row")
    return Slice(name, len(rows), share, *interval)

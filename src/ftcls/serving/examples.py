"""Texts of a run's test split to try a model on: one of each label that it knows well, and one that it doubts."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ftcls.errors import DataError
from ftcls.runs import predictions as prediction_files
from ftcls.runs.directory import RunDir
from ftcls.scoring.metrics import Predictions

MOST: Final = 6
_LONGEST: Final = 300
"""Characters of an example."""
_SHORTEST: Final = 20


def examples(run: RunDir) -> list[str]:
    """At most six texts, or pairs of texts; none where the run has no texts to show."""
    file = run.predictions / "test.parquet"
    if not run.done or not file.is_file():
        return []
    try:
        found, texts = prediction_files.read(file), prediction_files.read_rows(file).texts
    except DataError:  # a page without examples is a page all the same
        return []
    if texts is None:
        return []
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    short = (lengths >= _SHORTEST) & (lengths <= _LONGEST)
    chosen = dict.fromkeys([*_sure(found, short), *_unsure(found, short)])
    return [texts[place] for place in chosen]


def _sure(found: Predictions, short: NDArray[np.bool_]) -> list[int]:
    """Right answers, the surest of each label, the frequent labels first."""
    gold = found.gold.astype(bool) if found.gold.ndim == 2 else found.gold[:, None] == np.arange(len(found.labels))
    given = found.predicted if found.predicted.ndim == 2 else found.predicted[:, None] == np.arange(len(found.labels))
    right = (gold == given).all(axis=1) & short
    places = []
    for label in np.argsort(-gold.sum(axis=0), kind="stable")[: MOST - 1].tolist():
        rows = np.flatnonzero(right & gold[:, label])
        if len(rows):
            places.append(int(rows[found.probabilities[rows, label].argmax()]))
    return places


def _unsure(found: Predictions, short: NDArray[np.bool_]) -> list[int]:
    """The text whose answer is least sure."""
    rows = np.flatnonzero(short)
    if not len(rows):
        return []
    found_of = found.probabilities[rows]
    sure = np.abs(found_of - 0.5).min(axis=1) if found.task == "multilabel" else found_of.max(axis=1)
    return [int(rows[sure.argmin()])]

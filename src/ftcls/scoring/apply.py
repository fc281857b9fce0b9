"""A decision applied to logits: the predictions that every score is computed from."""

import numpy as np
from numpy.typing import NDArray

from ftcls.scoring.decision import Decision, Task, predict, probabilities
from ftcls.scoring.metrics import Predictions


def apply(
    decision: Decision,
    logits: NDArray[np.float32],
    *,
    gold: NDArray[np.int64] | NDArray[np.float32],
    task: Task,
    labels: tuple[str, ...],
    positive: int | None,
    rows: NDArray[np.int64] | None = None,
    clusters: NDArray[np.int64] | None = None,
    weights: NDArray[np.float64] | None = None,
    soft: NDArray[np.float32] | None = None,
) -> Predictions:
    """Predictions of n texts from their logits, float [n, k].

    Args:
        decision: thresholds, temperature and shift.
        logits: float32 [n, k].
        gold: int64 [n] label index; multilabel: [n, k] of 0 and 1.
        task: binary, multiclass or multilabel.
        labels: k label names.
        positive: index of the positive label of a binary task.
        rows: int64 [n] row number in the source split; None: 0 to n - 1.
        clusters: int64 [n] cluster of each row where rows are not independent.
        weights: [n] how much each row counts; None: all the same.
        soft: float32 [n, k] how probable each label is; None: the gold labels are certain.
    """
    found = probabilities(logits, task, decision.temperature, decision.shift)
    return Predictions(
        task=task,
        labels=labels,
        gold=gold,
        predicted=predict(found, task, decision.thresholds),
        probabilities=found,
        rows=np.arange(len(gold)) if rows is None else rows,
        clusters=clusters,
        positive=positive,
        weights=weights,
        soft=soft,
    )

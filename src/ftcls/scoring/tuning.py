"""From validation logits to a decision: temperature first, then thresholds on the probabilities that it makes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftcls.scoring import calibration, thresholds
from ftcls.scoring.decision import Decision, Task, default, operating_point, probabilities
from ftcls.scoring.thresholds import Objective


@dataclass(frozen=True)
class Tuned:
    """A decision and what is to be said of it."""

    decision: Decision
    objective: Objective | None
    """What the thresholds maximize; None: they are not tuned."""
    shared: tuple[str, ...]
    """Labels with too few positive rows for a threshold of their own."""
    unreachable: tuple[str, ...]
    """Labels that no threshold makes as precise as asked."""
    error_before: float
    """Expected calibration error at temperature 1."""
    error_after: float


def tune(
    logits: NDArray[np.floating[Any]],
    gold: NDArray[np.generic],
    *,
    task: Task,
    labels: tuple[str, ...],
    positive: int | None,
    objective: Objective | None,
    beta: float,
    min_precision: float,
    min_positives: int,
    shrinkage: float,
    temperature: bool,
    rows: NDArray[np.float64] | None = None,
    soft: NDArray[np.float32] | None = None,
) -> Tuned:
    """Tune on the validation split.

    Args:
        logits: float [n, k].
        gold: int [n], or [n, k] of 0 and 1.
        task: binary, multiclass or multilabel.
        labels: k label names.
        positive: index of the positive label of a binary task.
        objective: what thresholds are to maximize (`thresholds.tune`); None: they stay as they are.
        beta: of the objective ``f_beta``.
        min_precision: of the objective ``precision``.
        min_positives: labels with fewer positive rows share a threshold, where nothing is drawn.
        shrinkage: positive rows at which a label's own threshold and the common one count the same.
        temperature: whether to tune it; multilabel: and a shift.
        rows: [n] how much each row counts, 1 on average; None: all the same.
        soft: [n, k] how probable each label is: the temperature goes by it, thresholds by `gold`. None: as `gold` says.

    Raises:
        ValueError: thresholds for a multiclass task, whose labels exclude each other.
    """
    plain = default(task, len(labels))
    chosen, shift = plain.temperature, plain.shift
    if temperature and task == "multilabel":
        scale, shift = calibration.scale_and_shift(logits, gold if soft is None else soft, rows)
        chosen = 1 / scale
    elif temperature:
        chosen = calibration.temperature(logits, gold if soft is None else soft, task, rows)
    before, found = probabilities(logits, task), probabilities(logits, task, chosen, shift)
    values = plain.thresholds
    shared: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()
    if objective is not None:
        scored, wanted = _columns(found, gold, task, positive)
        best = thresholds.tune(
            scored,
            wanted,
            objective=objective,
            beta=beta,
            min_precision=min_precision,
            min_positives=min_positives,
            shrinkage=shrinkage,
            rows=rows,
        )
        values = best.values if task == "multilabel" else operating_point(best.values[0], positive)
        names = labels if task == "multilabel" else (labels[positive or 0],)
        shared = tuple(names[index] for index in best.shared)
        unreachable = tuple(names[index] for index in best.unreachable)
    return Tuned(
        decision=Decision(values, chosen, shift),
        objective=objective,
        shared=shared,
        unreachable=unreachable,
        error_before=calibration.reliability(before, gold, task, rows).error,
        error_after=calibration.reliability(found, gold, task, rows).error,
    )


def _columns(
    found: NDArray[np.float64], gold: NDArray[np.generic], task: Task, positive: int | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The probabilities that get a threshold, and what is true of them."""
    if task == "multilabel":
        return found, gold.astype(bool)
    if positive is None:
        raise ValueError("thresholds are for binary and multilabel tasks")
    return found[:, [positive]], (gold == positive)[:, None]

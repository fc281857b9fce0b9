"""From logits to probabilities to labels, and the file that keeps how it was done."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ftcls.errors import DataError, TrainingError
from ftcls.rundir import write_json

Task = Literal["binary", "multiclass", "multilabel"]
FILE: Final = "decision.json"
"""Its name beside a model's weights."""


@dataclass(frozen=True)
class Decision:
    """How a model's logits become labels."""

    thresholds: tuple[float, ...] | None
    """multilabel: k probabilities from which on a label is given; else None, the most probable label is taken."""
    temperature: float
    """What the logits are divided by before softmax or sigmoid."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"temperature: must be above 0, not {self.temperature}")
        for threshold in self.thresholds or ():
            if not 0 <= threshold <= 1:
                raise ValueError(f"thresholds: must lie between 0 and 1, not {threshold}")


def default(task: Task, k: int) -> Decision:
    """The decision before anything is tuned: temperature 1, every threshold one half."""
    return Decision(thresholds=(0.5,) * k if task == "multilabel" else None, temperature=1.0)


def probabilities(logits: NDArray[np.floating[Any]], task: Task, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities [n, k] of float logits [n, k]: softmax over the labels, or the sigmoid of each for multilabel.

    Computed in float64, so that a probability near 1 keeps its distance from 1.

    Raises:
        TrainingError: a logit is NaN or infinite; names the first such row.
    """
    scaled = logits.astype(np.float64) / temperature
    finite = np.asarray(np.isfinite(scaled).all(axis=1))
    if not finite.all():
        raise TrainingError(
            f"The model's logits are not finite in {int((~finite).sum())} of {len(finite)} rows, first in row "
            f"{int(np.argmin(finite))}: its weights are unusable. Train with a lower training.learning_rate or with "
            "training.precision=fp32."
        )
    if task == "multilabel":
        small = np.exp(-np.abs(scaled))  # never overflows
        return np.where(scaled >= 0, 1 / (1 + small), small / (1 + small))
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    normalised: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return normalised


def predict(
    probabilities: NDArray[np.float64], task: Task, thresholds: Sequence[float] | None
) -> NDArray[np.int64] | NDArray[np.bool_]:
    """The labels of probabilities [n, k].

    multilabel: bool [n, k], true from the label's threshold on. Otherwise int64 [n], the most probable label, the
    first of them where several are equally probable.
    """
    if task != "multilabel":
        best: NDArray[np.int64] = np.asarray(probabilities.argmax(axis=1), dtype=np.int64)
        return best
    if thresholds is None or len(thresholds) != probabilities.shape[1]:
        raise ValueError(f"multilabel needs one threshold for each of the {probabilities.shape[1]} labels")
    given: NDArray[np.bool_] = probabilities >= np.asarray(thresholds, dtype=np.float64)
    return given


def save(decision: Decision, labels: Sequence[str], path: Path) -> None:
    """Write the decision with its label names, whole or not at all."""
    thresholds = decision.thresholds
    if thresholds is not None and len(thresholds) != len(labels):
        raise ValueError(f"{len(thresholds)} thresholds for {len(labels)} labels")
    document = {
        "schema_version": 1,
        "labels": list(labels),
        "thresholds": None if thresholds is None else dict(zip(labels, thresholds, strict=True)),
        "temperature": decision.temperature,
    }
    write_json(path, document)


def load(path: Path, labels: Sequence[str]) -> Decision:
    """Read what `save` wrote, for a model with these label names.

    Raises:
        DataError: the file is no decision, is for other labels, or holds a value out of range.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["labels"] != list(labels):
            raise DataError(
                f"{path}: made for the labels {', '.join(map(str, document['labels']))}, but the model beside it has "
                f"{', '.join(labels)}. Take model/ of one run as a whole."
            )
        thresholds = document["thresholds"]
        return Decision(
            thresholds=None if thresholds is None else tuple(float(thresholds[label]) for label in labels),
            temperature=float(document["temperature"]),
        )
    except KeyError as error:
        raise DataError(f"{path}: {error} is missing. Take model/ of one run as a whole.") from error
    except (ValueError, TypeError, OSError) as error:
        raise DataError(f"{path}: cannot be read as a decision: {error}. Take model/ of one run as a whole.") from error

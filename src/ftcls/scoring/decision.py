"""From logits to probabilities to labels, and the file that keeps how it was done."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ftcls.environment import json_files
from ftcls.environment.files import write_json
from ftcls.errors import ConfigError, DataError, TrainingError

_HALF: Final = 0.5
Task = Literal["binary", "multiclass", "multilabel", "ordinal"]
FILE: Final = "decision.json"
"""Its name beside a model's weights."""


@dataclass(frozen=True)
class Decision:
    """How a model's logits become labels."""

    thresholds: tuple[float, ...] | None
    """multilabel: k probabilities from which on a label is given. binary: None, the most probable label, or what each
    of the two has to exceed, together 1. multiclass: None."""
    temperature: float
    """What the logits are divided by before softmax or sigmoid."""
    shift: float = 0.0
    """multilabel: what is added to every logit then."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"temperature: must be above 0, not {self.temperature}")
        if not np.isfinite(self.shift):
            raise ValueError(f"shift: must be finite, not {self.shift}")
        for threshold in self.thresholds or ():
            if not 0 <= threshold <= 1:
                raise ValueError(f"thresholds: must lie between 0 and 1, not {threshold}")


def default(task: Task, k: int) -> Decision:
    """The decision before anything is tuned: temperature 1, every threshold one half."""
    return Decision(thresholds=(0.5,) * k if task == "multilabel" else None, temperature=1.0)


def probabilities(
    logits: NDArray[np.floating[Any]], task: Task, temperature: float = 1.0, shift: float = 0.0
) -> NDArray[np.float64]:
    """Probabilities [n, k] of float logits [n, k]: softmax over the labels, or the sigmoid of each for multilabel.

    Computed in float64, so that a probability near 1 keeps its distance from 1.

    Args:
        logits: [n, k].
        task: binary, multiclass, ordinal or multilabel.
        temperature: what they are divided by first.
        shift: what is added to them then.

    Raises:
        TrainingError: a logit is NaN or infinite; names the first such row.
    """
    scaled = logits.astype(np.float64) / temperature + shift
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
    first of them where several are equally probable; with the two thresholds of a binary task, the label whose
    probability is further above its own. ordinal: the median of the labels' order, the first label that, with those
    below it, is as probable as not; no other answer is fewer steps away on average, if the probabilities are right.
    """
    if task == "ordinal":
        # Rounding may keep the last sum below 1, but never below one half.
        return np.asarray((probabilities.cumsum(axis=1) < _HALF).sum(axis=1), dtype=np.int64)
    if task != "multilabel":
        above = probabilities if thresholds is None else probabilities - np.asarray(thresholds, dtype=np.float64)
        best: NDArray[np.int64] = np.asarray(above.argmax(axis=1), dtype=np.int64)
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
        "shift": decision.shift,
    }
    write_json(path, document)


def load(path: Path, labels: Sequence[str]) -> Decision:
    """Read what `save` wrote, for a model with these label names.

    Raises:
        DataError: the file is no decision, is for other labels, or holds a value out of range.
    """
    try:
        document = json_files.value(path)
        if document["labels"] != list(labels):
            raise DataError(
                f"{path}: made for the labels {', '.join(map(str, document['labels']))}, but the model beside it has "
                f"{', '.join(labels)}. Take model/ of one run as a whole."
            )
        thresholds = document["thresholds"]
        return Decision(
            thresholds=None if thresholds is None else tuple(float(thresholds[label]) for label in labels),
            temperature=float(document["temperature"]),
            shift=float(document["shift"]) if "shift" in document else 0.0,  # files of before have none
        )
    except KeyError as error:
        raise DataError(f"{path}: {error} is missing. Take model/ of one run as a whole.") from error
    except (ValueError, TypeError, OSError, OverflowError) as error:
        raise DataError(f"{path}: cannot be read as a decision: {error}. Take model/ of one run as a whole.") from error


def operating_point(threshold: float, positive: int | None) -> tuple[float, float]:
    """The two thresholds of a binary task whose positive label is given from this probability on."""
    other = 1 - threshold
    return (threshold, other) if positive == 0 else (other, threshold)


def overridden(
    decision: Decision, given: Sequence[str], *, task: Task, labels: Sequence[str], positive: int | None
) -> Decision:
    """The decision with thresholds that somebody typed: ``0.3`` for all labels, ``LABEL=0.3`` for one.

    The later of two wins. For a binary task the threshold is that of the positive label.

    Raises:
        ConfigError: not a number from 0 to 1, not a label, or a task whose labels exclude each other.
    """
    if not given:
        return decision
    if task in ("multiclass", "ordinal"):
        raise ConfigError(
            f"--threshold {given[0]}: for binary and multilabel models; this one takes the likeliest label"
        )
    names = list(labels) if task == "multilabel" else [labels[positive or 0]]
    values = dict(zip(labels, decision.thresholds or default("multilabel", len(labels)).thresholds or (), strict=True))
    for text in given:
        name, equals, number = text.rpartition("=")
        if equals and name not in names:
            raise ConfigError(f"--threshold {text}: {name!r} is not one of {', '.join(map(repr, names))}")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise ConfigError(f"--threshold {text}: found {number!r}, expected a number from 0 to 1, or LABEL=NUMBER")
        values.update(dict.fromkeys([name] if equals else names, value))
    if task == "binary":
        return replace(decision, thresholds=operating_point(values[names[0]], positive))
    return replace(decision, thresholds=tuple(values[label] for label in labels))

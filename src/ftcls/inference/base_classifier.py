"""What every classifier does once it has probabilities: labels by thresholds, for texts as people hand them over."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ftcls.data.clean import clean
from ftcls.data.corpus import Split, Task
from ftcls.data.tables import frames
from ftcls.data.tables.frames import Texts
from ftcls.errors import ConfigError
from ftcls.model.settings import Settings
from ftcls.scoring import decision
from ftcls.scoring.decision import Decision
from ftcls.scoring.metrics import Predictions

Thresholds = float | Mapping[str, float] | Sequence[str]
"""One for every label, one for some labels, or texts such as ``0.3`` and ``LABEL=0.3``."""


@dataclass(frozen=True)
class WindowAnswer:
    """What a model that reads windows says of one window of a text, as if it were the whole text."""

    start: int | None
    """Its first character in the cleaned text; None: the tokenizer, written in Python, does not tell."""
    end: int | None
    """The first character behind it."""
    probabilities: dict[str, float]
    """Of every label."""


@dataclass(frozen=True)
class Prediction:
    """What the model says about one text."""

    labels: tuple[str, ...]
    """The label; for multilabel all labels from their threshold on, perhaps none."""
    probabilities: dict[str, float]
    """Probability of every label."""
    tokens: int
    """Of the text, special tokens included, before it was cut."""
    truncated: bool
    """Whether it was cut."""
    windows: tuple[WindowAnswer, ...] | None = None
    """Of a model that reads windows, where they were asked for."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model says about n texts."""

    probabilities: NDArray[np.float64]
    """[n, k]"""
    tokens: NDArray[np.int32]
    """[n] tokens of each text, before it was cut."""
    truncated: NDArray[np.bool_]
    """[n] whether it was cut."""


class BaseClassifier(ABC):
    """A model with its cleaning and decision; subclasses are frozen dataclasses with these fields."""

    labels: tuple[str, ...]
    settings: Settings
    decision: Decision
    source: str
    """What it was loaded from."""
    foreign: bool
    """Whether ftcls did not write it."""

    @property
    @abstractmethod
    def precision(self) -> str:
        """The arithmetic of the matrix products."""

    @abstractmethod
    def say(self, texts: Sequence[str]) -> Answer:
        """Probabilities of n texts that are clean already, one or more."""

    @abstractmethod
    def predictions_of(self, split: Split) -> Predictions:
        """Predictions of a split, whose texts are clean."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of everything that a prediction depends on."""

    def for_another_thread(self) -> Self:
        """The same classifier, for a thread that labels texts while this one does; the weights are shared."""
        return self

    @property
    def task(self) -> Task:
        """binary, multiclass or multilabel."""
        return self.settings.task

    def cleaned(self, texts: Sequence[str]) -> list[str]:
        """Raw texts as `encode` takes them."""
        return list(clean(texts, self.settings.clean))

    @property
    def positive(self) -> int | None:
        """Index of the positive label of a binary task."""
        label = self.settings.positive_label
        return None if label is None else self.labels.index(label)

    def with_thresholds(self, given: Thresholds) -> Self:
        """The same classifier with other thresholds; for a binary task that of the positive label.

        Raises:
            ConfigError: see `decision.overridden`.
        """
        positive = self.positive
        if positive is None and self.task == "binary":
            positive = 1  # a checkpoint that ftcls did not train: as in the config, the second label
        chosen = decision.overridden(
            self.decision, _typed(given), task=self.task, labels=self.labels, positive=positive
        )
        return replace(self, decision=chosen)  # type: ignore[type-var]

    def predict(self, texts: Texts | pd.DataFrame) -> NDArray[Any]:
        """The label of each of n raw texts, in input order: str [n]; multilabel: n tuples of the labels that apply.

        A model of pairs takes tuples, ``[(first, second)]``; a DataFrame is read by the columns of the training.

        Raises:
            DataError: one text in place of a list, or an entry that is no text, or no pair.
        """
        labels = [each.labels for each in self.classify(texts)]
        if self.task != "multilabel":
            return np.array([label for (label,) in labels], dtype=np.array(self.labels).dtype)
        found = np.empty(len(labels), dtype=object)  # np.array would make a table of tuples of one length
        found[:] = labels
        return found

    def decided_labels(self, probabilities: NDArray[np.float64]) -> NDArray[np.int64] | NDArray[np.bool_]:
        """What the thresholds make of probabilities [n, k]: int64 [n] label index; multilabel: bool [n, k]."""
        return decision.predict(probabilities, self.task, self.decision.thresholds)

    def predict_proba(self, texts: Texts | pd.DataFrame) -> NDArray[np.float64]:
        """The probabilities of n raw texts, float64 [n, k], in input order; column i is ``labels[i]``.

        Raises:
            DataError: see `predict`.
        """
        given = frames.texts_of(texts, self.settings.text)
        return self.say(self.cleaned(given)).probabilities if given else np.zeros((0, len(self.labels)))

    def windows_of(self, texts: Sequence[str]) -> list[tuple[WindowAnswer, ...]]:
        """The windows of each of n texts that are clean already, in order, with what the model says of each by itself.

        Raises:
            ConfigError: it reads no windows.
        """
        raise ConfigError(f"{self.source}: reads a text as one; only a model trained with model.windows has windows")

    def classify(self, texts: Texts | pd.DataFrame, *, windows: bool = False) -> list[Prediction]:
        """Labels, probabilities and length of each of n raw texts, in input order.

        Args:
            texts: n texts, pairs of texts as tuples, or a DataFrame.
            windows: of a model that reads windows, also what it says of each of them by itself.

        Raises:
            DataError: see `predict`.
            ConfigError: windows are asked for, and it reads none.
        """
        given = frames.texts_of(texts, self.settings.text)
        if not given:
            return []
        cleaned = self.cleaned(given)
        said, evidence = self.say(cleaned), self.windows_of(cleaned) if windows else [None] * len(cleaned)
        chosen = self.decided_labels(said.probabilities)
        masks = chosen if chosen.ndim == 2 else np.eye(len(self.labels), dtype=bool)[chosen]
        rows = zip(masks, said.probabilities, said.tokens, said.truncated, evidence, strict=True)
        return [
            Prediction(
                labels=tuple(label for label, given in zip(self.labels, mask, strict=True) if given),
                probabilities=dict(zip(self.labels, map(float, row), strict=True)),
                tokens=int(tokens),
                truncated=bool(truncated),
                windows=each,
            )
            for mask, row, tokens, truncated, each in rows
        ]


def _typed(thresholds: Thresholds) -> tuple[str, ...]:
    """Thresholds as the command line takes them."""
    if isinstance(thresholds, Mapping):
        return tuple(f"{label}={value}" for label, value in thresholds.items())
    return (str(thresholds),) if isinstance(thresholds, float | int) else tuple(thresholds)

"""The columns that predicting adds to a row."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from ftcls.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Prediction(Protocol):
    """What is known about one text: see `classifier.Prediction`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The label; for multilabel all that apply, perhaps none."""

    @property
    def probabilities(self) -> dict[str, float]:
        """Probability of every label."""

    @property
    def windows(self) -> "Sequence[DataclassInstance] | None":
        """What is said of each window, where that was asked for."""


class Classifier(Protocol):
    """The part of `classifier.Classifier` that predicting needs."""

    @property
    def labels(self) -> tuple[str, ...]:
        """K label names."""

    @property
    def task(self) -> str:
        """binary, multiclass or multilabel."""

    def classify(self, texts: Sequence[str]) -> Sequence[Prediction]:
        """Predictions of n texts, in input order."""

    def fingerprint(self) -> str:
        """A hash of everything that a prediction depends on."""


@dataclass(frozen=True)
class Columns:
    """Names and values of the new columns."""

    task: str
    labels: tuple[str, ...]
    prefix: str = ""
    """Stands before every name."""
    top: int | None = None
    """Only the so many most probable labels, with their probabilities; None: the probability of every label."""
    abstain: float | None = None
    """No label where it is less probable than this."""
    windows: bool = False
    """Whether each row also has a list of its windows, which JSON alone can hold."""

    def __post_init__(self) -> None:
        if self.top is not None and not 1 <= self.top <= len(self.labels):
            raise ConfigError(f"--top {self.top}: the model has {len(self.labels)} labels; ask for 1 to that many")
        if self.abstain is not None and self.task == "multilabel":
            raise ConfigError(f"--abstain {self.abstain:g}: a model of several labels gives none below --threshold")
        if self.abstain is not None and not 0 <= self.abstain <= 1:
            raise ConfigError(f"--abstain {self.abstain:g}: must be a probability, from 0 to 1")

    @cached_property
    def label(self) -> str:
        """The name of the column with the label, or the labels."""
        return f"{self.prefix}{'labels' if self.task == 'multilabel' else 'label'}"

    @property
    def problem(self) -> str:
        """The key under which JSON lines say why a row could not be read."""
        return f"{self.prefix}error"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All new columns, in order."""
        last = (f"{self.prefix}windows",) if self.windows else ()
        if self.top is None:
            return (self.label, *(f"{self.prefix}probability_{label}" for label in self.labels), *last)
        ranks = range(1, self.top + 1)
        ranked = (f"{self.prefix}{what}_{rank}" for rank in ranks for what in ("label", "probability"))
        return (self.label, *ranked, *last)

    @property
    def fields(self) -> list[pa.Field]:
        """The new columns of a Parquet file."""
        first, *others = self.names
        ranked = {f"{self.prefix}label_{rank}" for rank in range(1, (self.top or 0) + 1)}
        label = pa.list_(pa.string()) if self.task == "multilabel" else pa.string()
        return [
            pa.field(first, label),
            *(pa.field(name, pa.string() if name in ranked else pa.float64()) for name in others),
        ]

    def given(self, prediction: Prediction) -> tuple[str, ...]:
        """The labels of a prediction that is sure enough."""
        if self.abstain is not None and prediction.probabilities[prediction.labels[0]] < self.abstain:
            return ()
        return prediction.labels

    def of(self, prediction: Prediction) -> dict[str, Any]:
        """The new columns of one row: the label (None: abstained; multilabel: a list), then probabilities."""
        given = self.given(prediction)
        label: Any = list(given) if self.task == "multilabel" else given[0] if given else None
        probabilities = prediction.probabilities
        if self.top is None:
            values: list[Any] = [probabilities[name] for name in self.labels]
        else:
            ranked = sorted(probabilities.items(), key=lambda item: -item[1])[: self.top]
            values = [value for pair in ranked for value in pair]
        if self.windows:
            values.append([asdict(each) for each in prediction.windows or ()])
        return dict(zip(self.names, (label, *values), strict=True))

    def nothing(self) -> dict[str, Any]:
        """The new columns of a row that could not be read."""
        return dict.fromkeys(self.names)

    def joined(self, labels: Sequence[str] | str | None) -> str:
        """The label column as one cell of a table: several labels behind ``|``, as JSON where a label has one in it."""
        if labels is None or isinstance(labels, str):
            return labels or ""
        # A separator that is part of a label would make two labels of one.
        joinable = not any("|" in label for label in self.labels)
        return "|".join(labels) if joinable else json.dumps(labels, ensure_ascii=False)

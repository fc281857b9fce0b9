"""Metrics from modules of the `evaluate` library, beside those of ftcls.

A module is Python code of other people. It is therefore loaded only where the user allows it, only from a local file or
from the cache of `evaluate` and never from the network, and tried on the gold labels before the first batch: a wrong
name, or a module that does not fit the task, is found before an hour is spent.
"""

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from ftcls.data.corpus import Corpus, Split, Task
from ftcls.errors import ConfigError
from ftcls.scoring import metrics
from ftcls.scoring.metrics import Predictions

log = logging.getLogger(__name__)


class ExtraMetric(Protocol):
    """Something that is scored beside the metrics of ftcls."""

    @property
    def names(self) -> Collection[str]:
        """What its numbers are called in the report."""

    def score(self, predictions: Predictions) -> dict[str, float | None]:
        """Its numbers by these names."""


@dataclass(frozen=True, eq=False)
class Module:
    """One loaded module, and what each of its numbers is called in the report."""

    name: str
    """As metrics.evaluate names it."""
    metric: Any
    """An `evaluate.EvaluationModule`."""
    keys: Mapping[str, str]
    """Its own name of a number to that of the report: the same, or ``evaluate.<name>`` where ftcls has that already."""

    @property
    def names(self) -> Collection[str]:
        """What the report calls its numbers."""
        return self.keys.values()

    def score(self, predictions: Predictions) -> dict[str, float | None]:
        """Its numbers by report name; None for all where it fails, which costs no run its report."""
        try:
            found = _computed(self.metric, predictions)
            return {key: _finite(found[own]) for own, key in self.keys.items()}
        except Exception as error:  # noqa: BLE001 - code of other people, after an hour of training
            log.warning("metrics.evaluate: %s failed and is reported as null: %s", self.name, error)
            return dict.fromkeys(self.keys.values())


def check_allowed(names: Sequence[str], *, allow_code: bool) -> None:
    """Refuse to run code that nobody allowed.

    Raises:
        ConfigError: there are modules, and no --allow-code.
    """
    if names and not allow_code:
        raise ConfigError(
            f"metrics.evaluate: {', '.join(names)}: modules run code. Look at it, then add --allow-code; "
            "or override with metrics.evaluate=[]"
        )


def load(names: Sequence[str], corpus: Corpus) -> tuple[Module, ...]:
    """Load modules and try each on the gold labels of validation and test; call `check_allowed` before.

    Raises:
        ConfigError: no such module here, or it fails, or gives no numbers.
    """
    modules: list[Module] = []
    for name in names:
        metric = _loaded(name, corpus.task)
        try:
            trials = [_computed(metric, perfect(corpus, split)) for split in corpus.splits.values()]
        except Exception as error:  # whatever code of other people raises is about this key
            raise ConfigError(
                f"metrics.evaluate: {name}: fails on {corpus.task} labels: {type(error).__name__}: {error}"
            ) from error
        taken = {*metrics.names(corpus.task), *(key for module in modules for key in module.keys.values())}
        keys = {own: f"evaluate.{own}" if own in taken else own for own in trials[0]}
        modules.append(Module(name, metric, keys))
    return tuple(modules)


def score(extra: Sequence[ExtraMetric], predictions: Predictions) -> dict[str, float | None]:
    """The numbers of all extra metrics by report name."""
    return {key: value for each in extra for key, value in each.score(predictions).items()}


_CONFIGURATIONS: Final[Mapping[Task, str | None]] = {
    "binary": None,
    "multiclass": "multiclass",
    "multilabel": "multilabel",
    "ordinal": "multiclass",
}
"""What modules of the library call a task."""


def _loaded(name: str, task: Task) -> Any:
    import evaluate  # six seconds, for those who use it

    # Counting downloads and looking for a newer version are questions to the Hub; a module is here or it is not.
    evaluate.config.HF_EVALUATE_OFFLINE = True
    try:
        return evaluate.load(name, _CONFIGURATIONS[task], keep_in_memory=True)
    except FileNotFoundError as error:
        where = "no such file" if name.endswith(".py") or Path(name).is_absolute() else "no file, and not in the cache"
        raise ConfigError(
            f"metrics.evaluate: {name}: {where}. Name a module file such as ./my_metric.py, or fetch one that you "
            f"trust where there is a network: python -c \"import evaluate; evaluate.load('accuracy')\""
        ) from error
    except Exception as error:  # importing a module runs it
        raise ConfigError(f"metrics.evaluate: {name}: cannot be loaded: {type(error).__name__}: {error}") from error


def _computed(metric: Any, predictions: Predictions) -> dict[str, float]:
    """What a module says, as numbers."""
    wanted = metric.features[0] if isinstance(metric.features, list) else metric.features
    given = _inputs(predictions)
    missing = sorted(set(wanted) - set(given))
    if missing:
        raise ValueError(f"it asks for {', '.join(missing)}; ftcls gives {', '.join(given)}")
    found = metric.compute(**{name: given[name] for name in wanted}, **_options(metric, predictions))
    odd = [
        name
        for name, value in (found or {}).items()
        if np.ndim(value) or not isinstance(value, int | float | np.number)
    ]
    if not found or odd:
        raise TypeError(f"it gives no number for {', '.join(odd)}" if odd else "it gives nothing")
    return {str(name): float(value) for name, value in found.items()}


def _inputs(predictions: Predictions) -> dict[str, Any]:
    """By the names that modules use; labels are numbers, several are lists of 0 and 1."""
    probabilities = predictions.probabilities
    return {
        "predictions": predictions.predicted.astype(np.int64).tolist(),
        "references": predictions.gold.astype(np.int64).tolist(),
        "prediction_scores": (probabilities[:, 1] if predictions.task == "binary" else probabilities).tolist(),
    }


def _options(metric: Any, predictions: Predictions) -> dict[str, Any]:
    """Options without which the modules of scikit-learn's metrics refuse more than two labels."""
    import inspect

    known = inspect.signature(metric._compute).parameters
    options: dict[str, Any] = {"average": "macro", "multi_class": "ovr"} if predictions.task != "binary" else {}
    if predictions.positive is not None:
        options["pos_label"] = predictions.positive
    return {name: value for name, value in options.items() if name in known}


def perfect(corpus: Corpus, split: Split) -> Predictions:
    """Predictions that are right in every row."""
    gold, k = split.targets, len(corpus.labels)
    hot = gold > 0 if gold.ndim == 2 else gold[:, None] == np.arange(k)
    return Predictions(
        task=corpus.task,
        labels=corpus.labels,
        gold=gold,
        predicted=hot if gold.ndim == 2 else gold.astype(np.int64),
        probabilities=hot.astype(np.float64),
        rows=split.rows,
        positive=corpus.positive,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

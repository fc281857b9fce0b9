"""Losses and metrics of one's own: Python functions that are handed over, or that a config names.

A config names a function as ``FILE.py:NAME`` or ``MODULE:NAME``. To load it is to run that file, so somebody has to
allow it; a function that is handed over runs because it is.
"""

import importlib
import importlib.util
import inspect
import logging
import math
import sys
import sysconfig
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from ftcls.config.loss_schema import Loss
from ftcls.config.paths import IN_FILE
from ftcls.config.schema import Experiment
from ftcls.data.corpus import Corpus
from ftcls.errors import ConfigError
from ftcls.pipeline import extra_metrics
from ftcls.pipeline.extra_metrics import ExtraMetric, perfect
from ftcls.scoring import metrics
from ftcls.scoring.metrics import Predictions
from ftcls.training.losses import Objective

log = logging.getLogger(__name__)

Metric: TypeAlias = Callable[..., float]
"""(gold, predicted), (gold, predicted, probabilities) or (gold, predicted, probabilities, labels) -> a number."""
_FEWEST, _MOST = 2, 4
_LIBRARIES: Final = ("stdlib", "platstdlib", "purelib", "platlib")


@dataclass(frozen=True)
class OwnFunctions:
    """The functions of one call, handed over or loaded."""

    objective: Objective | None = None
    """The loss; None: that of the config."""
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    """By the name that the report gives them."""


@dataclass(frozen=True, eq=False)
class OwnMetric:
    """A metric that is a function."""

    name: str
    function: Metric

    @property
    def names(self) -> Collection[str]:
        """The one name that the report gives it."""
        return (self.name,)

    def score(self, predictions: Predictions) -> dict[str, float | None]:
        """Its number; None where it fails or is not finite, which costs no run its report."""
        try:
            found = self.compute(predictions)
        except Exception as error:  # noqa: BLE001 - code of other people, after an hour of training
            log.warning("metrics.functions: %s failed and is reported as null: %s", self.name, error)
            return {self.name: None}
        return {self.name: found if math.isfinite(found) else None}

    def compute(self, predictions: Predictions) -> float:
        """Its number.

        Raises:
            TypeError: it gives none.
            Exception: whatever the function raises.
        """
        given = (
            predictions.gold.astype(np.int64),
            predictions.predicted.astype(np.int64),
            predictions.probabilities,
            predictions.labels,
        )
        found = self.function(*given[: _arguments(self.function)])
        if np.ndim(found) or isinstance(found, bool | str) or not isinstance(found, int | float | np.number):
            raise TypeError(f"it gives {type(found).__name__}, and no number")
        return float(found)


def _arguments(function: Metric) -> int:
    """How many of the arguments a metric takes: those that it cannot do without, at least gold and predicted."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    wanted = [
        each
        for each in inspect.signature(function).parameters.values()
        if each.kind in kinds and each.default is inspect.Parameter.empty
    ]
    return min(max(len(wanted), _FEWEST), _MOST)


def reference(function: Callable[..., Any]) -> str:
    """How a config names a function: ``FILE.py:NAME``, or ``MODULE:NAME`` where it is of a library.

    What cannot be loaded by such a name (of a notebook, inside of another function, with arguments bound to it) gets
    one all the same: it says in a config what it was.
    """
    inner = function
    while bound := getattr(inner, "func", None):  # functools.partial
        inner = bound
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    if inner is not function:
        name += "(...)"
    module = getattr(inner, "__module__", None) or type(inner).__module__
    file = getattr(sys.modules.get(module), "__file__", None)
    libraries = [Path(sysconfig.get_path(each)) for each in _LIBRARIES]
    if file is None or not file.endswith(".py") or any(each in Path(file).parents for each in libraries):
        return f"{module}:{name}"
    return f"{Path(file).absolute()}:{name}"


def with_functions(
    experiment: Experiment, objective: Objective | None, own_metrics: Mapping[str, Metric] | None
) -> tuple[Experiment, OwnFunctions]:
    """The experiment with functions that are handed over in the place of what it names, and these functions.

    Raises:
        ConfigError: they are no functions, or the config says what goes with no loss of one's own.
    """
    for name, function in {"objective": objective, **(own_metrics or {})}.items():
        if function is not None and not callable(function):
            raise ConfigError(f"{name}: {function!r} is no function")
    update: dict[str, Any] = {}
    if objective is not None:
        if experiment.distillation.teacher is not None:
            raise ConfigError("objective: is for labels, and distillation.teacher gives probabilities; leave one out")
        update["loss"] = Loss(function=reference(objective))
    if own_metrics:
        named = {name: reference(function) for name, function in own_metrics.items()}
        for name in named.keys() & experiment.metrics.functions.keys():
            if (said := experiment.metrics.functions[name]) != named[name]:
                log.warning("metrics.functions.%s: the config has %s, and this is %s", name, said, named[name])
        functions = {**experiment.metrics.functions, **named}
        update["metrics"] = experiment.metrics.model_copy(update={"functions": functions})
    return experiment.model_copy(update=update), OwnFunctions(objective, own_metrics or {})


def check_allowed(experiment: Experiment, given: OwnFunctions, *, allow_code: bool, trains: bool) -> None:
    """Refuse to run functions that nobody handed over or allowed.

    Args:
        experiment: with the names of its functions.
        given: what was handed over.
        allow_code: whether --allow-code is given.
        trains: whether the loss is needed.

    Raises:
        ConfigError: there are such functions.
    """
    if allow_code:
        return
    if trains and experiment.loss.function is not None and given.objective is None:
        raise ConfigError(
            f"loss.function: {experiment.loss.function}: is Python code. Look at it, then add --allow-code; in Python "
            "hand it over: objective=FUNCTION"
        )
    for name, said in experiment.metrics.functions.items():
        if name not in given.metrics:
            raise ConfigError(
                f"metrics.functions.{name}: {said}: is Python code. Look at it, then add --allow-code, or override "
                f'with metrics.functions={{}}; in Python hand it over: metrics={{"{name}": FUNCTION}}'
            )


def loaded(experiment: Experiment, given: OwnFunctions, *, trains: bool) -> OwnFunctions:
    """All functions of an experiment; call `check_allowed` before.

    Raises:
        ConfigError: one cannot be loaded.
    """
    objective = given.objective
    if trains and objective is None and experiment.loss.function is not None:
        objective = load(experiment.loss.function, "loss.function")
    missing = {name: said for name, said in experiment.metrics.functions.items() if name not in given.metrics}
    more = {name: load(said, f"metrics.functions.{name}") for name, said in missing.items()}
    return OwnFunctions(objective, {**given.metrics, **more})


def load(said: str, key: str) -> Callable[..., Any]:
    """The function of a reference; its file or module is run.

    Raises:
        ConfigError: there is none, or running its file fails.
    """
    place, _, name = said.rpartition(":")
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(f"{key}: {said}: has no name of its own that it could be loaded by; hand it over from Python")
    try:
        found: Any = _module(place, said)
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        raise ConfigError(f"{key}: {said}: there is no {name} in it") from error
    except FileNotFoundError as error:
        raise ConfigError(f"{key}: {said}: no such file; name it from the config's folder, ./FILE.py:NAME") from error
    except Exception as error:  # running a file may raise whatever it likes
        raise ConfigError(f"{key}: {said}: cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise ConfigError(f"{key}: {said}: is {type(found).__name__}, and no function")
    function: Callable[..., Any] = found
    return function


def _module(place: str, said: str) -> Any:
    if IN_FILE not in said:
        return importlib.import_module(place)
    if not Path(place).is_file():
        raise FileNotFoundError(place)
    spec = importlib.util.spec_from_file_location(Path(place).stem, place)
    if spec is None or spec.loader is None:
        raise ImportError("Python cannot read it")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def extra(experiment: Experiment, functions: OwnFunctions, corpus: Corpus) -> tuple[ExtraMetric, ...]:
    """All metrics beside those of ftcls, modules and functions, each tried on the gold labels of every split.

    Raises:
        ConfigError: one cannot be loaded, fails, gives no number, or has a name that is taken.
    """
    modules = extra_metrics.load(experiment.metrics.evaluate, corpus)
    taken = {*metrics.names(corpus.task), *(name for module in modules for name in module.names)}
    found: list[ExtraMetric] = [*modules]
    for name, function in functions.metrics.items():
        if name in taken:
            raise ConfigError(f"metrics.functions.{name}: ftcls, or metrics.evaluate, has a metric of that name")
        metric = OwnMetric(name, function)
        for split in corpus.splits.values():
            try:
                metric.compute(perfect(corpus, split))
            except Exception as error:
                raise ConfigError(
                    f"metrics.functions.{name}: fails on {corpus.task} labels: {type(error).__name__}: {error}"
                ) from error
        found.append(metric)
    return tuple(found)

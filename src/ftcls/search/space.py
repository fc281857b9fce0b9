"""From the axes of a sweep to the settings of its trials."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ftcls.config import sweep as sweep_config
from ftcls.config.load import Setting, combine
from ftcls.config.rule import task_of
from ftcls.config.rules import METRICS
from ftcls.config.schema import Experiment
from ftcls.config.source import KeyPath, Place, Source, flow, message
from ftcls.config.sweep import Range, SweepFile
from ftcls.errors import ConfigError

SEED: Final = "seed"
"""The axis over which figures are averaged."""
_DIGITS: Final = 4
"""Significant digits of a drawn number: more would only lengthen names and commands."""
_LONG_LIST: Final = 3
"""Longer lists are named by their length."""
_MOST_TRIES: Final = 1000


@dataclass(frozen=True)
class Choice:
    """One value of an axis."""

    label: str
    """Short, and another one for every value of the axis."""
    value: Any
    """The plain value: of a key, or all settings of a free axis by key."""
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class Axis:
    """What is varied: listed choices, or a range."""

    name: str
    choices: tuple[Choice, ...]
    range: Range | None
    place: Place

    def drawn(self, value: float) -> Choice:
        """The choice of one number out of the range."""
        return Choice(flow(value), value, (Setting(self.name, Source(value, {(): self.place}, {}), self.place),))


@dataclass(frozen=True)
class Space:
    """A sweep, ready to make experiments of combinations."""

    file: SweepFile
    axes: tuple[Axis, ...]
    metric: str
    """The validation metric that the best trial has most of."""

    def experiment(self, choices: Sequence[Choice]) -> Experiment:
        """The config of one combination, one choice of each axis.

        Raises:
            ConfigError: it is none.
        """
        return _trained(combine(self.file.base_text, [setting for choice in choices for setting in choice.settings]))


def space(file: SweepFile) -> Space:
    """The space of a sweep, every value of every axis checked in a whole config.

    Raises:
        ConfigError: with every error, located where the value was written.
    """
    axes = tuple(_axis(file, name, written) for name, written in file.sweep.axes.items())
    _check(file, axes)
    first = combine(file.base_text, [setting for axis in axes for setting in _ends(axis)[0].settings])
    return Space(file, axes, _metric(file, first))


def grid(axes: Sequence[Axis]) -> Iterator[tuple[Choice, ...]]:
    """Every combination, in the order of the axes, the last one quickest; one seed is finished before the next.

    So a sweep that is stopped half way has seen every combination once, rather than some of them with every seed.
    """
    order = sorted(range(len(axes)), key=lambda index: axes[index].name != SEED)
    place = {index: position for position, index in enumerate(order)}
    for drawn in itertools.product(*(axes[index].choices for index in order)):
        yield tuple(drawn[place[index]] for index in range(len(axes)))


def random(axes: Sequence[Axis], trials: int, seed: int) -> Iterator[tuple[Choice, ...]]:
    """Drawn combinations, none twice: each trial's from (seed, number) alone. Fewer where there are not so many."""
    seen: set[tuple[str, ...]] = set()
    number = itertools.count()
    tries = 0
    while len(seen) < trials and tries < _MOST_TRIES:
        rng = np.random.default_rng([seed, next(number)])
        choices = tuple(_draw(axis, rng) for axis in axes)
        labels = tuple(choice.label for choice in choices)
        tries = tries + 1 if labels in seen else 0
        if labels not in seen:
            seen.add(labels)
            yield choices


def rounded(value: float, bounds: Range) -> float | int:
    """A number out of a range with four significant digits; whole where both ends are."""
    if is_whole(bounds):
        return round(min(max(value, bounds.low), bounds.high))
    return min(max(float(f"{value:.{_DIGITS}g}"), bounds.low), bounds.high)


def is_whole(bounds: Range) -> bool:
    """Whether a range is of whole numbers: both ends are written without a point."""
    return isinstance(bounds.low, int) and isinstance(bounds.high, int)


def _draw(axis: Axis, rng: np.random.Generator) -> Choice:
    if axis.range is None:
        return axis.choices[int(rng.integers(len(axis.choices)))]
    low, high = axis.range.low, axis.range.high
    if axis.range.log:
        return axis.drawn(rounded(float(np.exp(rng.uniform(np.log(low), np.log(high)))), axis.range))
    drawn = rng.integers(int(low), int(high) + 1) if is_whole(axis.range) else rng.uniform(low, high)
    return axis.drawn(rounded(float(drawn), axis.range))


def _axis(file: SweepFile, name: str, written: Any) -> Axis:
    path: KeyPath = ("axes", name)
    place = file.text.places[path]
    if sweep_config.is_range(written):
        return Axis(name, (), Range.model_validate_json(json.dumps(written)), place)
    if sweep_config.keys_of(name, written) == (name,) and isinstance(written, list):
        settings = [(_setting(file, name, item, (*path, index)),) for index, item in enumerate(written)]
        labels = _labels(written)
        return Axis(name, tuple(map(Choice, labels, written, settings)), None, place)
    items = list(written.items()) if isinstance(written, Mapping) else list(enumerate(written))
    several = [tuple(_setting(file, key, value, (*path, at, key)) for key, value in item.items()) for at, item in items]
    labels = (
        list(written) if isinstance(written, Mapping) else _labels([next(iter(item.values())) for _, item in items])
    )
    if len(set(labels)) < len(labels):
        labels = _labels([list(item.values()) for _, item in items])
    return Axis(name, tuple(map(Choice, labels, [item for _, item in items], several)), None, place)


def _setting(file: SweepFile, key: str, value: Any, path: KeyPath) -> Setting:
    """A value of the sweep file with the places of everything inside it."""
    size = len(path)
    places = {at[size:]: place for at, place in file.text.places.items() if at[:size] == path}
    raw = {at[size:]: text for at, text in file.text.raw.items() if at[:size] == path}
    return Setting(key, Source(value, places, raw), file.text.places[path])


def _labels(values: Sequence[Any]) -> list[str]:
    """A short text for each value, no two alike."""
    short = [_short(value) for value in values]
    return short if len(set(short)) == len(short) else [flow(value) for value in values]


def _short(value: Any) -> str:
    if isinstance(value, Mapping) and len(value) == 1:
        return _short(next(iter(value.values())))  # {balanced: 800} is 800
    if isinstance(value, list) and (len(value) > _LONG_LIST or all(isinstance(each, str) for each in value)):
        return f"{len(value)}"
    return value if isinstance(value, str) else flow(value)


def _ends(axis: Axis) -> tuple[Choice, ...]:
    """The choices that show whether an axis is right: all of them, or both ends of the range."""
    if axis.range is None:
        return axis.choices
    return tuple(axis.drawn(rounded(end, axis.range)) for end in (axis.range.low, axis.range.high))


def _check(file: SweepFile, axes: Sequence[Axis]) -> None:
    """Each value with the first values of the other axes: not every combination, but every value."""
    firsts = [_ends(axis)[0] for axis in axes]
    errors: dict[str, None] = {}
    for index, axis in enumerate(axes):
        for choice in _ends(axis):
            choices = [*firsts[:index], choice, *firsts[index + 1 :]]
            try:
                _trained(combine(file.base_text, [setting for each in choices for setting in each.settings]))
            except ConfigError as error:
                errors |= dict.fromkeys(_one_by_one(str(error)))
    if errors:
        raise ConfigError("\n".join(errors))


def _trained(experiment: Experiment) -> Experiment:
    """An experiment that is one training.

    Raises:
        ConfigError: it is a cross-validation, which has no validation score to choose by.
    """
    folds = experiment.data.split.folds
    if folds is not None and experiment.data.split.fold is None:
        raise ConfigError(
            f"data.split.folds: {folds}: a sweep chooses by the validation split, and a cross-validation as a whole "
            "has none; leave folds out, or make each fold a trial, by the axis data.split.fold: "
            f"{list(range(1, min(folds, 3) + 1))}"
        )
    return experiment


def _one_by_one(text: str) -> list[str]:
    """The errors of a message, each with the line that it quotes."""
    found: list[str] = []
    for line in text.split("\n"):
        if line.startswith(" ") and found:
            found[-1] += f"\n{line}"
        else:
            found.append(line)
    return found


def _metric(file: SweepFile, experiment: Experiment) -> str:
    """The metric of the search, and that of the heatmaps checked."""
    task = task_of(experiment.data)
    names = METRICS[task] if task else ()
    sweep = file.sweep
    for path, name in ((("search", "metric"), sweep.search.metric), (("heatmap", "metric"), sweep.heatmap.metric)):
        if name is not None and name not in names:
            text = f"{name!r} is no metric of a {task} task; allowed: {', '.join(names)}"
            raise ConfigError(message(file.text.places[path], ".".join(path), text))
    return sweep.search.metric or experiment.metrics.best

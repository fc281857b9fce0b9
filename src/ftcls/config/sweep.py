"""The sweep file: its schema, and how it is loaded and checked.

What the axes set is checked as part of the configs that they make, in `ftcls.search.space`.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

import ftcls
from ftcls.config import load, paths, source
from ftcls.config.explain import Problem, belongs, found, line, nearest, problems
from ftcls.config.schema import Experiment
from ftcls.config.section import Positive, Section
from ftcls.config.source import KeyPath, Source
from ftcls.environment import files
from ftcls.errors import ConfigError

Method = Literal["grid", "random", "tpe", "gp"]
LEARNING: Final = ("tpe", "gp")
"""Methods that choose a trial by those before."""

COLUMNS: Final = (
    "trial", "state", "exit_code", "train_examples", "test_examples", "parameters", "trainable_parameters", "steps",
    "best_step", "seconds", "peak_memory_bytes", "run",
)  # fmt: skip
"""What results.csv has beside axes and metrics; no axis may be called so."""


class Range(Section):
    """Values between two numbers; whole numbers where both are written without a point."""

    low: int | float
    """The smallest value."""
    high: int | float
    """The largest value."""
    log: bool = False
    """As many values in every power of ten, for rates; low must be above 0."""


class Search(Section):
    """How trials are chosen, and when there are enough."""

    method: Method = "grid"
    """`grid`: every combination of the axes' values; `random`: drawn by seed; `tpe` and `gp`: Optuna's tree-structured
    Parzen estimator and Gaussian process, which draw where earlier trials were good (the extra `search`)."""
    metric: str | None = None
    """The validation metric that the best trial has most of; null: metrics.best of the base."""
    trials: Positive | None = None
    """How many trials are drawn; `random` needs it, `tpe` and `gp` it or `hours`."""
    hours: Annotated[float, Field(gt=0)] | None = None
    """No trial starts when a call has run for so long; running ones end. The next call goes on."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Draws the trials; more random trials of the same seed contain the fewer."""
    startup_trials: Positive = 10
    """So many trials are drawn at random before `tpe`, `gp` and the pruner judge by them."""
    pruner: Literal["median"] | None = None
    """`median`: a trial is stopped when its best score so far is below the median of the others after as many
    evaluations (`tpe`, `gp`)."""


class Heatmap(Section):
    """Which axes the heatmaps show; there is one heatmap for each combination of the others."""

    x: str | None = None
    """The axis from left to right; null: the second one, seed aside."""
    y: str | None = None
    """The axis from top to bottom; null: the first one."""
    panel: str | None = None
    """The axis with a panel for each value; null: the third one, if there is one."""
    metric: str | None = None
    """null: that of the search."""
    split: Literal["validation", "test"] | None = None
    """Which split's scores; null: heatmaps are coloured by validation, which chose, with test in small print, and
    learning curves are those of test."""


class Sweep(Section):
    """One sweep: a whole config, and what is tried of it."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """Name of the sweep's folder: letters, digits, dot, dash, underscore."""
    base: str
    """The config that every trial starts from: a file, relative to this one, or the name of a shipped config."""
    search: Search = Search()
    """How trials are chosen, and when there are enough."""
    axes: dict[str, Any]
    """A key of the config with a list of values or a range; or a free name with settings whose keys stay together."""
    heatmap: Heatmap = Heatmap()
    """Which axes the heatmaps show."""


@dataclass(frozen=True)
class SweepFile:
    """A sweep with the texts that it was read from."""

    sweep: Sweep
    path: Path
    text: Source
    """The sweep file's own YAML, for the places of its values."""
    base: Path
    """The base config's file."""
    base_text: Source


def read(argument: str | os.PathLike[str]) -> SweepFile:
    """Read a sweep file and its base, and check everything but what the axes set.

    Raises:
        ConfigError: with every error, located at file, line and column.
    """
    path = find(argument)
    text = source.read(path, load.shown(path, argument))
    value = text.value
    if value is None:
        raise ConfigError(f"{text.places[()].origin}: is empty; `ftcls config list` names the shipped sweeps")
    errors = list(_strangers(value))
    errors += problems(value, Sweep)
    if not errors:
        errors += _rules(Sweep.model_validate_json(json.dumps(value), strict=True))
    if errors:
        raise ConfigError("\n".join(_located(text, errors)))
    sweep = _validated(value, text)
    base = _base(sweep, text)
    read_base = source.read(base, load.shown(base, ""))
    return SweepFile(sweep, path, text, base, read_base)


def find(argument: str | os.PathLike[str]) -> Path:
    """The file that a SWEEP argument names.

    Raises:
        ConfigError: there is none; says which names come close.
    """
    path, known = Path(argument).expanduser(), shipped()
    if files.is_file(path):
        return path
    stem = path.stem if path.suffix in (".yaml", ".yml") and path.parent == Path("configs/sweeps") else str(argument)
    if stem in known:
        return known[stem]
    if files.is_file(path / "sweep.yaml"):
        return path / "sweep.yaml"
    close = nearest(path.stem, known)
    hint = f"did you mean {close}? " if close else ""
    raise ConfigError(f"{argument}: no such file; {hint}Shipped sweeps: {', '.join(known)}".replace("; Sh", "; sh"))


def shipped() -> dict[str, Path]:
    """Name to file of the sweeps that come with ftcls."""
    package = Path(ftcls.__file__).parent
    homes = (package / "configs" / "sweeps", package.parents[1] / "configs" / "sweeps")
    folder = next((home for home in homes if home.is_dir()), None)
    return {} if folder is None else {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def dump(file: SweepFile) -> str:
    """The sweep as YAML with its defaults written and its base as an absolute path; reads again to an equal one."""
    value = file.sweep.model_dump(mode="json") | {"base": str(file.base.absolute())}
    return source.dump(value | {"axes": _with_absolute_paths(file)})


def is_key(name: str) -> bool:
    """Whether the name of an axis is that of a config key, as far as its first part tells."""
    return name.split(".")[0] in Experiment.model_fields


def is_range(value: Any) -> bool:
    """Whether an axis is written as a range."""
    return isinstance(value, Mapping) and bool(value.keys() & {"low", "high"}) and not _are_settings(value)


def _are_settings(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(each, Mapping) for each in value.values())


def _with_absolute_paths(file: SweepFile) -> dict[str, Any]:
    """The axes with relative paths made absolute: the copy in the sweep's folder stands elsewhere."""
    place = file.text.places[()]

    def walk(key: str, value: Any) -> Any:
        if isinstance(value, list):
            return [walk(key, each) for each in value]
        if isinstance(value, dict):
            return {inner: walk(inner if "." in inner else key, each) for inner, each in value.items()}
        return paths.absolute(key, value, place)

    return {name: walk(name, value) for name, value in file.text.value["axes"].items()}


def _validated(value: Any, text: Source) -> Sweep:
    try:
        return Sweep.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:  # a kind of error that `problems` has no words for
        raise ConfigError(f"{text.places[()].origin}: {error}") from error


def _located(text: Source, errors: list[Problem]) -> list[str]:
    def place(path: KeyPath) -> source.Place:
        while path not in text.places:
            path = path[:-1]
        return text.places[path]

    ordered = sorted(errors, key=lambda problem: place(problem.path).order)
    return [source.message(place(p.path), source.dotted(p.path), p.text) for p in ordered]


def _strangers(value: Any) -> Iterator[Problem]:
    """Keys of a config, or of the search, that stand in the sweep itself; taken out of it."""
    if not isinstance(value, dict):
        return
    for key in [key for key in value if key not in Sweep.model_fields and nearest(key, Sweep.model_fields) is None]:
        home = ("",) if key in Experiment.model_fields else belongs(key)
        if key in Search.model_fields and home != ("",):
            yield Problem((key,), f"unknown key here; write {line(('search', key), value.pop(key))}")
        elif home is not None:
            dotted = key if home == ("",) else ".".join((*home, key))
            tried = line(("axes", dotted), [value.pop(key)])
            yield Problem((key,), f"is a key of a config; write it into the base, or try values of it with {tried}")


def _rules(sweep: Sweep) -> Iterator[Problem]:
    search, axes = sweep.search, sweep.axes
    if not axes:
        yield Problem(("axes",), "is empty; write a key with its values, such as training.learning_rate: [1e-5, 2e-5]")
    for name, written in axes.items():
        yield from _axis(name, written, search.method)
    yield from _set_twice(axes)
    yield from _search(search)
    for key in ("x", "y", "panel"):
        name = getattr(sweep.heatmap, key)
        if name is not None and name not in axes:
            close = nearest(name, axes)
            hint = f"did you mean {close!r}?" if close else f"one of {', '.join(axes)}"
            yield Problem(("heatmap", key), f"{name!r} is no axis; {hint}")


def _search(search: Search) -> Iterator[Problem]:
    if search.method == "random" and search.trials is None:
        yield Problem(("search", "method"), f"random needs a number of trials; add {line(('search', 'trials'), 20)}")
    if search.method in LEARNING and search.trials is None and search.hours is None:
        remedy = f"add {line(('search', 'trials'), 20)}, or hours"
        yield Problem(("search", "method"), f"{search.method} has no end of its own; {remedy}")
    if search.method not in LEARNING:
        for key in ("startup_trials", "pruner"):
            if key in search.model_fields_set and getattr(search, key) != Search.model_fields[key].default:
                yield Problem(("search", key), f"has no effect with method {search.method}; write tpe, or remove it")
    if search.method == "grid" and search.trials is not None:
        yield Problem(("search", "trials"), "has no effect on a grid, which is every combination; remove the line")


def _axis(name: str, written: Any, method: str) -> Iterator[Problem]:
    path: KeyPath = ("axes", name)
    if is_range(written):
        yield from problems(written, Range, path)
        if method == "grid":
            yield Problem(path, "a range has no end of values for a grid; list them, or write search: {method: random}")
        elif not list(problems(written, Range)):
            yield from _bounds(path, Range.model_validate(written))
    elif isinstance(written, list) and is_key(name) and not _dotted_settings(written):
        if not written:
            yield Problem(path, "has no value; list at least one")
        for index, item in enumerate(written):
            if item in written[:index] and type(item) is type(written[written.index(item)]):
                yield Problem((*path, index), f"{found(item)} is listed twice; keep one of them")
    else:
        yield from _free(name, written, path)


def _bounds(path: KeyPath, bounds: Range) -> Iterator[Problem]:
    if bounds.low >= bounds.high:
        yield Problem(path, f"low must be below high, found {found(bounds.low)} and {found(bounds.high)}")
    if bounds.log and bounds.low <= 0:
        yield Problem((*path, "low"), f"found {found(bounds.low)}; a logarithm needs a low above 0")


def _dotted_settings(written: list[Any]) -> bool:
    """Whether list items are settings, not values of one key that happen to be mappings."""
    return bool(written) and all(isinstance(item, Mapping) and any("." in key for key in item) for item in written)


def _free(name: str, written: Any, path: KeyPath) -> Iterator[Problem]:
    """What is wrong with an axis that sets several keys."""
    if name in COLUMNS:
        yield Problem(path, "is a column of the results; give the axis another name")
    several = written if isinstance(written, list | Mapping) else []
    items = list(several.items()) if isinstance(several, Mapping) else list(enumerate(several))
    if not items:
        expected = "a list of values or {low: 1e-6, high: 1e-4}" if is_key(name) else "a list of {KEY: VALUE}"
        yield Problem(path, f"found {found(written)}, expected {expected}")
    elif not all(isinstance(item, Mapping) and item for _, item in items):
        if is_key(name):
            yield Problem(path, f"found {found(written)}, expected a list of values or {{low: 1e-6, high: 1e-4}}")
            return
        close = nearest(name, Experiment.model_fields) or ".".join((*(belongs(name) or ()), name))
        hint = f"did you mean '{close}'?" if close != name else "an axis that is no key takes a list of {KEY: VALUE}"
        yield Problem(path, f"no key of a config; {hint}")


def _set_twice(axes: Mapping[str, Any]) -> Iterator[Problem]:
    """Keys that two axes set, one inside the other included."""
    keys = {name: keys_of(name, written) for name, written in axes.items()}
    for index, (name, own) in enumerate(keys.items()):
        for other in list(keys)[:index]:
            for key in own:
                clash = next(
                    (k for k in keys[other] if f"{k}.".startswith(f"{key}.") or f"{key}.".startswith(f"{k}.")), ""
                )
                if clash:
                    yield Problem(("axes", name), f"sets {key}, and the axis {other} sets {clash}; keep one of them")
                    break


def keys_of(name: str, written: Any) -> tuple[str, ...]:
    """The config keys that an axis sets."""
    items = list(written.values()) if isinstance(written, Mapping) else written
    if is_range(written) or not isinstance(items, list) or (is_key(name) and not _settings_of(written)):
        return (name,)
    return tuple(dict.fromkeys(key for item in items if isinstance(item, Mapping) for key in item))


def _settings_of(written: Any) -> bool:
    return _are_settings(written) if isinstance(written, Mapping) else _dotted_settings(written)


def _base(sweep: Sweep, text: Source) -> Path:
    beside = text.places[()].folder / Path(sweep.base).expanduser()
    if files.is_file(beside):
        return Path(os.path.normpath(beside))
    try:
        return load.find(sweep.base)
    except ConfigError as error:
        raise ConfigError(source.message(text.places[("base",)], "base", str(error))) from None

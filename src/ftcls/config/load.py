"""From a CONFIG argument and its overrides to a checked Experiment, and back to YAML.

Everything that is wrong is reported at once, in the order of the file.
"""

import copy
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import ftcls
from ftcls.config import source
from ftcls.config.explain import Problem, fields, line, nearest, problems, section_of
from ftcls.config.huggingface import NAMES, Advice
from ftcls.config.paths import make_absolute
from ftcls.config.rules import violations
from ftcls.config.schema import Experiment
from ftcls.config.section import Section
from ftcls.config.source import KeyPath, Place, Source
from ftcls.environment import files
from ftcls.errors import ConfigError

# Values that are names of the user's own: they are text even where they look like numbers or booleans.
_NAMES_IN_LIST: KeyPath = ("data", "labels")
_NAME: KeyPath = ("data", "positive_label")

# Where the schema demands a value: stands in for one that is wrong, so that the other rules can be asked.
_STAND_INS: Mapping[KeyPath, str] = {
    ("name",): "name", ("data", "source"): "files", ("model", "checkpoint"): "checkpoint"
}  # fmt: skip


@dataclass
class _Document:
    """A config with its overrides merged in, and where each value was written."""

    value: Any
    places: dict[KeyPath, Place]
    raw: dict[KeyPath, str]

    def place(self, path: KeyPath) -> Place:
        """Where a key was written, or the section that it is missing from."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]


Config = str | os.PathLike[str] | Mapping[str, Any] | Experiment
"""What stands for a config: a file, the name of a shipped one, the sections of one, or one that is loaded."""
Overrides = Mapping[str, Any] | Sequence[str]
"""Values by dotted key, as in ``{"training.learning_rate": 5e-5}``; or texts as the command line takes them."""


def load(config: Config, overrides: Overrides = ()) -> Experiment:
    """Load and check one config.

    Args:
        config: a file, the name of a shipped config (``quickstart``, ``configs/quickstart.yaml``), its sections as
            nested mappings, or an experiment.
        overrides: put over it, later ones win: ``{"training.learning_rate": 5e-5}``, or ``key.path=value``, read as
            YAML. They are checked like the file.

    Returns:
        The experiment, its paths absolute: those of the file were relative to it, all others to the working directory.

    Raises:
        ConfigError: with every error, located at file, line and column or at its override.
    """
    settings = _from_values(overrides) if isinstance(overrides, Mapping) else _given(overrides)
    if isinstance(config, Experiment):
        if not settings:
            return config
        # What was not set stays unset: a default must not stand in the way of an override.
        config = config.model_dump(mode="json", exclude_unset=True)
    if isinstance(config, Mapping):
        return combine(source.given(config, Place("config", folder=Path.cwd())), settings)
    if not isinstance(config, str | os.PathLike):
        raise ConfigError(
            f"config: a {type(config).__name__} is none; give a file, the name of a shipped config, or its sections as "
            'nested mappings. A table goes beside it, data=TABLE, or is saved first: train("rows.csv", label="label")'
        )
    return combine(read(config), settings)


@dataclass(frozen=True)
class Setting:
    """One value for one key, from wherever it was written."""

    key: str
    """Dotted: ``training.learning_rate``."""
    new: Source
    place: Place
    """Names the origin in errors, and the folder of a relative path."""


def read(argument: str | os.PathLike[str]) -> Source:
    """The YAML of a CONFIG argument, read but not checked.

    Raises:
        ConfigError: there is no such file, or it is not YAML.
    """
    path = find(argument)
    return source.read(path, shown(path, argument))


def combine(base: Source, settings: Sequence[Setting]) -> Experiment:
    """The experiment of a config with settings put over it; the later ones win.

    Raises:
        ConfigError: with every error, each located where its value was written.
    """
    document = _Document(copy.deepcopy(base.value), dict(base.places), dict(base.raw))
    document.places.setdefault((), Place("the config", 1, 1))
    for setting in settings:
        _put(document, tuple(setting.key.split(".")), setting.new, setting.place)
    if document.value is None:
        raise ConfigError(
            f"{document.place(()).origin}: is empty; `ftcls config show quickstart` prints a whole config"
        )
    return _checked(document)


def find(argument: str | os.PathLike[str]) -> Path:
    """The file that a CONFIG argument names.

    Raises:
        ConfigError: there is none; says which names come close.
    """
    path = Path(argument).expanduser()
    if files.is_file(path):
        return path
    known = shipped()
    stem = path.stem if path.suffix in (".yaml", ".yml") and path.parent == Path("configs") else str(argument)
    if stem in known:
        return known[stem]
    if files.is_folder(path):
        inside = path / "config.yaml"
        raise ConfigError(
            f"{argument}: is a folder; " + (f"did you mean {inside}?" if inside.is_file() else "name a file")
        )
    beside = [str(file) for file in sorted(path.parent.glob("*.y*ml"))] if files.is_folder(path.parent) else []
    close = nearest(str(argument), [*beside, *known]) or nearest(path.stem, known)
    hint = f"did you mean {close}? " if close else ""
    raise ConfigError(f"{argument}: no such file; {hint}Shipped configs: {', '.join(known)}".replace("; Sh", "; sh"))


def shipped() -> dict[str, Path]:
    """Name to file of the configs that come with ftcls."""
    package = Path(ftcls.__file__).parent
    # The wheel carries them inside the package; a checkout has them at its root.
    folder = next((home for home in (package / "configs", package.parents[1] / "configs") if home.is_dir()), None)
    return {} if folder is None else {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def dump(experiment: Experiment) -> str:
    """The whole experiment as YAML, every default written, in the order of the schema; loads again to an equal one."""
    return source.dump(experiment.model_dump(mode="json"))


def shown(path: Path, argument: str | os.PathLike[str]) -> str:
    """A file's name in messages: as it was typed, else relative to the working directory where it lies below."""
    if Path(argument).expanduser() == path:
        return str(argument)
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(absolute)


def _given(overrides: Sequence[str]) -> list[Setting]:
    """The settings of a command line."""
    errors: list[str] = []
    found: dict[str, Setting] = {}
    for index, override in enumerate(overrides, start=1):
        key, sign, written = override.partition("=")
        parts = tuple(key.strip().split("."))
        place = Place("command line", index, 0, override, Path.cwd())
        if not sign or not all(parts):
            errors.append(source.message(place, "", "expected KEY=VALUE, such as training.learning_rate=2e-5"))
        elif key.strip() in found:
            errors.append(source.message(place, "", f"{key} is given twice; keep one of them"))
        else:
            try:
                found[key.strip()] = Setting(key.strip(), source.parse(written, place), place)
            except ConfigError as error:
                errors.append(str(error))
    if errors:
        raise ConfigError("\n".join(errors))
    return list(found.values())


def _from_values(overrides: Mapping[str, Any]) -> list[Setting]:
    """The settings of a mapping from dotted key to value."""
    places = (
        Place("overrides", index, 0, f"{key}={value!r}", Path.cwd())
        for index, (key, value) in enumerate(overrides.items(), start=1)
    )
    return [
        Setting(key, source.given(value, place), place)
        for (key, value), place in zip(overrides.items(), places, strict=True)
    ]


def _put(document: _Document, path: tuple[str, ...], new: Source, place: Place) -> None:
    """Set one value, making the sections on the way; what stood there before is gone."""
    if not isinstance(document.value, dict):
        document.value = {}
    target = document.value
    for depth, key in enumerate(path[:-1], start=1):
        if not isinstance(target.get(key), dict):
            target[key] = {}
            document.places.setdefault(path[:depth], place)
        target = target[key]
    for known in [known for known in document.places if known[: len(path)] == path]:
        del document.places[known]
        document.raw.pop(known, None)
    target[path[-1]] = new.value
    document.places[path] = place
    document.places |= {(*path, *inner): place for inner in new.places}
    document.raw |= {(*path, *inner): text for inner, text in new.raw.items()}
    if path == ("training", "max_steps") and isinstance(document.value["training"], dict) and new.value is not None:
        _shorten(document)


def _shorten(document: _Document) -> None:
    # `training.max_steps=50` over a file that says num_train_epochs is how one tries a config out: the override wins.
    epochs, steps = (("training", key) for key in ("num_train_epochs", "max_steps"))
    if epochs in document.places and document.places[epochs].origin != document.places[steps].origin:
        del document.value["training"]["num_train_epochs"]
        del document.places[epochs]


def _checked(document: _Document) -> Experiment:
    value = document.value
    foreign = list(_foreign_names(document))
    found = [problem for problem, _ in foreign]
    _names_are_text(document)
    make_absolute(document.value, document.place)
    experiment = _validated(value)
    if experiment is None:
        advised = {key for _, advice in foreign for key in advice.settings}
        found += [problem for problem in problems(value) if not (problem.missing and _advised(problem.path, advised))]
    broken = frozenset(problem.path for problem in found)
    repaired = experiment or _validated(_repaired(value, broken))
    if repaired is not None:
        found += violations(repaired, broken)
    if found:
        raise ConfigError("\n".join(_located(document, found)))
    if experiment is None:
        raise ConfigError(f"{document.place(()).origin}: {_pydantic_message(value)}")
    return experiment


def _validated(value: Any) -> Experiment | None:
    # Through JSON, because strict mode takes lists for tuples there and still no text for a number.
    try:
        return Experiment.model_validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return None


def _pydantic_message(value: Any) -> str:
    try:
        Experiment.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        return str(error)
    return ""


def _located(document: _Document, found: list[Problem]) -> list[str]:
    ordered = sorted(found, key=lambda problem: document.place(problem.path).order)
    return [source.message(document.place(p.path), source.dotted(p.path), p.text) for p in ordered]


def _repaired(value: Any, broken: frozenset[KeyPath]) -> Any:
    """The value without what is wrong in it, with stand-ins for what it must have."""
    repaired = copy.deepcopy(value) if isinstance(value, dict) else {}
    for path in broken:
        _drop(repaired, path, Experiment)
    for path, stand_in in _STAND_INS.items():
        section = repaired
        for key in path[:-1]:
            section = section.setdefault(key, {})
        section.setdefault(path[-1], stand_in)
    return repaired


def _drop(value: Any, path: KeyPath, section: type[Section]) -> None:
    """Delete the field that a path leads into: a list without its wrong item would mean something else."""
    if not path or not isinstance(value, dict) or path[0] not in value:
        return
    key = str(path[0])
    hints = fields(section)
    inner = section_of(hints[key]) if key in hints else None
    if inner is None or len(path) == 1:
        del value[key]
    else:
        _drop(value[key], path[1:], inner)


def _advised(path: KeyPath, advised: set[str]) -> bool:
    """Whether following the advice on foreign names brings the missing key."""
    return any(tuple(key.split("."))[: len(path)] == path for key in advised)


def _foreign_names(document: _Document) -> Iterator[tuple[Problem, Advice]]:
    """Names from Hugging Face scripts, taken out of the document and answered with the ftcls line."""
    spots = list(_foreign_spots(document.value, Experiment, ()))
    names = {str(path[-1]): value for path, value, _ in spots}
    training = document.value.get("training") if isinstance(document.value, dict) else None
    if isinstance(training, dict) and "batch_size" in training:
        names["training.batch_size"] = training["batch_size"]
    for path, value, owner in spots:
        del owner[path[-1]]
        advice = NAMES[str(path[-1])](value, names)
        yield Problem(path, _advice_text(advice, document.place(path))), advice


def _foreign_spots(value: Any, section: type[Section] | None, path: KeyPath) -> Iterator[tuple[KeyPath, Any, Any]]:
    if not isinstance(value, dict) or (section is None and path):
        return
    known = fields(section) if section else {}
    for key, item in value.items():
        if key not in known and key in NAMES:
            yield (*path, key), item, value
        elif key in known:
            yield from _foreign_spots(item, section_of(known[key]), (*path, key))


def _advice_text(advice: Advice, place: Place) -> str:
    note = f" ({advice.note})" if advice.note else ""
    if not advice.settings:
        return f"is a Hugging Face name; leave it out: {advice.note}"
    if place.is_override:
        settings = [f"{key}={source.flow(value)}" for key, value in advice.settings.items()]
        shown = " ".join(f'"{text}"' if set(text) & set(' "[]{}|&') else text for text in settings)
    else:
        shown = "; ".join(_yaml_lines(advice.settings))
    return f"is a Hugging Face name; write {shown}{note}"


def _yaml_lines(settings: Mapping[str, Any]) -> Iterator[str]:
    """The settings as YAML, one line per section: ``training: {batch_size: 16}``."""
    sections: dict[str, Any] = {}
    for dotted, value in settings.items():
        *outer, last = dotted.split(".")
        target = sections
        for key in outer:
            target = target.setdefault(key, {})
        target[last] = value
    for key, value in sections.items():
        yield line((key,), value)


def _names_are_text(document: _Document) -> None:
    data = document.value.get("data") if isinstance(document.value, dict) else None
    if not isinstance(data, dict):
        return
    labels = data.get("labels")
    if isinstance(labels, list):
        data["labels"] = [document.raw.get((*_NAMES_IN_LIST, index), item) for index, item in enumerate(labels)]
    if data.get("positive_label") is not None:
        data["positive_label"] = document.raw.get(_NAME, data["positive_label"])

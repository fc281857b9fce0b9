"""A trial: one ``ftcls train`` command with a folder of its own."""

import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from ftcls.config import source
from ftcls.config.load import dump, load, shown
from ftcls.config.recipe import complete_from
from ftcls.config.smoke import sets_aside
from ftcls.config.source import flow
from ftcls.errors import ConfigError
from ftcls.runs.directory import RunDir
from ftcls.search.space import Axis, Choice, Space

_HASH: Final = 8
_LONGEST_SLUG: Final = 80


@dataclass(frozen=True)
class Options:
    """What is said to every trial beside its config."""

    smoke: bool = False
    offline: bool = False
    allow_code: bool = False

    def arguments(self) -> tuple[str, ...]:
        """The options as ``ftcls train`` takes them."""
        names = {"--smoke": self.smoke, "--offline": self.offline, "--allow-code": self.allow_code}
        return tuple(name for name, wanted in names.items() if wanted)


@dataclass(frozen=True)
class Trial:
    """One combination, its command and its folder."""

    name: str
    """What is varied, readable, and the beginning of the hash of the resolved config: another config, another name."""
    choices: dict[str, str]
    """Label of the choice by axis."""
    values: dict[str, Any]
    """Plain value by axis."""
    seed: int
    config: str
    """The resolved config, as YAML."""
    run: RunDir
    command: tuple[str, ...]
    """As one would type it."""

    @property
    def process(self) -> list[str]:
        """The command with the Python and the ftcls of this process."""
        return [sys.executable, "-m", "ftcls", *self.command[1:]]

    @property
    def done(self) -> bool:
        """Whether its run is complete.

        Raises:
            ConfigError: the run in its folder was made from another config.
        """
        if not self.run.done:
            return False
        # A smoke run's config is not the trial's own; its name keeps it apart from others.
        if "--smoke" not in self.command and not _same(self.run, self.config):
            raise ConfigError(
                f"{self.run.path}: was trained with another config than this sweep's, so the base changed while the "
                "sweep ran; delete that folder and run the sweep again"
            )
        return True

    def clear(self) -> None:
        """Remove what is left of a run that was killed while it made its folder: no config, and so no run to resume."""
        if self.run.path.is_dir() and not self.run.config.is_file():
            for staged in self.run.path.glob(f".{self.run.config.name}-*"):
                staged.unlink()

    @property
    def busy(self) -> bool:
        """Whether a process is training in its folder."""
        lock = self.run.path / ".lock"
        if not lock.is_file():
            return False
        try:
            with FileLock(lock, blocking=False):
                return False
        except Timeout:
            return True


@dataclass(frozen=True)
class Plan:
    """A sweep before it runs."""

    space: Space
    folder: Path
    trials: tuple[Trial, ...] | None
    """None where each is chosen by those before."""
    options: Options

    @property
    def total(self) -> int | None:
        """How many trials there are to be; None where time is the only limit."""
        return self.space.file.sweep.search.trials if self.trials is None else len(self.trials)

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.space.file.sweep.name


def trials(space: Space, combinations: Iterator[tuple[Choice, ...]], folder: Path, options: Options) -> list[Trial]:
    """The trial of every combination; those that make the same config are one.

    Raises:
        ConfigError: combinations that are no config, with the first of them.
    """
    found: dict[str, Trial] = {}
    for choices in combinations:
        made = trial(space, choices, folder, options)
        found.setdefault(made.name[-_HASH:], made)
    return list(found.values())


def trial(space: Space, choices: Sequence[Choice], folder: Path, options: Options) -> Trial:
    """The trial of one combination.

    Raises:
        ConfigError: it makes no config.
    """
    labels = {axis.name: choice.label for axis, choice in zip(space.axes, choices, strict=True)}
    try:
        experiment = space.experiment(choices)
    except ConfigError as error:
        where = ", ".join(f"{name}: {label}" for name, label in labels.items())
        raise ConfigError(f"{error}\n(with {where})") from error
    config = dump(experiment)
    digest = hashlib.sha256(f"{config}{'smoke' * options.smoke}".encode()).hexdigest()[:_HASH]
    name = f"{_slug(space.axes, choices)}-{digest}"
    path = folder / "trials" / name
    base = shown(space.file.base, "")
    resolved = experiment.model_dump(mode="json")
    settings = [
        f"{setting.key}={_written(resolved, setting.key)}"
        for each in choices
        for setting in each.settings
        if not (options.smoke and sets_aside(setting.key))  # beside --smoke such a key is an error
    ]
    command = ("ftcls", "train", base, *settings, "--output", str(path), "--resume", *options.arguments())
    values = {axis.name: choice.value for axis, choice in zip(space.axes, choices, strict=True)}
    return Trial(name, labels, values, experiment.seed, config, RunDir(path.absolute()), command)


def _slug(axes: Sequence[Axis], choices: Sequence[Choice]) -> str:
    parts = [f"{axis.name.split('.')[-1]}-{choice.label}" for axis, choice in zip(axes, choices, strict=True)]
    text = re.sub(r"-+(?=_|$)", "", re.sub(r"[^A-Za-z0-9._-]+", "-", "_".join(parts)))
    return text[:_LONGEST_SLUG].strip("-._") or "trial"


def _written(resolved: dict[str, Any], key: str) -> str:
    """A key's value in the resolved config, where paths are absolute and names are text."""
    value: Any = resolved
    for part in key.split("."):
        value = value[part]
    return flow(value)


def _same(run: RunDir, config: str) -> bool:
    if run.config.read_text(encoding="utf-8") == config:
        return True
    # Newer versions may write keys that an old run's config lacks: then the values decide. A schedule that the config
    # leaves open was chosen by the run, whose own config has the numbers.
    made, wanted = load(run.config), load(source.parse(config, source.Place(str(run.config))).value)
    return complete_from(wanted, made.model_dump()["training"]) == made

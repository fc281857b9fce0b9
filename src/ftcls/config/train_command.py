"""Train commands that a person is told to type: whole, so that they run as they stand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftcls.config.load import load
from ftcls.config.schema import Experiment
from ftcls.config.source import flow
from ftcls.environment.typed_lines import line
from ftcls.errors import ConfigError


def train_command(config: Path, keys: Mapping[str, Any] | None = None, *, output: Path | None = None) -> str:
    """Train a config with some of its keys set otherwise, into a run of this path.

    What the config names of Python code somebody has looked at and allowed; the command says so again, else it is
    refused.
    """
    settings = [f"{key}={flow(value)}" for key, value in (keys or {}).items()]
    place = [] if output is None else ["--output", output.as_posix()]
    return line(["ftcls", "train", config.as_posix(), *settings, *place, *_allowance(config)])


def resume_command(config: Path, run: Path) -> str:
    """Continue a run from its own config."""
    return f"{train_command(config, output=run)} --resume"


def _allowance(config: Path) -> list[str]:
    if not config.is_file():
        return []
    try:
        return ["--allow-code"] if names_code(load(config)) else []
    except ConfigError:  # whoever types the command is told what is wrong with it
        return []


def names_code(experiment: Experiment) -> bool:
    """Whether a training runs Python code that the config names, or that comes with its checkpoint."""
    wanted = experiment.metrics
    return bool(
        wanted.evaluate or wanted.functions or experiment.loss.function is not None or experiment.model.allow_code
    )

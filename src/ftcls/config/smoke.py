"""Which keys a smoke run sets aside: those that say on what rows and from which checkpoint it trains."""

from collections.abc import Mapping
from typing import Final

from ftcls.config.load import Overrides
from ftcls.config.schema import Experiment
from ftcls.errors import ConfigError

SET_ASIDE: Final = (
    *("data.path", "data.subset", "data.split.test"),
    *("model.checkpoint", "model.revision", "model.attention", "adapter.target_modules", "training.freeze"),
    "report.trackers",
)
"""Keys, and sections with all their keys."""


def sets_aside(key: str) -> bool:
    """Whether a dotted key, or the section that it stands in, is set aside."""
    return any(key == each or key.startswith(f"{each}.") for each in SET_ASIDE)


def keys(overrides: Overrides) -> tuple[str, ...]:
    """The dotted keys of overrides that were read before."""
    if isinstance(overrides, Mapping):
        return tuple(overrides)
    return tuple(override.partition("=")[0].strip() for override in overrides)


def refuse_without_effect(overrides: Overrides, asked: Experiment, small: Experiment) -> None:
    """Do nothing where every override has its effect in small too.

    Raises:
        ConfigError: one has none; names all of them.
    """
    lost = [key for key in keys(overrides) if sets_aside(key) and _value(asked, key) != _value(small, key)]
    if lost:
        raise ConfigError(
            f"--smoke: {', '.join(lost)}: no effect, since a smoke run takes few rows of its own and a small untrained "
            "model; leave it out, or run without --smoke (training.max_steps=20 makes that short)"
        )


def _value(experiment: Experiment, key: str) -> object:
    value: object = experiment
    for part in key.split("."):
        value = getattr(value, part, None)
    return value

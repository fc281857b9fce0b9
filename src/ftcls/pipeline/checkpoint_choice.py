"""The checkpoint that a time allows, of those that are at hand: nothing is fetched for it."""

import math
from typing import TYPE_CHECKING, Final

from huggingface_hub import try_to_load_from_cache

from ftcls.environment import devices
from ftcls.environment.devices import EFFICIENCY, Machine
from ftcls.pipeline.starter_config import LARGE, PACKAGED, SMALL, Checkpoint, packaged, tokens, training_recipe

if TYPE_CHECKING:
    from ftcls.pipeline.file_contents import Contents

_PACKAGE: Final = f"package:{PACKAGED}"
_SIZES: Final = {LARGE: (85_000_000, 768), SMALL: (10_600_000, 384), _PACKAGE: (10_600_000, 384)}
"""Parameters of the layers, and their width, from the largest."""
_OPERATIONS: Final = 6
"""For each of these parameters and each token that is learnt: two forward, four backward (Kaplan et al. 2020)."""
_SHARE: Final = 0.5
"""Of the time, that the training may take by this estimate; evaluations and simple models take the rest."""
_FILES: Final = ("config.json", "tokenizer.json", "model.safetensors")


def at_hand() -> tuple[str, ...]:
    """The checkpoints of a first config that need no download, the largest first: in the Hub's cache, or a package."""
    cached = [name for name in (LARGE, SMALL) if all(_is_cached(name, file) for file in _FILES)]
    return (*cached, *([_PACKAGE] if packaged() else []))


def choose(found: "Contents", machine: Machine, seconds: float) -> Checkpoint | None:
    """The largest checkpoint at hand whose whole schedule takes half of the time, else the smallest at hand.

    Args:
        found: the data file.
        machine: what the training runs on.
        seconds: that it may take.

    Returns:
        None where none is at hand.
    """
    here = at_hand()
    for name in here:
        if _seconds(found, machine, name) <= _SHARE * seconds:
            return Checkpoint(name, "the largest at hand whose whole schedule fits into the time")
    return Checkpoint(here[-1], "the smallest at hand, for a short time") if here else None


def _seconds(found: "Contents", machine: Machine, name: str) -> float:
    """Of a whole training, about."""
    size, width = _SIZES[name]
    epochs = training_recipe(found, large=name == LARGE).num_train_epochs
    low, high = EFFICIENCY[machine.device]
    reached = devices.speed(machine, width) * math.sqrt(low * high)
    return _OPERATIONS * size * tokens(found, name) * epochs / reached


def _is_cached(name: str, file: str) -> bool:
    return isinstance(try_to_load_from_cache(name, file), str)

"""Paths in a config: relative to the file that says them, absolute from then on."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ftcls.config.source import KeyPath, Place
from ftcls.environment import files

_PATHS: Final = (
    *("data.path", "data.path.train", "data.path.validation", "data.path.test"),
    *("model.checkpoint", "distillation.teacher", "distillation.texts"),
)
_MODULES: Final = ("metrics", "evaluate")
_FUNCTIONS: Final = ("metrics", "functions")
IN_FILE: Final = ".py:"
"""Stands between the file of a function and its name."""


def make_absolute(document: Any, place: Callable[[KeyPath], Place]) -> None:
    """Make every path of a document absolute, in place.

    Args:
        document: sections as nested mappings, or whatever a file holds instead.
        place: where a key was said.
    """
    functions = [(*_FUNCTIONS, name) for name in _section(document, _FUNCTIONS)]
    for path in (*(tuple(key.split(".")) for key in (*_PATHS, "loss.function")), *functions):
        section = _section(document, path[:-1])
        if path[-1] in section:
            section[path[-1]] = absolute(".".join(path), section[path[-1]], place(path))
    metrics = _section(document, _MODULES[:1])
    if isinstance(modules := metrics.get("evaluate"), list):
        folder = place(_MODULES)
        metrics["evaluate"] = [_local_or_name(each, folder) if isinstance(each, str) else each for each in modules]


def absolute(key: str, value: Any, place: Place) -> Any:
    """The value of one key with its path, if it is one, made absolute; any other value as it is."""
    if not isinstance(value, str):
        return value
    if key == "loss.function" or key.startswith(f"{'.'.join(_FUNCTIONS)}."):
        return _function(value, place)
    if key not in _PATHS:
        return value
    return _local_or_name(value, place) if key == "model.checkpoint" else _absolute(value, place)


def _section(document: Any, path: KeyPath) -> dict[str, Any]:
    """The mapping at a path; an empty one where there is none."""
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def _absolute(path: str, place: Place) -> str:
    # normpath, not resolve: a link in the path is the user's choice and stays in the config.
    return os.path.normpath(place.folder / Path(path).expanduser())


def _function(said: str, place: Place) -> str:
    """``FILE.py:NAME`` with its file made absolute; ``MODULE:NAME`` as it is."""
    file, mark, name = said.rpartition(IN_FILE)
    return f"{_absolute(f'{file}.py', place)}:{name}" if mark else said


def _local_or_name(name: str, place: Place) -> str:
    """A path made absolute; what neither looks like one nor is there is a name of the Hub, or of a cache."""
    local = name.startswith(("./", "../", "~", ".\\", "..\\")) or Path(name).is_absolute()
    if local or (name and files.is_there(place.folder / name)):
        return _absolute(name, place)
    return name

"""Code that comes with a checkpoint: it runs where this call allows it, and for the places that the call names.

What the files of a checkpoint or of a run say allows nothing. A permission holds for one call of `train`, `predict` and
so on, in the thread that makes it, and ends with it.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from transformers import PretrainedConfig

from ftcls.environment import json_files
from ftcls.errors import UnavailableError

log = logging.getLogger(__name__)

KEY: Final = "auto_map"
"""In config.json and tokenizer_config.json: the classes of the code, ``module.Class``."""
_FILES: Final = ("config.json", "tokenizer_config.json")
_ELSEWHERE: Final = "--"
"""Stands between a repository of the Hub and a class in it."""
_allowed: ContextVar[frozenset[str]] = ContextVar("allowed", default=frozenset())

REFUSED: Final = (
    "it would have to run Python code that comes with the checkpoint, which nobody has allowed. Look at the code; then "
    "write model.allow_code: true into the config and add --allow-code to the command, for a run that was trained so "
    "add --allow-code. Or take a checkpoint whose architecture transformers has"
)


@contextmanager
def permission(*places: str | Path, given: bool = True) -> Iterator[None]:
    """Let the code of some checkpoints, or of what is inside some folders, run meanwhile; not ``given``, nothing.

    Args:
        places: folders, or ids on the Hub.
        given: whether --allow-code is.
    """
    if not given:
        yield
        return
    token = _allowed.set(_allowed.get() | {_named(place) for place in places})
    try:
        yield
    finally:
        _allowed.reset(token)


def extend(place: Path) -> None:
    """Where a permission is in force, let it hold for a folder that this call makes too."""
    if _allowed.get():
        _allowed.set(_allowed.get() | {_named(place)})


def check_given(checkpoint: str, *, wanted: bool, given: bool) -> None:
    """See that a config that lets the code of its checkpoint run was called with --allow-code.

    Raises:
        UnavailableError: it was not.
    """
    if wanted and not given:
        raise UnavailableError(
            f"model.allow_code: lets Python code run that comes with {checkpoint}. Look at the code, then add "
            "--allow-code to this command; or override with model.allow_code=false"
        )


def may_run(place: Path | str) -> bool:
    """Whether the code of a checkpoint may run, by what `resolve` made of its name."""
    name = _named(place)
    return any(name == each or Path(each) in Path(name).parents for each in _allowed.get())


def of_config(config: PretrainedConfig) -> bool:
    """Whether the code of the checkpoint that a configuration was read from may run."""
    own = all(
        _ELSEWHERE not in each or each.partition(_ELSEWHERE)[0] == config.name_or_path
        for each in _classes(getattr(config, KEY, None))
    )
    return own and bool(config.name_or_path) and may_run(config.name_or_path)


def check(folder: Path, place: Path | str) -> None:
    """See that a checkpoint that may run its code has all of it, and that of no other repository.

    Args:
        folder: where its files are.
        place: its name.

    Raises:
        UnavailableError: its code lies elsewhere.
    """
    for each in _of_folder(folder):
        if _ELSEWHERE in each:
            raise UnavailableError(
                f"model.checkpoint: {place}: names the code of another repository, {each.partition(_ELSEWHERE)[0]}; "
                "ftcls runs that of the checkpoint itself alone"
            )
        log.info("%s: runs its own code, %s", place, each)


def kept(folder: Path) -> list[str]:
    """The files of own code in a folder that are named by its config.json."""
    names = {f"{each.partition('.')[0]}.py" for each in _of_folder(folder)}
    return sorted(name for name in names if (folder / name).is_file())


def _of_folder(folder: Path) -> list[str]:
    found = []
    for name in _FILES:
        path = folder / name
        stored = json_files.value(path) if path.is_file() else None
        found += _classes(stored.get(KEY)) if isinstance(stored, dict) else []
    return list(dict.fromkeys(found))


def _classes(stored: Any) -> list[str]:
    if isinstance(stored, dict):
        return [name for each in stored.values() for name in _classes(each)]
    if isinstance(stored, list | tuple):
        return [name for each in stored for name in _classes(each)]
    return [stored] if isinstance(stored, str) else []


def _named(place: Path | str) -> str:
    path = Path(place)
    return str(path.absolute().resolve()) if path.is_dir() else str(place)

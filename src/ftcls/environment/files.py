"""Writing files so that a crash leaves no half of one: beside their place first, then put there in one step."""

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftcls.errors import ConfigError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file beside ``path``, then put it in its place in one step; on an error ``path`` stays as it was.

    Raises:
        ConfigError: see `refuse_special`.
    """
    refuse_special(path)
    path = path.resolve()  # a link goes on pointing to what is written
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    staged = Path(name)
    try:
        yield staged
        sync(staged)
        staged.chmod(0o644)  # mkstemp's 0600 would hide the result from everybody else
        staged.replace(path)
        sync_folder(path.parent)
    finally:
        staged.unlink(missing_ok=True)


def refuse_special(path: Path) -> None:
    """See that a file may stand here: putting one in the place of /dev/null would take it from the whole machine.

    Raises:
        ConfigError: a folder, a device or a pipe is here.
    """
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path}: is there and is not a file that could be replaced; name another output")


@contextlib.contextmanager
def making(path: Path) -> Iterator[Path]:
    """Fill a folder beside ``path``, then put it in its place in one step; on an error there is no ``path``.

    Raises:
        ConfigError: ``path`` exists and is not an empty folder.
    """
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise ConfigError(f"--output {path}: exists and is not an empty folder; name another")
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.absolute().parent))
    try:
        yield staged
        staged.chmod(0o755)  # mkdtemp's 0700 would hide the result from everybody else
        if path.is_dir():
            path.rmdir()  # empty; Windows moves nothing onto a folder
        staged.replace(path)
        sync_folder(path.absolute().parent)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def sync(path: Path) -> None:
    """See that the content of a file is on the disk."""
    with path.open("rb+") as file:  # rb+: Windows flushes only files that are open for writing
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """See that the names in a folder are on the disk."""
    if os.name == "nt":  # where a folder cannot be opened, and names are on the disk with the rename
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a network file system that knows no such thing
            raise
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with replacing(path) as staged:
        staged.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all; NaN and infinity are refused."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """A value as `write_json` writes it."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

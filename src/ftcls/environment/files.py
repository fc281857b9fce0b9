"""Writing files so that a crash leaves no half of one: beside their place first, then put there in one step."""

import contextlib
import errno
import glob
import json
import os
import platform
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ftcls.errors import ConfigError

UNWRITABLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})
"""Numbers of the errors of a place where nothing can be written: full, over its quota, read-only, somebody else's."""
_HOST: Final = re.sub(r"[^\w.]", "", platform.node()) or "here"
_STAGED: Final = re.compile(r"\..*-(?P<host>[\w.]+)-(?P<pid>\d+)-\w+")
_ABANDONED: Final = 86_400.0
"""Seconds."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file beside ``path``, then put it in its place in one step; on an error ``path`` stays as it was.

    A link goes on pointing to what is written, a file that was there keeps its permissions.

    Raises:
        ConfigError: see `refuse_special`.
    """
    refuse_special(path)
    path = path.resolve()  # a link goes on pointing to what is written
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, path.name)
    handle, name = tempfile.mkstemp(prefix=staged_prefix(path.name), dir=path.parent)
    os.close(handle)
    staged = Path(name)
    try:
        with naming(path, staged):
            yield staged
            sync(staged)
            staged.chmod(_mode(path))  # mkstemp's 0600 would hide the result from everybody else
            staged.replace(path)
            sync_folder(path.parent)
    finally:
        staged.unlink(missing_ok=True)


@contextlib.contextmanager
def naming(path: Path, staged: Path | None = None) -> Iterator[None]:
    """Have an error of writing say what was to be written: a full disk names nothing, and so do libraries.

    Args:
        path: what is written.
        staged: where it is written first, which nobody knows.
    """
    try:
        yield
    except Exception as error:
        found = getattr(error, "filename", None)
        if found is None or (staged is not None and str(found).startswith(str(staged))):
            with contextlib.suppress(AttributeError):
                error.filename = str(path)  # type: ignore[attr-defined]
        raise


def staged_prefix(name: str) -> str:
    """How the name of a file or folder begins that becomes ``name`` when it is whole: who writes it stands in it."""
    return f".{name}-{_HOST}-{os.getpid()}-"


def left_over(folder: Path, name: str | None = None) -> list[Path]:
    """What processes left in a folder that were killed while they wrote ``name``, or anything.

    Of a process of another machine nobody here knows whether it lives: what it writes is left over after a day.
    """
    pattern = f".{'*' if name is None else glob.escape(name)}-*-*-*"
    return [path for path in folder.glob(pattern) if (found := _STAGED.fullmatch(path.name)) and _dead(path, found)]


def sweep(folder: Path, name: str | None = None) -> None:
    """Delete what `left_over` finds."""
    for path in left_over(folder, name):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _dead(path: Path, owner: re.Match[str]) -> bool:
    import psutil  # here: most calls find nothing

    if owner["host"] == _HOST:
        return not psutil.pid_exists(int(owner["pid"]))
    with contextlib.suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime > _ABANDONED
    return False


def _mode(path: Path) -> int:
    """The permissions of a file that is replaced; of a new one those that the umask leaves."""
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask()


def _umask() -> int:
    # It can only be asked for by setting it, and threads share it: Linux says it without.
    with contextlib.suppress(OSError, StopIteration), Path("/proc/self/status").open(encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("Umask:")).split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


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
    sweep(path.parent, path.name)
    staged = Path(tempfile.mkdtemp(prefix=staged_prefix(path.name), dir=path.absolute().parent))
    try:
        with naming(path, staged):
            yield staged
            staged.chmod(0o777 & ~_umask())  # mkdtemp's 0700 would hide the result from everybody else
            if path.is_dir():
                path.rmdir()  # empty; Windows moves nothing onto a folder
            staged.replace(path)
            sync_folder(path.absolute().parent)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def is_there(path: Path) -> bool:
    """Whether anything is there; see `is_file`."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: Path) -> bool:
    """Whether a file is there. What can be no path, such as a name that is too long, is none, and no error."""
    return os.path.isfile(path)  # noqa: PTH113 - pathlib's raises until Python 3.12


def is_folder(path: Path) -> bool:
    """Whether a folder is there; see `is_file`."""
    return os.path.isdir(path)  # noqa: PTH112


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

"""Where ftcls keeps what can be made again: downloads, parsed sources, token ids.

The folder is ``$FTCLS_CACHE``, else ``$XDG_CACHE_HOME/ftcls``, else ``~/.cache/ftcls``. Entries appear whole or not at
all; one that is damaged is built again. A cache is a convenience: where it cannot be written, a folder that goes with
the process takes its place.
"""

import atexit
import contextlib
import functools
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from ftcls.environment import files, manifest
from ftcls.environment.files import UNWRITABLE
from ftcls.errors import DataError

T = TypeVar("T")

log = logging.getLogger(__name__)


def root() -> Path:
    """The folder of all entries; it need not be there."""
    home = os.environ.get("FTCLS_CACHE")
    return Path(home) if home else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ftcls"


def folder(kind: str) -> Path:
    """The folder of one kind of entry (``downloads``, ``encoded`` ...), made if it is missing."""
    try:
        path = root() / kind
        path.mkdir(parents=True, exist_ok=True)
        if os.access(path, os.W_OK | os.X_OK):
            return path
        reason = "it cannot be written"
    except (OSError, RuntimeError) as error:  # the latter: nobody's home
        reason = str(error)
    path = _passing(reason) / kind
    path.mkdir(exist_ok=True)
    return path


@functools.cache
def _passing(reason: str) -> Path:
    """A folder for this process alone."""
    log.warning("no cache is kept (%s); FTCLS_CACHE names a folder for it", reason)
    path = Path(tempfile.mkdtemp(prefix="ftcls-cache-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def entry(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """The folder of one entry; ``build(folder)`` fills it first if it is not there.

    Two processes that want the same entry wait for each other: one builds, both read. An entry that was being built
    when its process died is not seen by anybody.
    """
    home = folder(kind)
    try:
        return _entry(home, key, build)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        place = _passing(str(error)) / kind
        place.mkdir(exist_ok=True)
        return _entry(place, key, build)


def read(kind: str, key: str, build: Callable[[Path], None], load: Callable[[Path], T]) -> T:
    """What ``load(folder)`` gives of an entry, which is built anew where it cannot be loaded.

    It may have the files that were written, and these be of another version.
    """
    path = entry(kind, key, build)
    try:
        return load(path)
    except Exception as error:  # noqa: BLE001 - whatever it is, the entry can be made again
        log.warning("%s: cannot be read (%s); this entry of the cache is built again", path, error)
        with FileLock(path.with_name(f"{key}.lock")):
            shutil.rmtree(path, ignore_errors=True)
    return load(entry(kind, key, build))


def _entry(home: Path, key: str, build: Callable[[Path], None]) -> Path:
    path = home / key
    if _damage(path) is None:
        with contextlib.suppress(OSError):  # of a cache that others fill
            os.utime(path)  # last use, for `prune`
        return path
    with FileLock(home / f"{key}.lock"):
        damage = _damage(path)
        if damage is None:
            return path
        if path.exists():
            log.warning("%s; this entry of the cache is built again", damage)
        files.sweep(home)
        staged = Path(tempfile.mkdtemp(prefix=files.staged_prefix(key), dir=home))
        try:
            build(staged)
            manifest.write(staged)
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            staged.rename(path)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return path


def _damage(path: Path) -> str | None:
    """What is wrong with an entry, in words; None: it is whole."""
    try:
        found = manifest.damages(path, manifest.read(path))
        return None if not found else str(found[0])
    except DataError as error:
        return str(error)


def prune(kind: str, limit_bytes: int) -> None:
    """Delete the entries not used for longest until the rest is under the limit."""
    used = 0
    for path in sorted(
        (p for p in folder(kind).iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime, reverse=True
    ):
        used += sum(f.stat().st_size for f in path.rglob("*") if f.is_file() and f.name != manifest.FILE)
        if used > limit_bytes:
            shutil.rmtree(path, ignore_errors=True)

"""Where ftcls keeps what can be made again: downloads, parsed sources, token ids.

The folder is ``$FTCLS_CACHE``, else ``$XDG_CACHE_HOME/ftcls``, else ``~/.cache/ftcls``. Entries appear whole or not at
all. A cache is a convenience: where it cannot be written, a folder that goes with the process takes its place.
"""

import atexit
import functools
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

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
    path = home / key
    if path.is_dir():
        os.utime(path)  # last use, for `prune`
        return path
    with FileLock(home / f"{key}.lock"):
        if not path.is_dir():
            staged = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=home))
            try:
                build(staged)
                staged.rename(path)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
    return path


def prune(kind: str, limit_bytes: int) -> None:
    """Delete the entries not used for longest until the rest is under the limit."""
    used = 0
    for path in sorted(
        (p for p in folder(kind).iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime, reverse=True
    ):
        used += sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
        if used > limit_bytes:
            shutil.rmtree(path, ignore_errors=True)

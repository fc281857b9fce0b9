"""Downloading a file once: announced, resumed where it stopped, checked, cached, by one process at a time."""

import http.client
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final

import huggingface_hub.constants
from filelock import FileLock

from ftcls.environment import cache, hub_access
from ftcls.errors import DataError, UnavailableError

log = logging.getLogger(__name__)

ATTEMPTS: Final = 3
"""How often a transfer that breaks off is taken up at once; the next command takes it up again."""
PATIENCE: Final = 2.0
"""Seconds that a server has for its first answer: of two that are away, both are known within five seconds."""
SILENCE: Final = 30.0
"""Seconds without a byte after which a transfer has broken off."""
PROGRESS: Final = 5.0
"""Seconds between two lines about a transfer."""
_BLOCK: Final = 1 << 16
_MEGABYTE: Final = 1e6


class _Failed(Exception):
    """This address does not give the file; the message is the reason."""


def fetch(addresses: Sequence[str], *, name: str, check: Callable[[Path], None], remedy: str) -> Path:
    """The file, from the cache or from the first address that gives it.

    A transfer that breaks off leaves ``NAME.part`` in the cache, and the next one goes on from there. The file gets its
    name when it is whole and checked, and not before.

    Args:
        addresses: where it is, the best one first.
        name: its name in the cache, which no other file may have.
        check: raises DataError if the file is not what it should be.
        remedy: the way without it, as a sentence.

    Raises:
        UnavailableError: offline, or no address gives the file: with the reason of each.
    """
    home = cache.folder("downloads")
    path, part = home / name, home / f"{name}.part"
    if path.is_file():
        return path
    reasons: list[str] = []
    with FileLock(home / f"{name}.lock"):
        if path.is_file():  # another process was faster
            return path
        if huggingface_hub.constants.is_offline_mode():
            raise UnavailableError(f"{name} is not in {home}, and offline nothing is downloaded.\n{remedy}")
        for address in addresses:
            try:
                _checked(address, part, check)
            except _Failed as failed:
                reasons.append(f"\n  {address}: {failed}")
            else:
                part.rename(path)
                log.info("%s is in %s", name, home)
                return path
    raise UnavailableError(f"{name} cannot be downloaded:{''.join(reasons)}\n{remedy}")


def _checked(address: str, part: Path, check: Callable[[Path], None]) -> None:
    """Fill the file and check it; if what was there before does not fit to the rest, begin anew."""
    while True:
        resumed = _size(part) > 0
        _transfer(address, part)
        try:
            check(part)
        except DataError as error:
            part.unlink()
            if not resumed:
                raise _Failed(f"gives something else: {error}") from error
            log.info("what an earlier transfer left does not fit: again from the beginning")
        else:
            return


def _transfer(address: str, part: Path) -> None:
    if not hub_access.answers(address, PATIENCE):
        raise _Failed(f"no answer within {PATIENCE:g} seconds")
    reason = "the connection was closed"
    for _ in range(ATTEMPTS):
        try:
            if _attempt(address, part):
                return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise _Failed(f"answers {error.code} {error.reason}") from error
            part.unlink()  # longer than the file, so it is part of something else
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
    raise _Failed(
        f"broke off after {_size(part) / _MEGABYTE:.1f} MB ({reason}); the same command again goes on from there"
    )


def _attempt(address: str, part: Path) -> bool:
    """Append what is still missing; whether all of it came."""
    start = _size(part)
    request = urllib.request.Request(address, headers={"Range": f"bytes={start}-"} if start else {})
    with urllib.request.urlopen(request, timeout=SILENCE) as response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            start = 0  # a server that does not resume sends everything
        length = response.headers["Content-Length"]
        total = start + int(length) if length else None
        size = f" ({total / _MEGABYTE:.1f} MB)" if total else ""
        log.info("%s %s%s", f"continuing at {start / _MEGABYTE:.1f} MB:" if start else "downloading", address, size)
        with part.open("ab" if start else "wb") as file:
            _copy(response, file, start, total)
    return total is None or _size(part) == total


def _copy(response: http.client.HTTPResponse, file: IO[bytes], done: int, total: int | None) -> None:
    said = time.monotonic()
    while block := response.read(_BLOCK):
        file.write(block)
        done += len(block)
        if total and time.monotonic() - said > PROGRESS:
            said = time.monotonic()
            log.info("%.1f of %.1f MB", done / _MEGABYTE, total / _MEGABYTE)


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0

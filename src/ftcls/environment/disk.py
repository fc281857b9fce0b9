"""A disk where nothing more can be written: recognized whatever library meets it, and looked at before the start."""

import errno
import os
import re
import shutil
from pathlib import Path
from typing import Final

from ftcls.errors import UnavailableError

FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_WORDINGS: Final = re.compile(
    r"inline_container.*(unexpected pos|file write failed)|\d+ requested and \d+ written", re.DOTALL
)
"""What PyTorch says of a write that failed, and numpy of one that was cut short; neither has the number."""
_UNITS: Final = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def full(error: BaseException) -> str | None:
    """Why nothing can be written, where an error says so, in words; None: it says something else."""
    if isinstance(error, OSError) and error.errno in FULL:
        return os.strerror(error.errno)
    text = str(error)
    for number in FULL:
        if f"os error {number})" in text or os.strerror(number) in text:
            return os.strerror(number)
    return os.strerror(errno.ENOSPC) if _WORDINGS.search(text) else None


def free(folder: Path) -> int:
    """Bytes that can be written where a folder is, or will be."""
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())
    return shutil.disk_usage(there).free


def require(folder: Path, needed: int, *, what: str, remedy: str) -> None:
    """See that there is room before anything is begun.

    Args:
        folder: where it is going to be written.
        needed: bytes, at least.
        what: is going to be written.
        remedy: what else helps.

    Raises:
        UnavailableError: there is not.
    """
    there = free(folder)
    if there < needed:
        raise UnavailableError(
            f"{folder}: {size(needed)} are needed for {what}, and {size(there)} are free there. Free some, name "
            f"another --output, or {remedy}"
        )


def size(number: float) -> str:
    """Bytes for people: ``1.3 GB``, ``840 MB``, ``0.4 kB``."""
    unit, name = next((each for each in _UNITS if number >= each[0]), _UNITS[-1])
    return f"{number / unit:.{0 if number >= 100 * unit else 1}f} {name}"

"""Files that came from the Hub, compared with the digest that it says they have.

Its library compares the length alone. In its cache a file is a link to a blob, whose name is what the Hub gave: of a
large file the sha256, of another the sha1 of git, or of a mirror that of the content. A blob is read once and
remembered by its size and time.
"""

import hashlib
import re
from pathlib import Path
from typing import Final

from ftcls.environment import cache
from ftcls.environment.files import write_text
from ftcls.errors import UnavailableError

_SHA: Final = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_LENGTH_OF_SHA256: Final = 64
_KIND: Final = "verified"


def check(folder: Path, checkpoint: str) -> None:
    """See that the files of a snapshot in the Hub's cache are what the Hub has.

    What is not goes, so that the next command fetches it again.

    Args:
        folder: of the snapshot; any other folder passes.
        checkpoint: as a config names it, for the message.

    Raises:
        UnavailableError: one is not.
    """
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        blob = path.resolve()
        if path.is_symlink() and blob.is_file() and _SHA.fullmatch(blob.name) and not _known(blob):
            if blob.name not in (found := _digests(blob)):
                path.unlink()
                blob.unlink()
                raise UnavailableError(
                    f"the checkpoint {checkpoint}: {path.name} was damaged on its way: its digest is {found[0]}, on "
                    f"the Hub {blob.name}. It is gone from the cache; the same command fetches it again"
                )
            write_text(cache.folder(_KIND) / blob.name, _state(blob))


def _digests(blob: Path) -> list[str]:
    """What a file may be called by its content, as long as its name is."""
    if len(blob.name) == _LENGTH_OF_SHA256:
        with blob.open("rb") as file:
            return [hashlib.file_digest(file, "sha256").hexdigest()]
    content = blob.read_bytes()
    headed = b"blob %d\0%s" % (len(content), content)
    return [hashlib.sha1(each, usedforsecurity=False).hexdigest() for each in (headed, content)]


def _known(blob: Path) -> bool:
    note = cache.folder(_KIND) / blob.name
    return note.is_file() and note.read_text(encoding="utf-8") == _state(blob)


def _state(blob: Path) -> str:
    about = blob.stat()
    return f"{about.st_size} {about.st_mtime_ns}\n"

"""The encoding of a text file, and the file as text."""

import codecs
import gzip
import io
import logging
import zlib
from pathlib import Path
from typing import IO, Final, cast

from ftcls.errors import DataError

log = logging.getLogger(__name__)

_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_BLOCK: Final = 1 << 20


def encoding_of(path: Path) -> str:
    """The encoding of a text file: by its byte order mark, else UTF-8 if all of it is, else Windows-1252.

    UTF-16 without a mark is known by its zero bytes.

    Raises:
        DataError: it is none of these, or no valid gzip.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with _open(path) as file:
            block = file.read(_BLOCK)
            if (found := _marked(block)) is not None:
                return found
            while block:
                decoder.decode(block)
                block = file.read(_BLOCK)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return _windows_1252(path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a whole gzip file ({error})") from error
    return "utf-8"


def open_text(path: Path, encoding: str) -> io.TextIOWrapper:
    """A text file, unpacked if it is ``.gz``, with its line ends as they are."""
    return io.TextIOWrapper(_open(path), encoding=encoding, newline="")


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _marked(block: bytes) -> str | None:
    """The encoding that the first bytes of a file show, if they do."""
    for mark, name in _MARKS:
        if block.startswith(mark):
            return name
    # Text in a Latin script: every other byte is zero. Of other scripts the spaces and line ends are.
    even, odd = block[0::2].count(0), block[1::2].count(0)
    if even + odd > len(block) / 20:
        return "utf-16-le" if odd > 4 * even else "utf-16-be" if even > 4 * odd else None
    return None


def _windows_1252(path: Path) -> str:
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("cp1252")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}:{number}: not UTF-8, nor Windows-1252 (byte 0x{line[error.start]:02x}); save it as UTF-8"
                ) from error
    log.info("%s: not UTF-8, read as Windows-1252", path)
    return "cp1252"

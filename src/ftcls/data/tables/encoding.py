"""The encoding of a text file, and the file as text."""

import bz2
import codecs
import contextlib
import gzip
import io
import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, cast

from ftcls.environment import limits
from ftcls.errors import DataError

log = logging.getLogger(__name__)

_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_BLOCK: Final = 1 << 20
_ENCRYPTED: Final = 1
"""Bit of the flags of a file in a .zip (APPNOTE 4.4.4)."""
PACKED: Final = {".gz": "gzip", ".bz2": "bzip2", ".zip": "zip"}
"""Suffixes of a text file that is packed, and what they are called."""


def encoding_of(path: Path) -> str:
    """The encoding of a text file: by its byte order mark, else UTF-8 if all of it is, else Windows-1252.

    UTF-16 without a mark is known by its zero bytes.

    Raises:
        DataError: it is none of these, packed and damaged, or unpacks to more than is taken.
    """
    found = None
    try:
        with _opened(path) as file:
            block = file.read(_BLOCK)
            found = _marked(block)
            decoder = codecs.getincrementaldecoder(found or "utf-8")()
            while block:
                decoder.decode(block)
                block = file.read(_BLOCK)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        if found is None or found == "utf-8-sig":
            return _windows_1252(path)
        raise DataError(f"{path}: looks like UTF-16 and is none ({error.reason}); save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    return found or "utf-8"


@contextlib.contextmanager
def opened_text(path: Path, encoding: str) -> Iterator[tuple[io.TextIOWrapper, IO[bytes]]]:
    """A text file, unpacked if it is packed, with its line ends as they are; and the file that its size is of."""
    with path.open("rb") as raw, _unpacked(path, raw) as file, io.TextIOWrapper(file, encoding, newline="") as text:
        yield text, raw


def member(path: Path) -> str:
    """The name of the one file in a ``.zip``; folders, hidden files and what macOS adds aside.

    Raises:
        DataError: there is none or more than one, or it is no archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path}: not a whole zip file ({error})") from error
    names = [info.filename for info in infos]
    found = [name for name in names if not name.startswith("__MACOSX/") and not name.rpartition("/")[2].startswith(".")]
    if len(found) != 1:
        listed = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        raise DataError(
            f"{path}: holds {len(found)} files{': ' if found else ''}{listed}; unpack it and name one of them"
        )
    if infos[names.index(found[0])].flag_bits & _ENCRYPTED:
        raise DataError(f"{path}: is encrypted; unpack it first")
    return found[0]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw, _unpacked(path, raw) as file:
        yield file


def _unpacked(path: Path, raw: IO[bytes]) -> IO[bytes] | io.BufferedReader:
    suffix = path.suffix.lower()
    if suffix not in PACKED:
        return raw
    if suffix == ".zip":
        name = member(path)
        try:
            return limits.unpacked(zipfile.ZipFile(raw).open(name), path)
        except (zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:  # the last: a way of packing
            raise DataError(f"{path}: not a whole zip file ({error})") from error
    return limits.unpacked(cast(IO[bytes], gzip.open(raw) if suffix == ".gz" else bz2.open(raw)), path)


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
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("cp1252")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}:{number}: not UTF-8, nor Windows-1252 (byte 0x{line[error.start]:02x}); save it as UTF-8"
                ) from error
    log.info("%s: not UTF-8, read as Windows-1252", path)
    return "cp1252"

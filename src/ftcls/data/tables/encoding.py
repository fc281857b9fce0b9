"""The encoding of a text file, and the file as text."""

import bz2
import codecs
import contextlib
import gzip
import io
import itertools
import logging
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, cast

from ftcls.environment import limits
from ftcls.errors import DataError

log = logging.getLogger(__name__)

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WINDOWS: Final = "cp1252"
MIXED: Final = "utf-8 or cp1252"
"""Of each line its own, as where files of both were put together."""
_MIXED_FROM: Final = 0.2
"""Share of lines in UTF-8, by what is not ASCII in them, from which it is no chance: two bytes of another encoding can
be a letter of UTF-8."""
_HIGH: Final = bytes(range(0x80, 0x100))
_UNDEFINED: Final = b"\x81\x8d\x8f\x90\x9d"
"""Bytes that are nothing in Windows-1252."""
_FOREIGN: Final = re.compile(rb"[\x80-\xff]{4,}")
"""Letters that are not ASCII, so many in a row: seldom in Latin script, nearly all of any other."""
_FEWEST_FOREIGN: Final = 8
_BLOCK: Final = 1 << 20
_ENCRYPTED: Final = 1
"""Bit of the flags of a file in a .zip (APPNOTE 4.4.4)."""
PACKED: Final = {".gz": "gzip", ".bz2": "bzip2", ".zip": "zip"}
"""Suffixes of a text file that is packed, and what they are called."""


def encoding_of(path: Path) -> str:
    """The encoding of a text file: by its byte order mark, else UTF-8 if all of it is, else Windows-1252, or `MIXED`.

    UTF-16 without a mark is known by its zero bytes.

    Raises:
        DataError: it is none of these (what would be words of another script is not taken for Windows-1252), packed and
            damaged, or unpacks to more than is taken.
    """
    found = None
    try:
        with _opened(path) as file:
            block = file.read(_BLOCK)
            _refuse_other(path, block)
            found = _marked(block)
            decoder = codecs.getincrementaldecoder(found or "utf-8")()
            while block:
                decoder.decode(block)
                block = file.read(_BLOCK)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        if found is None or found == "utf-8-sig":
            return _by_line(path)
        raise DataError(
            f"{path}: looks like {found[:6].upper()} and is none ({error.reason}); save it as UTF-8"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    return found or "utf-8"


@contextlib.contextmanager
def opened_text(path: Path, encoding: str) -> Iterator[tuple[io.TextIOWrapper, IO[bytes]]]:
    """A text file, unpacked if it is packed, with its line ends as they are; and the file that its size is of."""
    with path.open("rb") as raw, _unpacked(path, raw) as file:
        mixed = encoding == MIXED
        source = io.BufferedReader(_Lines(file)) if mixed else file
        with io.TextIOWrapper(source, "utf-8-sig" if mixed else encoding, newline="") as text:
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


_OTHERS: Final = (
    (b"PK\x03\x04", "a zip file or a spreadsheet (.zip, .xlsx, .ods)"),
    (b"\xd0\xcf\x11\xe0", "an old Office document (.xls, .doc)"),
    (b"\x1f\x8b", "packed with gzip (.gz)"),
    (b"BZh91AY&SY", "packed with bzip2 (.bz2)"),
    (b"\xfd7zXZ", "packed with xz"),
    (b"(\xb5/\xfd", "packed with zstd"),
    (b"PAR1", "a Parquet file (.parquet)"),
    (b"%PDF-", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"SQLite format 3", "an SQLite database"),
    (b"version https://git-lfs", "a pointer of Git LFS and not the file; run: git lfs pull"),
)
"""What other files begin with."""


def _refuse_other(path: Path, block: bytes) -> None:
    """Refuse a file that is no text, whatever its name says.

    Raises:
        DataError: says what it is.
    """
    for mark, what in _OTHERS:
        if block.startswith(mark):
            raise DataError(f"{path}: is no text, but {what}")


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


def _by_line(path: Path) -> str:
    """The encoding of a file that is not UTF-8 as a whole: Windows-1252, or of each line its own."""
    whole = odd = foreign = first = 0
    undefined: tuple[int, int] | None = None
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            high = len(line) - len(line.translate(None, _HIGH))
            if not high:
                continue
            if _is_utf8(line):
                whole += high
                continue
            odd += high
            found = sum(map(len, _FOREIGN.findall(line)))
            foreign, first = foreign + found, first or (number if found else 0)
            if undefined is None and (byte := next((each for each in _UNDEFINED if each in line), None)) is not None:
                undefined = number, byte
    if whole > _MIXED_FROM * (whole + odd):
        log.warning("%s: some lines are not UTF-8, read as Windows-1252", path)
        return MIXED
    if undefined is not None:
        number, byte = undefined
        raise DataError(f"{path}:{number}: not UTF-8, nor Windows-1252 (byte 0x{byte:02x}); save it as UTF-8")
    if foreign >= max(_FEWEST_FOREIGN, odd / 2):
        raise DataError(
            f"{path}:{first}: not UTF-8, and no text in Latin letters: as Windows-1252 it would be read as "
            f"{_shown(path, first)}; save it as UTF-8"
        )
    log.info("%s: not UTF-8, read as Windows-1252", path)
    return WINDOWS


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decoded(line: bytes) -> str:
    """A line that is UTF-8, damaged perhaps, or Windows-1252."""
    text = line.decode(errors="replace")
    lost = text.count("\ufffd")
    kept = sum(not each.isascii() for each in text) - lost if lost else 0
    return text if kept >= lost else line.decode(WINDOWS, "replace")


def _shown(path: Path, number: int) -> str:
    """The first word of a line that is in another script, as Windows-1252."""
    with _opened(path) as file:
        line = next(itertools.islice(file, number - 1, None))
    word = _FOREIGN.search(line)
    return repr(word[0][:20].decode(WINDOWS)) if word else "something else"


class _Lines(io.RawIOBase):
    """A file of which each line is UTF-8 or Windows-1252, as UTF-8."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = memoryview(_decoded(self._file.readline()).encode())
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

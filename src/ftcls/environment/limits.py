"""How much ftcls takes of what a stranger may hand over: looked at before memory or time is spent on it.

What a checkpoint's config.json may ask for stands in `model.limits`, what a server takes in `serving.guard`.
"""

import difflib
import gzip
import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Final, cast

from ftcls.errors import DataError

UNPACKED_TIMES: Final = 100
UNPACKED_BYTES: Final = 100_000_000
"""A packed file may unpack to so many bytes, and `UNPACKED_TIMES` its own size. Text packs to a third or a tenth."""
PARQUET_BYTES: Final = 1_000_000_000
PARQUET_ROWS: Final = 10_000_000
"""The same for what a Parquet file says of its row groups, and for its rows: dictionaries pack far better."""
YAML_BYTES: Final = 500_000
YAML_VALUES: Final = 20_000
"""Values after aliases: those of aliases of aliases could be billions, out of ten lines."""
YAML_DEPTH: Final = 50
JSON_DEPTH: Final = 100
JSON_BYTES: Final = 50_000_000
"""Of a JSON file beside weights or in a run: a value of three characters takes sixty bytes of memory."""
REPORT_BYTES: Final = 500_000_000
"""Of a report, which has a number for each pair of labels."""
LABELS: Final = 10_000
"""Of a data set: tables of them have a cell for each pair."""
CELLS: Final = 10_000_000
"""Of a sheet, empty ones between others too: a spreadsheet that names two cells far apart means all between them."""
SHEET_MEMORY: Final = 4_000_000_000
SHEET_SECONDS: Final = 60.0
SHEET_SECONDS_AT_LEAST: Final = 10.0
SHEET_SECONDS_OF_A_MEGABYTE: Final = 5.0
"""What reading a spreadsheet once may take, by the size of its file. A damaged one can have no end at all."""
COLUMNS: Final = 10_000
"""Of a table, and keys of all JSON rows together."""
MISSING: Final = 2_000_000
MISSING_IN_A_ROW: Final = 50
"""Keys of other JSON rows that all rows together, and a row on the average, may lack where every column is read."""
CHARACTERS: Final = 16 * 1024**2
"""Of one text: more than any book has. A quote that is never closed does not fill the memory either."""
NAMES: Final = 1_000
"""Names among which the nearest one is looked for: comparing two takes far longer than reading them."""
NAME: Final = 100
"""Characters of such a name."""

_KINDS: Final = {".bz2": "bzip2", ".zip": "zip"}
_BRACKET: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


class Damaged(DataError):
    """A packed file that is not whole."""


def unpacked_bytes(packed: int) -> int:
    """What a packed file of some bytes may unpack to."""
    return UNPACKED_BYTES + UNPACKED_TIMES * packed


def sheet_seconds(size: int) -> float:
    """What reading a spreadsheet of some bytes may take."""
    return min(SHEET_SECONDS, SHEET_SECONDS_AT_LEAST + SHEET_SECONDS_OF_A_MEGABYTE * size / 1e6)


class Unpacked(io.RawIOBase):
    """The bytes that a packed file unpacks to.

    Reading raises `DataError` behind the last byte that is taken, and where the file is damaged.
    """

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        """Read from what unpacks the file at ``path``."""
        self._stream = cast(io.BufferedIOBase, stream)
        self._path = path
        self._most = unpacked_bytes(path.stat().st_size)
        self._read = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; 0 at the end."""
        try:
            count = self._stream.readinto(buffer)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError) as error:
            suffix = self._path.suffix.lower()
            kind = _KINDS[suffix] if suffix in _KINDS else "gzip"
            raise Damaged(f"{self._path}: not a whole {kind} file ({error})") from error
        self._read += count
        if self._read > self._most:
            raise DataError(
                f"{self._path}: unpacks to more than {self._most:,} bytes, {UNPACKED_TIMES} times its size; unpack it "
                "yourself if it is what you think"
            )
        return count

    def close(self) -> None:
        """Close what unpacks it too."""
        self._stream.close()
        super().close()


def unpacked(stream: IO[bytes], path: Path) -> io.BufferedReader:
    """What unpacks the file at a path, to read from."""
    return io.BufferedReader(Unpacked(stream, path), 1 << 17)


def unpacked_gzip(path: Path) -> io.BufferedReader:
    """A gzip file, to read from."""
    return unpacked(cast(IO[bytes], gzip.open(path)), path)


def check_depth(text: str | bytes) -> None:
    """See that a JSON text is not nested too deeply.

    Raises:
        ValueError: it is.
    """
    plain = text if isinstance(text, str) else text.decode("utf-8", "replace")
    if plain.count("[") + plain.count("{") <= JSON_DEPTH:
        return
    depth = 0
    for found in _BRACKET.finditer(plain):
        mark = found[0]
        depth += 1 if mark in "[{" else -1 if mark in "]}" else 0
        if depth > JSON_DEPTH:
            raise ValueError(f"nested more than {JSON_DEPTH} deep")


def json_value(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or nested too deeply.
    """
    check_depth(text)
    return json.loads(text)


def nearest(name: str, names: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The name that was probably meant, if any is close; looked for among the first `NAMES` of no unusual length."""
    if len(name) > NAME:
        return None
    likely = [each for each, _ in zip(names, range(NAMES), strict=False) if len(each) <= NAME]
    close = difflib.get_close_matches(name, likely, n=1, cutoff=cutoff)
    return close[0] if close else None

"""Tables in files: CSV as Excel writes it, TSV, JSON lines, Parquet; columns in memory, never rows.

Numbers stay what the file says: ``1`` is the text "1", and '', 'NA', 'n/a' and 'NULL' are texts too.
"""

import codecs
import csv
import difflib
import gzip
import io
import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ftcls.data.raw import BadRows
from ftcls.errors import DataError

log = logging.getLogger(__name__)

Cell = str | list[str] | None
"""A text, a list of texts, or None where the file has nothing (JSON null, Parquet null; never in CSV)."""
_SAMPLE = 1 << 16
_DELIMITERS = (",", ";", "\t", "|")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class Table:
    """The n rows of a file that could be read."""

    path: Path
    columns: tuple[str, ...]
    """The columns that the file has, in its order."""
    rows: int
    """n."""
    values: Mapping[str, list[Cell]]
    """The n cells of each column that was asked for."""
    numbers: NDArray[np.int64]
    """[n] number of the row in the file, from 0; bad rows are counted in."""
    size: int
    """Rows of the file, bad ones included."""
    lines: NDArray[np.int64] | None
    """[n] line of the file, from 1 as editors count, where the row begins; None: the format has no lines."""
    encoding: str
    """``utf-8``, ``utf-16``, ``cp1252``, or the name of a binary format."""
    bad: BadRows = field(default_factory=BadRows)
    """Rows that could not be read; they are not among the n."""

    def column(self, name: str) -> list[Cell]:
        """The n cells of a column.

        Raises:
            DataError: there is no such column; the nearest name is given.
        """
        if name not in self.values:
            raise missing_column(self.path, name, self.columns)
        return self.values[name]

    def place(self, index: int) -> str:
        """Where a person finds the i-th of the n rows: ``train.csv:7``, or ``train.parquet, row 7`` (from 1)."""
        if self.lines is None:
            return f"{self.path}, row {self.numbers[index] + 1}"
        return f"{self.path}:{self.lines[index]}"


def missing_column(path: Path, name: str, columns: Sequence[str]) -> DataError:
    """The error for a column that a file does not have."""
    near = difflib.get_close_matches(name, columns, n=1)
    hint = f", did you mean {near[0]!r}?" if near else ""
    there = ", ".join(repr(column) for column in columns)
    return DataError(f"{path}: no column {name!r}{hint} The columns are {there}" if near else
                     f"{path}: no column {name!r}; the columns are {there}")


def read_table(path: Path, columns: Collection[str] | None = None) -> Table:
    """Read a file: ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson``, ``.json`` (each also ``.gz``) or ``.parquet``.

    Args:
        path: the file.
        columns: the columns to keep; None: all.

    Raises:
        DataError: no such file, another format, an unknown encoding, no rows, or a column that is not there.
    """
    if not path.is_file():
        raise DataError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}; name a {_formats()} file")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    if not suffixes or suffixes[-1] not in FORMATS:
        raise DataError(f"{path}: not a kind of file that ftcls reads; use {_formats()}")
    table = FORMATS[suffixes[-1]](path, columns)
    for name in columns or ():
        table.column(name)
    return table


def _formats() -> str:
    return f"{', '.join(FORMATS)} (text kinds also .gz)"


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def encoding_of(path: Path) -> str:
    """The encoding of a text file: by its byte order mark, else UTF-8 if all of it is, else Windows-1252.

    Raises:
        DataError: it is none of these, or no valid gzip.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with _open(path) as file:
            block = file.read(1 << 20)
            for mark, name in _BOMS:
                if block.startswith(mark):
                    return name
            while block:
                decoder.decode(block)
                block = file.read(1 << 20)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return _windows_1252(path)
    except (gzip.BadGzipFile, EOFError) as error:
        raise DataError(f"{path}: not a whole gzip file ({error})") from error
    return "utf-8"


def _windows_1252(path: Path) -> str:
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("cp1252")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}:{number}: neither UTF-8 nor Windows-1252 (byte 0x{line[error.start]:02x}); save it as UTF-8"
                ) from error
    log.info("%s: not UTF-8, read as Windows-1252", path)
    return "cp1252"


def _text(path: Path, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(_open(path), encoding=encoding, newline="")


def _csv(path: Path, columns: Collection[str] | None) -> Table:
    encoding = encoding_of(path)
    with _text(path, encoding) as file:
        delimiter = _delimiter(file.read(_SAMPLE))
    return _delimited(path, columns, encoding, delimiter)


def _tsv(path: Path, columns: Collection[str] | None) -> Table:
    return _delimited(path, columns, encoding_of(path), "\t")


def _delimiter(sample: str) -> str:
    """The delimiter under which most rows have as many fields as the header, and more than one."""

    def agreement(delimiter: str) -> float:
        rows = [row for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if row]
        width = len(rows[0]) if rows else 0
        return sum(len(row) == width for row in rows) / len(rows) if width > 1 else 0.0

    return max(_DELIMITERS, key=agreement)


def _delimited(path: Path, columns: Collection[str] | None, encoding: str, delimiter: str) -> Table:
    csv.field_size_limit(2**31 - 1)  # the default refuses texts beyond 128 KiB
    with _text(path, encoding) as file:
        reader = csv.reader(file, delimiter=delimiter)
        header = next((row for row in reader if row), None)
        if header is None:
            raise DataError(f"{path}: is empty")
        names = _header(path, header)
        wanted = names if columns is None else tuple(name for name in names if name in columns)
        values: dict[str, list[Cell]] = {name: [] for name in wanted}
        appends = [(values[name].append, names.index(name)) for name in wanted]
        numbers, lines, bad = [], [], BadRows()
        number, line = -1, reader.line_num + 1
        for row in reader:
            if row:
                number += 1
                if len(row) == len(names):
                    for append, index in appends:
                        append(row[index])
                    numbers.append(number)
                    lines.append(line)
                else:
                    bad.add(f"{path}:{line}", f"{_fields(len(row))}, the header has {len(names)}")
                last = line
            line = reader.line_num + 1
    return 0


FORMATS: dict[str, Callable[[Path, Collection[str] | None], Table]] = {}

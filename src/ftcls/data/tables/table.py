"""A table in memory: columns, never rows, with the line of the file that each row came from."""

import codecs
import difflib
import gzip
import io
import logging
from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from ftcls.data.raw import BadRows
from ftcls.errors import DataError

log = logging.getLogger(__name__)

Cell = str | list[str] | None
"""A text, a list of texts, or None where the file has nothing (JSON null, Parquet null; never in CSV)."""
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
    """``utf-8``, ``utf-8-sig``, ``utf-16``, ``cp1252``, or ``parquet``."""
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
    hint = f", did you mean {near[0]!r}?" if near else ";"
    return DataError(f"{path}: no column {name!r}{hint} The columns are {', '.join(map(repr, columns))}")


class Columns:
    """Cells gathered column by column while a file is read."""

    def __init__(self, path: Path, wanted: Collection[str] | None, *, lined: bool = True) -> None:
        self.path = path
        self.wanted = wanted
        self.lined = lined
        self.names: dict[str, None] = {}
        self.values: dict[str, list[Cell]] = {}
        self.numbers = array("q")
        self.lines = array("q")
        self.size = 0
        self.bad = BadRows()

    def add_column(self, name: str) -> None:
        """Begin a column; it is kept if it is wanted."""
        self.names[name] = None
        if self.wanted is None or name in self.wanted:
            self.values[name] = [None] * len(self.numbers)

    def add_row(self, line: int) -> None:
        """Count a row whose cells are appended to the columns."""
        self.numbers.append(self.size)
        self.lines.append(line)
        self.size += 1

    def add_bad(self, line: int, reason: str) -> None:
        """Count a row that cannot be read."""
        self.bad.add(f"{self.path}:{line}" if self.lined else f"{self.path}, row {line}", reason)
        self.size += 1

    def drop_last(self, reason: str) -> None:
        """Make the last row a bad one."""
        # If the row had a wrong number of fields too, it is among the bad ones already.
        if self.numbers and self.numbers[-1] == self.size - 1:
            for cells in self.values.values():
                cells.pop()
            self.numbers.pop()
            self.size -= 1
            self.add_bad(self.lines.pop(), reason)

    def table(self, encoding: str) -> Table:
        """What was gathered."""
        return Table(
            path=self.path,
            columns=tuple(self.names),
            rows=len(self.numbers),
            values=self.values,
            numbers=np.array(self.numbers, dtype=np.int64),
            size=self.size,
            lines=np.array(self.lines, dtype=np.int64) if self.lined else None,
            encoding=encoding,
            bad=self.bad,
        )


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


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
                    f"{path}:{number}: not UTF-8, nor Windows-1252 (byte 0x{line[error.start]:02x}); save it as UTF-8"
                ) from error
    log.info("%s: not UTF-8, read as Windows-1252", path)
    return "cp1252"


def open_text(path: Path, encoding: str) -> io.TextIOWrapper:
    """A text file, unpacked if it is ``.gz``, with its line ends as they are."""
    return io.TextIOWrapper(_open(path), encoding=encoding, newline="")

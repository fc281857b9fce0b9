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
from array import array
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

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
    hint = f", did you mean {near[0]!r}?" if near else ";"
    return DataError(f"{path}: no column {name!r}{hint} The columns are {', '.join(map(repr, columns))}")


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
        rows = _Columns(path, columns)
        names = _header(path, header)
        for name in names:
            rows.add_column(name)
        appends = [(cells.append, names.index(name)) for name, cells in rows.values.items()]
        begin = line = reader.line_num + 1
        for row in reader:
            if len(row) == len(names):
                for append, index in appends:
                    append(row[index])
                rows.add_row(line)
            elif row:  # a line without anything is no row
                fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
                rows.add_bad(line, f"{fields}, the header has {len(names)}")
            begin = line if row else begin
            line = reader.line_num + 1
    if line - begin > 1 and _unclosed(path, encoding, delimiter, begin):
        rows.drop_last(
            f"a quote that begins in the row is never closed; it swallows the {line - begin} lines to the end"
        )
    return rows.table(encoding)


def _header(path: Path, header: Sequence[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in header)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: two columns are called {twice!r}; the first row must name the columns")
    return names


def _unclosed(path: Path, encoding: str, delimiter: str, begin: int) -> bool:
    """Whether the last row, which begins in that line, ends inside a quote: only the strict parser tells."""
    with _text(path, encoding) as file:
        tail = [line for number, line in enumerate(file, start=1) if number >= begin]
    try:
        return not list(csv.reader(tail, delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end of data" in str(error)


class _Columns:
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
        self.names[name] = None
        if self.wanted is None or name in self.wanted:
            self.values[name] = [None] * len(self.numbers)

    def add_row(self, line: int) -> None:
        """Count a row whose cells are appended to the columns."""
        self.numbers.append(self.size)
        self.lines.append(line)
        self.size += 1

    def add_bad(self, line: int, reason: str) -> None:
        self.bad.add(f"{self.path}:{line}" if self.lined else f"{self.path}, row {line}", reason)
        self.size += 1

    def drop_last(self, reason: str) -> None:
        # If the row had a wrong number of fields too, it is among the bad ones already.
        if self.numbers and self.numbers[-1] == self.size - 1:
            for cells in self.values.values():
                cells.pop()
            self.numbers.pop()
            self.size -= 1
            self.add_bad(self.lines.pop(), reason)

    def table(self, encoding: str) -> Table:
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


def _json_lines(path: Path, columns: Collection[str] | None) -> Table:
    encoding = encoding_of(path)
    with _text(path, encoding) as file:
        return _objects(path, ((number, line) for number, line in enumerate(file, start=1) if line.strip()), columns)


def _json(path: Path, columns: Collection[str] | None) -> Table:
    """A list of objects, or JSON lines under the name ``.json``."""
    encoding = encoding_of(path)
    with _text(path, encoding) as file:
        if not file.read(_SAMPLE).lstrip().startswith("["):
            return _json_lines(path, columns)
    with _text(path, encoding) as file:
        try:
            found = _DECODER.decode(file.read())
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{error.lineno}:{error.colno}: not JSON ({error.msg})") from error
    return _objects(path, enumerate(found, start=1), columns, lined=False)


# Numbers stay as they are written; NaN, which JSON does not know but Python writes, is nothing.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=lambda _: None)


def _objects(
    path: Path, records: Iterable[tuple[int, Any]], columns: Collection[str] | None, *, lined: bool = True
) -> Table:
    """Rows from numbered JSON texts (from a file of lines), or from numbered values."""
    rows = _Columns(path, columns, lined=lined)
    for line, record in records:
        try:
            found = _DECODER.decode(record) if lined else record
        except json.JSONDecodeError as error:
            rows.add_bad(line, f"not JSON ({error.msg}, column {error.colno})")
            continue
        if isinstance(found, dict):
            _add_object(rows, found, line)
        else:
            rows.add_bad(line, "not a JSON object")
    if not rows.size:
        raise DataError(f"{path}: is empty")
    return rows.table("json")


def _add_object(rows: _Columns, found: dict[str, Any], line: int) -> None:
    for name in found:
        if name not in rows.names:
            rows.add_column(name)
    for name, cells in rows.values.items():
        cells.append(_cell(found[name]) if name in found else None)
    rows.add_row(line)


def _cell(value: Any) -> Cell:
    if isinstance(value, str):
        # A lone surrogate, which JSON can write and UTF-8 cannot, would stop the tokenizer.
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [item for item in map(_plain, value) if item is not None]
    return _plain(value)


def _plain(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _parquet(path: Path, columns: Collection[str] | None) -> Table:
    try:
        file = pq.ParquetFile(path)
        names = tuple(file.schema_arrow.names)
        wanted = [name for name in names if columns is None or name in columns]
        found = file.read(columns=wanted)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a Parquet file that can be read ({error})") from error
    classes = dict.fromkeys(wanted) | _class_labels(file.schema_arrow)
    return Table(
        path=path,
        columns=names,
        rows=found.num_rows,
        values={name: _named(_cells(found.column(name)), classes[name]) for name in wanted},
        numbers=np.arange(found.num_rows),
        size=found.num_rows,
        lines=None,
        encoding="parquet",
    )


def _cells(column: pa.ChunkedArray) -> list[Cell]:
    """Texts, or lists of texts; whole numbers without a decimal point, as Arrow writes them."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _cells(column.cast(kind.value_type))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [
            None if cell is None else [str(item) for item in cell if item is not None] for cell in column.to_pylist()
        ]
    try:
        cells: list[Cell] = column.cast(pa.string()).to_pylist()
    except pa.ArrowException:
        cells = [None if cell is None else str(cell) for cell in column.to_pylist()]
    return cells


def _class_labels(schema: pa.Schema) -> dict[str, list[str]]:
    """Names of the numbers in columns that the datasets library wrote as `ClassLabel`, or lists of them."""
    metadata = schema.metadata or {}
    if b"huggingface" not in metadata:
        return {}
    features = json.loads(metadata[b"huggingface"])["info"]["features"]
    found = {}
    for name, feature in features.items():
        inner = feature["feature"] if "feature" in feature else feature
        if "names" in inner:
            found[name] = inner["names"]
    return found


def _named(cells: list[Cell], names: Sequence[str] | None) -> list[Cell]:
    if names is None:
        return cells
    name = {str(number): name for number, name in enumerate(names)} | {"-1": None}  # -1: no label

    def one(cell: Cell) -> Cell:
        if isinstance(cell, list):
            return [text for text in (name[item] for item in cell) if text is not None]
        return None if cell is None else name[cell]

    return [one(cell) for cell in cells]


FORMATS: dict[str, Callable[[Path, Collection[str] | None], Table]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".parquet": _parquet,
}
"""The kinds of file, by suffix."""

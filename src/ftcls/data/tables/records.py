"""The rows of a file or a stream one by one, whatever kind of file it is.

Whole tables are gathered from these rows and predictions are made for them, so every command reads a file alike.
"""

import contextlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from ftcls.data.raw import BadRows
from ftcls.data.tables.cells import Cell, Misfit, Number, arrow_cells, cell_of, class_labels
from ftcls.data.tables.delimited import AGAIN, Dialect, Lines, Row, header, repeats, rows
from ftcls.data.tables.dialect import detect, sample_of
from ftcls.data.tables.encoding import PACKED, encoding_of, member, opened_text
from ftcls.data.tables.spreadsheet import SUFFIXES as SPREADSHEETS
from ftcls.data.tables.spreadsheet import file_of
from ftcls.data.tables.spreadsheet import rows as sheet_rows
from ftcls.environment import limits
from ftcls.errors import DataError, quoted, shortened

Kind = Literal["csv", "tsv", "jsonl", "json", "parquet", "txt", "sheet"]
KINDS: Final[Mapping[str, Kind]] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".txt": "txt",
    **dict.fromkeys(SPREADSHEETS, "sheet"),
}
"""The kinds of file, by suffix; text kinds may be packed, see `encoding.PACKED`."""
WHOLE: Final = ("parquet", "sheet")
"""Kinds that are packed by themselves, and are no stream."""
TEXT: Final = "text"
"""The column that the lines of a text file stand in."""
BATCH: Final = 1_024
"""Rows of a Parquet file that are unpacked at once."""
_SHOWN: Final = 40
"""Characters of a line that an error quotes."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row."""

    line: int
    """Line of the file where it begins, from 1; the number of the row where the kind of file has no lines."""
    row: Mapping[str, Any]
    """The values by column, as the file has them."""
    problem: str | None = None
    """Why it cannot be read; the row then holds what is there."""
    raw: str | None = None
    """The line as it stands, where no row could be made of it."""
    cell: Callable[[str], Cell | Misfit] | None = None
    """The cell of a column, where it is not `cells.cell_of` the value."""

    def cell_of(self, column: str) -> Cell | Misfit:
        """The cell of a column; None where the row has none."""
        return self.cell(column) if self.cell is not None else cell_of(self.row.get(column))


@dataclass(frozen=True)
class Records:
    """The rows of one file or stream."""

    name: str
    columns: tuple[str, ...] | None
    """None: every row has its own (JSON)."""
    records: Iterator[Record]
    lined: bool = True
    """Whether rows are found by a line of the file."""
    encoding: str = "utf-8"
    dialect: Dialect = field(default_factory=Dialect)
    schema: pa.Schema | None = None
    """Of a Parquet file."""
    position: Callable[[], int] = lambda: 0
    """Bytes read so far."""
    table: Iterator[Row] | None = None
    """The same rows as lists, for who needs only some columns of a delimited text; one of the two is to be read."""
    swallowed: BadRows = field(default_factory=BadRows)
    """Rows whose quotes have lines inside them that look like rows; known when they have been read."""

    def place(self, line: int) -> str:
        """Where a person finds the row of a line: ``in.csv:7``, or ``in.parquet, row 7``."""
        return f"{self.name}:{line}" if self.lined else f"{self.name}, row {line}"


def kind_of(path: Path) -> Kind | None:
    """The kind of a file by its suffix, of a ``.zip`` by that of the one file in it; None: none that can be read.

    Raises:
        DataError: a ``.zip`` that holds more than one file.
    """
    path = file_of(path)
    suffix = path.suffix.lower()
    if suffix not in PACKED:
        return KINDS.get(suffix)
    inner = path.with_suffix("").suffix.lower()
    if suffix == ".zip" and inner not in KINDS and path.is_file():
        inner = Path(member(path)).suffix.lower()
    kind = KINDS.get(inner)
    return None if kind in WHOLE else kind


@contextlib.contextmanager
def opened(path: Path, kind: Kind) -> Iterator[Records]:
    """The rows of a file.

    Raises:
        DataError: it cannot be read as a whole: its encoding, its header, no JSON, no Parquet.
    """
    if kind == "parquet":
        with _parquet(path) as found:
            yield found
        return
    if kind == "sheet":
        yield _sheet(path)
        return
    encoding = encoding_of(path)
    with opened_text(path, encoding) as (file, raw):
        position = raw.tell

        def every() -> Iterator[str]:
            with opened_text(path, encoding) as (again, _):
                yield from again

        name = str(path)
        if kind in ("csv", "tsv"):
            yield _delimited(name, file, kind, every, encoding=encoding, position=position)
        elif kind == "json" and _begins_with_a_list(every()):
            yield Records(name, None, _json_list(name, file.read()), lined=False, encoding=encoding)
        elif kind == "txt":
            yield Records(name, (TEXT,), _lines(file), encoding=encoding, position=position)
        else:
            yield Records(name, None, _json_lines(file), encoding=encoding, position=position)


def streamed(name: str, stream: Iterable[str], kind: Kind, *, sample: Sequence[str] | None = None) -> Records:
    """The rows of a stream.

    Args:
        name: what errors call it.
        stream: its lines.
        kind: any but ``parquet``; ``json`` is read as JSON lines.
        sample: lines that were taken from its beginning, in which the dialect is seen; None: as many as of a file.

    Raises:
        DataError: a table without a header.
    """
    if kind == "txt":
        return Records(name, (TEXT,), _lines(stream))
    if kind in ("jsonl", "json"):
        return Records(name, None, _json_lines(stream))
    lines = iter(stream)
    first = list(sample_of(lines) if sample is None else sample)
    if first:
        first[0] = first[0].removeprefix("\ufeff")
    return _delimited(name, itertools.chain(first, lines), kind, lambda: first)


def _lines(lines: Iterable[str]) -> Iterator[Record]:
    for number, line in enumerate(lines, start=1):
        yield Record(number, {TEXT: line.rstrip("\r\n")})


def _delimited(
    name: str,
    lines: Iterable[str],
    kind: Kind,
    every: Callable[[], Iterable[str]],
    **facts: Any,
) -> Records:
    dialect = detect(sample_of(every()), every, delimiter="\t" if kind == "tsv" else None)
    source = Lines(lines, dialect)
    if dialect.declared:
        next(iter(source))
    head = next(rows(source, dialect), None)
    if head is None:
        raise DataError(f"{name}: is empty; the first line must name the columns")
    columns = _columns(name, head.cells)
    swallowed = BadRows()

    def table() -> Iterator[Row]:
        for row in rows(source, dialect, len(columns)):
            if row.swallowed:
                swallowed.add(f"{name}:{row.line}", f"{row.swallowed} more lines inside its quotes look like rows")
            yield row._replace(problem=AGAIN) if repeats(row.cells, head.cells) else row

    def records() -> Iterator[Record]:
        for row in table():
            if row.problem is None:
                yield Record(row.line, dict(zip(columns, row.cells, strict=True)))
            else:
                yield Record(row.line, _fitted(row.cells, columns, dialect.delimiter), row.problem)

    return Records(name, columns, records(), dialect=dialect, table=table(), swallowed=swallowed, **facts)


def _columns(name: str, cells: Sequence[str]) -> tuple[str, ...]:
    _check_columns(name, len(cells))
    try:
        return header(cells)
    except ValueError as error:
        twice = str(error)
        raise DataError(
            f"{name}: two columns are called {quoted(twice)}; the first row must name the columns"
        ) from None


def _check_columns(name: str, count: int) -> None:
    if count > limits.COLUMNS:
        raise DataError(f"{name}: has {count:,} columns; ftcls takes {limits.COLUMNS:,}")


def _sheet(path: Path) -> Records:
    found = sheet_rows(path)
    _, head = next(found, (0, None))
    if head is None:
        raise DataError(f"{path}: is empty; the first row must name the columns")
    columns = _columns(str(path), [cell or "" for cell in head])
    rows = (
        Record(number, dict(zip(columns, cells, strict=True)), AGAIN if repeats(cells, head) else None)
        for number, cells in found
    )
    return Records(str(path), columns, rows, encoding="sheet")


def _fitted(cells: list[str], columns: tuple[str, ...], delimiter: str) -> dict[str, str]:
    """What a row of another length says: too many cells stand in the last column, missing ones are empty."""
    k = len(columns)
    last = [delimiter.join(cells[k - 1 :])] if len(cells) > k else [*cells[k - 1 :], *[""] * (k - len(cells))]
    return dict(zip(columns, [*cells[: k - 1], *last], strict=True))


# NaN, which JSON does not know but Python writes, is nothing.
_DECODER: Final = json.JSONDecoder(parse_float=Number, parse_constant=lambda _: None)


def _json_lines(lines: Iterable[str]) -> Iterator[Record]:
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text:
            try:
                limits.check_depth(text)
                value = _DECODER.decode(text)
            except json.JSONDecodeError as error:
                hint = "; each row is an object in a line of its own" if text in "{[" else ""
                yield Record(number, {}, f"not JSON: {error.msg} (column {error.colno}){hint}", text)
            except (RecursionError, ValueError) as error:  # nested too deeply; a number of too many digits
                yield Record(number, {}, f"not JSON that can be read: {error}", text)
            else:
                yield _object(number, value, text)


def _object(number: int, value: Any, text: str) -> Record:
    if isinstance(value, dict):
        return Record(number, value, _PANDAS if _is_of_columns(value) else None)
    return Record(number, {}, f'expected an object such as {{"text": "..."}}, found {shortened(text, _SHOWN)}', text)


_PANDAS: Final = 'a whole table, column by column, as pandas writes it; write rows: to_json(..., orient="records")'


def _is_of_columns(value: Mapping[str, Any]) -> bool:
    """Whether an object is what ``DataFrame.to_json`` makes by default: columns that are objects of numbered cells."""
    columns = list(value.values())
    return all(isinstance(each, dict) and each and all(map(str.isdecimal, each)) for each in columns) and bool(columns)


def _begins_with_a_list(lines: Iterable[str]) -> bool:
    first = next((line.strip() for line in lines if line.strip()), "")
    if not first.startswith("["):
        return False
    try:
        found = limits.json_value(first)
    except (ValueError, RecursionError):
        return True  # a list over several lines
    return all(isinstance(each, dict) for each in found)


def _json_list(name: str, text: str) -> Iterator[Record]:
    try:
        limits.check_depth(text)
        found = _DECODER.decode(text.removeprefix("\ufeff").strip())
    except json.JSONDecodeError as error:
        raise DataError(f"{name}:{error.lineno}:{error.colno}: not JSON ({error.msg})") from None
    except (RecursionError, ValueError) as error:
        raise DataError(f"{name}: not JSON that can be read ({error})") from None
    return (
        _object(number, value, json.dumps(value, ensure_ascii=False, default=str))
        for number, value in enumerate(found, start=1)
    )


class _Batch:
    """Some rows of a Parquet file, with their cells."""

    def __init__(self, batch: pa.RecordBatch, classes: Mapping[str, Sequence[str]]) -> None:
        self.batch = batch
        self.classes = classes
        self.known: dict[str, list[Cell | Misfit]] = {}

    def cells(self, column: str) -> list[Cell | Misfit]:
        """The cells of a column, converted once."""
        if column not in self.known:
            values = pa.chunked_array([self.batch.column(column)])
            self.known[column] = arrow_cells(values, self.classes.get(column))
        return self.known[column]

    def cell(self, index: int) -> Callable[[str], Cell | Misfit]:
        """The cells of one row."""
        return lambda column: self.cells(column)[index]


def parquet_file(path: Path) -> pq.ParquetFile:
    """An open Parquet file.

    Raises:
        DataError: it is none, cannot be read, or two of its columns have one name.
    """
    with readable(path):
        file = pq.ParquetFile(path)
    try:
        with readable(path):  # the names of columns are read here, and may be none
            _check_parquet(path, file)
    except DataError:
        file.close()
        raise
    return file


def _check_parquet(path: Path, file: pq.ParquetFile) -> None:
    about, size = file.metadata, path.stat().st_size
    _check_columns(str(path), about.num_columns)
    twice = next((name for name, count in Counter(file.schema_arrow.names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{path}: two columns are called {quoted(twice)}; rename one")
    large = sum(max(0, about.row_group(group).total_byte_size) for group in range(about.num_row_groups))
    for found, most, what in (
        (large, limits.PARQUET_BYTES + limits.UNPACKED_TIMES * size, "bytes"),
        (about.num_rows, limits.PARQUET_ROWS + limits.UNPACKED_TIMES * size, "rows"),
    ):
        if not 0 <= found <= most:
            raise DataError(f"{path}: says that it unpacks to {found:,} {what}; of {size:,} bytes ftcls takes {most:,}")


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Reading a Parquet file, whose errors become a `DataError`."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a Parquet file that can be read ({error})") from None


@contextlib.contextmanager
def _parquet(path: Path) -> Iterator[Records]:
    with parquet_file(path) as file:
        classes = class_labels(file.schema_arrow)
        read = 0

        def batches() -> Iterator[pa.RecordBatch]:
            source = file.iter_batches(batch_size=BATCH)
            while True:
                with readable(path):
                    batch = next(source, None)
                    if batch is None:
                        return
                    batch.validate(full=True)
                yield batch

        def records() -> Iterator[Record]:
            nonlocal read
            for batch in batches():
                cells = _Batch(batch, classes)
                for index, row in enumerate(batch.to_pylist()):
                    read += 1
                    yield Record(read, row, cell=cells.cell(index))

        size, count = path.stat().st_size, max(1, file.metadata.num_rows)
        yield Records(
            str(path),
            tuple(file.schema_arrow.names),
            records(),
            lined=False,
            encoding="parquet",
            schema=file.schema_arrow.remove_metadata(),
            position=lambda: size * read // count,
        )

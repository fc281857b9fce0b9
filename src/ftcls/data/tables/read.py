"""Reading tables: CSV as Excel writes it, TSV, JSON lines, Parquet.

Numbers stay what the file says: ``1`` is the text "1", and '', 'NA', 'n/a' and 'NULL' are texts too.
"""

import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ftcls.data.tables.table import Cell, Columns, Table, encoding_of, open_text
from ftcls.errors import DataError

_SAMPLE = 1 << 16
_DELIMITERS = (",", ";", "\t", "|")


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


def _csv(path: Path, columns: Collection[str] | None) -> Table:
    encoding = encoding_of(path)
    with open_text(path, encoding) as file:
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
    with open_text(path, encoding) as file:
        reader = csv.reader(file, delimiter=delimiter)
        header = next((row for row in reader if row), None)
        if header is None:
            raise DataError(f"{path}: is empty")
        rows = Columns(path, columns)
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
    with open_text(path, encoding) as file:
        tail = [line for number, line in enumerate(file, start=1) if number >= begin]
    try:
        return not list(csv.reader(tail, delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end of data" in str(error)


def _json_lines(path: Path, columns: Collection[str] | None) -> Table:
    encoding = encoding_of(path)
    with open_text(path, encoding) as file:
        lines = ((number, line) for number, line in enumerate(file, start=1) if line.strip())
        return _objects(Columns(path, columns), lines).table(encoding)


def _json(path: Path, columns: Collection[str] | None) -> Table:
    """A list of objects, or JSON lines under the name ``.json``."""
    encoding = encoding_of(path)
    with open_text(path, encoding) as file:
        if not file.read(_SAMPLE).lstrip().startswith("["):
            return _json_lines(path, columns)
    with open_text(path, encoding) as file:
        try:
            found = _DECODER.decode(file.read())
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{error.lineno}:{error.colno}: not JSON ({error.msg})") from error
    return _objects(Columns(path, columns, lined=False), enumerate(found, start=1)).table(encoding)


# Numbers stay as they are written; NaN, which JSON does not know but Python writes, is nothing.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=lambda _: None)


def _objects(rows: Columns, records: Iterable[tuple[int, Any]]) -> Columns:
    """Add numbered JSON texts (the lines of a file), or numbered values."""
    for line, record in records:
        try:
            found = _DECODER.decode(record) if rows.lined else record
        except json.JSONDecodeError as error:
            rows.add_bad(line, f"not JSON ({error.msg}, column {error.colno})")
            continue
        if isinstance(found, dict):
            _add_object(rows, found, line)
        else:
            rows.add_bad(line, "not a JSON object")
    if not rows.size:
        raise DataError(f"{rows.path}: is empty")
    return rows


def _add_object(rows: Columns, found: dict[str, Any], line: int) -> None:
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

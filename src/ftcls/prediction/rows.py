"""The rows of text files, tables and streams, read as they are asked for and never all at once.

A row that cannot be read is a row with a problem, in its place; only what makes the whole file unreadable is an error.
"""

import codecs
import contextlib
import csv
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from ftcls.data.tables.table import encoding_of, open_text
from ftcls.errors import ConfigError, DataError
from ftcls.prediction.stream import Live, Stream

Kind = Literal["csv", "tsv", "jsonl", "parquet", "txt"]
Row = dict[str, Any]

KINDS: Mapping[str, Kind] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".txt": "txt",
}
TEXT: Final = "text"
"""The column that the lines of a text file stand in."""
_LARGEST_FIELD = 16 * 1024**2
"""Characters of a CSV field: longer than any text, and a quote that is never closed does not fill the memory."""
_BATCH = 1_024
"""Rows of a Parquet file that are unpacked at once."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the input."""

    place: str
    """Where a person finds it: ``in.csv:7``, or ``in.parquet, row 7``."""
    row: Row
    problem: str | None = None
    """Why it cannot be read; the row then holds what is there."""
    raw: str | None = None
    """The line as it stands, where no row could be made of it."""


@dataclass(frozen=True)
class Source:
    """The rows of one or several files of one kind, or of a stream."""

    name: str
    kind: Kind
    columns: tuple[str, ...] | None
    """None: every row has its own (JSON lines)."""
    records: Iterator[Record]
    fraction: Callable[[], float | None]
    """How much of the input has been read, from 0 to 1; None for a stream, whose end is not known."""
    delimiter: str = ","
    schema: pa.Schema | None = None
    """Of Parquet files."""
    pauses: Callable[[float], bool] = lambda seconds: False
    """Whether no row is there, nor arrives within so many seconds; files never pause."""


@dataclass(frozen=True)
class _Opened:
    """One file."""

    columns: tuple[str, ...] | None
    records: Iterator[Record]
    position: Callable[[], int]
    """Bytes read so far."""
    delimiter: str = ","
    schema: pa.Schema | None = None


def kind_of(path: Path) -> Kind:
    """The kind of a file, by its suffix.

    Raises:
        ConfigError: it is none that can be read and written row by row.
    """
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise ConfigError(f"{path}: not a kind of file that predict takes; use {', '.join(KINDS)}")
    return KINDS[suffix]


def input_kind(path: Path) -> Kind:
    """The kind of a file that may be packed: ``reviews.csv.gz`` is a CSV.

    Raises:
        ConfigError: see `kind_of`.
    """
    packed = path.suffix.lower() == ".gz"
    kind = kind_of(path.with_suffix("") if packed else path)
    if packed and kind == "parquet":
        raise ConfigError(f"{path}: Parquet is packed by itself; unpack the .gz first")
    return kind


def expanded(names: Sequence[Path]) -> list[Path]:
    """The files that are meant, a pattern such as ``reviews/*.csv`` replaced by its matches in order.

    Raises:
        DataError: a file is not there, or a pattern matches none.
    """
    found = []
    for path in names:
        matches = [path] if path.exists() else sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        files = [match for match in matches if match.is_file()]
        if not files:
            pattern = any(mark in str(path) for mark in "*?[")
            reason = "matches no file" if pattern else "is a folder" if path.is_dir() else "no such file"
            raise DataError(f"{path}: {reason}")
        found += files
    return found


@contextlib.contextmanager
def opened(given: Sequence[Path] | Stream, kind: Kind | None = None) -> Iterator[Source]:
    """The rows of files, in the order given, or of a stream.

    Args:
        given: files of one kind, and tables with the same columns; or a stream.
        kind: what the stream or the files hold; None: what the suffixes say, for a stream a text in each line.

    Raises:
        ConfigError: a suffix that is not known, or files of several kinds.
        DataError: a file cannot be read, has other columns than the first, or none.
    """
    if not isinstance(given, Sequence):
        yield _stream(given, kind or "txt")
        return
    paths = expanded(given)
    kinds = {path: kind or input_kind(path) for path in paths}
    odd = next((path for path in paths if kinds[path] != kinds[paths[0]]), None)
    if odd is not None:
        raise ConfigError(f"{odd}: another kind of file than {paths[0]}; give files of one kind in one call")
    with contextlib.ExitStack() as stack:
        yield _files(paths, kinds[paths[0]], stack)


def _stream(stream: Stream, kind: Kind) -> Source:
    if kind == "parquet":
        raise ConfigError("Parquet cannot be read from a stream; name a file")
    found = _OPENERS[kind]("stdin", stream)
    source = Source("stdin", kind, found.columns, found.records, lambda: None, found.delimiter)
    return replace(source, pauses=stream.pauses) if isinstance(stream, Live) else source


def _files(paths: Sequence[Path], kind: Kind, stack: contextlib.ExitStack) -> Source:
    first = _open(paths[0], kind, stack)
    sizes = [path.stat().st_size for path in paths]
    current, before = first, 0

    def records() -> Iterator[Record]:
        nonlocal current, before
        yield from first.records
        for number, path in enumerate(paths[1:], start=1):
            before = sum(sizes[:number])
            with contextlib.ExitStack() as inner:
                current = _open(path, kind, inner)
                _refuse_other_columns(path, current, paths[0], first)
                yield from current.records
                before, current = before + sizes[number], first

    def fraction() -> float:
        return min(1.0, (before + current.position()) / max(1, sum(sizes)))

    name = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    return Source(name, kind, first.columns, records(), fraction, first.delimiter, first.schema)


def _open(path: Path, kind: Kind, stack: contextlib.ExitStack) -> _Opened:
    if kind == "parquet":
        return _parquet(path, stack)
    file = stack.enter_context(open_text(path, encoding_of(path)))
    bytes_of: Any = file.buffer
    packed = getattr(bytes_of, "fileobj", None)  # gzip: the position in the file that the size was taken of
    found = _OPENERS[kind](str(path), file)
    position = (packed or bytes_of).tell
    return _Opened(found.columns, found.records, position, found.delimiter)


def _refuse_other_columns(path: Path, found: _Opened, first_path: Path, first: _Opened) -> None:
    if found.columns != first.columns or found.schema != first.schema:
        what = "columns" if found.columns != first.columns else "types"
        columns = (", ".join(map(repr, each.columns or ())) for each in (found, first))
        raise DataError(f"{path}: other {what} than {first_path}: {' instead of '.join(columns)}; label it on its own")


def _lines(name: str, file: Stream) -> _Opened:
    def records() -> Iterator[Record]:
        for number, line in enumerate(file, start=1):
            yield Record(f"{name}:{number}", {TEXT: line.rstrip("\r\n")})

    return _Opened((TEXT,), records(), _nowhere)


def _json_lines(name: str, file: Stream) -> _Opened:
    def records() -> Iterator[Record]:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _parsed(f"{name}:{number}", line.strip())

    return _Opened(None, records(), _nowhere)


def _parsed(place: str, line: str) -> Record:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return Record(place, {}, f"not JSON: {error.msg} (column {error.colno})", line)
    except (RecursionError, ValueError) as error:  # nested too deeply; a number of too many digits
        return Record(place, {}, f"not JSON that can be read: {error}", line)
    if isinstance(row, dict):
        return Record(place, row)
    return Record(place, {}, f'expected an object such as {{"text": "..."}}, found {line[:40]}', line)


def _commas(name: str, file: Stream) -> _Opened:
    return _delimited(name, file, None)


def _tabs(name: str, file: Stream) -> _Opened:
    return _delimited(name, file, "\t")


def _delimited(name: str, file: Stream, delimiter: str | None) -> _Opened:
    csv.field_size_limit(_LARGEST_FIELD)
    head = file.readline().removeprefix(codecs.BOM_UTF8.decode("utf-8"))
    mark = delimiter or max(",;\t|", key=lambda mark: len(next(csv.reader([head], delimiter=mark), [])))
    reader = csv.reader(itertools.chain([head], file), delimiter=mark)
    columns = tuple(next(reader, ()))
    if not columns:
        raise DataError(f"{name}: is empty; the first line must name the columns")
    if len(set(columns)) < len(columns):
        twice = next(column for column, count in Counter(columns).items() if count > 1)
        raise DataError(f"{name}: two columns are called {twice!r}; rename one")

    def records() -> Iterator[Record]:
        try:
            for cells in reader:
                if cells:
                    yield _row(f"{name}:{reader.line_num}", cells, columns, mark)
        except csv.Error as error:
            raise DataError(
                f"{name}:{reader.line_num}: {error}; most likely a quote that is opened before and never closed"
            ) from None

    return _Opened(columns, records(), _nowhere, mark)


def _row(place: str, cells: list[str], columns: tuple[str, ...], mark: str) -> Record:
    k = len(columns)
    if len(cells) == k:
        return Record(place, dict(zip(columns, cells, strict=True)))
    fields = "1 field" if len(cells) == 1 else f"{len(cells)} fields"
    kept = [*cells[: k - 1], mark.join(cells[k - 1 :])] if len(cells) > k else [*cells, *[""] * (k - len(cells))]
    return Record(place, dict(zip(columns, kept, strict=True)), f"{fields}, the header has {k}; quote the text")


def _parquet(path: Path, stack: contextlib.ExitStack) -> _Opened:
    try:
        file = stack.enter_context(pq.ParquetFile(path))
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: not a Parquet file ({error})") from None
    read = 0

    def records() -> Iterator[Record]:
        nonlocal read
        for batch in file.iter_batches(batch_size=_BATCH):
            for row in batch.to_pylist():
                read += 1
                yield Record(f"{path}, row {read}", row)

    size, rows = path.stat().st_size, max(1, file.metadata.num_rows)
    schema = file.schema_arrow.remove_metadata()
    return _Opened(tuple(schema.names), records(), lambda: size * read // rows, schema=schema)


def _nowhere() -> int:
    return 0


_OPENERS: Mapping[Kind, Callable[[str, Stream], _Opened]] = {
    "csv": _commas,
    "tsv": _tabs,
    "jsonl": _json_lines,
    "txt": _lines,
}

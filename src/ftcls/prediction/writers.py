"""Writing labelled rows: to a stream, or to a file that appears whole, from a partial file that can be continued.

A partial file is what was written until the last commit, and beside it a small JSON file that says how far that is,
for which request, and a hash of the rows it was made from. Whatever was written after the commit is cut off.
"""

import contextlib
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, TextIO

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from ftcls.data.tables.cells import Number
from ftcls.data.tables.delimited import Dialect
from ftcls.data.tables.records import Kind
from ftcls.environment import json_files
from ftcls.environment.files import naming, replacing, write_json
from ftcls.errors import ConfigError, DataError, FtclsError
from ftcls.prediction import csv_table
from ftcls.prediction.columns import Columns
from ftcls.prediction.rows import Row
from ftcls.runs.predictions import whole_characters

_SCHEMA_VERSION: Final = 1
_HALVES: Final = "backslashreplace"
"""How half of a surrogate pair, which JSON can spell and UTF-8 cannot, is written: as JSON spells it."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One row of the output."""

    row: Row
    """What the input has."""
    new: Row
    """What predicting adds."""
    problem: str | None = None


@dataclass(frozen=True)
class Layout:
    """What the rows look like, known from the input's columns or its first rows."""

    name: str
    """Of the input, for errors."""
    columns: tuple[str, ...]
    """Of the input; JSON lines have their own in every row."""
    new: Columns
    dialect: Dialect = field(default_factory=Dialect)
    """Of the input, if it is a delimited text."""
    schema: pa.Schema | None = None
    """Of the input's columns in a Parquet file; the output has one only then."""
    safe_cells: bool = False
    """Whether cells that a spreadsheet would run as a formula are made text."""


@dataclass(frozen=True)
class Progress:
    """How far a partial file goes."""

    request: Mapping[str, Any]
    """What it was made for; another request cannot continue it."""
    rows: int
    size: int
    """Bytes."""
    input_hash: str
    """Of those rows of the input."""
    tally: Mapping[str, Any]
    """The counts up to there."""


class Sink(Protocol):
    """Where labelled rows go."""

    def write(self, rows: Sequence[Labelled]) -> None:
        """Append rows."""

    def commit(self, rows: int, input_hash: str, tally: Mapping[str, Any]) -> None:
        """Make everything written so far survive a crash."""

    @property
    def done(self) -> Progress | None:
        """What an earlier call has written; None: nothing."""


class _Text:
    """Rows as lines of a text file."""

    def __init__(self, file: TextIO, kind: Kind, layout: Layout) -> None:
        self.file = file
        self.kind = kind
        self.layout = layout
        self.table = _table(file, kind, layout)
        self.separators = itertools.chain([""], itertools.repeat(",\n"))

    def begin(self) -> None:
        if self.kind == "json":
            self.file.write('{"predictions": [\n')
        elif self.kind in ("csv", "tsv"):
            self.table.writerow([*self.layout.columns, *self.layout.new.names])

    def write(self, rows: Sequence[Labelled]) -> None:
        new = self.layout.new
        if self.kind == "txt":  # a label with a line break in it must not become two rows
            self.file.writelines(f"{' '.join(new.joined(each.new[new.label]).splitlines())}\n" for each in rows)
        elif self.kind == "jsonl":
            self.file.writelines(f"{self._json(each)}\n" for each in rows)
        elif self.kind == "json":
            self.file.writelines(f"{next(self.separators)}{self._json(each)}" for each in rows)
        else:
            self.table.writerows(map(self._cells, rows))

    def end(self) -> None:
        if self.kind == "json":
            self.file.write("\n]}\n")

    def _json(self, each: Labelled) -> str:
        problem = {self.layout.new.problem: each.problem} if each.problem else {}
        return json.dumps({**each.row, **each.new, **problem}, ensure_ascii=False, default=str)

    def _cells(self, each: Labelled) -> list[Any]:
        _refuse_other_keys(each, self.layout)
        new = self.layout.new
        labels = new.joined(each.new[new.label])
        own = (_cell(each.row.get(name)) for name in self.layout.columns)
        return [*own, labels, *list(each.new.values())[1:]]


def _cell(value: Any) -> Any:
    """A value as one cell: numbers as they were written; lists, objects, true and false as JSON, not as Python."""
    if isinstance(value, Number):
        return value.written
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, bool | list | dict) else value


class _Spool:
    """Rows as Arrow streams one behind the other, which unlike Parquet can be cut and continued."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        self.file = file
        self.layout = layout
        self.schema = pa.schema([*(layout.schema or ()), *layout.new.fields])

    def write(self, rows: Sequence[Labelled]) -> None:
        for each in rows:
            _refuse_other_keys(each, self.layout)
        found = [{**(_fitting(each.row, self.schema) if each.problem else each.row), **each.new} for each in rows]
        try:
            table = arrow_table(found, self.schema)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(f"{self.layout.name}: its values do not fit one table ({error}); write .jsonl") from None
        with pa.ipc.new_stream(self.file, self.schema) as stream:
            stream.write_table(table)

    def to_parquet(self, path: Path) -> None:
        """Write what was spooled as one Parquet file."""
        end = self.file.seek(0, os.SEEK_END)
        self.file.seek(0)
        with pq.ParquetWriter(path, self.schema) as writer:
            while self.file.tell() < end:
                writer.write_table(pa.ipc.open_stream(self.file).read_all())


class _Plain:
    """Tab-separated rows without quoting, as the input has them: what would end a cell becomes a space."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def writerow(self, cells: Iterable[Any]) -> None:
        self.writerows([cells])

    def writerows(self, rows: Iterable[Iterable[Any]]) -> None:
        for cells in rows:
            texts = ("" if cell is None else str(cell) for cell in cells)
            self.file.write("\t".join(re.sub(r"[\t\r\n]", " ", text) for text in texts) + "\n")


def _table(file: TextIO, kind: Kind, layout: Layout) -> Any:
    written = _as_read(file, kind, layout.dialect)
    return csv_table.Safe(written) if layout.safe_cells else written


def _as_read(file: TextIO, kind: Kind, dialect: Dialect) -> Any:
    if kind == "tsv" and dialect.delimiter == "\t" and not dialect.quoted:
        return _Plain(file)
    mark = "\t" if kind == "tsv" else dialect.delimiter.replace("\t", ",")
    return csv_table.writer(file, mark)


def _fitting(row: Row, schema: pa.Schema) -> Row:
    """What a table can hold of a row that could not be read: a value of another type as text, or not at all."""
    found: dict[str, Any] = {}
    for column in schema:
        value = row.get(column.name)
        try:
            pa.scalar(value, column.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            value = json.dumps(value, ensure_ascii=False, default=str) if pa.types.is_string(column.type) else None
        found[column.name] = value
    return found


def arrow_table(found: Sequence[Row], schema: pa.Schema | None = None) -> pa.Table:
    """Rows as a table; half of a surrogate pair is U+FFFD there.

    Raises:
        pa.ArrowInvalid, pa.ArrowTypeError: their values do not fit one.
    """
    try:
        return pa.Table.from_pylist(list(found), schema=schema)
    except UnicodeEncodeError:  # JSON can spell half of a surrogate pair, UTF-8 cannot
        whole = [{key: whole_characters(v) if isinstance(v, str) else v for key, v in each.items()} for each in found]
        return pa.Table.from_pylist(whole, schema=schema)


def _refuse_other_keys(each: Labelled, layout: Layout) -> None:
    if each.problem is None and each.row.keys() != set(layout.columns):
        raise DataError(f"{layout.name}: rows have different keys, which a table cannot hold; write .jsonl")


class _Stream:
    """A stream: written, and no more is known."""

    done: Progress | None = None

    def __init__(self, text: _Text) -> None:
        self.text = text

    def write(self, rows: Sequence[Labelled]) -> None:
        self.text.write(rows)

    def commit(self, rows: int, input_hash: str, tally: Mapping[str, Any]) -> None:
        self.text.file.flush()


class _Partial:
    """The partial file of an output, and how far it goes."""

    def __init__(
        self, file: BinaryIO, writer: _Text | _Spool, note: Path, request: Mapping[str, Any], done: Progress | None
    ) -> None:
        self.file = file
        self.writer = writer
        self.note = note
        self.request = request
        self.done = done

    def write(self, rows: Sequence[Labelled]) -> None:
        self.writer.write(rows)

    def commit(self, rows: int, input_hash: str, tally: Mapping[str, Any]) -> None:
        self.flush()
        progress = Progress(self.request, rows, self.file.tell(), input_hash, tally)
        write_json(self.note, {"schema_version": _SCHEMA_VERSION, **asdict(progress)})

    def flush(self) -> None:
        if isinstance(self.writer, _Text):
            self.writer.file.flush()
        self.file.flush()
        os.fsync(self.file.fileno())


def partial_of(output: Path) -> Path:
    """The file in which an output grows."""
    return output.with_name(f"{output.name}.partial")


def _note_of(output: Path) -> Path:
    return output.with_name(f"{output.name}.partial.json")


@contextlib.contextmanager
def to_stream(stream: TextIO, kind: Kind, layout: Layout) -> Iterator[Sink]:
    """Write rows to a stream."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors=_HALVES)
    text = _Text(stream, kind, layout)
    text.begin()
    yield _Stream(text)
    text.end()


@contextlib.contextmanager
def to_file(output: Path, kind: Kind, layout: Layout, *, request: Mapping[str, Any], resume: bool) -> Iterator[Sink]:
    """Write rows to a file that is put in its place at the end.

    On an `FtclsError` nothing is left of a partial file that was begun here; whatever else stops the program leaves it.

    Raises:
        ConfigError: there is a partial file and ``resume`` is false, it was made for another request, or another
            process is writing it.
    """
    partial, note = partial_of(output), _note_of(output)
    request = json.loads(json.dumps(request))  # as it is read back
    output.parent.mkdir(parents=True, exist_ok=True)
    with _alone(output):
        done = _found(output, request, resume=resume)
        if done is None:
            note.unlink(missing_ok=True)  # that of a partial file that is gone
            partial.write_bytes(b"")
        with contextlib.ExitStack() as cleanup:
            file = cleanup.enter_context(partial.open("r+b"))
            file.truncate(0 if done is None else done.size)
            file.seek(0, os.SEEK_END)
            writer = cleanup.enter_context(_writer(file, kind, layout))
            try:
                if done is None and isinstance(writer, _Text):
                    writer.begin()
                sink = _Partial(file, writer, note, request, done)
                yield sink
                sink.flush()
                if isinstance(writer, _Spool):
                    with replacing(output) as staged:
                        writer.to_parquet(staged)
            except FtclsError:
                if done is None:
                    cleanup.callback(note.unlink, missing_ok=True)
                    cleanup.callback(partial.unlink, missing_ok=True)
                raise
        partial.unlink() if kind == "parquet" else partial.replace(output)
        note.unlink(missing_ok=True)


@contextlib.contextmanager
def _writer(file: BinaryIO, kind: Kind, layout: Layout) -> Iterator[_Text | _Spool]:
    if kind == "parquet":
        yield _Spool(file, layout)
        return
    text = TextIOWrapper(file, encoding="utf-8", errors=_HALVES, newline="")
    try:
        yield _Text(text, kind, layout)
    finally:
        text.detach()  # the file is another's to close


@contextlib.contextmanager
def _alone(output: Path) -> Iterator[None]:
    lock = FileLock(output.with_name(f".{output.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ConfigError(f"--output {output}: another process is writing it; name another file") from None
    try:
        with naming(output):
            yield
    finally:
        with contextlib.suppress(PermissionError):  # Windows keeps a file that is open
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _found(output: Path, request: Mapping[str, Any], *, resume: bool) -> Progress | None:
    """What an earlier call has left."""
    partial, note = partial_of(output), _note_of(output)
    if not (partial.is_file() and note.is_file()):
        return None
    if not resume:
        raise ConfigError(f"{partial}: is half done; add --resume to continue it, or delete it to start over")
    try:
        stored = json_files.value(note)
        if stored.pop("schema_version") != _SCHEMA_VERSION:
            raise ValueError("of another version")
        done = Progress(**stored)
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{note}: cannot be read ({error}); delete it and {partial} to start over") from None
    differing = sorted(key for key in request.keys() | done.request.keys() if _differs(key, request, done.request))
    if differing:
        raise ConfigError(
            f"{partial}: was made with another {', '.join(differing)}; give the same as before, or delete it to start "
            "over"
        )
    if partial.stat().st_size < done.size:
        raise DataError(f"{partial}: is shorter than {note} says; delete both to start over")
    return done


def _differs(key: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return key not in first or key not in second or first[key] != second[key]

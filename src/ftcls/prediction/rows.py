"""The rows of text files, tables and streams, read as they are asked for and never all at once.

A row that cannot be read is a row with a problem, in its place; only what makes the whole file unreadable is an error.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from ftcls.data.raw import BadRows
from ftcls.data.tables import records
from ftcls.data.tables.delimited import Dialect
from ftcls.data.tables.dialect import sample_of
from ftcls.data.tables.encoding import PACKED
from ftcls.data.tables.records import KINDS, WHOLE, Kind, Record, Records, kind_of
from ftcls.data.tables.spreadsheet import file_of
from ftcls.errors import ConfigError, DataError
from ftcls.prediction.stream import Live, Stream

Row = Mapping[str, Any]

PAUSE: Final = 0.2
"""Seconds without a new row after which those that are there are labelled, where a stream is followed."""
_READ_ONLY: Final = ("json", "sheet")
"""Kinds that are not written row by row."""
_ALIKE: Final = {"json": "jsonl"}
"""Kinds whose rows are the same."""


@dataclass(frozen=True)
class Source:
    """The rows of one or several files of one kind, or of a stream."""

    name: str
    kind: Kind
    columns: tuple[str, ...] | None
    """None: every row has its own (JSON)."""
    records: Iterator[tuple[str, Record]]
    """Each row, and where a person finds it: ``in.csv:7``, or ``in.parquet, row 7``."""
    fraction: Callable[[], float | None]
    """How much of the input has been read, from 0 to 1; None for a stream, whose end is not known."""
    dialect: Dialect = field(default_factory=Dialect)
    schema: pa.Schema | None = None
    """Of Parquet files."""
    pauses: Callable[[float], bool] = lambda seconds: False
    """Whether no row is there, nor arrives within so many seconds; files never pause."""
    swallowed: Sequence[BadRows] = ()
    """Of each file; see `records.Records.swallowed`."""


def output_kind(path: Path) -> Kind:
    """The kind of a file that is written, by its suffix.

    Raises:
        ConfigError: it is none that can be written row by row.
    """
    kind = None if path.suffix.lower() in PACKED else kind_of(path)
    if kind is None or kind in _READ_ONLY:
        kinds = (suffix for suffix, each in KINDS.items() if each not in _READ_ONLY)
        raise ConfigError(f"{path}: not a kind of file that predict writes; use {', '.join(kinds)}")
    return kind


def input_kind(path: Path) -> Kind:
    """The kind of a file that may be packed: ``reviews.csv.gz`` is a CSV.

    Raises:
        ConfigError: it is none that can be read row by row.
    """
    kind = kind_of(path)
    if kind is None:
        if KINDS.get(path.with_suffix("").suffix.lower()) in WHOLE:
            raise ConfigError(f"{path}: such a file is packed by itself; unpack the {path.suffix} first")
        raise ConfigError(f"{path}: not a kind of file that predict takes; use {', '.join(KINDS)}")
    return kind


def expanded(names: Sequence[Path]) -> list[Path]:
    """The files that are meant, a pattern such as ``reviews/*.csv`` replaced by its matches in order.

    Raises:
        DataError: a file is not there, or a pattern matches none.
    """
    found = []
    for path in names:
        matches = (
            [path] if file_of(path).exists() else sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        )
        files = [match for match in matches if file_of(match).is_file()]
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
    first = _alike(kinds[paths[0]])
    odd = next((path for path in paths if _alike(kinds[path]) != first), None)
    if odd is not None:
        raise ConfigError(f"{odd}: another kind of file than {paths[0]}; give files of one kind in one call")
    with contextlib.ExitStack() as stack:
        yield _files(kinds, stack)


def _alike(kind: Kind) -> str:
    return _ALIKE.get(kind, kind)


def _stream(stream: Stream, kind: Kind) -> Source:
    if kind in WHOLE:
        what = "Parquet" if kind == "parquet" else "a spreadsheet"
        raise ConfigError(f"{what} cannot be read from a stream; name a file")
    sample = _present(stream) if isinstance(stream, Live) and kind in ("csv", "tsv") else None
    found = records.streamed("stdin", stream, kind, sample=sample)
    rows = ((found.place(each.line), each) for each in found.records)
    source = Source("stdin", kind, found.columns, rows, lambda: None, found.dialect, swallowed=(found.swallowed,))
    return replace(source, pauses=stream.pauses) if isinstance(stream, Live) else source


def _present(stream: Live) -> list[str]:
    """The first lines of a stream, as many as are there: somebody may be waiting for the answer to them."""

    def lines() -> Iterator[str]:
        for line in stream:
            yield line
            if stream.pauses(PAUSE):
                return

    return sample_of(lines())


def _files(kinds: Mapping[Path, Kind], stack: contextlib.ExitStack) -> Source:
    paths = list(kinds)
    first = stack.enter_context(records.opened(paths[0], kinds[paths[0]]))
    sizes = [file_of(path).stat().st_size for path in paths]
    current, before = first, 0
    swallowed = [first.swallowed]

    def rows() -> Iterator[tuple[str, Record]]:
        nonlocal current, before
        yield from ((first.place(each.line), each) for each in first.records)
        for number, path in enumerate(paths[1:], start=1):
            before = sum(sizes[:number])
            with records.opened(path, kinds[path]) as found:
                current = found
                swallowed.append(found.swallowed)
                _refuse_other_columns(path, found, paths[0], first)
                yield from ((found.place(each.line), each) for each in found.records)
                before, current = before + sizes[number], first

    def fraction() -> float:
        return min(1.0, (before + current.position()) / max(1, sum(sizes)))

    name = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    kind = kinds[paths[0]]
    return Source(name, kind, first.columns, rows(), fraction, first.dialect, first.schema, swallowed=swallowed)


def _refuse_other_columns(path: Path, found: Records, first_path: Path, first: Records) -> None:
    if found.columns != first.columns or found.schema != first.schema:
        what = "columns" if found.columns != first.columns else "types"
        columns = (", ".join(map(repr, each.columns or ())) for each in (found, first))
        raise DataError(f"{path}: other {what} than {first_path}: {' instead of '.join(columns)}; label it on its own")

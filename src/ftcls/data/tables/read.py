"""Whole tables in memory: CSV as Excel writes it, TSV, JSON lines, JSON, Parquet, spreadsheets.

Numbers stay what the file says: ``1`` is the text "1", and '', 'NA', 'n/a' and 'NULL' are texts too.
"""

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ftcls.data.raw import BadRows
from ftcls.data.tables.cells import Cell, Misfit, arrow_cells, class_labels
from ftcls.data.tables.encoding import PACKED
from ftcls.data.tables.records import KINDS, Records, kind_of, opened, parquet_file, readable
from ftcls.data.tables.spreadsheet import file_of, others
from ftcls.data.tables.table import Table
from ftcls.environment import limits
from ftcls.errors import DataError, quoted

FORMATS: Final = (
    f"{', '.join(suffix for suffix, kind in KINDS.items() if kind != 'txt')} (text kinds also {', '.join(PACKED)})"
)
"""Lines of text have no column for a label."""


def read_table(path: Path, columns: Collection[str] | None = None, *, optional: Collection[str] = ()) -> Table:
    """Read a file of one of `records.KINDS`; those of text may be packed.

    Args:
        path: the file; of a spreadsheet also ``book.xlsx#Sheet``.
        columns: the columns to keep, in which a value that is no text and no list of texts makes a bad row; None: all,
            and such a value is none.
        optional: columns to keep beside these if the file has them.

    Raises:
        DataError: no such file, another format, an unknown encoding, no rows, or a column that is not there.
        UnavailableError: the library for a spreadsheet is not installed.
    """
    if not file_of(path).is_file():
        raise DataError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}; name a {FORMATS} file")
    kind = kind_of(path)
    if kind is None or kind == "txt":
        raise DataError(f"{path}: not a kind of file that ftcls reads; use {FORMATS}")
    wanted = None if columns is None else {*columns, *optional}
    if kind == "parquet":
        table = _parquet(path, wanted)
    else:
        with opened(path, kind) as records:
            table = _gathered(path, records, wanted)
        if kind == "sheet":
            table = replace(table, sheets=others(path))
    if any(name not in table.values for name in columns or ()):
        refuse_only_bad(table)  # a column may be missing because no row could be read
    for name in columns or ():
        table.column(name)
    return table


def refuse_only_bad(table: Table) -> None:
    """Say why no row can be read.

    Raises:
        DataError: none can.
    """
    if table.bad.count and not table.rows:
        like = f"; so all {table.bad.count:,} rows" if table.bad.count > 1 else ""
        raise DataError(f"no row can be read: {table.bad.examples[0]}{like}")


class _Columns:
    """Cells gathered column by column."""

    def __init__(self, name: str, wanted: Collection[str] | None) -> None:
        self.name = name
        self.wanted = wanted
        self.names: dict[str, None] = {}
        self.values: dict[str, list[Cell]] = {}
        self.size = 0
        self.missing = 0
        """Cells of JSON rows that lack a key which another row has."""

    def begin(self, names: Iterable[str]) -> None:
        """Columns that are there; those that are wanted are kept."""
        for name in names:
            if name not in self.names:
                self.names[name] = None
                if len(self.names) > limits.COLUMNS:
                    raise DataError(
                        f"{self.name}: more than {limits.COLUMNS:,} columns, or keys of all rows; that is no table"
                    )
                if self.wanted is None or name in self.wanted:
                    self.values[name] = [None] * self.size
                    self.missing += self.size

    def add(self, cells: Iterable[Cell]) -> None:
        """A row, its cells in the order of the columns that are kept."""
        for values, cell in zip(self.values.values(), cells, strict=True):
            values.append(cell)
        self.size += 1
        if self.missing > limits.MISSING + limits.MISSING_IN_A_ROW * self.size:
            raise DataError(f"{self.name}: its rows have too few keys in common; that is no table")


def _gathered(path: Path, records: Records, wanted: Collection[str] | None) -> Table:
    columns, bad = _Columns(str(path), wanted), BadRows()
    columns.begin(records.columns or ())
    numbers, lines, size = array("q"), array("q"), 0
    for line, cells, problem in _of_table(records, columns) if records.table else _of_objects(records, columns):
        if problem is None:
            columns.add(cells)
            numbers.append(size)
            lines.append(line)
        else:
            bad.add(records.place(line), problem)
        size += 1
    if not size and records.columns is None:
        raise DataError(f"{path}: is empty")
    return Table(
        path=path,
        columns=tuple(columns.names),
        rows=len(numbers),
        values=columns.values,
        numbers=np.array(numbers, dtype=np.int64),
        size=size,
        lines=np.array(lines, dtype=np.int64) if records.lined else None,
        encoding=records.encoding,
        bad=bad,
        swallowed=records.swallowed,
    )


def _of_table(records: Records, columns: _Columns) -> Iterator[tuple[int, Sequence[Cell], str | None]]:
    """Line, cells of the columns that are kept, and problem of each row of a delimited text."""
    places = [(records.columns or ()).index(name) for name in columns.values]
    for line, cells, problem, _ in records.table or ():
        yield line, [] if problem else [cells[place] for place in places], problem


def _of_objects(records: Records, columns: _Columns) -> Iterator[tuple[int, Sequence[Cell], str | None]]:
    """The same of rows that have columns of their own."""
    for record in records.records:
        problem, cells = record.problem, list[Cell | Misfit]()
        if problem is None:
            columns.begin(record.row)
            columns.missing += max(0, len(columns.values) - len(record.row))
            cells = [record.cell_of(name) for name in columns.values]
            problem = None if columns.wanted is None else _misfit(zip(columns.values, cells, strict=True))
        yield record.line, list(_fitting(cells)), problem


def _misfit(cells: Iterable[tuple[str, Cell | Misfit]]) -> str | None:
    return next((f"column {quoted(name)} {cell.reason}" for name, cell in cells if isinstance(cell, Misfit)), None)


def _fitting(cells: Iterable[Cell | Misfit]) -> Iterator[Cell]:
    return (None if isinstance(cell, Misfit) else cell for cell in cells)


def _parquet(path: Path, wanted: Collection[str] | None) -> Table:
    """Column by column, which takes a tenth of the time that rows take."""
    with parquet_file(path) as file:
        names = tuple(file.schema_arrow.names)
        kept = [name for name in names if wanted is None or name in wanted]
        classes = class_labels(file.schema_arrow)
    with readable(path):
        # As dictionaries, which is how they are stored: a kilobyte can stand for gigabytes of equal texts.
        texts = [name for name in kept if pa.types.is_string(file.schema_arrow.field(name).type)]
        with pq.ParquetFile(path, read_dictionary=texts) as again:
            found = again.read(columns=kept)
            found.validate(full=True)  # or an index that leads elsewhere ends the process, and text may be none
    _check_texts(path, found)
    values = {name: arrow_cells(found.column(name), classes.get(name)) for name in kept}
    bad, fits = BadRows(), np.ones(found.num_rows, dtype=bool)
    if wanted is not None:
        for index in _odd(values.values()):
            problem = _misfit((name, cells[index]) for name, cells in values.items())
            bad.add(f"{path}, row {index + 1}", problem or "")
            fits[index] = False
    numbers = np.flatnonzero(fits)
    every = len(numbers) == found.num_rows
    return Table(
        path=path,
        columns=names,
        rows=len(numbers),
        values={
            name: list(_fitting(cells if every else (cells[index] for index in numbers.tolist())))
            for name, cells in values.items()
        },
        numbers=numbers,
        size=found.num_rows,
        lines=None,
        encoding="parquet",
        bad=bad,
    )


def _check_texts(path: Path, found: pa.Table) -> None:
    """See that the texts of dictionaries are not far more than the file.

    Raises:
        DataError: they are.
    """
    most, size = limits.PARQUET_BYTES + limits.UNPACKED_TIMES * path.stat().st_size, 0
    for column in found.columns:
        for chunk in column.chunks if pa.types.is_dictionary(column.type) else ():
            if pa.types.is_string(chunk.type.value_type):
                lengths = pc.take(pc.binary_length(chunk.dictionary), chunk.indices)
                size += pc.sum(lengths).as_py() or 0
    if size > most:
        raise DataError(
            f"{path}: unpacks to {size:,} bytes of text; of {path.stat().st_size:,} bytes ftcls takes {most:,}"
        )


def _odd(columns: Iterable[list[Cell | Misfit]]) -> list[int]:
    return sorted({index for cells in columns for index, cell in enumerate(cells) if isinstance(cell, Misfit)})

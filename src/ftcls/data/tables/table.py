"""A table in memory: columns, never rows, with the line of the file that each row came from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ftcls.data.raw import BadRows
from ftcls.data.tables.cells import Cell
from ftcls.environment import limits
from ftcls.errors import DataError, quoted

_SHOWN: Final = 20
"""Columns that an error lists."""


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
    """``utf-8``, ``utf-8-sig``, ``utf-16``, ``cp1252``, ``parquet`` or ``sheet``."""
    bad: BadRows = field(default_factory=BadRows)
    """Rows that could not be read; they are not among the n."""
    swallowed: BadRows = field(default_factory=BadRows)
    """Rows, among the n, whose quotes have lines inside them that look like rows."""
    sheets: tuple[str, ...] = ()
    """Other sheets of a spreadsheet, where nobody named the one to read."""

    def column(self, name: str) -> list[Cell]:
        """The n cells of a column.

        Raises:
            DataError: there is no such column; the nearest name is given.
        """
        if name not in self.values:
            raise missing_column(self.path, name, self.columns, self.sheets)
        return self.values[name]

    def place(self, index: int) -> str:
        """Where a person finds the i-th of the n rows: ``train.csv:7``, or ``train.parquet, row 7`` (from 1)."""
        if self.lines is None:
            return f"{self.path}, row {self.numbers[index] + 1}"
        return f"{self.path}:{self.lines[index]}"


class MissingColumn(DataError):
    """A file does not have a column."""


def missing_column(path: Path, name: str, columns: Sequence[str], sheets: Sequence[str] = ()) -> MissingColumn:
    """The error for a column that a file does not have; it may be in another sheet."""
    near = limits.nearest(name, columns)
    hint = f", did you mean {near!r}?" if near else ";"
    shown = ", ".join(map(quoted, columns[:_SHOWN]))
    more = f" and {len(columns) - _SHOWN:,} more" if len(columns) > _SHOWN else ""
    other = f". Other sheets are {', '.join(map(quoted, sheets[:_SHOWN]))}: {path}#SHEET" if sheets else ""
    return MissingColumn(f"{path}: no column {quoted(name)}{hint} The columns are {shown}{more}{other}")

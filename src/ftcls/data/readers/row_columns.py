"""Columns beside text and label that say something of a row: how much it counts, and which rows it belongs with."""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ftcls.data.labels import as_name
from ftcls.data.tables.cells import Cell
from ftcls.data.tables.table import Table
from ftcls.errors import shortened

_NUMBER: Final = re.compile(r"\+?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""A number of 0 or more as people and programs write one; Python's float also takes nan, inf and 1_000."""

_MOST: Final = 1e15
_WHOLE: Final = re.compile(r"(\d+)\.0+", re.ASCII)


@dataclass(frozen=True)
class RowColumns:
    """The names of these columns; None: there is none."""

    weight: str | None = None
    group: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple(name for name in (self.weight, self.group) if name is not None)

    def of(self, table: Table) -> "RowColumns":
        """Those that a table has read."""
        weight, group = (name if name in table.values else None for name in (self.weight, self.group))
        return RowColumns(weight, group)


NO_COLUMNS: Final = RowColumns()


def groups_of(table: Table, column: str) -> list[str | None]:
    """The n names of groups in a column, without spaces around them; None where a cell is empty.

    A whole number is one name, whether written with a point or not: pandas writes ``12.0`` where a cell of the column
    was empty, and a patient of training would be another one in the test file.

    Raises:
        DataError: there is no such column.
    """
    names = (as_name(cell) if isinstance(cell, str) else None for cell in table.column(column))
    return [whole[1] if name is not None and (whole := _WHOLE.fullmatch(name)) else name for name in names]


def weights_of(table: Table, column: str) -> tuple[NDArray[np.float64], dict[int, str]]:
    """The n weights of a column, and the reason for each row whose cell is no weight; its weight is 0 here.

    Raises:
        DataError: there is no such column.
    """
    found = np.zeros(table.rows)
    wrong: dict[int, str] = {}
    for index, cell in enumerate(table.column(column)):
        value = _number(cell)
        if value is None:
            shown = "nothing" if cell is None or not str(cell).strip() else shortened(repr(cell))
            wrong[index] = f"column {column!r} (data.weight) holds {shown}, not a number of 0 or more"
        else:
            found[index] = value
    return found, wrong


def _number(cell: Cell) -> float | None:
    """A number of 0 or more whose sum over a file is one too; None for any other cell."""
    text = cell.strip() if isinstance(cell, str) else ""
    value = float(text) if _NUMBER.fullmatch(text) else np.inf
    return float(value) if value <= _MOST else None

"""Weights of rows as tables hold them: a number of 0 or more in each."""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ftcls.data.tables.cells import Cell
from ftcls.data.tables.table import Table
from ftcls.errors import shortened

_NUMBER: Final = re.compile(r"\+?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""A number of 0 or more as people and programs write one; Python's float also takes nan, inf and 1_000."""

_MOST: Final = 1e15


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

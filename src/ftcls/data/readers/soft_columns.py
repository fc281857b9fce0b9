"""Labels that are not certain, as tables hold them: probabilities, and the votes of several annotators."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ftcls.data.corpus import Task
from ftcls.data.labels import as_name
from ftcls.data.readers.label_columns import Probabilities, Votes, written_lists
from ftcls.data.tables.cells import Cell
from ftcls.data.tables.table import Table
from ftcls.errors import shortened

_NUMBER: Final = re.compile(r"\+?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
TOLERANCE: Final = 0.01
"""How far from 1 probabilities of one label may add up, as those of three digits do; they are scaled to 1."""

Vote = tuple[str, ...]
"""The labels that one annotator gave to a row; none: that no label applies."""


def probabilities_of(table: Table, label: Probabilities, task: Task) -> tuple[NDArray[np.float64], dict[int, str]]:
    """Probabilities [n, k] in the order of the columns, and the reason for each row whose cells are none.

    Raises:
        DataError: there is no such column.
    """
    found = np.zeros((table.rows, len(label.columns)))
    wrong: dict[int, str] = {}
    for place, column in enumerate(label.columns):
        for index, cell in enumerate(table.column(column)):
            text = cell.strip() if isinstance(cell, str) else ""
            value = float(text) if _NUMBER.fullmatch(text) else -1.0
            if 0 <= value <= 1:
                found[index, place] = value
            elif index not in wrong:
                shown = "nothing" if not text and not isinstance(cell, list) else shortened(repr(cell))
                wrong[index] = f"column {column!r} holds {shown}, not a probability from 0 to 1"
    if task == "multilabel":
        return found, wrong
    totals = found.sum(axis=1)
    for index in np.flatnonzero(np.abs(totals - 1) > TOLERANCE).tolist():
        if index not in wrong:
            wrong[index] = f"the probabilities of its labels add up to {totals[index]:g}, not to 1"
    return found / np.where(totals > 0, totals, 1)[:, None], wrong


def votes_of(table: Table, label: Votes, task: Task) -> tuple[list[tuple[Vote, ...]], dict[int, str]]:
    """The votes of n rows, and the reason for each row that has none, or votes that are not what they should be.

    A cell that is empty is no vote; an empty list is the vote that no label applies.

    Raises:
        DataError: there is no such column.
    """
    if len(label.columns) == 1:
        cells = table.column(label.columns[0])
        votes = [tuple(_single_votes(cell, label.separator)) for cell in written_lists(cells) or cells]
    else:
        columns = [_cells(table.column(column)) for column in label.columns]
        votes = [tuple(_given(row, label.separator)) for row in zip(*columns, strict=True)]
    wrong: dict[int, str] = {}
    for index, row in enumerate(votes):
        if not row:
            wrong[index] = f"no vote in {', '.join(map(repr, label.columns))}"
        elif task != "multilabel" and any(len(vote) != 1 for vote in row):
            wrong[index] = f"an annotator gave {max(map(len, row), key=lambda n: n != 1)} labels; task {task} takes one"
    return votes, wrong


def _single_votes(cell: Cell, separator: str | None) -> Iterator[Vote]:
    """The votes in one cell, each of one label."""
    if cell is None:
        return
    items = cell if isinstance(cell, list) else [cell] if separator is None else cell.split(separator)
    yield from ((name,) for item in items if (name := as_name(item)))


def _cells(cells: Sequence[Cell]) -> list[Cell]:
    """The cells of one annotator; lists that are written as text are lists, and an empty cell stays empty."""
    lists = written_lists(cells)
    if lists is None:
        return list(cells)
    return [
        None if isinstance(cell, str) and not cell.strip() else each for cell, each in zip(cells, lists, strict=True)
    ]


def _given(cells: Sequence[Cell], separator: str | None) -> Iterator[Vote]:
    """What each annotator gave to one row, those left out who gave nothing."""
    for cell in cells:
        if cell is None or (isinstance(cell, str) and not as_name(cell)):
            continue
        items = cell if isinstance(cell, list) else [cell] if separator is None else cell.split(separator)
        yield tuple(dict.fromkeys(name for item in items if (name := as_name(item))))

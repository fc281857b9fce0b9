"""Labels as tables hold them: one in a cell, several with something between them, lists, a column of 0 and 1 for each.

What can be read in one way only is read in that way; what cannot is an error that says what to write.
"""

import ast
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ftcls.data.corpus import Task
from ftcls.data.labels import as_name
from ftcls.data.tables.cells import Cell
from ftcls.data.tables.table import Table
from ftcls.environment import limits
from ftcls.errors import DataError

_ON: Final = frozenset({"1", "1.0", "true", "True", "TRUE"})
_OFF: Final = frozenset({"0", "0.0", "false", "False", "FALSE"})
_YES: Final = frozenset({"1", "1.0", "true", "t", "yes", "y"})
_NO: Final = frozenset({"0", "0.0", "false", "f", "no", "n"})
"""In a column of its own for each label, whatever the case."""
_ITEM: Final = (
    r"""(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|[-+]?\d++(?:\.\d*+)?(?:[eE][-+]?\d++)?|true|false|True|False)"""
)
_LIST: Final = re.compile(rf"\s*+\[\s*+(?:{_ITEM}(?:\s*+,\s*+{_ITEM})*+\s*+,?+)?+\s*+\]\s*+", re.DOTALL)
"""A list of texts and numbers as JSON or Python write it. Without the commas, as NumPy prints one, Python would take
two texts for one."""
_OBJECT: Final = re.compile(r"\{\s*['\"\d][^:]*:")
_TEXT: Final = r"""(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")"""
_SET: Final = re.compile(
    rf"\s*+(?:\{{\s*+{_TEXT}(?:\s*+,\s*+{_TEXT})*+\s*+\}}|\(\s*+{_TEXT}\s*+,(?:\s*+{_TEXT}(?:\s*+,\s*+{_TEXT})*+)?+\s*+\)"
    r"|set\(\)|\(\))\s*+",
    re.DOTALL,
)
"""A set or a tuple of texts as Python writes it; of numbers it may be anything, such as a place."""

Labels = list[tuple[str, ...] | str | None]


@dataclass(frozen=True)
class Several:
    """Several labels in one column."""

    column: str
    separator: str | None
    """What stands between two labels; None: the cells are lists."""


@dataclass(frozen=True)
class Indicators:
    """A column of 0 and 1 for each label."""

    columns: tuple[str, ...]


@dataclass(frozen=True)
class Probabilities:
    """A column for each label with how probable it is."""

    columns: tuple[str, ...]


@dataclass(frozen=True)
class Votes:
    """A column for each annotator, or one with the votes of all."""

    columns: tuple[str, ...]
    """One: its cells are lists of votes."""
    separator: str | None
    """What stands between two labels of an annotator, or in one column between two votes; None: lists."""


Label = str | Several | Indicators | Probabilities | Votes


def columns_of(label: Label) -> tuple[str, ...]:
    """The columns that a label is read from."""
    match label:
        case Several(column=column):
            return (column,)
        case Indicators(columns=columns) | Probabilities(columns=columns) | Votes(columns=columns):
            return columns
        case column:
            return (column,)


def labels_of(
    table: Table, label: Label, task: Task, names: Sequence[str] | None = None
) -> tuple[Labels, dict[int, str]]:
    """The n labels of a table, and the reason for each row that has none because its cells are not what they should be.

    Args:
        table: n rows.
        label: where the labels stand.
        task: what they are.
        names: the labels as the config lists them; they name the places of lists of 0 and 1.

    Raises:
        DataError: the column holds something that cannot be read in one way only.
    """
    match label:
        case Indicators(columns=columns):
            return _indicated(table, columns)
        case Several(column=column, separator=separator):
            cells = written_lists(table.column(column)) or table.column(column)
            if separator is not None and not any(isinstance(cell, list) for cell in cells):
                refuse_other_lists(table.path, column, cells)
                return _each(cells, lambda cell: _separated(cell, separator)), {}
            return _lists(table, column, cells, names)
        case str() as column:
            return _single(table, column, task, names)
        case _:
            raise TypeError("probabilities and votes are read by soft_columns")


def written_lists(cells: Sequence[Cell]) -> list[Cell] | None:
    """Cells that are lists written as text, as pandas writes them into a CSV, as lists; None where they are not."""
    texts = {cell for cell in cells if isinstance(cell, str) and cell.strip()}
    if not texts or not all(_LIST.fullmatch(text) or _SET.fullmatch(text) for text in texts):
        return None
    known: dict[str, list[str]] = {text: _parsed(text) for text in texts}
    return [cell if not isinstance(cell, str) else known[cell] if cell in known else [] for cell in cells]


def vector_length(cells: Sequence[Cell]) -> int | None:
    """The length of lists that are all of one and hold only 0 and 1, a place for each label; None for other cells."""
    lists = [cell for cell in cells if isinstance(cell, list)]
    lengths = {len(cell) for cell in lists}
    values = {item for cell in lists for item in cell}
    if len(lengths) != 1 or max(lengths) < 2 or not values <= _ON | _OFF:
        return None
    return max(lengths)


def _parsed(text: str) -> list[str]:
    if text.strip() == "set()":
        return []
    try:
        found = limits.json_value(text)
    except ValueError:
        found = ast.literal_eval(text.strip())
    # A set has no order of its own, and Python's changes from process to process.
    items = sorted(found) if isinstance(found, set) else found
    return [item if isinstance(item, str) else json.dumps(item) for item in items]


def refuse_other_lists(path: Path, column: str, cells: Sequence[Cell]) -> None:
    """Refuse cells that look like lists, or objects, and cannot be read as any.

    Raises:
        DataError: all of them do.
    """
    texts = [cell.strip() for cell in cells if isinstance(cell, str) and cell.strip()]
    if texts and all(text.startswith("[") and text.endswith("]") for text in texts):
        raise DataError(
            f"{path}: the cells of column {column!r} look like lists written as text, but are no JSON or Python "
            f'ones: {texts[0][:60]}; write them as JSON, such as ["a", "b"]'
        )
    if texts and all(_OBJECT.match(text) and text.endswith("}") for text in texts):
        raise DataError(
            f"{path}: the cells of column {column!r} look like objects written as text, which are no labels: "
            f'{texts[0][:60]}; write the label, or a list of labels such as ["a", "b"]'
        )


def _each(cells: Sequence[Cell], convert: Callable[[Cell], tuple[str, ...] | str | None]) -> Labels:
    """Convert each distinct text once, which also makes the rows share one object for one label."""
    known: dict[Cell, tuple[str, ...] | str | None] = {}
    labels: Labels = []
    for cell in cells:
        if isinstance(cell, list):
            labels.append(convert(cell))
            continue
        if cell not in known:
            known[cell] = convert(cell)
        labels.append(known[cell])
    return labels


def _single(table: Table, column: str, task: Task, names: Sequence[str] | None) -> tuple[Labels, dict[int, str]]:
    cells = table.column(column)
    lists = written_lists(cells)
    if lists is not None or any(isinstance(cell, list) for cell in cells):
        return _lists(table, column, lists or cells, names, also_single=True)
    if task == "multilabel":
        refuse_other_lists(table.path, column, cells)
        raise DataError(
            f"{table.path}: task multilabel needs several labels in a row, column {column!r} holds single texts; "
            f'write label: {{column: {column}, separator: "|"}} with the character between two labels, or '
            "label: {columns: [...]} for a column of 0 and 1 per label"
        )
    return _each(cells, _one), {}


def _lists(
    table: Table, column: str, cells: Sequence[Cell], names: Sequence[str] | None, *, also_single: bool = False
) -> tuple[Labels, dict[int, str]]:
    """Lists of labels, or of a 0 or 1 for each label."""
    length = vector_length(cells)
    if length is not None and not set(names or ()) & (_ON | _OFF):
        return _vectors(table, column, cells, length, names)
    if also_single:
        return _each(cells, lambda cell: _tuple(cell) if isinstance(cell, list) else _one(cell)), {}
    wrong = {index: f"{column!r} is no list: {cell!r}" for index, cell in enumerate(cells) if isinstance(cell, str)}
    return _each(cells, lambda cell: _tuple(cell) if isinstance(cell, list) else None), wrong


def _vectors(
    table: Table, column: str, cells: Sequence[Cell], length: int, names: Sequence[str] | None
) -> tuple[Labels, dict[int, str]]:
    if names is None or len(names) != length:
        has = "" if names is None else f" It names {len(names)}."
        raise DataError(
            f"{table.path}: column {column!r} holds lists of {length} zeros and ones, a place for each label; name the "
            f"{length} labels in that order: data.labels: [...].{has}"
        )
    wrong = {index: f"{column!r} is no list: {cell!r}" for index, cell in enumerate(cells) if isinstance(cell, str)}

    def given(cell: Cell) -> tuple[str, ...] | None:
        if not isinstance(cell, list):
            return None
        return tuple(name for name, item in zip(names, cell, strict=True) if item in _ON)

    return _each(cells, given), wrong


def _separated(cell: Cell, separator: str) -> tuple[str, ...]:
    return _tuple(cell.split(separator)) if isinstance(cell, str) else _tuple(cell or ())


def _tuple(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in map(as_name, names) if name))


def _one(cell: Cell) -> str | None:
    return as_name(cell) if isinstance(cell, str) else None


def _indicated(table: Table, columns: Sequence[str]) -> tuple[Labels, dict[int, str]]:
    names: list[list[str]] = [[] for _ in range(table.rows)]
    wrong: dict[int, str] = {}
    for column in columns:
        for index, cell in enumerate(table.column(column)):
            value = cell.strip().lower() if isinstance(cell, str) else ""
            if value in _YES:
                names[index].append(column)
            elif value not in _NO:
                wrong[index] = f"column {column!r} holds {cell!r}, not 0 or 1"
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    return [shared.setdefault(one, one) for one in map(tuple, names)], wrong

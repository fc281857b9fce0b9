"""What the label column of a table holds: one label in a cell, or several; a guess by what stands in the cells."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ftcls.config import schema
from ftcls.config.section import Task
from ftcls.config.source import flow
from ftcls.data.labels import as_name
from ftcls.data.readers.label_columns import (
    Indicators,
    Probabilities,
    labels_of,
    refuse_other_lists,
    vector_length,
    written_lists,
)
from ftcls.data.readers.soft_columns import probabilities_of
from ftcls.data.tables.table import Table
from ftcls.errors import DataError

SEPARATORS: Final = ("|", ";", "\uff1b", ",", "\uff0c", "\u3001")
"""What may stand between two labels, the surest sign first; of Chinese and Japanese the wide ones too."""
_DECIMAL: Final = re.compile(r"[-+]?\d+(,\d+)?")
"""A number as half of the world writes it."""
_NUMBER: Final = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?", re.IGNORECASE)
_WHOLE: Final = re.compile(r"\d{1,3}(\.0+)?", re.ASCII)
_SCALES: Final = (5, 10)
"""Highest numbers of a scale that begins at 1: stars, grades."""
_NUMBERS: Final = 20
"""Different numbers from which they look like a measurement."""
_MOST: Final = 50
"""Different values up to which any column may be one of labels."""
_ANNOTATOR: Final = re.compile(
    r"(annotator|annotation|rater|rating|coder|judge|judgment|vote|voter|worker)s?[\W_]*\w{0,3}"
)
"""The name of a column with what one annotator said."""


@dataclass(frozen=True)
class LabelColumn:
    """Where the labels stand and how."""

    key: str | schema.SeparatedLabels | schema.LabelColumns
    """What the config says of it: ``data.label``."""
    task: Task
    reason: str
    """Why this task."""
    notes: tuple[str, ...] = ()
    """What was guessed beside it, one sentence each."""


def label_column(table: Table, names: Sequence[str]) -> LabelColumn:
    """The labels in a column, or in a column of 0 and 1 for each.

    Args:
        table: the rows.
        names: one column or several; several may also stand in one name with commas between them.

    Raises:
        DataError: there is no such column, or it does not hold labels.
    """
    names = names if len(names) > 1 else column_names(table, names[0])
    if len(names) > 1:
        return _of_columns(table, tuple(names))
    return _of_cells(table.column(names[0]), table.path, names[0])


def _of_columns(table: Table, names: tuple[str, ...]) -> LabelColumn:
    _, wrong = labels_of(table, Indicators(names), "multilabel")
    if (votes := _votes(table, names, indicators=not wrong)) is not None:
        return votes
    if wrong and (probable := _probable(table, names)) is not None:
        return probable
    if table.rows and len(wrong) == table.rows:
        raise DataError(f"{table.path}: {wrong[0]}; several label columns hold 0 and 1. For one column name it alone")
    return LabelColumn(schema.LabelColumns(columns=names), "multilabel", f"{len(names)} columns of 0 and 1")


def _probable(table: Table, names: tuple[str, ...]) -> LabelColumn | None:
    """Columns that hold a number from 0 to 1 in every row; None for others."""
    key = schema.LabelColumns(columns=names, kind="probabilities")
    single: Task = "binary" if len(names) == 2 else "multiclass"
    tasks: tuple[Task, ...] = (single, "multilabel")
    for task in tasks:
        if not probabilities_of(table, Probabilities(names), task)[1]:
            adding = "are from 0 to 1" if task == "multilabel" else "add up to 1 in every row"
            return LabelColumn(key, task, f"the {len(names)} columns {adding}")
    return None


def _votes(table: Table, names: tuple[str, ...], *, indicators: bool) -> LabelColumn | None:
    """Columns that hold the same labels, one for each annotator; None for others.

    Of columns of 0 and 1 only the names can say so.
    """
    named = all(_ANNOTATOR.fullmatch(name.strip().lower()) for name in names)
    if indicators and not named:
        return None
    cells = [[cell for cell in table.column(name) if isinstance(cell, str)] for name in names]
    said = [Counter(name for cell in each if (name := as_name(cell))) for each in cells]
    labels = sum(said, Counter[str]())
    words = any(not _NUMBER.fullmatch(label) for label in labels)
    shared = words and all(each.keys() & (labels - each).keys() for each in said)
    if not (named or shared) or not 2 <= len(labels) <= _MOST:
        return None
    task, reason, remarks = _task(labels, of="the columns have")
    remark = (
        f"votes: columns {', '.join(names)} hold the same labels, taken for what {len(names)} annotators said; the "
        "model learns the majority, with votes: soft each label's share"
    )
    return LabelColumn(schema.LabelColumns(columns=names, votes="majority"), task, reason, (remark, *remarks))


def column_names(table: Table, typed: str) -> tuple[str, ...]:
    """The columns that are meant by a name, or by several with commas between them: ``title,body``."""
    parts = tuple(part.strip() for part in typed.split(","))
    return parts if typed not in table.columns and len(parts) > 1 and set(parts) <= {*table.columns} else (typed,)


def separator(cells: Sequence[str]) -> str | None:
    """What stands between the labels of cells that hold several; None where a cell is one label.

    A bar is no part of a name. For the others the parts decide: those of several labels stand alone or with others
    elsewhere too, in ``price, quality`` and ``quality``, while ``Food, drink`` is a name that comes as a whole.
    """
    if any("|" in cell for cell in cells):
        return "|"
    return next((mark for mark in SEPARATORS[1:] if _parts_recur(Counter(cells), mark)), None)


def _parts_recur(cells: Counter[str], mark: str) -> bool:
    """Whether in most of the rows that have the mark each part stands elsewhere in other company, or alone."""
    parts = {cell: _parts(cell, mark) for cell in cells}
    rows = sum(count for cell, count in cells.items() if len(parts[cell]) > 1)
    if not rows or (mark == "," and all(_DECIMAL.fullmatch(cell.strip()) for cell in cells)):
        return False
    company: dict[str, set[frozenset[str]]] = defaultdict(set)
    places: dict[str, set[int]] = defaultdict(set)
    for found in parts.values():
        for place, part in enumerate(found):
            company[part].add(frozenset(found))
            places[part].add(place)
    # Always as many parts, each in its own place, is one label written in order: "Smith, Jane", "Albany, NY".
    ordered = len({len(found) for found in parts.values()}) == 1 and all(len(each) == 1 for each in places.values())
    recurring = sum(
        count
        for cell, count in cells.items()
        if len(parts[cell]) > 1 and all(len(company[part]) > 1 for part in parts[cell])
    )
    return not ordered and recurring >= rows / 2


def _parts(cell: str, mark: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in cell.split(mark) if (name := as_name(part))))


def _of_cells(values: list[Any], data: Path, column: str) -> LabelColumn:
    values = written_lists(values) or values
    length = vector_length(values)
    if length is not None:
        raise DataError(
            f"{data}: column {column!r} holds lists of {length} zeros and ones, a place for each label. Write a config "
            f"with label: {column}, task: multilabel and the {length} names in that order, labels: [...]; or a column "
            "for each label"
        )
    if any(isinstance(value, list) for value in values):
        return LabelColumn(schema.SeparatedLabels(column=column), "multilabel", "the column holds lists")
    cells = [value for value in values if isinstance(value, str) and as_name(value)]
    refuse_other_lists(data, column, cells)
    mark = separator(cells)
    if mark is None:
        return _of_single(cells, data, column)
    labels = Counter(part for cell in cells for part in _parts(cell, mark))
    _refuse_too_many(len(labels), len(cells), data, column)
    several = next(cell for cell in cells if len(_parts(cell, mark)) > 1 or mark == "|").strip()
    return LabelColumn(
        schema.SeparatedLabels(column=column, separator=mark),
        "multilabel",
        f"labels stand in one cell with {mark} between them",
        (f"labels: {several!r} is read as several, with {mark} between them: they stand alone or with others too",),
    )


def _of_single(cells: Sequence[str], data: Path, column: str) -> LabelColumn:
    distinct = Counter(name for cell in cells if (name := as_name(cell)))
    if not distinct:
        raise DataError(f"{data}: column {column!r} is empty; name another with --label")
    if len(distinct) < 2:
        shown = flow(next(iter(distinct)))
        raise DataError(f"{data}: column {column!r} has one label only ({shown}); there is nothing to tell apart")
    _refuse_too_many(len(distinct), len(cells), data, column)
    task, reason, remarks = _task(distinct, of="the column has")
    return LabelColumn(column, task, reason, (*remarks, *_remarks(cells)))


def _task(labels: Iterable[str], *, of: str) -> tuple[Task, str, tuple[str, ...]]:
    """The task of single labels, why, and what there is to say of it; `of` begins a sentence."""
    names = {*labels}
    highest = _stars(names)
    if highest is None:
        task: Task = "binary" if len(names) == 2 else "multiclass"
        return task, f"{of} {len(names)} different values", tuple(_measured(names))
    remark = f"labels: numbers from 1 to {highest}, taken for an order; if they name things, write task: multiclass"
    return "ordinal", f"{of} numbers from 1 to {highest}", (remark,)


def _measured(names: set[str]) -> Iterator[str]:
    """What there is to say of so many numbers that they may be a measurement."""
    if len(names) > _NUMBERS and all(map(_NUMBER.fullmatch, names)):
        yield (
            f"labels: {len(names)} different numbers, each taken for a name of its own; if they measure something, "
            "write a few steps of it, such as low, middle and high, into a column"
        )


def _stars(names: Iterable[str]) -> int | None:
    """5 or 10 where labels are three whole numbers or more from 1 to that, both of them there; else None."""
    # pandas writes whole numbers with a point where a cell of their column was empty.
    found = {int(name.partition(".")[0]) if _WHOLE.fullmatch(name) else 0 for name in names}
    highest = max(found)
    return highest if min(found) == 1 and highest in _SCALES and len(found) > 2 else None


def _remarks(cells: Sequence[str]) -> Iterator[str]:
    whole = next((cell for cell in cells if "," in cell and not _DECIMAL.fullmatch(cell.strip())), None)
    if whole is not None:
        yield f"labels: {as_name(whole)!r} is one label, for its parts do not stand alone or with others too"
    spaced = next((cell for cell in cells if cell != cell.strip()), None)
    if spaced is not None:
        yield f"labels: the space around them is left out, as in {spaced!r}"


def _refuse_too_many(labels: int, rows: int, data: Path, column: str) -> None:
    if labels > _MOST and labels > rows / 2:
        raise DataError(
            f"{data}: column {column!r} has {labels} different values in {rows} rows; that is no label. "
            "Name another with --label."
        )

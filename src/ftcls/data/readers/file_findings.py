"""What there is to say about one's own files: their encodings, and what of them is not read or not used."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from ftcls.data.corpus import Check, SplitName
from ftcls.data.raw import BadRows
from ftcls.data.readers.label_columns import Label, Several, Votes, columns_of
from ftcls.data.tables.cells import text_of
from ftcls.data.tables.encoding import MIXED, WINDOWS
from ftcls.data.tables.read import read_table
from ftcls.data.tables.table import Table

SPLITS: Final[Mapping[str, SplitName]] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""Names of folders, and words in a split column, that mean a split."""
_COLUMNS: Final = re.compile(r"(data|sample)?[\W_]*(split|fold|set|subset|partition|phase|usage)([\W_]*name)?")
"""Names of columns that may say which split a row is of."""


def encodings(known: Sequence[tuple[str, str]]) -> Iterator[Check]:
    """The files that are not UTF-8, of some that were read, each with its encoding."""
    places = [place for place, encoding in known if encoding == WINDOWS]
    if places:
        advice = "Not UTF-8, read as Windows-1252. If letters with accents look wrong, save as UTF-8."
        yield Check("encoding", "info", len(places), tuple(places[:3]), advice)
    places = [place for place, encoding in known if encoding == MIXED]
    if places:
        advice = (
            "Some lines are UTF-8, the others were read as Windows-1252: two files put together, or a damaged one? If "
            "letters with accents look wrong, save as UTF-8."
        )
        yield Check("mixed_encodings", "warning", len(places), tuple(places[:3]), advice)


def swallowed(found: Iterable[BadRows]) -> Iterator[Check]:
    """The rows of some files that have others inside their quotes."""
    rows = BadRows()
    for each in found:
        rows.join(each)
    if rows.count:
        advice = (
            "Rows whose quotes have lines inside them that look like rows of their own: a quote that is opened and not "
            "closed takes the rows up to the next quote into one text. Write a quote inside a text twice."
        )
        yield Check("rows_inside_quotes", "warning", rows.count, tuple(rows.examples[:3]), advice)


def left_out(places: Sequence[str]) -> Iterator[Check]:
    """Folders that are not read."""
    if places:
        advice = (
            "Folders inside the folder of a label, or beside train and test, are not read; move their files to use "
            "them."
        )
        yield Check("folders_left_out", "warning", len(places), tuple(places[:3]), advice)


def sheets(table: Table) -> Iterator[Check]:
    """The sheets of a spreadsheet beside the first one, which alone is read."""
    if table.sheets:
        advice = (
            "Of a spreadsheet the first sheet is read; another is named behind its file, "
            f"{table.path}#SHEET, and train, validation and test may each be one."
        )
        yield Check("sheets_left_out", "info", len(table.sheets), tuple(map(repr, table.sheets[:3])), advice)


def separator(table: Table, label: Label) -> Iterator[Check]:
    """A separator that stands in no cell: every row has one label, or several are taken for one."""
    mark = label.separator if isinstance(label, Several | Votes) else None
    cells = [cell for name in columns_of(label) for cell in table.column(name)] if mark else []
    if mark and any(cells) and not any(isinstance(cell, list) or mark in (cell or "") for cell in cells):
        advice = (
            f"The separator {mark!r} stands in no cell of {', '.join(map(repr, columns_of(label)))} ({table.path}), so "
            "each is one label. Is it another character?"
        )
        yield Check("unused_separator", "warning", table.rows, (repr(next(filter(None, cells))),), advice)


def unused_column(table: Table, columns: Sequence[str]) -> Iterator[Check]:
    """A column that looks as if it said which split a row is of."""
    name = split_column(table, columns, blanks=True)
    if name is not None:
        advice = (
            f"Column {name!r} says which split a row is of and is not used: the splits are cut at random. "
            f"data.split: {{column: {name}}} uses it."
        )
        yield Check("unused_split_column", "warning", table.rows, (name,), advice)


def split_column(table: Table, without: Sequence[str] = (), *, blanks: bool = False) -> str | None:
    """The column of a table that says which split a row is of: called so, and holding such words in every row.

    With ``blanks`` some rows may hold nothing.
    """
    for name in table.columns:
        if _COLUMNS.fullmatch(name.strip().lower()) and name not in without:
            cells = table.values[name] if name in table.values else read_table(table.path, [name]).column(name)
            values = {text_of([cell] if cell else []) or "" for cell in cells}
            known = {SPLITS.get(value.strip().lower()) for value in values if value.strip() or not blanks}
            if "train" in known and None not in known:
                return name
    return None

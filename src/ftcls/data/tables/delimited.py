"""Delimited text row by row: CSV, TSV and their kin.

A row that cannot be read is a row with a problem, and swallows no other: where a quote is opened and not closed as it
should be, its line is the problem and reading goes on behind it.
"""

import csv
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ftcls.data.labels import INVISIBLE
from ftcls.environment.limits import CHARACTERS

AGAIN: Final = "the names of the columns again, as where files were put together; delete the row"
"""What is wrong with a row that `repeats` the header."""
_ESCAPED: Final = re.compile(r'\\(["\\])')


@dataclass(frozen=True)
class Dialect:
    """How rows stand in a text."""

    delimiter: str = ","
    quoted: bool = True
    """Whether a quote at the beginning of a cell encloses it."""
    escaped: bool = False
    r"""Whether a quote inside a cell is written ``\"``, as MySQL does; it is ``""`` otherwise."""
    spaced: bool = False
    """Whether every delimiter has a space behind it that is no part of the cell: ``id, text, label``."""
    declared: bool = False
    """Whether the first line is Excel's ``sep=;``."""

    def reader(self, lines: Iterable[str], *, strict: bool = False) -> Iterator[list[str]]:
        """The rows of lines as the csv module reads them."""
        csv.field_size_limit(CHARACTERS)
        quoting: Any = csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE
        return csv.reader(lines, delimiter=self.delimiter, skipinitialspace=self.spaced, quoting=quoting, strict=strict)

    def line(self, line: str) -> str:
        """A line with the quotes inside its cells written twice, as the csv module knows them."""
        return _ESCAPED.sub(lambda mark: '""' if mark[1] == '"' else "\\", line) if self.escaped else line

    def split(self, line: str) -> list[str]:
        """The cells of a line if its quotes meant nothing."""
        return line.rstrip("\r\n").split(self.delimiter)


class Row(NamedTuple):
    """One row."""

    line: int
    """Where it begins, from 1 as editors count."""
    cells: list[str]
    """As many as the header has, unless there is a problem."""
    problem: str | None = None
    swallowed: int = 0
    """Lines of the text that look like rows of their own and stand inside the quotes of this one."""


class Lines:
    """Lines that can be given back, numbered from 1."""

    def __init__(self, lines: Iterable[str], dialect: Dialect) -> None:
        self._lines = map(dialect.line, lines) if dialect.escaped else iter(lines)
        self._back: deque[str] = deque()
        self.number = 0
        """Of the last line."""
        self.taken: list[str] = []
        """The lines since it was cleared."""
        self.ended = False
        """Whether more was asked for than there is."""

    def __iter__(self) -> Iterator[str]:
        # A generator, because every line of every file passes here.
        back, taken = self._back, self.taken
        self.ended = False
        while back:
            self.number += 1
            taken.append(back[0])
            yield back.popleft()
        for line in self._lines:
            self.number += 1
            taken.append(line)
            yield line
        self.ended = True

    def give_back(self) -> None:
        """Let all lines but the first that were taken come again, to the next who iterates."""
        self._back.extendleft(reversed(self.taken[1:]))
        self.number -= len(self.taken) - 1


def header(cells: Sequence[str]) -> tuple[str, ...]:
    """The names of the columns, without white space and invisible characters around them.

    Columns without a name do not get in each other's way: the first keeps its empty one, the others are called
    ``column 3`` by their place.

    Raises:
        ValueError: two columns have one name; it is the argument.
    """
    names = [cell.strip(INVISIBLE) for cell in cells]
    nameless = [place for place, name in enumerate(names) if not name]
    for place in nameless[1:]:
        names[place] = f"column {place + 1}"
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise ValueError(twice)
    return tuple(names)


def repeats(cells: Sequence[str | None], header: Sequence[str | None]) -> bool:
    """Whether a row names the columns once more; of one column nobody can tell. A mark of UTF-8 may stand before it."""
    if len(header) < 2 or len(cells) != len(header) or (cells[-1] or "").strip() != (header[-1] or "").strip():
        return False
    bare = [[(cell or "").replace("\ufeff", "").strip() for cell in row] for row in (cells, header)]
    return bare[0] == bare[1]


def rows(lines: Lines, dialect: Dialect, width: int | None = None) -> Iterator[Row]:
    """The rows of a text; a line without anything is none.

    Args:
        lines: where the text begins, or goes on behind its header.
        dialect: how rows stand in it.
        width: the number of columns; None: that of the first row.
    """
    # Strict, so that a quote that is left open is seen at the next one, and not at the end of the file for every line.
    reader = dialect.reader(lines, strict=True)
    taken = lines.taken
    while True:
        taken.clear()
        begin, problem = lines.number + 1, None
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            cells = _loosely(taken, dialect)
            problem = None if cells else _broken(error, begin, lines.number)
            reader = dialect.reader(lines, strict=True)
        if len(taken) == 1 and problem is None and len(cells) == width and width > 1:
            yield Row(begin, cells)
        elif problem is not None:
            first = dialect.split(taken[0])
            lines.give_back()
            yield Row(begin, first, problem)
        elif cells and (len(cells) > 1 or width == 1 or cells[0].strip()):
            width = width or len(cells)
            yield Row(begin, cells, _misfit(cells, width), _swallowed(taken, dialect, width))


def _loosely(lines: Sequence[str], dialect: Dialect) -> list[str]:
    """The cells of a line in which text goes on behind a closing quote; none where they do not end with the line."""
    if len(lines) > 1:
        return []
    # With a line behind it: whether that is part of the row says whether a quote is open.
    try:
        found = list(dialect.reader([*lines, dialect.delimiter]))
    except csv.Error:
        return []
    return found[0] if len(found) > 1 else []


def _misfit(cells: Sequence[str], width: int) -> str | None:
    if len(cells) == width:
        return None
    fields = "1 field" if len(cells) == 1 else f"{len(cells)} fields"
    trailing = len(cells) > width and not any(cells[width:])
    remedy = "drop the delimiter at its end" if trailing else "quote a text that has the delimiter in it"
    return f"{fields}, the header has {width}; {remedy}"


def _broken(error: csv.Error, begin: int, end: int) -> str:
    """What is wrong with the quotes of a row that was read from one line to another."""
    if "field larger" in str(error):
        return f"a cell of more than {CHARACTERS // 1024**2} million characters, or a quote that is never closed"
    if "unexpected end" in str(error):
        return "a quote that begins in the row is never closed; write a quote inside a text twice"
    if end == begin:
        return f"a quote ends in the midst of a cell ({error})"
    return (
        f"a quote that begins in the row ends in line {end} in the midst of a cell, with {end - begin} lines "
        "inside it; write a quote inside a text twice"
    )


def _swallowed(lines: Sequence[str], dialect: Dialect, width: int) -> int:
    """How many lines of a row look like rows of their own, if all of them do.

    A text of several lines may have a comma in each, so between commas it takes more of them to look like rows.
    """
    enough = 2 if width > 2 or dialect.delimiter == "\t" else 4
    if len(lines) < enough or width < 2:
        return 0
    cells = [len(dialect.split(line)) for line in lines]
    alike = all(count == width for count in cells[1:-1]) and min(cells[0], cells[-1]) >= width
    return len(lines) - 1 if alike else 0

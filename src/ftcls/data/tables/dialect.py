"""The dialect of a delimited text, as the text itself shows it: one rule for every command."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from ftcls.data.tables.delimited import Dialect, Lines, rows

_SAMPLE: Final = 1 << 16
"""Characters that the delimiter is seen in."""
_DELIMITERS: Final = (",", ";", "\t", "|")
_DECLARED: Final = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""Excel's first line, which names the delimiter and is no row."""
_ENCLOSED: Final = re.compile(r'".*"', re.DOTALL)


def sample_of(lines: Iterable[str]) -> list[str]:
    """The first lines, some 64 Ki characters of them."""
    found: list[str] = []
    left = _SAMPLE
    for line in lines:
        found.append(line)
        left -= len(line)
        if left <= 0:
            break
    return found


def detect(sample: Sequence[str], every: Callable[[], Iterable[str]], *, delimiter: str | None = None) -> Dialect:
    """The dialect of a text.

    Args:
        sample: its first lines.
        every: gives all of its lines, or as many as can be had. They are read where the delimiter is a tab: such files
            seldom have quoting, and a text may begin with a quote that means nothing.
        delimiter: None: the one under which most rows have as many cells as the header, and more than one.
    """
    declared = _DECLARED.fullmatch(sample[0]) if sample else None
    lines = sample[1:] if declared else sample
    mark = declared[1] if declared else delimiter or _delimiter(lines)
    first = next((line for line in lines if line.strip()), "")
    names = Dialect(mark).split(first)
    spaced = len(names) > 1 and all(name.startswith(" ") for name in names[1:])
    found = Dialect(mark, spaced=spaced, declared=declared is not None)
    if mark == "\t":
        header = all(_ENCLOSED.fullmatch(name) for name in first.rstrip("\r\n").split(mark))
        return replace(found, quoted=_shows_quoting(every, found, header=header))
    escaped = replace(found, escaped=True)
    if any('\\"' in line for line in lines) and _odd(lines, escaped) < _odd(lines, found):
        return escaped
    return found


def _delimiter(lines: Sequence[str]) -> str:
    def agreement(delimiter: str) -> tuple[float, bool]:
        found = list(_until_an_error(lines, Dialect(delimiter)))
        width = len(found[0]) if found else 0
        if width < 2:
            return 0.0, False
        # Of two that agree, a comma with a space behind it belongs to the name of a column.
        tight = not any(name.startswith(" ") for name in found[0])
        return sum(len(row) == width for row in found) / len(found), tight

    return max(_DELIMITERS, key=agreement)


def _until_an_error(lines: Sequence[str], dialect: Dialect) -> Iterator[list[str]]:
    try:
        yield from filter(None, dialect.reader(lines))
    except csv.Error:
        return


def _odd(lines: Iterable[str], dialect: Dialect) -> int:
    """Rows that do not fit the first one, or swallow others."""
    return sum(row.problem is not None or row.swallowed > 0 for row in rows(Lines(lines, dialect), dialect))


def _shows_quoting(every: Callable[[], Iterable[str]], dialect: Dialect, *, header: bool) -> bool:
    """Whether there are quotes around cells, and the rows fit the header better if they enclose them.

    Args:
        every: gives all lines.
        dialect: with quoting.
        header: whether every name of the first line is enclosed. Only a writer that quotes does that; then a line that
            looks torn may be the middle of a text.
    """
    begins = re.compile(rf'(?:^|{re.escape(dialect.delimiter)})"')
    if not any(begins.search(line) for line in every()):
        return False
    if header and not any(row.problem for row in rows(Lines(every(), dialect), dialect)):
        return True
    without = _odd(every(), replace(dialect, quoted=False))
    with_quotes = _odd(every(), dialect) + sum(_torn(line, dialect) for line in every() if begins.search(line))
    return with_quotes < without or with_quotes == without == 0


def _torn(line: str, dialect: Dialect) -> bool:
    """Whether a quote at the beginning of a cell ends within the line, and the cell goes on behind it."""
    try:
        list(dialect.reader([line], strict=True))
    except csv.Error as error:
        return "unexpected end" not in str(error)
    return False

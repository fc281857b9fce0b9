"""Names of labels, runs and files in Markdown: as text, whatever they are."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from ftcls.errors import on_one_line

# What begins code, a link, an image, emphasis, a cell, HTML or an entity. `_` and `#` stay: metrics are full of the
# one, and the other counts only where a line begins.
_MARKS: Final = re.compile(r"[\\`*\[\]|]|&(?=[#\w]+;)|<")
_WRITTEN: Final = {"<": "&lt;", "&": "&amp;"}


def plain(text: str) -> str:
    """A text on one line that Markdown and HTML show as it is; control and invisible characters are escaped."""
    return _MARKS.sub(_escape, on_one_line(" ".join(text.split())))


def _escape(found: re.Match[str]) -> str:
    mark = found[0]
    return _WRITTEN[mark] if mark in _WRITTEN else f"\\{mark}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain texts."""
    return "\n".join([_line(head), "| --- " * len(head) + "|", *map(_line, rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(plain, cells))} |"

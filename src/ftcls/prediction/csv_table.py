"""Writing a CSV: what has a line end in it stays one cell, and where it is asked for no cell is a formula."""

import csv
import re
from collections.abc import Iterable
from typing import Any, Final, TextIO

# OWASP, "CSV Injection": what a cell begins with that Excel, LibreOffice or Google Sheets computes; the wide forms in
# Chinese and Japanese settings.
_FORMULA: Final = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def safe(cell: Any) -> Any:
    """The cell, with an apostrophe before it where a spreadsheet would run it; numbers stay."""
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def writer(file: TextIO, delimiter: str = ",") -> Any:
    """A `csv.writer` of lines that end in a line feed, which quotes cells with a carriage return too.

    That of Python quotes no character but its own line end, and a reader takes a bare carriage return for one.
    """
    return csv.writer(_LineFeeds(file), delimiter=delimiter, lineterminator="\r\n")


class _LineFeeds:
    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, row: str) -> int:
        return self.file.write(row.removesuffix("\r\n") + "\n")


class Safe:
    """A writer of rows whose cells are `safe`."""

    def __init__(self, table: Any) -> None:
        """Write to a table."""
        self.table = table

    def writerow(self, cells: Iterable[Any]) -> None:
        """Write a row."""
        self.table.writerow(map(safe, cells))

    def writerows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Write rows."""
        for row in rows:
            self.writerow(row)

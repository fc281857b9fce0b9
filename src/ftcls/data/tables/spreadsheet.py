"""Spreadsheets, as Excel and LibreOffice write them: one sheet of a workbook is a table."""

from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

from ftcls.errors import DataError, UnavailableError

SUFFIXES: Final = (".xlsx", ".xlsm", ".xls", ".ods")
_MARK: Final = "#"


def file_of(path: Path) -> Path:
    """The file that is meant by ``book.xlsx#Sheet``; any other path as it is."""
    return _parted(path)[0]


def rows(path: Path) -> Iterator[tuple[int, list[str | None]]]:
    """The rows of a sheet with anything in them, each with its number as the spreadsheet shows it, from 1.

    A number is text as people write it, whole ones without a point; a date is ISO 8601; an empty cell is None.

    Args:
        path: the file, whose first sheet is read, or ``book.xlsx#Sheet``.

    Raises:
        DataError: no such sheet, or not a file that can be read.
        UnavailableError: the library for it is not installed.
    """
    try:
        import python_calamine
    except ModuleNotFoundError:
        raise UnavailableError(
            f"{path}: a spreadsheet needs python-calamine, which is not installed; run\n"
            '  pip install -c constraints.txt "ftcls[excel]"\nor save it as CSV'
        ) from None
    file, sheet = _parted(path)
    try:
        with python_calamine.load_workbook(file) as book:
            names = book.sheet_names
            if sheet is not None and sheet not in names:
                raise DataError(f"{file}: no sheet {sheet!r}; the sheets are {', '.join(map(repr, names))}")
            # With the empty rows at its top, or the numbers would not be those that the spreadsheet shows.
            found = book.get_sheet_by_name(sheet or names[0]).to_python(skip_empty_area=False)
    except (python_calamine.CalamineError, OSError, IndexError) as error:
        raise DataError(f"{file}: not a spreadsheet that can be read ({error})") from error
    for number, cells in enumerate(found, start=1):
        texts = [_text(cell) for cell in cells]
        if any(text is not None and text.strip() for text in texts):
            yield number, texts


def _parted(path: Path) -> tuple[Path, str | None]:
    name, mark, sheet = path.name.partition(_MARK)
    # A file may have the mark in its own name.
    if mark and name.lower().endswith(SUFFIXES) and not path.exists():
        return path.with_name(name), sheet
    return path, None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date | datetime | time) else str(value)

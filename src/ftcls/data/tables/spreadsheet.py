"""Spreadsheets, as Excel and LibreOffice write them: one sheet of a workbook is a table."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

from ftcls.environment import limits
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
    _check(file, sheet)
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


def others(path: Path) -> tuple[str, ...]:
    """The sheets that are shown and not read, where nobody named the one to read; of a file that could be read."""
    import python_calamine

    file, sheet = _parted(path)
    if sheet is not None:
        return ()
    with python_calamine.load_workbook(file) as book:
        shown = [each.name for each in book.sheets_metadata if each.visible == python_calamine.SheetVisibleEnum.Visible]
        return tuple(name for name in shown if name != book.sheet_names[0])


_LOOK: Final = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[4]),) * 2)
except (ImportError, OSError, ValueError):
    pass
import python_calamine
try:
    with python_calamine.load_workbook(sys.argv[2]) as book:
        end = book.get_sheet_by_name(sys.argv[3] or book.sheet_names[0]).end or (0, 0)
    print((end[0] + 1) * (end[1] + 1))
except Exception:
    print(0)
"""
"""Prints how many cells a sheet has; 0 where it cannot be read, which is said better by who reads it."""


def _check(file: Path, sheet: str | None) -> None:
    """See what reading a sheet takes, in a process of its own.

    A file of a kilobyte can mean billions of cells. For these the library, or the system, ends the process.

    Raises:
        DataError: more than a spreadsheet has.
    """
    given = [json.dumps(sys.path), str(file), sheet or "", str(limits.SHEET_MEMORY)]
    try:
        seconds = limits.sheet_seconds(file.stat().st_size)
        found = subprocess.run(
            [sys.executable, "-I", "-c", _LOOK, *given], capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"{file}: takes longer than {seconds:.0f} s to read; save it as CSV") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    if found.returncode != 0:
        raise DataError(
            f"{file}: takes more than {limits.SHEET_MEMORY / 1e9:g} GB to read; save what is meant of it as CSV"
        )
    if int(found.stdout) > limits.CELLS:
        raise DataError(
            f"{file}: has {int(found.stdout):,} cells, empty ones between others too; ftcls takes {limits.CELLS:,}. "
            "Save what is meant of it as CSV"
        )


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

"""How far a long command is: a bar with the time left on a terminal, a line now and then in a log."""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES: Final = 10.0
"""Without a terminal: often enough to see that it moves, seldom enough to keep a CI log readable."""

Report = Callable[[int, float | None], None]
"""Called with the rows that are done and the share of the work, from 0 to 1, if that is known."""


@contextlib.contextmanager
def shown(what: str, *, quiet: bool) -> Iterator[Report]:
    """Show the progress that is reported to the yielded function."""
    if quiet:
        yield lambda rows, fraction: None
    elif sys.stderr.isatty():
        with _bar(what) as report:
            yield report
    else:
        yield _lines(what)


@contextlib.contextmanager
def _bar(what: str) -> Iterator[Report]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from ftcls.cli.console import terminal

    columns = (TextColumn(what), BarColumn(bar_width=24), TextColumn("{task.fields[rows]:,} rows"))
    with Progress(*columns, TimeRemainingColumn(), console=terminal(), transient=True) as bar:
        task = bar.add_task("", total=None, rows=0)

        def report(rows: int, fraction: float | None) -> None:
            bar.update(task, total=None if fraction is None else 1.0, completed=fraction or 0.0, rows=rows)

        yield report


def _lines(what: str) -> Report:
    begun = last = time.monotonic()

    def report(rows: int, fraction: float | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            left = "" if not fraction else f", {_duration((now - begun) * (1 - fraction) / fraction)} left"
            log.info("%s: %s rows%s", what, f"{rows:,}", left)

    return report


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"

"""A sweep while it runs: lines for a log, and a table for a terminal."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ftcls.environment import json_files
from ftcls.environment.figures_as_text import number
from ftcls.environment.progress import bar, console, place
from ftcls.runs.directory import RunDir
from ftcls.search.schedule import Progress

log = logging.getLogger(__name__)

_TAIL: Final = 8192
"""Bytes at the end of a history that hold its last lines."""


class Lines:
    """One line in the log for each trial that starts and ends."""

    def __init__(self, total: int | None) -> None:
        self.total = total
        self.began: dict[str, float] = {}
        self._told: set[str] = set()
        self._skipped = False

    def changed(self, progress: Progress) -> None:
        """Say what is new."""
        if progress.skipped and not self._skipped and progress.running:
            self._skipped = True
            log.info("%d%s trials were done before", progress.skipped, f" of {self.total}" if self.total else "")
        for name in progress.running:
            if name not in self.began:
                self.began[name] = time.monotonic()
                log.info("%s: started", name)
        for name, state in progress.states.items():
            if name in self.began and name not in self._told:
                self._told.add(name)
                code = f" (exit code {progress.codes[name]})" if name in progress.codes else ""
                took = time.monotonic() - self.began[name]
                ended = f"{len(progress.states)}/{self.total}" if self.total else str(len(progress.states))
                log.info("[%s] %s: %s%s, %.0f s", ended, name, state, code, took)


@contextlib.contextmanager
def shown(name: str, total: int | None, metric: str) -> Iterator[Callable[[Progress], None]]:
    """What shows the progress of so many trials: a live table on a terminal, a bar in a notebook, else lines.

    Args:
        name: of all of them together.
        total: how many there are to be; None where time is the only limit.
        metric: the validation metric that is shown.
    """
    lines = Lines(total)
    match place():
        case "terminal":
            with Live(console=console(), auto_refresh=False, transient=True) as live:

                def drawn(progress: Progress) -> None:
                    lines.changed(progress)
                    live.update(board(name, total, metric, progress, lines.began), refresh=True)

                yield drawn
        case "notebook":
            with bar("trials") as shown_bar:

                def counted(progress: Progress) -> None:
                    lines.changed(progress)
                    ended = len(progress.states)
                    shown_bar.update(ended / total if total else None, f"{ended}/{total or '?'}")

                yield counted
        case None:
            yield lines.changed


def board(name: str, total: int | None, metric: str, progress: Progress, began: dict[str, float]) -> RenderableType:
    """The running trials with where each is, and how many are left."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("running", "step", "loss", metric, "time"):
        table.add_column(head, justify="left" if head == "running" else "right", overflow="fold")
    for each, trial in progress.running.items():
        at = latest(trial.run, metric)
        cells = [_figure(at[key] if key in at else None) for key in ("step", "loss", "metric")]
        table.add_row(Text(each), *cells, _clock(time.monotonic() - began[each]))
    for each in progress.elsewhere:
        table.add_row(Text(each), "", "", "", "elsewhere")
    counts = [sum(state == kind for state in progress.states.values()) for kind in ("done", "failed", "pruned")]
    done, failed, pruned = counts
    text = f"{name}: {done}{f' of {total}' if total else ''} done"
    text += f", {failed} failed" * bool(failed) + f", {pruned} pruned" * bool(pruned) + _left(total, progress, began)
    return Group(Text(text, style="bold"), table)


def latest(run: RunDir, metric: str) -> dict[str, float]:
    """The newest step and loss of a run that is being trained, and the newest value of a validation metric."""
    if not run.history.is_file():
        return {}
    found: dict[str, float] = {}
    for line in json_files.last_lines(run.history, _TAIL):
        for key, name in (("step", "step"), ("loss", "loss"), (f"eval_{metric}", "metric")):
            if line.get(key) is not None:
                found[name] = line[key]
    return found


def _left(total: int | None, progress: Progress, began: dict[str, float]) -> str:
    """How long the rest takes, if it takes as long as what this call did."""
    here = [name for name, state in progress.states.items() if name in began and state == "done"]
    if not here or total is None:
        return ""
    each = (time.monotonic() - min(began.values())) / len(here)
    return f", {_clock(each * (total - len(progress.states)))} left"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else number(value)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"

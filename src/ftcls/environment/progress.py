"""How far a long job is: a bar with the time left on a terminal or in a notebook.

Elsewhere (a log, CI, a pipe) there is no bar, and jobs write lines to the log ``ftcls`` instead. One switch turns both
off: ``logging.getLogger("ftcls").setLevel("WARNING")``, which is what ``--quiet`` does.
"""

import contextlib
import html
import logging
import sys
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES: Final = 10.0
"""Without a bar: often enough to see that it moves, seldom enough to keep a CI log readable."""
_SECONDS_BETWEEN_DRAWINGS: Final = 0.2
"""In a notebook every drawing is a message to the browser."""
_WIDTH: Final = 24

Phase = Callable[[str, str], None]
"""Called with the name of what a job does now, and a few words."""


class Bar(Protocol):
    """A bar on the screen, from ``with`` to its end, when it goes away."""

    def update(self, fraction: float | None, text: str) -> None:
        """Show how much is done, from 0 to 1 (None: nobody knows), and a few words beside it."""

    def __enter__(self) -> Self:
        """Show it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take it away, also after an error."""


def place() -> Literal["terminal", "notebook"] | None:
    """Where somebody can see a bar; None in a log, or where the log is off."""
    if not _wanted():
        return None
    if _in_notebook():
        return "notebook"
    return "terminal" if sys.stderr.isatty() else None


def bar(what: str) -> Bar:
    """A bar with a few words before it, on the terminal or in the notebook; elsewhere one that nobody sees."""
    match place():
        case "terminal":
            return _Terminal(what)
        case "notebook":
            return _Notebook(what)
        case None:
            return _Nowhere()


@contextlib.contextmanager
def phases() -> Iterator[Phase]:
    """Say what a job does now, phase by phase: call what this gives with a name and a few words.

    Each phase is a line in the log; on a terminal and in a notebook a bar without an end moves until the next one.
    """
    with contextlib.ExitStack() as shown:

        def begin(name: str, words: str) -> None:
            shown.close()
            log.info("%-10s %s", name, words)
            shown.enter_context(bar(name)).update(None, "")

        yield begin


def console() -> Console:
    """The console that the log goes to: only then do its lines and a bar make room for each other."""
    handlers = logging.getLogger("ftcls").handlers
    return next((each.console for each in handlers if isinstance(each, RichHandler)), Console(stderr=True))


def duration(seconds: float) -> str:
    """A time in words: ``2 h 5 min``, ``3 min 20 s`` or ``45 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def left(begun: float, fraction: float | None) -> str:
    """The time left of a job that began at that ``time.monotonic()``; empty where it cannot be told."""
    if not fraction:
        return ""
    return f"{duration((time.monotonic() - begun) * (1 - fraction) / fraction)} left"


def _wanted() -> bool:
    """Whether INFO would be shown: by a handler of ours, or, where ftcls is a library, by default."""
    logger = logging.getLogger("ftcls")
    shown = [each for each in logger.handlers if not isinstance(each, logging.FileHandler)]
    return logger.level <= logging.INFO and (not shown or any(each.level <= logging.INFO for each in shown))


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook; IPython on a terminal is none."""
    ipython: Any = sys.modules.get("IPython")  # whoever runs in a kernel has it; nobody else pays for the import
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class _Nowhere:
    def update(self, fraction: float | None, text: str) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class _Terminal:
    def __init__(self, what: str) -> None:
        columns = (TextColumn(what), BarColumn(bar_width=_WIDTH), TextColumn("{task.fields[text]}"))
        self._progress = Progress(*columns, TimeRemainingColumn(), console=console(), transient=True)
        self._task = self._progress.add_task("", total=None, text="")

    def update(self, fraction: float | None, text: str) -> None:
        total = None if fraction is None else 1.0
        self._progress.update(self._task, total=total, completed=fraction or 0.0, text=text)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class _Notebook:
    """An output of the cell that is drawn again; needs no widgets."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._begun = time.monotonic()
        self._drawn = 0.0
        self._output: Any = None

    def update(self, fraction: float | None, text: str) -> None:
        now = time.monotonic()
        if now - self._drawn < _SECONDS_BETWEEN_DRAWINGS:
            return
        self._drawn = now
        words = "  ".join(part for part in (text, left(self._begun, fraction)) if part)
        value = "" if fraction is None else f' value="{fraction:.4f}"'
        self._draw(f"{self.what}  {words}", f"{self.what} <progress max=1{value}></progress> {html.escape(words)}")

    def __enter__(self) -> Self:
        display: Any = sys.modules["IPython"].display
        self._output = display.display({"text/plain": self.what}, raw=True, display_id=True)
        self._draw(self.what, f"{self.what} <progress max=1></progress>")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._draw("", "")

    def _draw(self, plain: str, page: str) -> None:
        self._output.update({"text/plain": plain, "text/html": page}, raw=True)

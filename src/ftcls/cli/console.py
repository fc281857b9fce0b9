"""Where the output of a command goes: results to stdout, everything else to stderr."""

import contextlib
import json
import logging
import os
import sys
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import typer

from ftcls.errors import FtclsError, UnavailableError, on_one_line, printable

# Wide enough for a table of metrics with intervals in a log, where no terminal says how wide it is.
WIDTH_WITHOUT_TERMINAL = 120


class _Escaped(logging.Formatter):
    """The message, in which nothing steers the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class _Message(_Escaped):
    """The message alone where it informs, with its level where it warns."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno <= logging.INFO else f"{record.levelname.lower()}: {text}"


def configure(*, quiet: bool, offline: bool = False) -> None:
    """Send the log to stderr, and keep the Hub out of it where that is asked for.

    Call it before a stage is imported: the Hub's libraries read their environment at import.
    """
    if offline:
        os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    if quiet or not sys.stderr.isatty():
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # a bar redrawn in a log is a page of noise
    logger = logging.getLogger("ftcls")
    logger.setLevel(logging.DEBUG)  # the run's log.txt takes everything
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    handler = _terminal_handler() if sys.stderr.isatty() else logging.StreamHandler()
    handler.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.addHandler(handler)
    handler.setFormatter((_Escaped if sys.stderr.isatty() else _Message)("%(message)s"))
    # Imported by transformers where it is installed, used or not; it then says which of its kernels it did not find.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def starting() -> None:
    """Say that something happens, before the imports that take seconds; once."""
    if "torch" not in sys.modules:
        logging.getLogger("ftcls").info("starting   PyTorch and transformers are loaded")


def _terminal_handler() -> logging.Handler:
    from rich.console import Console
    from rich.logging import RichHandler

    return RichHandler(console=Console(stderr=True), show_path=False, log_time_format="[%X]")


@contextlib.contextmanager
def results_only() -> Iterator[TextIO]:
    """Keep stdout for results: what a library prints while a stage works goes to stderr. Yields the real stdout."""
    stdout = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        yield stdout


def emit(document: Any) -> None:
    """Print one JSON document."""
    # On a stdout that is not UTF-8 (a pipe on Windows) only ASCII is sure to be valid JSON.
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    typer.echo(json.dumps(document, indent=2, ensure_ascii=plain, allow_nan=False, default=str))


def show(renderable: Any) -> None:
    """Print a table or another rich renderable."""
    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

    class Escaped(Console):
        """Escapes what is shown: whatever a table forgot, a label cannot steer the terminal."""

        def render(self, renderable: Any, options: ConsoleOptions | None = None) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=printable(segment.text))

    console = Escaped(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False)
    console.print(renderable, crop=False)  # a line that is made to be copied stays whole


def say(text: object, *, err: bool = False) -> None:
    """Print a line in which nothing steers the terminal: a name, a label, a text that somebody else wrote."""
    typer.echo(on_one_line(str(text)), err=err)


def open_missing_streams() -> None:
    """Give standard streams that were closed when the program began an end, so that nothing is written elsewhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for the whole process


def unwritable(error: OSError) -> FtclsError | None:
    """The error for results that nobody takes: a full disk behind standard output; None: it is something else."""
    if error.filename is not None:
        return None
    try:
        sys.stdout.write("\n")  # without a buffer there is nothing left that a flush would try again
        sys.stdout.flush()
    except (OSError, ValueError):
        # What is left in its buffer would fail again when the interpreter ends.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UnavailableError(f"standard output cannot be written: {error.strerror}")
    return None


def never_fail_on_a_character() -> None:
    """Let a terminal that lacks a character show its code instead of stopping the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

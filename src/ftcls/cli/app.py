"""The ``ftcls`` command and its one error boundary."""

import contextlib
import ctypes
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, Final, NoReturn

import typer

import ftcls
from ftcls.cli import call, config, console, likely_options, runs
from ftcls.cli.call import Call
from ftcls.cli.compare import compare
from ftcls.cli.data import data
from ftcls.cli.distill import distill
from ftcls.cli.doctor import doctor
from ftcls.cli.eval import evaluate
from ftcls.cli.export import export
from ftcls.cli.predict import predict
from ftcls.cli.push import push
from ftcls.cli.report import report
from ftcls.cli.serve import serve
from ftcls.cli.sweep import Command, sweep
from ftcls.cli.train import train
from ftcls.environment import cache, disk, memory
from ftcls.environment.signals import PARENT, heeded
from ftcls.errors import FtclsError, TrainingError, UnavailableError

BUG = 1
INTERRUPTED = 130
_ALLOCATIONS: Final = 50_000
"""Objects made and not freed between two looks for garbage. Importing the libraries makes a million that stay; Python's
own number, 700, costs a sixth of the time that this takes."""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

app = typer.Typer(
    name="ftcls",
    rich_markup_mode=None,  # plain help: quick, greppable, the same in a log
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train)
app.command("eval")(evaluate)
app.command("predict")(predict)
app.command("distill")(distill)
app.command("export")(export)
app.command("serve")(serve)
app.command("push")(push)
app.command("report")(report)
app.command("compare")(compare)
app.command("sweep", cls=Command)(sweep)
app.command("data")(data)
app.command("doctor")(doctor)
app.add_typer(config.app)
app.add_typer(runs.app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ftcls {ftcls.__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Fine-tune a text classifier from one YAML file.

    Exit codes: 0 done, 1 a bug in ftcls, 2 command line or config, 3 data, 4 something cannot be had,
    5 training failed, 130 interrupted.

    Example: ftcls train quickstart
    """
    call.of(context).debug = debug


def main() -> NoReturn:
    """Run the command line of this process and exit with its code."""
    console.open_missing_streams()
    console.never_fail_on_a_character()
    for number in (signal.SIGTERM, *heeded()):
        signal.signal(number, signal.default_int_handler)  # ends like Ctrl-C, not at once
    end_with_parent()
    gc.set_threshold(_ALLOCATIONS)
    sys.exit(run(sys.argv[1:]))


def end_with_parent() -> None:
    """End as after SIGTERM when the sweep that started this process is gone (Linux; elsewhere nothing).

    A sweep that is killed by SIGKILL cannot tell its trials. They would train on unseen, in the way of the next call.
    The process asks the kernel for it itself: in the parent that would be code between fork and exec. Of a parent with
    threads the kernel tells more than once, and a second SIGTERM would end the process before its checkpoint is
    written; so it is another signal, passed on once.
    """
    parent = os.environ.get(PARENT)
    if parent is None or sys.platform != "linux":
        return
    told: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        if not told:
            told.append(number)
            signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGHUP, pass_on)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGHUP)
    if str(os.getppid()) != parent:  # it went before the line above
        signal.raise_signal(signal.SIGHUP)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; a failure is one message on stderr."""
    current = Call(tuple(arguments))
    try:
        code = _called(arguments, current)
        sys.stdout.flush()
    except OSError as error:
        unwritable = console.unwritable(error)
        return _unexpected(error, current) if unwritable is None else _failed(unwritable, current)
    return code


def _called(arguments: Sequence[str], current: Call) -> int:
    try:
        likely_options.refuse(arguments)
        app(args=list(arguments), prog_name="ftcls", obj=current)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except FtclsError as error:
        return _failed(error, current)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        return INTERRUPTED
    except OSError:  # perhaps of standard output
        raise
    except Exception as error:  # noqa: BLE001 - the one place where a bug becomes an exit code
        return _unexpected(error, current)
    return 0


_OUT_OF_MEMORY: Final = (
    "out of memory. Free some, or ask for less at once: fewer rows (data.subset), a smaller model.checkpoint, a "
    "smaller model.max_length, training.device: cpu where a GPU is too small"
)


def _unexpected(error: Exception, current: Call) -> int:
    """Memory that has run out, a place that cannot be written, else a bug."""
    if memory.ran_out(error):
        failure = TrainingError(_OUT_OF_MEMORY)
        failure.__cause__ = error
        return _failed(failure, current)
    reason = disk.full(error)
    if reason is None and not isinstance(error, PermissionError):
        return _bug(error, current)
    failed = UnavailableError(_unwritable(error, reason))
    failed.__cause__ = error
    return _failed(failed, current)


def _unwritable(error: Exception, reason: str | None) -> str:
    place = getattr(error, "filename", None)
    where = Path(place) if isinstance(place, str) else Path.cwd()
    said = reason or getattr(error, "strerror", None) or str(error)
    if reason is None:
        return f"{where}: {said}. Give this user the right to it, or name another place (--output; FTCLS_CACHE)"
    room = disk.size(disk.free(where))
    return f"{where}: cannot be written: {said}, {room} are free there. Free some, or name another place"


def _failed(error: FtclsError, current: Call) -> int:
    if current.debug:
        traceback.print_exception(error)
    with contextlib.suppress(OSError):  # where standard error is full as well, the exit code says it
        typer.echo(str(error), err=True)
    return error.exit_code


def _bug(error: Exception, current: Call) -> int:
    text = "".join(traceback.format_exception(error))
    try:
        place = f"in {_written(text, current)} (--debug shows it)"
    except OSError as unwritten:
        place = f"in no file ({unwritten}); --debug shows it"
    if current.debug:
        typer.echo(text, err=True)
    typer.echo(
        f"This is a bug in ftcls {ftcls.__version__}: {type(error).__name__}: {error}\n"
        f"The traceback is {place}. Please report it with that file and the config.",
        err=True,
    )
    return BUG


def _written(text: str, current: Call) -> Path:
    """The file that holds the traceback: the run's log.txt if it is still there, else one of its own."""
    if current.log is not None and current.log.is_file():
        log = current.log
        if text.splitlines()[-1] not in log.read_text(encoding="utf-8"):
            with log.open("a", encoding="utf-8") as file:
                file.write(text)
        return log
    log = cache.folder("logs") / f"{time.strftime('%Y-%m-%d-%H%M%S')}-{time.time_ns() % 1_000_000}.txt"
    log.write_text(f"ftcls {' '.join(current.arguments)}\n\n{text}", encoding="utf-8")
    return log

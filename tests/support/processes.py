"""Processes of tests, forked from one that has the libraries: importing them takes longer than most that is tested.

On Windows, which has no fork, each imports them itself.
"""

import contextlib
import gc
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest

from ftcls.cli.app import main
from ftcls.environment.signals import PARENT
from ftcls.search import executors

LIBRARIES = ("ftcls.pipeline.train", "ftcls.training.fit", "ftcls.search.sweep", "ftcls.prediction.predict")
"""What the server imports. Modules of the tests are not found by it: it has the path of the installation alone."""

METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def start(target: Callable[..., Any], *arguments: Any) -> multiprocessing.Process:
    """Call a function in a process of its own."""
    context = multiprocessing.get_context(METHOD)
    if METHOD == "forkserver":
        context.set_forkserver_preload(list(LIBRARIES))
    process = context.Process(target=_call, args=(target, *arguments))
    process.start()
    return process


def finish(process: multiprocessing.Process) -> int | None:
    """The exit code of a process, when it has ended; below 0 the signal that ended it."""
    process.join(timeout=240)
    return process.exitcode


def on_two(target: Callable[..., Any], *arguments: Any) -> list[int | None]:
    """Call a function with a rank and a free port in two processes; their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pair = [start(target, rank, port, *arguments) for rank in (0, 1)]
    return [finish(process) for process in pair]


class Command:
    """`ftcls`, or a Python script, with arguments; as far as it is used a `subprocess.Popen` that prints to files."""

    def __init__(
        self,
        arguments: Sequence[str | Path],
        *,
        cwd: Path,
        out: Path,
        error: Path | None = None,
        env: Mapping[str, str] | None = None,
        script: Path | None = None,
    ) -> None:
        self._out, self._error = out, error or out
        words = [str(script or "ftcls"), *map(str, arguments)]
        self._process = start(_main, script, words, cwd, out, self._error, dict(env or os.environ))
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Likewise."""
        return self._process.exitcode

    def wait(self, timeout: float = 900) -> int:
        """The exit code, when it has ended."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            raise subprocess.TimeoutExpired("ftcls", timeout)
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """To the process."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """By SIGKILL."""
        self._process.kill()

    @property
    def stdout(self) -> str:
        """What it printed."""
        return self._out.read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        """What it printed there."""
        return self._error.read_text(encoding="utf-8")


def run(*arguments: str | Path, cwd: Path, script: Path | None = None) -> Command:
    """A command when it has ended."""
    number = len(list(cwd.glob("out-*.txt")))
    out, error = cwd / f"out-{number}.txt", cwd / f"out-{number}-error.txt"
    command = Command(arguments, cwd=cwd, out=out, error=error, script=script)
    command.wait()
    return command


@contextlib.contextmanager
def forked_trainings() -> Iterator[None]:
    """Within it the trainings of a sweep or a cross-validation are forked too, where their processes are not tested."""

    def forked(command: Sequence[str], *, stdout: IO[bytes], env: Mapping[str, str], **_: object) -> Command:
        assert command[:3] == [sys.executable, "-m", "ftcls"]
        # The parent of such a process is the server and no sweep that it has to end with.
        own = {name: value for name, value in env.items() if name != PARENT}
        return Command(command[3:], cwd=Path.cwd(), out=Path(os.fsdecode(stdout.name)), env=own)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executors, "subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": forked}))
        yield


def _call(target: Callable[..., Any], *arguments: Any) -> None:
    gc.freeze()  # what was imported is not looked through for garbage
    target(*arguments)


def _main(
    script: Path | None, words: list[str], cwd: Path, out: Path, error: Path, environment: dict[str, str]
) -> None:
    for number, path in ((1, out), (2, error)):
        with path.open("ab") as file:
            os.dup2(file.fileno(), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = words
    if script is None:
        main()
    sys.path.insert(0, str(script.parent))
    runpy.run_path(str(script), run_name="__main__")

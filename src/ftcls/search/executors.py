"""Where trials run: processes of this machine, at most so many at a time, each with a GPU of its own if there are any.

What becomes of a trial whose sweep is killed: it is told by the kernel (Linux) and ends as after SIGTERM, with a
checkpoint. Elsewhere it trains on; it holds the lock of its run directory meanwhile, and the next call of the sweep
waits for it instead of starting it again. See `end_with_parent` in `ftcls.cli.app`.
"""

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ftcls.environment.signals import PARENT


@dataclass(frozen=True)
class Job:
    """One command to run."""

    name: str
    command: Sequence[str]
    log: Path
    """Takes what the command prints."""


@dataclass(frozen=True)
class Ended:
    """A job that is over."""

    name: str
    code: int
    """The exit code; below 0 the signal that killed it."""


class Executor(Protocol):
    """Runs jobs, at most `slots` at a time."""

    slots: int

    def start(self, job: Job) -> None:
        """Start a job; there is a free slot."""

    def wait(self, seconds: float) -> list[Ended]:
        """The jobs that ended since the last call, after at most so many seconds."""

    def stop(self, name: str, *, at_once: bool = False) -> None:
        """Ask a job to save and stop (SIGTERM), or end it at once; a later `wait` returns it."""


class Processes:
    """Local processes."""

    def __init__(self, slots: int | None = None) -> None:
        devices = gpus()
        self.slots = slots or max(1, len(devices))
        self._free = list(range(self.slots))
        self._devices = devices
        self._running: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
        self._ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()

    def start(self, job: Job) -> None:
        """Start a process."""
        slot = self._free.pop(0)
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("wb") as log:
            process = subprocess.Popen(
                job.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | environment(slot, self.slots, self._devices),
                # Of its own group: Ctrl-C must reach it once, through `stop`; a second signal would end it at once.
                process_group=0 if os.name == "posix" else None,
            )
        self._running[job.name] = process, slot
        # A thread that waits costs nothing, and `wait` hears of the end at once.
        threading.Thread(target=self._await, args=(job.name, process), daemon=True).start()

    def wait(self, seconds: float) -> list[Ended]:
        """The processes that ended."""
        found: list[Ended] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._ended.get(timeout=seconds))
            while True:
                found.append(self._ended.get_nowait())
        for ended in found:
            _, slot = self._running.pop(ended.name)
            self._free.append(slot)
        return found

    def stop(self, name: str, *, at_once: bool = False) -> None:
        """Signal a process."""
        if name in self._running:
            process, _ = self._running[name]
            process.kill() if at_once else process.send_signal(signal.SIGTERM)

    def _await(self, name: str, process: subprocess.Popen[bytes]) -> None:
        self._ended.put(Ended(name, process.wait()))


def environment(slot: int, slots: int, devices: Sequence[str]) -> dict[str, str]:
    """What a job finds in its environment beside this process's: its parent, its GPU, its share of the cores."""
    found = {PARENT: str(os.getpid())}
    if devices:
        found["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
    elif slots > 1 and "OMP_NUM_THREADS" not in os.environ:
        # Each process would take every core otherwise, and all of them would wait for each other.
        found["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // slots))
    return found


def gpus(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; asked of the driver, without torch."""
    given = environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [device.strip() for device in given.split(",") if device.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return []  # a driver that does not answer: training will say so itself
    return found.stdout.split()

"""Every reader, the YAML loader and all files of runs, checkpoints and the cache, fed with what was changed by chance.

    python verify/fuzz.py [--seconds 600] [--cases N] [--seed 0] [--only NAME] [--short]

A case takes a good input of a reader, changes it (bits, cuts, copies, words that have a meaning in the format, values
of JSON replaced, nesting, digits, files inside a zip file) and reads it. It may be read, or refused with an
`FtclsError`. Every reader gets the same time, one that loads a model or starts a process a fifth of it. Exit code 1
where anything else was raised, a case took longer than its target may, a message is longer than its class allows, or
the process died of it. What went wrong is kept in --output, a file for each, and beside them totals.txt, which is
written once a minute and at the end, SIGTERM and Ctrl-C included.
Cases run in a process of their own, which is begun anew when one of them ended or hung it. Needs fork.
"""

import argparse
import contextlib
import logging
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import fuzz_changes
import fuzz_runs
import fuzz_targets
from ftcls.errors import FtclsError
from fuzz_targets import Target

KINDS = ("read", "refused", "escaped", "died", "late", "long message")
WRONG = KINDS[2:]
ROUND = 20
"""Cases of a target in a row, at most: of slow ones as many as fit into `ROUND_SECONDS`."""
ROUND_SECONDS = 2.0
GRACE = 5.0
"""Seconds more than a case may take, after which code that is not Python's is ended with its process."""
EVERY = 60.0
"""Seconds between two writings of the totals."""


class Late(BaseException):
    """A case that takes too long."""


class Stopped(BaseException):
    """Somebody wants the totals now."""


def outcome(target: Target, path: Path, seconds: float) -> tuple[str, str]:
    """``read`` or ``refused``, or what is wrong, and where."""
    begun = time.perf_counter()
    try:
        with limited(seconds):
            target.read(path)
        return ("read", "") if time.perf_counter() - begun < seconds else ("late", "")
    except FtclsError as error:
        if len(str(error)) > type(error).longest:
            return "long message", f"{type(error).__name__} of {len(str(error)):,} characters"
        return ("refused", "") if time.perf_counter() - begun < seconds else ("late", "")
    except Late:
        return "late", ""
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | Stopped):
            raise
        frames = [each for each in traceback.extract_tb(error.__traceback__) if "ftcls" in each.filename]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        return "escaped", f"{type(error).__name__} at {where}: {str(error)[:100]!r}"


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Stop after some time, where the system can."""

    def late(number: int, frame: object) -> None:
        raise Late

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Worker:
    """The process that reads; the one that counts outlives it."""

    def __init__(self, targets: Sequence[Target], seed: int, folder: Path) -> None:
        self._given = (targets, seed, folder)
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def cases(self, index: int, number: int) -> Iterator[tuple[str, str]]:
        """The outcomes of a round, one by one; it ends early where the process died."""
        if self._process is None or self._pipe is None:
            context = multiprocessing.get_context("fork")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_work, args=(theirs, *self._given), daemon=True)
            self._process.start()
            theirs.close()
        target = self._given[0][index]
        self._pipe.send((index, number))
        while True:
            if not self._pipe.poll(target.seconds + GRACE):
                self.close()
                yield "late", "not in Python's code"
                return
            try:
                found = self._pipe.recv()
            except EOFError:
                self._process.join()
                code = self._process.exitcode
                self.close()
                yield "died", f"exit code {code}"
                return
            if found is None:
                return
            yield found
            if found[0] in WRONG:
                self._pipe.send(None)  # its input is kept now

    def close(self) -> None:
        """End the process."""
        if self._process is not None and self._pipe is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
        self._process = self._pipe = None


def _work(pipe: Connection, targets: Sequence[Target], seed: int, folder: Path) -> None:
    """Read what is asked for, until nobody asks."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for each in (0, 1, 2):
        os.dup2(nowhere, each)
    while True:
        index, round_ = pipe.recv()
        target, chance = targets[index], random.Random(f"{seed} {targets[index].name} {round_}")
        ends = time.monotonic() + ROUND_SECONDS
        for _ in range(ROUND):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            path = folder / target.file
            path.write_bytes(fuzz_changes.changed(target, chance))
            # Kept beside what the reader may change or take away.
            path.with_name(f"{target.file}.case").write_bytes(path.read_bytes())
            found = outcome(target, path, target.seconds)
            pipe.send(found)
            if found[0] in WRONG:
                pipe.recv()
            if time.monotonic() > ends:
                break
        pipe.send(None)


class Totals:
    """How many cases each reader had, and what came of them."""

    def __init__(self, targets: Sequence[Target], file: Path) -> None:
        self.counts = {each.name: Counter[str]() for each in targets}
        self.file = file
        self._next = time.monotonic() + EVERY

    def add(self, target: Target, found: str) -> None:
        """Count a case; write the file where it is time."""
        self.counts[target.name][found] += 1
        if time.monotonic() > self._next:
            self.write()
            self._next = time.monotonic() + EVERY

    def all(self) -> Counter[str]:
        """Of all readers."""
        return sum(self.counts.values(), Counter[str]())

    def lines(self) -> list[str]:
        """A line for each reader, and one of all."""
        each = [
            f"{name:28} {found.total():9,} cases "
            + " ".join(f"{found[what]:8,} {what}" for what in KINDS if found[what])
            for name, found in self.counts.items()
        ]
        total = self.all()
        return [*each, f"{total.total():,} cases: " + ", ".join(f"{total[what]:,} {what}" for what in KINDS)]

    def write(self) -> None:
        """Keep them, whatever becomes of this process."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        staged = self.file.with_suffix(".tmp")
        staged.write_text("\n".join(self.lines()) + "\n", encoding="utf-8")
        staged.replace(self.file)


def run_all(
    targets: Sequence[Target], *, seconds: float, cases: int | None, seed: int, kept: Path, folder: Path
) -> Totals:
    """Give every target the same time; print and keep what goes wrong."""
    totals, worker = Totals(targets, kept / "totals.txt"), Worker(targets, seed, folder)
    spent, rounds = [0.0] * len(targets), [0] * len(targets)
    seen: set[tuple[str, str]] = set()
    ends, count = time.monotonic() + seconds, 0
    totals.write()
    try:
        while time.monotonic() < ends and (cases is None or count < cases):
            index = min(range(len(targets)), key=spent.__getitem__)
            target, begun = targets[index], time.perf_counter()
            for found, where in worker.cases(index, rounds[index]):
                totals.add(target, found)
                count += 1
                if found in WRONG and (target.name, where.partition(": ")[0]) not in seen:
                    seen.add((target.name, where.partition(": ")[0]))
                    _keep(target, folder, kept, f"{found} {where}", len(seen))
            rounds[index] += 1
            spent[index] += (time.perf_counter() - begun) / target.share
    except (KeyboardInterrupt, Stopped):
        print("interrupted")
    finally:
        worker.close()
        totals.write()
    return totals


def _keep(target: Target, folder: Path, kept: Path, what: str, number: int) -> None:
    """The input of the case that was just counted."""
    kept.mkdir(parents=True, exist_ok=True)
    place = kept / f"{target.name.replace(' ', '-')}-{number}-{target.file}"
    with contextlib.suppress(OSError):
        shutil.copy(folder / f"{target.file}.case", place)
    print(f"  {target.name}: {what} ({place})", flush=True)


def in_a_process(action: Callable[[], object]) -> int | None:
    """The exit code of a call in a process of its own."""
    process = multiprocessing.get_context("fork").Process(target=action)
    process.start()
    process.join()
    return process.exitcode


def stop(number: int, frame: object) -> None:
    """Have the totals printed."""
    raise Stopped


def main(arguments: Sequence[str] | None = None) -> int:
    """Change, read, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--cases", type=int, default=None, help="stop after as many")
    parser.add_argument("--short", action="store_true", help="ten seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="readers with this in their name")
    parser.add_argument("--output", type=Path, default=None, help="where cases are kept that went wrong")
    given = parser.parse_args(arguments)
    kept = given.output or Path(tempfile.gettempdir()) / "ftcls-fuzz"
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        os.environ["FTCLS_CACHE"] = str(home / "cache")
        logging.disable(logging.CRITICAL)
        # By a process of its own: a fork of one that has trained would lack its threads.
        if in_a_process(lambda: fuzz_runs.made(home)) != 0:
            print("the run that is to be changed cannot be made")
            return 1
        every = (*fuzz_targets.tables(), *fuzz_targets.yaml(), *fuzz_runs.of_a_run(home))
        targets = [each for each in every if given.only in each.name]
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop)
        seconds = 10 if given.short else given.seconds
        totals = run_all(targets, seconds=seconds, cases=given.cases, seed=given.seed, kept=kept, folder=home / "case")
    print("\n".join(totals.lines()), flush=True)
    return int(any(totals.all()[what] for what in WRONG))


if __name__ == "__main__":
    sys.exit(main())

"""One run from its first line to its last: the directory, the lock, the log, and what stays after a failure."""

import contextlib
import logging
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from accelerate import PartialState
from filelock import FileLock, Timeout
from torch import distributed

from ftcls.config.load import dump, load
from ftcls.config.recipe import complete_from
from ftcls.config.schema import Experiment
from ftcls.config.train_command import resume_command
from ftcls.environment import disk, files, manifest
from ftcls.environment.devices import Machine
from ftcls.environment.figures_as_text import setting
from ftcls.errors import ConfigError, DataError, FtclsError, Interrupted, TrainingError, UnavailableError
from ftcls.runs import directory
from ftcls.runs.directory import RunDir

log = logging.getLogger(__name__)

HOME: Final = Path("runs")


@contextlib.contextmanager
def opened(
    experiment: Experiment,
    machine: Machine,
    *,
    output: Path | None,
    resume: bool,
    announce: Callable[[Path], None],
) -> Iterator[RunDir]:
    """The run directory of an experiment, ours alone while the block runs; under torchrun all processes get the same.

    A failure before the first checkpoint that a correction of config, data or machine would mend leaves no directory
    behind. Anything else that goes wrong is written to the run's log.txt.

    Raises:
        ConfigError: the directory is in use, is not a run, or belongs to another config.
        DataError: its config is damaged.
    """
    if machine.processes > 1:
        PartialState(cpu=machine.device == "cpu", **({"backend": "gloo"} if machine.device == "cpu" else {}))
    fresh, run = _agreed(lambda: _open(experiment, output, resume), machine)
    if not machine.main:
        yield run
        return
    announce(run.path)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_alone(run))
        for folder in (run.path, run.plots, run.predictions, run.evals):
            files.sweep(folder)
        file = stack.enter_context(_logged(run.log))
        try:
            yield run
        except (ConfigError, DataError, UnavailableError):
            if fresh and not (run.checkpoints.exists() or run.folds.exists()):
                stack.close()
                shutil.rmtree(run.path)
            raise
        except Interrupted:
            raise
        except FtclsError as error:
            log.error("%s", error)
            raise
        except KeyboardInterrupt:
            log.warning("interrupted; continue with %s", resume_command(run.config, run.path))
            raise
        except Exception as error:
            _refuse_full(run, error)
            error.add_note(f"The traceback is in {run.log}")
            # To the file alone, whatever level is logged: the terminal gets one message.
            file.handle(log.makeRecord(log.name, logging.ERROR, __file__, 0, "unexpected", (), sys.exc_info()))
            raise


def _refuse_full(run: RunDir, error: Exception) -> None:
    """Say so where an error means that the disk is full."""
    reason = disk.full(error)
    if reason is None:
        return
    failed = TrainingError(
        f"{run.path}: cannot be written: {reason}, {disk.size(disk.free(run.path))} are free there. What was done is "
        f"kept; free some (ftcls runs prune RUN), then continue with\n"
        f"  {resume_command(run.config, run.path)}"
    )
    log.error("%s", failed)
    raise failed from error


def part(machine: Machine) -> None:
    """End what the processes of a torchrun do together: from here on the first goes alone, the others are done."""
    if machine.processes > 1:
        distributed.destroy_process_group()


def _open(experiment: Experiment, output: Path | None, resume: bool) -> tuple[bool, RunDir]:
    path = output if output is not None else _latest(experiment.name)
    if not (resume and path is not None and path.is_dir() and any(path.iterdir())):
        return True, directory.create(dump(experiment), name=experiment.name, output=output, home=HOME)
    run = RunDir(path.absolute())
    if not run.config.is_file():
        raise ConfigError(f"{path}: not a run, it has no config.yaml; name another --output")
    if not run.done:  # the rest of it is going to be made again
        manifest.keep(run.path, (run.config.name, run.data.name))
    manifest.check_part(run.config)
    before = load(run.config).model_dump()
    if differing := _differing(before, complete_from(experiment, before["training"]).model_dump()):
        raise ConfigError(
            f"{path}: cannot be resumed with another config. Differing keys:\n"
            + "\n".join(f"  {key}: {_shown(before)} in the run, {_shown(now)} now" for key, before, now in differing)
            + f"\nContinue with its own: {resume_command(run.config, path)}"
        )
    return False, run


def _latest(name: str) -> Path | None:
    """The newest run of this name. Not the highest number: `rundir.create` fills the gaps that deleted runs leave."""
    numbers = re.compile(rf"{re.escape(name)}(?:-(\d+))?")
    found = [
        (config.stat().st_mtime_ns, int(match[1] or 1), config.parent)
        for config in HOME.glob("*/config.yaml")
        if (match := numbers.fullmatch(config.parent.name))
    ]
    return max(found)[2] if found else None


def _shown(value: Any) -> str:
    return setting(repr(value)) if isinstance(value, float) else repr(value)


def _differing(before: Any, now: Any, key: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            found
            for name in {**before, **now}
            for found in _differing(before.get(name), now.get(name), f"{key}.{name}" if key else name)
        ]
    return [] if before == now else [(key, before, now)]


def _agreed(make: Callable[[], Any], machine: Machine) -> Any:
    """What the first process made, or its error, on every process."""
    if machine.processes == 1:
        return make()
    outcome: list[Any] = [None]
    if machine.main:
        try:
            outcome = [make()]
        except FtclsError as error:
            outcome = [error]
    distributed.broadcast_object_list(outcome, src=0)
    if isinstance(outcome[0], FtclsError):
        raise outcome[0]
    return outcome[0]


@contextlib.contextmanager
def _alone(run: RunDir) -> Iterator[None]:
    lock = FileLock(run.path / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise ConfigError(f"{run.path}: another process is training in it") from error
    try:
        yield
    finally:
        lock.release()
        with contextlib.suppress(OSError):  # Windows keeps it while somebody else waits
            (run.path / ".lock").unlink(missing_ok=True)


class _Log(logging.FileHandler):
    """log.txt; where it cannot be written any more, the run goes on without it."""

    _said = False

    def handleError(self, record: logging.LogRecord) -> None:
        """Say it once, on the terminal."""
        if not self._said:
            self._said = True
            log.warning("%s cannot be written (%s); the run goes on without it", self.baseFilename, sys.exc_info()[1])


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[logging.Handler]:
    handler = _Log(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("ftcls")
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        handler.close()

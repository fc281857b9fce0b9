"""`ftcls sweep`: one sweep file in, one folder of runs and their comparison out."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from ftcls.config import sweep as sweep_config
from ftcls.environment.files import write_text
from ftcls.errors import ConfigError, UnavailableError
from ftcls.search import page, results, schedule, space
from ftcls.search.executors import Executor
from ftcls.search.schedule import Progress, Queue, StopRequest
from ftcls.search.space import Space
from ftcls.search.trials import Options, Trial, line, trials

log = logging.getLogger(__name__)

HOME: Final = Path("sweeps")
FILE: Final = "sweep.yaml"
PLAIN: Final = Options()


@dataclass(frozen=True)
class Plan:
    """A sweep before it runs."""

    space: Space
    folder: Path
    trials: tuple[Trial, ...] | None
    """None where each is chosen by those before."""
    options: Options

    @property
    def total(self) -> int | None:
        """How many trials there are to be; None where time is the only limit."""
        return self.space.file.sweep.search.trials if self.trials is None else len(self.trials)

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.space.file.sweep.name


@dataclass(frozen=True)
class Outcome:
    """A sweep after a call."""

    folder: Path
    results: results.Results
    failed: dict[str, int]
    """Exit code by trial."""
    interrupted: bool


def plan(argument: str | Path, *, output: Path | None = None, options: Options = PLAIN) -> Plan:
    """Read a sweep and list its trials; nothing is written.

    Args:
        argument: a sweep file, the name of a shipped one, or the folder of a sweep.
        output: the sweep's folder; None: ``sweeps/<name>``, with ``--smoke`` ``sweeps/<name>-smoke``; a sweep that is
            read from its folder stays there.
        options: what is said to every trial beside its config.

    Raises:
        ConfigError: with every error, located at file, line and column.
    """
    file = sweep_config.read(argument)
    found = space.space(file)
    own = file.path.parent if file.path.name == FILE else HOME / f"{file.sweep.name}{'-smoke' * options.smoke}"
    folder = output if output is not None else own
    if file.sweep.search.method in sweep_config.LEARNING:
        return Plan(found, folder, None, options)
    return Plan(found, folder, tuple(trials(found, _combinations(found), folder, options)), options)


def run(
    planned: Plan,
    executor: Executor,
    *,
    changed: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """Run what is not done yet, and put everything that is done together.

    Raises:
        ConfigError: the folder is in use by another sweep, or is something else.
        UnavailableError: the search needs Optuna, which is not installed.
    """
    with _alone(planned), StopRequest() as stop:
        source = _queue(planned)
        progress = schedule.run(
            source,
            executor,
            logs=planned.folder / "logs",
            hours=planned.space.file.sweep.search.hours,
            stop=stop,
            changed=changed,
        )
        found = gather(planned, source, progress)
        return Outcome(planned.folder, found, dict(progress.codes), stop.count > 0)


def gather(planned: Plan, source: Queue, progress: Progress) -> results.Results:
    """Read the reports of the done trials, and write what came of the sweep."""
    known = source.listed()
    rows = [
        results.row(
            trial, planned.folder, progress.states.get(trial.name, before or "open"), progress.codes.get(trial.name)
        )
        for trial, before in known
    ]
    sweep = planned.space.file.sweep
    shown = [sweep.heatmap.metric] if sweep.heatmap.metric else []
    axes = [axis.name for axis in planned.space.axes]
    found = results.collect(planned.name, planned.space.metric, axes, rows, planned.folder, *shown)
    results.write(found, planned.folder)
    _write_best(planned, [trial for trial, _ in known], found)
    page.write(found, planned.space.axes, sweep.heatmap, planned.folder)
    return found


def _queue(planned: Plan) -> Queue:
    if planned.trials is not None:
        return schedule.Listed(list(planned.trials))
    search = planned.space.file.sweep.search
    try:
        from ftcls.search.study import Study
    except ImportError as error:
        raise UnavailableError(
            f'search.method: {search.method} needs Optuna; run\n  pip install -c constraints.txt "ftcls[search]"'
        ) from error
    return Study(planned.space, planned.folder, planned.options, search)


def _combinations(found: Space) -> Iterator[tuple[space.Choice, ...]]:
    search = found.file.sweep.search
    if search.method == "random" and search.trials is not None:
        return space.random(found.axes, search.trials, search.seed)
    return space.grid(found.axes)


def _write_best(planned: Plan, known: Sequence[Trial], found: results.Results) -> None:
    if found.best is None:
        return
    trial = next(trial for trial in known if trial.name == found.best_trial)
    score = found.best.scores["validation"][found.metric].value
    head = f"# ftcls train {planned.folder / 'best.yaml'}\n#\n# The best of {len(found.cells)} settings of "
    head += f"{planned.name} by {found.metric} on validation: {score:.4f}"
    head += f", the mean over {len(found.best.seeds)} seeds.\n" if len(found.best.seeds) > 1 else ".\n"
    write_text(planned.folder / "best.yaml", f"{head}# {line(trial.command)}\n{trial.config}")


@contextlib.contextmanager
def _alone(planned: Plan) -> Iterator[None]:
    """The sweep's folder, ours alone while the block runs, with sweep.yaml inside."""
    folder = planned.folder
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; --output names the sweep's folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / FILE).is_file():
        raise ConfigError(f"{folder}: exists, and is no sweep: it has no sweep.yaml; name another --output")
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise ConfigError(f"{folder}: another sweep is running in it; wait for it, or name another --output") from error
    try:
        text = f"# ftcls sweep {folder}\n{sweep_config.dump(planned.space.file)}"
        # A path without a change: other tools may watch it.
        if not (folder / FILE).is_file() or (folder / FILE).read_text(encoding="utf-8") != text:
            write_text(folder / FILE, text)
        yield
    finally:
        lock.release()

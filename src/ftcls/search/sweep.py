"""`ftcls.sweep`: one sweep file in, one folder of runs and their comparison out."""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from ftcls.config import sweep as sweep_config
from ftcls.environment.figures_as_text import number
from ftcls.environment.files import write_text
from ftcls.environment.typed_lines import line
from ftcls.errors import ConfigError, UnavailableError
from ftcls.search import page, results, schedule, space, watch
from ftcls.search.executors import Executor, Processes
from ftcls.search.schedule import Progress, Queue, StopRequest
from ftcls.search.space import Space
from ftcls.search.trials import Options, Plan, Trial, trials

log = logging.getLogger(__name__)

HOME: Final = Path("sweeps")
FILE: Final = "sweep.yaml"
PLAIN: Final = Options()


@dataclass(frozen=True)
class Outcome:
    """A sweep after a call."""

    folder: Path
    results: results.Results
    failed: dict[str, int]
    """Exit code by trial."""
    interrupted: bool


def sweep(
    file: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    ray: str | None = None,
    cpus_per_trial: float | None = None,
    gpus_per_trial: float | None = None,
    smoke: bool = False,
    offline: bool = False,
    allow_code: bool = False,
) -> Outcome:
    """Run every trial of a sweep, each a train command in a process of its own, and compare them.

    Call it again to go on: done trials are passed over, failed and interrupted ones continue from their checkpoint.

    Args:
        file: a sweep file, the name of a shipped one, or the folder of a sweep.
        output: the sweep's folder; None: ``sweeps/NAME``, or the folder that was named.
        jobs: trials at a time; None: one for each GPU, else one; on a cluster as many as it holds.
        ray: run them on a Ray cluster: ``HOST:PORT``, or empty for that of RAY_ADDRESS, else of this machine.
        cpus_per_trial: CPUs that a trial holds on the cluster; None: 1.
        gpus_per_trial: GPUs, or the part of one, likewise; None: 1 where the cluster has any.
        smoke: every trial in small.
        offline: no trial asks the Hub.
        allow_code: the modules of metrics.evaluate may run, and with model.allow_code the checkpoint's code.

    Returns:
        What came of every trial; `failed` and `interrupted` say what did not.

    Raises:
        ConfigError: the file is wrong, or its folder is in use or something else.
        UnavailableError: an extra is not installed, or the cluster is not there.
    """
    planned = plan(file, output=output, options=Options(smoke=smoke, offline=offline, allow_code=allow_code))
    executor = executor_of(jobs, ray=ray, cpus_per_trial=cpus_per_trial, gpus_per_trial=gpus_per_trial)
    with watch.shown(planned.name, planned.total, planned.space.metric) as changed:
        return run(planned, executor, changed=changed)


def executor_of(
    jobs: int | None, *, ray: str | None, cpus_per_trial: float | None, gpus_per_trial: float | None
) -> Executor:
    """Where trials run: on this machine, or on the Ray cluster of an address.

    Raises:
        ConfigError: a share of a cluster is named, and no cluster.
        UnavailableError: Ray is not installed.
    """
    if ray is None:
        for name, given in (("cpus_per_trial", cpus_per_trial), ("gpus_per_trial", gpus_per_trial)):
            if given is not None:
                raise ConfigError(
                    f"--{name.replace('_', '-')}: has no effect without --ray; --jobs says how many trials run at a "
                    "time on this machine"
                )
        return Processes(jobs)
    try:
        from ftcls.search.cluster import CPUS, Cluster
    except ImportError as error:
        raise UnavailableError(
            '--ray needs Ray, which is not installed; run\n  pip install -c constraints.txt "ftcls[ray]"'
        ) from error
    cpus = CPUS if cpus_per_trial is None else cpus_per_trial
    return Cluster(ray or None, cpus=cpus, gpus=gpus_per_trial, jobs=jobs)


def plan(
    argument: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    options: Options = PLAIN,
) -> Plan:
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
    folder = Path(output) if output is not None else own
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
    best = line(["ftcls", "train", str(planned.folder / "best.yaml"), *planned.options.arguments()])
    settings = f"{len(found.cells)} settings" if len(found.cells) > 1 else "one setting"
    head = f"# {best}\n#\n# The best of {settings} of "
    head += f"{planned.name} by {found.metric} on validation: {number(score)}"
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

"""The trainings of a cross-validation: each fold a run of its own, by a train command in a process of its own."""

import logging

from ftcls.config.load import dump, load
from ftcls.config.train_command import resume_command
from ftcls.environment import manifest
from ftcls.environment.typed_lines import line
from ftcls.errors import Interrupted, TrainingError
from ftcls.runs.directory import RunDir
from ftcls.search import schedule, watch
from ftcls.search.executors import Processes
from ftcls.search.trials import Options, Trial

log = logging.getLogger(__name__)


def train_folds(run: RunDir, folds: int, *, jobs: int | None, options: Options) -> None:
    """Train what is not trained yet: a fold that was cut off goes on, one that is done and whole is not begun again.

    Args:
        run: of the cross-validation; its config is that of every fold.
        folds: how many.
        jobs: trainings at a time; None: one for each GPU, else one.
        options: what is said to every training beside its config.

    Raises:
        DataError: a fold that was done is damaged.
        Interrupted: SIGINT or SIGTERM; the running folds are saved.
        TrainingError: a fold failed.
    """
    trials = [_trial(run, number, options) for number in range(1, folds + 1)]
    for trial in trials:
        if trial.run.done:
            manifest.refuse(manifest.damages_within(trial.run.path), trial.run.path)
    name, metric = run.path.name, load(run.config).metrics.best
    with schedule.StopRequest() as stop, watch.shown(name, folds, metric) as changed:
        progress = schedule.run(
            schedule.Listed(trials),
            Processes(jobs),
            logs=run.folds / "logs",
            hours=None,
            stop=stop,
            changed=changed,
        )
    again = resume_command(run.config, run.path)
    done = sum(state == "done" for state in progress.states.values())
    if stop.count:
        raise Interrupted(f"interrupted: {done} of {folds} folds are done; the run is saved. Continue with\n  {again}")
    if progress.codes:
        lines = [f"{len(progress.codes)} of {folds} folds failed:"]
        for trial in trials:
            if trial.name in progress.codes:
                code = progress.codes[trial.name]
                what = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
                lines.append(f"  {trial.name}: {what}; {run.folds / 'logs' / trial.name}.txt says why")
        raise TrainingError("\n".join([*lines, f"The others are kept. Once that is mended, go on with\n  {again}"]))


def _trial(run: RunDir, number: int, options: Options) -> Trial:
    """The training of one fold."""
    override = f"data.split.fold={number}"
    place = run.fold(number)
    command = ("ftcls", "train", str(run.config), override, "--output", str(place.path), "--resume")
    experiment = load(run.config, [override])
    log.debug("fold %d: %s", number, line(command))
    return Trial(
        name=f"fold-{number}",
        choices={},
        values={},
        seed=experiment.seed,
        config=dump(experiment),
        run=place,
        command=(*command, *options.arguments()),
    )

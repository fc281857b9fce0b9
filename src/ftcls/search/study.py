"""Trials that a sampler of Optuna chooses by what came of those before.

The study lies in the sweep's folder. A trial that was not finished in one call is open in the study, and the next call
takes it up again; so are failed ones. What Optuna is told is one number for each trial: the search's metric on
validation.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

from ftcls.config.sweep import Search
from ftcls.environment import json_files
from ftcls.errors import ConfigError, DataError
from ftcls.runs import report_schema
from ftcls.runs.directory import RunDir
from ftcls.scoring.metrics import higher_is_better
from ftcls.search import trials
from ftcls.search.schedule import State
from ftcls.search.space import Axis, Choice, Space, is_whole, rounded
from ftcls.search.trials import Options, Trial

FILE: Final = "study.journal"
_MOST_REPEATS: Final = 50
"""So often may a sampler ask for what was tried before; then there is nothing new to it."""
_STATES: Final[dict[TrialState, State]] = {TrialState.COMPLETE: "done", TrialState.PRUNED: "pruned"}

SAMPLERS: Final[dict[str, Callable[[int, int], optuna.samplers.BaseSampler]]] = {
    "tpe": lambda seed, startup: optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup),
    "gp": lambda seed, startup: optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup),
}


class Study:
    """A queue of trials that grows as they end."""

    def __init__(self, space: Space, folder: Path, options: Options, search: Search) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._folder, self._options = space, folder, options
        self._most = search.trials
        self._study = _opened(space, folder, search, smoke=options.smoke)
        self._distributions = {axis.name: _distribution(axis) for axis in space.axes}
        self._numbers: dict[str, int] = {}
        """Number in the study by name of the trial."""
        self._trials: dict[str, Trial] = {}
        self._before: dict[str, State] = {}
        self._reported: dict[str, int] = {}
        """Evaluations of each running trial that the pruner knows."""
        self._verdicts: dict[str, bool] = {}
        self._left: list[Trial] = []
        for frozen in self._study.get_trials(deepcopy=False):
            if frozen.state in (*_STATES, TrialState.RUNNING):
                trial = self._known(frozen.number, frozen.params)
                # Somebody may have deleted the run of a trial that is over for the study.
                if frozen.state == TrialState.RUNNING or (frozen.state == TrialState.COMPLETE and not trial.run.done):
                    self._left.append(trial)
                else:
                    self._before[trial.name] = _STATES[frozen.state]

    def listed(self) -> list[tuple[Trial, State | None]]:
        """Every trial so far, and what became of it in earlier calls."""
        return [(trial, self._before.get(name)) for name, trial in self._trials.items()]

    def following(self) -> Trial | None:
        """The next trial: one that is open, else one that the sampler asks for.

        Raises:
            ConfigError: the sampler's values make no config together.
        """
        if self._left:
            return self._left.pop(0)
        for _ in range(_MOST_REPEATS):
            if self._most is not None and len(self._trials) >= self._most:
                return None
            asked = self._study.ask(self._distributions)
            known = set(self._trials)
            try:
                trial = self._known(asked.number, asked.params)
            except ConfigError:
                self._study.tell(asked.number, state=TrialState.FAIL)
                raise
            if trial.name not in known:
                return trial
            self._study.tell(asked.number, state=TrialState.FAIL)
        return None

    def ended(self, trial: Trial, state: State) -> None:
        """Tell the study; a failed or interrupted trial stays open."""
        number = self._numbers[trial.name]
        if state == "done":
            value = report_schema.read_report(trial.run).metrics["validation"][self._space.metric]
            told = TrialState.COMPLETE if value is not None else TrialState.FAIL
            self._study.tell(number, value, state=told, skip_if_finished=True)
        elif state == "pruned":
            self._study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)

    def hopeless(self, trial: Trial) -> bool:
        """Whether the pruner gives the trial up, by its evaluations so far."""
        scores = evaluations(trial.run, self._space.metric)
        seen = self._reported[trial.name] if trial.name in self._reported else 0
        if len(scores) > seen:
            frozen = self._study.get_trials(deepcopy=False)[self._numbers[trial.name]]
            running = optuna.trial.Trial(self._study, frozen._trial_id)
            for step, score in enumerate(scores):
                # By number of evaluation: steps do not compare where batch sizes differ.
                if step not in frozen.intermediate_values:
                    running.report(score, step)
            self._reported[trial.name] = len(scores)
            self._verdicts[trial.name] = running.should_prune()
        return trial.name in self._verdicts and self._verdicts[trial.name]

    def _known(self, number: int, params: dict[str, Any]) -> Trial:
        choices = [_choice(axis, params[axis.name]) for axis in self._space.axes]
        trial = trials.trial(self._space, choices, self._folder, self._options)
        self._numbers.setdefault(trial.name, number)
        return self._trials.setdefault(trial.name, trial)


def evaluations(run: RunDir, metric: str) -> list[float]:
    """The validation scores of a run that is being trained, in order."""
    if not run.history.is_file():
        return []
    key = f"eval_{metric}"
    lines = json_files.last_lines(run.history, run.history.stat().st_size)
    return [line[key] for line in lines if line.get(key) is not None]


def _opened(space: Space, folder: Path, search: Search, *, smoke: bool) -> optuna.Study:
    """The study of these axes in the folder, made where there is none: other axes are another study."""
    path = str(folder / FILE)
    storage = JournalStorage(JournalFileBackend(path, lock_obj=JournalFileOpenLock(path)))
    sweep = space.file.sweep
    about = [sweep.axes, space.metric, search.method, smoke, str(space.file.base), repr(space.file.base_text.value)]
    name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize" if higher_is_better(space.metric) else "minimize",
        load_if_exists=True,
        pruner=_pruner(search),
    )
    # A sampler that starts again with the same seed would repeat what it drew in the call before.
    study.sampler = SAMPLERS[search.method](search.seed + len(study.get_trials(deepcopy=False)), search.startup_trials)
    return study


def _pruner(search: Search) -> optuna.pruners.BasePruner:
    if search.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=search.startup_trials, n_warmup_steps=1)
    return optuna.pruners.NopPruner()


def _distribution(axis: Axis) -> optuna.distributions.BaseDistribution:
    bounds = axis.range
    if bounds is None:
        return optuna.distributions.CategoricalDistribution([choice.label for choice in axis.choices])
    if is_whole(bounds):
        return optuna.distributions.IntDistribution(int(bounds.low), int(bounds.high), log=bounds.log)
    return optuna.distributions.FloatDistribution(bounds.low, bounds.high, log=bounds.log)


def _choice(axis: Axis, value: Any) -> Choice:
    if axis.range is not None:
        return axis.drawn(rounded(value, axis.range))
    for choice in axis.choices:
        if choice.label == value:
            return choice
    raise DataError(f"{FILE}: {value!r} is no choice of {axis.name}; delete the file to search anew")

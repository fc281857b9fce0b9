"""The loop of a sweep: which trial next, which one ended, and what to do when somebody wants to stop."""

import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

from ftcls.environment.signals import Caught
from ftcls.errors import ConfigError, Interrupted
from ftcls.search.executors import Ended, Executor, Job
from ftcls.search.trials import Trial

log = logging.getLogger(__name__)

State = Literal["done", "failed", "pruned", "interrupted"]
_PATIENCE: Final = 0.5
"""Seconds between two looks at a stop request and at locks of others."""


class Queue(Protocol):
    """Where the trials come from."""

    def listed(self) -> list[tuple[Trial, State | None]]:
        """Every trial so far, and what became of it in earlier calls where the queue knows it."""

    def following(self) -> Trial | None:
        """The next trial to look at; None: none is left, or none before a running one ends."""

    def ended(self, trial: Trial, state: State) -> None:
        """Learn what became of a trial."""

    def hopeless(self, trial: Trial) -> bool:
        """Whether a running trial should be stopped."""


@dataclass
class Progress:
    """Where a sweep stands; changes while it runs."""

    running: dict[str, Trial] = field(default_factory=dict)
    elsewhere: dict[str, Trial] = field(default_factory=dict)
    """Left behind by a sweep that was killed, and still training."""
    states: dict[str, State] = field(default_factory=dict)
    """What became of the others, by name."""
    skipped: int = 0
    """How many were done before."""
    codes: dict[str, int] = field(default_factory=dict)
    """Exit codes of the failed ones; below 0 the signal that killed it."""
    again: list[Trial] = field(default_factory=list)
    """Left behind, ended before they were done, and to be continued."""
    told: dict[str, int] = field(default_factory=dict)
    """Running trials that were told to stop (1) or ended at once (2)."""


class StopRequest(Caught):
    """Within the ``with`` block the signals that ask for an end are only counted."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def received(self, caught: signal.Signals) -> None:
        """Count it."""
        self.count += 1
        if self.count == 1:
            log.warning("stopping: the running trials save a checkpoint and end; once more ends them at once")


class Listed:
    """Trials that were all known before the first one started."""

    def __init__(self, trials: list[Trial]) -> None:
        self._trials = trials
        self._left = iter(trials)

    def listed(self) -> list[tuple[Trial, State | None]]:
        """All of them."""
        return [(trial, None) for trial in self._trials]

    def following(self) -> Trial | None:
        """The next one of the list."""
        return next(self._left, None)

    def ended(self, trial: Trial, state: State) -> None:
        """Nothing to learn."""

    def hopeless(self, trial: Trial) -> bool:
        """Never: only a search with a pruner stops trials."""
        return False


def run(
    source: Queue,
    executor: Executor,
    *,
    logs: Path,
    hours: float | None,
    stop: StopRequest,
    changed: Callable[[Progress], None],
) -> Progress:
    """Run trials until there are no more, the time is up, or somebody wants to stop.

    A failed trial does not stop the others, and is not tried again in this call.

    Args:
        source: where the trials come from.
        executor: where they run.
        logs: folder for what each trial prints.
        hours: no trial starts later than that.
        stop: asked between any two steps.
        changed: called whenever something happened, and every half second.
    """
    progress = Progress()
    until = None if hours is None else time.monotonic() + hours * 3600
    try:
        while True:
            late = until is not None and time.monotonic() >= until
            if not stop.count and not late:
                _fill(source, executor, progress, logs)
            changed(progress)
            if not progress.running and (stop.count or not (progress.elsewhere or (progress.again and not late))):
                return progress
            for ended in executor.wait(_PATIENCE):
                _settle(ended, progress, source, stopping=stop.count > 0)
            _look_elsewhere(progress, source)
            _signal(source, executor, progress, stop.count)
    finally:
        while progress.running:  # something unforeseen happened here: no trial is left behind for it
            _signal(source, executor, progress, max(1, stop.count))
            for ended in executor.wait(_PATIENCE):
                _settle(ended, progress, source, stopping=True)


def _fill(source: Queue, executor: Executor, progress: Progress, logs: Path) -> None:
    """Start trials in the free slots; those that are done already are passed over."""
    while len(progress.running) + len(progress.elsewhere) < executor.slots:
        trial = progress.again.pop() if progress.again else source.following()
        if trial is None:
            return
        if _done(trial, progress):
            progress.skipped += 1
            progress.states[trial.name] = "done"
            source.ended(trial, "done")
        elif trial.name in progress.codes:
            progress.states[trial.name] = "failed"
        elif trial.busy:
            log.info("%s: a process of an earlier call is still training it; waiting for that one", trial.name)
            progress.elsewhere[trial.name] = trial
        else:
            trial.clear()
            executor.start(Job(trial.name, trial.process, logs / f"{trial.name}.txt"))
            progress.running[trial.name] = trial


def _done(trial: Trial, progress: Progress) -> bool:
    try:
        return trial.done
    except ConfigError as error:
        log.error("%s", error)
        progress.codes[trial.name] = error.exit_code
        return False


def _settle(ended: Ended, progress: Progress, source: Queue, *, stopping: bool) -> None:
    trial = progress.running.pop(ended.name)
    pruned = ended.name in progress.told
    progress.told.pop(ended.name, None)
    state: State = "failed"
    if ended.code == 0 and _done(trial, progress):
        state = "done"
    elif trial.busy:
        # An orphan that had not yet locked its folder when this trial was started: it came first.
        progress.elsewhere[trial.name] = trial
        return
    elif stopping:
        state = "interrupted"
    elif pruned and ended.code == Interrupted.exit_code:
        state = "pruned"
    else:
        progress.codes.setdefault(trial.name, ended.code)
    progress.states[trial.name] = state
    source.ended(trial, state)


def _look_elsewhere(progress: Progress, source: Queue) -> None:
    for trial in [trial for trial in progress.elsewhere.values() if not trial.busy]:
        del progress.elsewhere[trial.name]
        if _done(trial, progress):
            progress.states[trial.name] = "done"
            source.ended(trial, "done")
        else:
            progress.again.append(trial)


def _signal(source: Queue, executor: Executor, progress: Progress, asked: int) -> None:
    """Tell each trial once to stop, where it is hopeless or somebody wants to stop; end it where he asks again."""
    for trial in progress.running.values():
        told = progress.told[trial.name] if trial.name in progress.told else 0
        wanted = min(asked, 2) or int(source.hopeless(trial))
        if wanted > told:
            executor.stop(trial.name, at_once=wanted > 1)
            progress.told[trial.name] = wanted

"""Where a training begins: with nothing done, or after the newest checkpoint that is whole."""

import logging
from dataclasses import dataclass
from pathlib import Path

from ftcls.environment.devices import Machine
from ftcls.runs.directory import RunDir
from ftcls.training import checkpoints
from ftcls.training.checkpoints import CheckpointProgress

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Beginning:
    """Where training begins."""

    checkpoint: Path | None
    progress: CheckpointProgress | None
    """Stored with the checkpoint."""
    step: int
    token_budget: int
    """The budget in force: smaller than the planned one if memory ran out before."""


def beginning(run: RunDir, *, resume: bool, budget: int, machine: Machine) -> Beginning:
    """The newest whole checkpoint, or the beginning.

    Raises:
        DataError: there are checkpoints, and none is whole.
    """
    if machine.main:
        checkpoints.recover(run.checkpoints)
    checkpoints.barrier()
    found = checkpoints.start(run.checkpoints) if resume else None
    if found is None or found.progress is None:
        return Beginning(None, None, 0, budget)
    progress = found.progress
    for skipped in found.skipped:
        log.warning("left out, %s", skipped)
    checkpoints.barrier()  # all have looked
    if found.best_from is not None and progress.best is not None:
        log.warning("%s; the best weights are made again from %s", found.best_damage, found.best_from)
        if machine.main:
            checkpoints.restore_best(run.checkpoints, found.best_from, progress.best)
        checkpoints.barrier()
    if (progress.planned_budget, progress.processes) != (budget, machine.processes):
        log.warning(
            "resumed with token budget %d on %d processes, was %d on %d: dropout masks will differ",
            *(budget, machine.processes, progress.planned_budget, progress.processes),
        )
    log.info("resuming after step %d from %s", progress.step, found.checkpoint)
    return Beginning(found.checkpoint, progress, progress.step, min(budget, progress.token_budget))

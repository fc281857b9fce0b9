"""Checkpoints that exist whole or not at all.

A checkpoint is written under another name, its manifest last, and renamed into place. A training goes on from the
newest one whose files all are what was written.
"""

import contextlib
import json
import pickle
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from torch import distributed
from transformers import TrainerState

from ftcls.config.train_command import resume_command
from ftcls.environment import disk, json_files, manifest, memory
from ftcls.environment.files import sync_folder
from ftcls.errors import DataError, TrainingError, quoted
from ftcls.runs.directory import STEP, step_folders, step_of

MANIFEST: Final = manifest.FILE
BEST: Final = "best"
STATE: Final = ("*.pt", "*.pth", "trainer_state.json", "history.jsonl")
"""What a step's checkpoint has beside a model, as patterns."""


@dataclass(frozen=True)
class Best:
    """The best evaluation so far."""

    step: int
    metric: str
    value: float | None
    """None where there is no split to choose on: the last step stands for the best."""


@dataclass(kw_only=True)
class TrainingProgress:
    """How far a training has come: counted step by step, kept with every checkpoint, and what `fit` returns."""

    best: Best | None
    """None before the first evaluation that has a score."""
    evaluations_without_better: int
    stopped_early: bool
    seconds: float
    """Time spent in training steps, evaluation and saving left out."""
    examples: int
    tokens: int
    micro_batches: int

    @classmethod
    def before_the_first_step(cls) -> "TrainingProgress":
        """That of a training which has done nothing yet."""
        return cls(
            best=None,
            evaluations_without_better=0,
            stopped_early=False,
            seconds=0.0,
            examples=0,
            tokens=0,
            micro_batches=0,
        )

    @property
    def examples_per_second(self) -> float:
        """Training texts, once for every time that they were read."""
        return self.examples / max(self.seconds, 1e-9)

    @property
    def tokens_per_second(self) -> float:
        """Tokens of these texts, without padding."""
        return self.tokens / max(self.seconds, 1e-9)


@dataclass(kw_only=True)
class CheckpointProgress(TrainingProgress):
    """What a resume needs beyond the Trainer's own state."""

    step: int
    token_budget: int
    """The budget in force: smaller than the planned one after memory ran out."""
    planned_budget: int
    """The budget the plan of every step is made with."""
    processes: int
    logged: int | None = None
    """The last step whose loss was logged; None in a checkpoint of an earlier version."""
    gathered: tuple[float, ...] = ()
    """The sum of the losses since, of each process."""

    @property
    def counted(self) -> TrainingProgress:
        """The part that the training goes on counting."""
        return TrainingProgress(**{each.name: getattr(self, each.name) for each in fields(TrainingProgress)})


_PROGRESS: Final[TypeAdapter[CheckpointProgress]] = TypeAdapter(CheckpointProgress)
_NUMBERS: Final = ("epoch", "max_steps", "num_train_epochs", "num_input_tokens_seen", "total_flos", "train_batch_size")
_UNREADABLE: Final = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError),
    *(ValueError, SafetensorError, pickle.UnpicklingError),
)
"""What PyTorch and transformers raise over files that hold something else."""


@dataclass(frozen=True)
class Start:
    """Where a training goes on."""

    checkpoint: Path | None
    """None: at the beginning."""
    progress: CheckpointProgress | None
    skipped: tuple[str, ...]
    """Newer checkpoints that cannot be used, each with the reason."""
    best_from: Path | None
    """The checkpoint whose weights are the best ones; None: those in ``best`` are whole."""
    best_damage: str | None = None
    """What is wrong with those in ``best``."""


def newest(folder: Path) -> Path | None:
    """The complete checkpoint with the highest step, or None; whether its files are whole is not looked at."""
    return next((p for p in reversed(step_folders(folder)) if (p / MANIFEST).is_file()), None)


def start(folder: Path) -> Start:
    """The newest checkpoint that is whole, with the best weights up to its step.

    Where ``best`` is damaged, an older checkpoint will do that holds these weights itself, or comes before them.

    Raises:
        DataError: there are checkpoints, and none can be used; with the reason of each.
    """
    steps = step_folders(folder)[::-1]
    reasons = {path: _damage(path) for path in steps}
    best = _damage(folder / BEST)
    skipped: list[str] = []
    for path in steps:
        reason = reasons[path]
        if reason is None:
            try:
                progress = read_progress(path)
                check_state(path, progress)
            except DataError as error:
                skipped.append(str(error))
                continue
            source = None if best is None else _with_best(progress, folder, reasons)
            if best is None or progress.best is None or source is not None:
                return Start(path, progress, tuple(skipped), source, best)
            reason = f"the best weights up to there are not whole: {best}"
        skipped.append(f"{path}: {reason}")
    if skipped:
        raise DataError(
            "the run cannot be continued, no checkpoint is whole:\n"
            + "".join(f"  {each}\n" for each in skipped)
            + f"Bring back a copy of these files, or begin again: delete {folder} and repeat this command"
        )
    return Start(None, None, (), None)


def restore_best(folder: Path, source: Path, best: Best) -> None:
    """Make ``best`` again from the checkpoint of its step."""
    with writing(folder / BEST, main=True, about=best_manifest(best)) as staged:
        shutil.copytree(source, staged, ignore=shutil.ignore_patterns(*STATE, MANIFEST), dirs_exist_ok=True)


def recover(folder: Path) -> None:
    """Clear what a killed process left: half-written checkpoints go, a half-done exchange of ``best`` is finished."""
    best, staged, old = folder / BEST, _staged(folder / BEST), _old(folder / BEST)
    if not best.exists():
        # Killed between the two renames of `best`: the new one is complete, or the old one is all there is.
        for candidate in (staged, old):
            if (candidate / MANIFEST).is_file():
                candidate.rename(best)
                break
    for left in (*folder.glob(".*.tmp"), *folder.glob(".*.old")):
        shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def writing(path: Path, *, main: bool, about: Mapping[str, Any]) -> Iterator[Path]:
    """A folder to fill; when the block ends it is complete at ``path``.

    Under torchrun every process enters; ``main`` makes the folder and completes it after all have written.

    Raises:
        TrainingError: the disk is full; what was written of it is taken away again.
    """
    staged = _staged(path)
    try:
        if main:
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir(parents=True)
        barrier()
        yield staged
        barrier()
        if main:
            manifest.write(staged, about)
            _exchange(staged, path)
            sync_folder(path.parent)
        barrier()
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = disk.full(error)
        if reason is None:
            raise
        raise _no_room(path, staged, reason) from error


def read_progress(checkpoint: Path) -> CheckpointProgress:
    """The progress stored with a checkpoint.

    Raises:
        DataError: its manifest cannot be read.
    """
    stored = manifest.read(checkpoint).about
    try:
        found: CheckpointProgress = _PROGRESS.validate_json(json.dumps(stored["progress"]), strict=True)
    except (KeyError, ValidationError) as error:
        what = json_files.problems(error)[0] if isinstance(error, ValidationError) else f"{error} is missing"
        raise DataError(f"{checkpoint / MANIFEST}: says nothing of a training that goes on ({what})") from None
    return found


@contextlib.contextmanager
def readable(checkpoint: str | Path, what: str) -> Iterator[None]:
    """What is read of a checkpoint whose files are those that were written, and may be no state nevertheless.

    Raises:
        DataError: it cannot be read.
    """
    try:
        yield
    except _UNREADABLE as error:
        if memory.ran_out(error):
            raise
        text = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(
            f"{checkpoint}: {what} cannot be read back ({quoted(text)}). Delete this checkpoint to go on from an older "
            "one, or to begin again"
        ) from error


def check_state(checkpoint: Path, progress: CheckpointProgress) -> None:
    """See that the Trainer's own notes are of the step that the checkpoint is of.

    Raises:
        DataError: they are not, or cannot be read.
    """
    path = checkpoint / "trainer_state.json"
    with readable(path, "it"):
        stored = TrainerState(**json_files.value(path))
        if type(stored.global_step) is not int or stored.global_step != progress.step:
            raise ValueError(
                f"its global_step is {stored.global_step!r}, and the checkpoint is of step {progress.step}"
            )
        for name in _NUMBERS:
            value = getattr(stored, name)
            if isinstance(value, bool) or not isinstance(value, int | float | None):
                raise TypeError(f"{name} is {value!r}")
        if not isinstance(stored.stateful_callbacks, dict) or not all(isinstance(x, dict) for x in stored.log_history):
            raise TypeError("stateful_callbacks or log_history is something else")


def progress_manifest(progress: CheckpointProgress) -> dict[str, Any]:
    """What the manifest of a step's checkpoint keeps beside the files."""
    return {"progress": asdict(progress)}


def best_manifest(best: Best) -> dict[str, Any]:
    """What the manifest of the best weights keeps beside the files."""
    return {"best": asdict(best)}


def rotate(folder: Path, limit: int, step: int) -> None:
    """Delete all but the newest ``limit`` checkpoints; called after that of a step is complete.

    Those of later steps were left out by the resume, and go too.
    """
    steps = step_folders(folder)
    kept = [path for path in steps if step_of(path) <= step][-limit:]
    for superseded in [path for path in steps if path not in kept]:
        superseded.rename(_old(superseded))  # first: what is half-deleted does not exist
        shutil.rmtree(_old(superseded), ignore_errors=True)


def barrier() -> None:
    """Wait for the other processes of a torchrun."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()


def _damage(checkpoint: Path) -> str | None:
    """Why a checkpoint cannot be used; None: it can."""
    try:
        found = manifest.damages(checkpoint, manifest.read(checkpoint))
    except DataError as error:
        return str(error)
    return "; ".join(map(str, found)) or None


def _with_best(progress: CheckpointProgress, folder: Path, reasons: Mapping[Path, str | None]) -> Path | None:
    """The whole checkpoint of the step of the best evaluation."""
    if progress.best is None:
        return None
    source = folder / f"{STEP}{progress.best.step}"
    return source if source in reasons and reasons[source] is None else None


def _no_room(path: Path, staged: Path, reason: str) -> TrainingError:
    good, run = newest(path.parent), path.parent.parent
    needed = max(map(_bytes, (staged, *([good] if good else []))))
    shutil.rmtree(staged, ignore_errors=True)
    kept = f" The last good checkpoint is {good}." if good else " No checkpoint had been written yet."
    return TrainingError(
        f"{path}: cannot be written: {reason}. It takes {disk.size(needed)} or more, and {disk.size(disk.free(run))} "
        f"are free there.{kept} Free some (ftcls runs prune RUN), then continue with\n"
        f"  {resume_command(run / 'config.yaml', run)}"
    )


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _staged(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _old(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _exchange(staged: Path, path: Path) -> None:
    old = _old(path)
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
    staged.rename(path)
    shutil.rmtree(old, ignore_errors=True)

"""Checkpoints that exist whole or not at all.

A checkpoint is written under another name, its manifest last, and renamed into place. One without a manifest does not
exist: nothing lists it, nothing resumes from it, the next run sweeps it away.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from torch import distributed

from ftcls.environment.files import write_json

MANIFEST: Final = "manifest.json"
BEST: Final = "best"
STEP: Final = "step-"


@dataclass(frozen=True)
class Best:
    """The best evaluation so far."""

    step: int
    metric: str
    value: float


@dataclass(frozen=True)
class Progress:
    """What a resume needs beyond the Trainer's own state."""

    step: int
    token_budget: int
    """The budget in force: smaller than the planned one after memory ran out."""
    planned_budget: int
    """The budget the plan of every step is made with."""
    processes: int
    best: Best | None
    evaluations_without_better: int
    stopped_early: bool
    seconds: float
    """Time spent in training steps, evaluation and saving left out."""
    examples: int
    tokens: int
    micro_batches: int


def newest(folder: Path) -> Path | None:
    """The complete checkpoint with the highest step, or None."""
    return max(_complete(folder), key=_step, default=None)


def recover(folder: Path) -> None:
    """Clear what a killed process left: half-written checkpoints go, a half-done exchange of ``best`` is finished."""
    best, staged, old = folder / BEST, _staged(folder / BEST), folder / f".{BEST}.old"
    if not best.exists():
        # Killed between the two renames of `best`: the new one is complete, or the old one is all there is.
        for candidate in (staged, old):
            if (candidate / MANIFEST).is_file():
                candidate.rename(best)
                break
    for left in (*folder.glob(".*.tmp"), old):
        shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def writing(path: Path, *, main: bool, manifest: dict[str, Any]) -> Iterator[Path]:
    """A folder to fill; when the block ends it is complete at ``path``.

    Under torchrun every process enters; ``main`` makes the folder and completes it after all have written.
    """
    staged = _staged(path)
    if main:
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
    barrier()
    yield staged
    barrier()
    if main:
        files = {str(f.relative_to(staged)): f.stat().st_size for f in sorted(staged.rglob("*")) if f.is_file()}
        for name in files:
            _sync(staged / name)
        write_json(staged / MANIFEST, {**manifest, "files": files})
        _exchange(staged, path)
    barrier()


def read_progress(checkpoint: Path) -> Progress:
    """The progress stored with a checkpoint."""
    stored = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))["progress"]
    best = Best(**stored.pop("best")) if stored["best"] else stored.pop("best")
    return Progress(**stored, best=best)


def progress_manifest(progress: Progress) -> dict[str, Any]:
    """The manifest of a step's checkpoint."""
    return {"progress": asdict(progress)}


def read_best(folder: Path) -> Best | None:
    """Which step the weights in ``best`` are from, or None where there are none."""
    manifest = folder / BEST / MANIFEST
    if not manifest.is_file():
        return None
    return Best(**json.loads(manifest.read_text(encoding="utf-8"))["best"])


def rotate(folder: Path, limit: int) -> None:
    """Delete all but the newest ``limit`` checkpoints; called after a newer one is complete."""
    for old in sorted(_complete(folder), key=_step)[:-limit]:
        (old / MANIFEST).unlink()  # first: what is half-deleted does not exist
        shutil.rmtree(old, ignore_errors=True)


def barrier() -> None:
    """Wait for the other processes of a torchrun."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()


def _complete(folder: Path) -> list[Path]:
    return [p for p in folder.glob(f"{STEP}*") if (p / MANIFEST).is_file() and p.name.removeprefix(STEP).isdecimal()]


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix(STEP))


def _staged(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _exchange(staged: Path, path: Path) -> None:
    old = path.with_name(f".{path.name}.old")
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
    staged.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    # rb+: Windows flushes only files that are open for writing.
    with path.open("rb+") as file:
        os.fsync(file.fileno())

"""Runs as files: which there are, whether they are whole, and what of them can go."""

import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from filelock import FileLock, Timeout

from ftcls.environment import files, manifest
from ftcls.environment.manifest import Damage
from ftcls.errors import ConfigError, DataError
from ftcls.runs import report_schema
from ftcls.runs.directory import RunDir, nearest, step_folders, step_of

State = Literal["done", "stopped early", "unfinished", "damaged"]
_LEFT_OVER: Final = (".*.tmp", ".*.old")


@dataclass(frozen=True)
class Listed:
    """One run of a folder."""

    path: Path
    state: State
    metric: str | None
    """What it was chosen by; None where it is not finished."""
    value: float | None
    """Of the metric, on test, or out of fold."""
    step: int | None
    """The last step of a finished run, that of the newest checkpoint of another; None: there is none."""
    bytes: int
    """On the disk."""


@dataclass(frozen=True)
class Verified:
    """What was found in a run, an export, a model or a checkpoint."""

    path: Path
    files: int
    """How many were compared with what was written."""
    bytes: int
    damages: tuple[str, ...]
    unlisted: tuple[Path, ...]
    """Folders without a manifest, of an earlier version: their files were not compared."""


@dataclass(frozen=True)
class Pruned:
    """What of a run can go, or has gone."""

    path: Path
    in_use: bool
    """Whether a process is training in it; it is left alone."""
    superseded: tuple[Path, ...]
    """Checkpoints that no resume wants: of a finished run all of the steps, else those before the newest whole one."""
    left_over: tuple[Path, ...]
    """What a process that was killed left."""
    bytes: int


def runs(folder: str | os.PathLike[str] = "runs") -> list[Listed]:
    """The runs in a folder, and in the folders inside it, the newest last.

    Raises:
        DataError: there is no such folder.
    """
    home = Path(folder)
    if not home.is_dir():
        raise DataError(f"{home}: no such folder; name one that holds run directories")
    configs = {path.parent: path.stat().st_mtime for path in home.rglob("config.yaml") if path.parent != home}
    return [_listed(RunDir(path)) for path in sorted(configs, key=lambda each: (configs[each], each))]


def verify(run: str | os.PathLike[str]) -> Verified:
    """Compare every file of a run with its manifests; also of an export, a model folder or a checkpoint.

    Raises:
        DataError: nothing is there, or nothing that ftcls wrote.
    """
    place = Path(run)
    if not place.is_dir():
        raise DataError(f"{place}: no such folder.{nearest(place)} Name a run, an export or a model folder")
    folders = [place, *_inner(RunDir(place))]
    listing = [folder for folder in folders if (folder / manifest.FILE).exists()]
    damages = [each for folder in folders for each in _damages(folder)]
    files = [path for folder in listing for path in _listed_files(folder)]
    return Verified(
        path=place,
        files=len(files),
        bytes=sum(path.stat().st_size for path in files),
        damages=tuple(dict.fromkeys(map(str, damages))),
        unlisted=tuple(folder for folder in folders if folder not in listing),
    )


def accept(run: str | os.PathLike[str], names: Collection[str]) -> None:
    """Take files as they are now: somebody changed them on purpose.

    Args:
        run: a folder with a manifest.
        names: paths inside it, such as ``model/decision.json``.

    Raises:
        ConfigError: a name that no manifest lists.
        DataError: there is no manifest, or a damaged one.
    """
    for name in names:
        listing = False
        changed = Path(run) / name
        for folder in changed.parents[:4]:
            inside = changed.relative_to(folder).as_posix()
            if (folder / manifest.FILE).exists() and inside in manifest.read(folder).files:
                manifest.renew(folder, [inside])
                listing, changed = True, folder / manifest.FILE
        if not listing:
            raise ConfigError(f"--accept {name}: no manifest of {run} lists it; name a file that `verify` names")


def prune(run: str | os.PathLike[str], *, delete: bool) -> Pruned:
    """Find the checkpoints of a run that nothing wants any more, and what a killed process left; delete them or not.

    Never the model, the best weights, the report or the predictions.

    Raises:
        DataError: no run.
    """
    place = RunDir(Path(run))
    if not place.config.is_file():
        raise DataError(f"{place.path}: not a run, it has no config.yaml.{nearest(place.path)}")
    lock = FileLock(place.path / ".lock", blocking=False)
    try:
        with lock:
            return _prune(place, delete=delete)
    except Timeout:
        return Pruned(place.path, True, (), (), 0)
    finally:
        if not lock.is_locked:
            (place.path / ".lock").unlink(missing_ok=True)


def _prune(run: RunDir, *, delete: bool) -> Pruned:
    steps = step_folders(run.checkpoints)
    whole = [path for path in steps if not _damages(path)] if not run.done else []
    superseded = steps if run.done else [path for path in steps if whole and step_of(path) < step_of(whole[-1])]
    if run.done:  # its folds are, too
        superseded = [*superseded, *(path for fold in _folds(run) for path in step_folders(fold.checkpoints))]
    left_over = [path for pattern in _LEFT_OVER for path in run.checkpoints.glob(pattern)]
    for folder in (run.path, run.plots, run.predictions, run.evals):
        left_over += files.left_over(folder)
    found = Pruned(
        run.path, False, tuple(superseded), tuple(sorted(left_over)), sum(map(_size, (*superseded, *left_over)))
    )
    for path in (*superseded, *left_over) if delete else ():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return found


def _listed(run: RunDir) -> Listed:
    steps = step_folders(run.checkpoints)
    size = _size(run.path)
    newest = step_of(steps[-1]) if steps else None
    if not run.done:
        return Listed(run.path, "unfinished", None, None, newest, size)
    try:
        report = report_schema.read_report(run)
    except DataError:
        return Listed(run.path, "damaged", None, None, newest, size)
    metric = report.training.best.metric
    state: State = "stopped early" if report.status == "stopped_early" else "done"
    return Listed(run.path, state, metric, report.metrics[report.held_out][metric], report.training.steps, size)


def _inner(run: RunDir) -> list[Path]:
    """The folders of a run that have, or should have, a manifest of their own."""
    model = [run.model] if (run.model / "config.json").is_file() or (run.model / manifest.FILE).exists() else []
    kept = sorted(path for path in run.checkpoints.glob("[!.]*") if path.is_dir())
    folds = [each for fold in _folds(run) for each in (fold.path, *_inner(fold))]
    return [*model, *kept, *folds] if run.config.is_file() else []


def _folds(run: RunDir) -> list[RunDir]:
    """The runs of the folds of a cross-validation, as far as there are any."""
    numbers = sorted(int(path.name) for path in run.folds.glob("*") if path.name.isdecimal())
    return [run.fold(number) for number in numbers]


def _damages(folder: Path) -> list[Damage | str]:
    try:
        if (folder / manifest.FILE).exists():
            return list(manifest.damages(folder, manifest.read(folder)))
        if folder.parent.name == "checkpoints":
            return [Damage(folder / manifest.FILE, "is missing")]
        return []
    except DataError as error:
        return [str(error)]


def _listed_files(folder: Path) -> Iterator[Path]:
    try:
        yield from (folder / name for name in manifest.read(folder).files if (folder / name).is_file())
    except DataError:
        return


def _size(path: Path) -> int:
    return sum(each.lstat().st_size for each in (path, *path.rglob("*")) if each.is_file())

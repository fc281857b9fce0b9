"""The run directory: where everything of a run lives, and how one is made that nobody else has."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ftcls.environment import limits, manifest
from ftcls.environment.files import write_text
from ftcls.errors import ConfigError

STEP: Final = "step-"
"""How the name of a step's checkpoint begins."""


@dataclass(frozen=True)
class RunDir:
    """Paths of one run; see the README for what each holds."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def data(self) -> Path:
        """What the run's data is known by."""
        return self.path / "data.json"

    @property
    def log(self) -> Path:
        """Everything that was logged, tracebacks included."""
        return self.path / "log.txt"

    @property
    def history(self) -> Path:
        """One JSON object per logged step."""
        return self.path / "history.jsonl"

    @property
    def contrastive(self) -> Path:
        """What the encoder learnt of pairs of texts before the training; only where the config wants that."""
        return self.path / "contrastive.json"

    @property
    def checkpoints(self) -> Path:
        """Folders ``step-N``, each complete."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Weights of the best step."""
        return self.checkpoints / "best"

    @property
    def folds(self) -> Path:
        """Of a cross-validation: the run of each fold, in folders 1 to K."""
        return self.path / "folds"

    def fold(self, number: int) -> "RunDir":
        """The run of one fold, counted from 1."""
        return RunDir(self.folds / str(number))

    @property
    def model(self) -> Path:
        """The model that was chosen, as plain transformers loads it."""
        return self.path / "model"

    @property
    def models(self) -> Path:
        """Simple models beside the chosen one, a folder each."""
        return self.path / "models"

    @property
    def predictions(self) -> Path:
        """One Parquet file per split."""
        return self.path / "predictions"

    @property
    def evals(self) -> Path:
        """What later evaluations found."""
        return self.path / "evals"

    @property
    def plots(self) -> Path:
        """Every plot of the page, as PNG and SVG."""
        return self.path / "plots"

    @property
    def words(self) -> Path:
        """Which words mattered for the worst mistakes."""
        return self.path / "words.json"

    @property
    def page(self) -> Path:
        """The report for people."""
        return self.path / "report.html"

    @property
    def report(self) -> Path:
        """The report; its presence means that the run is done."""
        return self.path / "report.json"

    @property
    def done(self) -> bool:
        """Whether the run is complete."""
        return self.report.is_file()


def step_folders(checkpoints: Path) -> list[Path]:
    """The checkpoints of steps in a folder, the earliest first."""
    found = [path for path in checkpoints.glob(f"{STEP}*") if path.name.removeprefix(STEP).isdecimal()]
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step of a checkpoint."""
    return int(checkpoint.name.removeprefix(STEP))


def nearest(path: str | os.PathLike[str], *, home: Path = Path("runs")) -> str:
    """`` Did you mean runs/news?`` where nothing is at a path and a run of nearly its name is near; else empty.

    Near is beside it, and in `home`. It goes behind the sentence that says what is not there.
    """
    typed = Path(path)
    if typed.exists():
        return ""
    folders = dict.fromkeys((home, typed.parent))  # of two runs of one name the one beside it counts
    runs = {found.parent.name: found.parent for folder in folders for found in folder.glob("*/config.yaml")}
    close = limits.nearest(typed.name, runs)
    if close is None:
        return ""
    found, here = runs[close], Path.cwd()
    return f" Did you mean {(found.relative_to(here) if found.is_relative_to(here) else found).as_posix()}?"


def create(config_text: str, *, name: str, output: Path | None, home: Path = Path("runs")) -> RunDir:
    """Make a run directory that nobody else has, with its config inside.

    Without ``output`` it is ``home/name``, or ``name-2``, ``name-3`` where taken.

    Raises:
        ConfigError: ``output`` exists and is not empty, or is a file.
    """
    if output is not None:
        if output.exists() and not output.is_dir():
            raise ConfigError(f"{output}: is a file; --output names the run directory, which train makes")
        if output.is_dir() and any(output.iterdir()):
            raise ConfigError(
                f"{output}: exists and is not empty; train never writes into an existing run. "
                "Name another --output, or add --resume to continue this one."
            )
        output.mkdir(parents=True, exist_ok=True)
        path = output
    else:
        home.mkdir(parents=True, exist_ok=True)
        path = next(taken for taken in _names(home / name) if _claim(taken))
    run = RunDir(path.absolute())
    write_text(run.config, config_text)
    manifest.write(run.path)
    return run


def _names(path: Path) -> Iterator[Path]:
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.name}-{number}")
        number += 1


def _claim(path: Path) -> bool:
    # mkdir is atomic: of two processes that want the same name, one gets it.
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True

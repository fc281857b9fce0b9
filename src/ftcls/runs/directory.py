"""The run directory: where everything of a run lives, and how it is written so that a crash leaves no half of it."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ftcls.errors import ConfigError

PARENT: Final = "FTCLS_DIES_WITH"
"""Environment variable that a sweep gives its trials: the process that they shall not outlive."""


@dataclass(frozen=True)
class RunDir:
    """Paths of one run; see the README for what each holds."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def log(self) -> Path:
        """Everything that was logged, tracebacks included."""
        return self.path / "log.txt"

    @property
    def history(self) -> Path:
        """One JSON object per logged step."""
        return self.path / "history.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Folders ``step-N``, each complete."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Weights of the best step."""
        return self.checkpoints / "best"

    @property
    def model(self) -> Path:
        """The model that was chosen, as plain transformers loads it."""
        return self.path / "model"

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


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file beside ``path``, then put it in its place in one step; on an error ``path`` stays as it was.

    Raises:
        ConfigError: see `refuse_special`.
    """
    refuse_special(path)
    path = path.resolve()  # a link goes on pointing to what is written
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    staged = Path(name)
    try:
        yield staged
        with staged.open("rb+") as file:
            os.fsync(file.fileno())
        staged.chmod(0o644)  # mkstemp's 0600 would hide the result from everybody else
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def refuse_special(path: Path) -> None:
    """See that a file may stand here: putting one in the place of /dev/null would take it from the whole machine.

    Raises:
        ConfigError: a folder, a device or a pipe is here.
    """
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path}: is there and is not a file that could be replaced; name another output")


@contextlib.contextmanager
def making(path: Path) -> Iterator[Path]:
    """Fill a folder beside ``path``, then put it in its place in one step; on an error there is no ``path``.

    Raises:
        ConfigError: ``path`` exists and is not an empty folder.
    """
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise ConfigError(f"--output {path}: exists and is not an empty folder; name another")
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.absolute().parent))
    try:
        yield staged
        staged.chmod(0o755)  # mkdtemp's 0700 would hide the result from everybody else
        if path.is_dir():
            path.rmdir()  # empty; Windows moves nothing onto a folder
        staged.replace(path)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with replacing(path) as staged:
        staged.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

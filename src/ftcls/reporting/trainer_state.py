"""The curves of any Hugging Face Trainer, from its trainer_state.json: a table of losses and what they say."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ftcls.environment import json_files
from ftcls.environment.figures_as_text import number, significant
from ftcls.errors import DataError, quoted
from ftcls.scoring.diagnosis import Diagnosis, diagnose

FILE: Final = "trainer_state.json"
_ROWS = 25
"""Rows of the table: more are thinned, evaluations stay."""
_COLUMNS: Final = {
    "step": "step",
    "epoch": "epoch",
    "loss": "training loss",
    "eval_loss": "validation loss",
    "learning_rate": "learning rate",
    "grad_norm": "gradient norm",
}


@dataclass(frozen=True)
class State:
    """What a Trainer logged, one line per step, and what it says."""

    path: str
    lines: tuple[dict[str, Any], ...]
    diagnosis: Diagnosis


def find(path: Path) -> Path | None:
    """The trainer_state.json that is meant: the file, or the newest one in a checkpoint or a folder of checkpoints."""
    if path.name == FILE or path.suffix == ".json":
        return path
    found = [path / FILE, *path.glob(f"*/{FILE}"), *path.glob(f"checkpoints/*/{FILE}")]
    there = [each for each in found if each.is_file()]
    return max(there, key=lambda each: each.stat().st_mtime_ns) if there else None


def read(path: Path) -> State:
    """Read a trainer_state.json.

    Raises:
        DataError: it cannot be read, is no trainer state, or nothing was logged.
    """
    try:
        document = json_files.value(path)
        entries = document["log_history"]
        lines = tuple(merged(entries))
        diagnosis = diagnose(lines)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise DataError(
            f"{path}: not a trainer_state.json of a Hugging Face Trainer ({type(error).__name__}: {error}). "
            "Name that file, a checkpoint that holds one, or a run of ftcls"
        ) from error
    if not lines:
        raise DataError(f"{path}: nothing was logged; set logging_steps lower than the steps of the training")
    return State(str(path), lines, diagnosis)


def merged(entries: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One line per step. The Trainer logs losses, evaluations and its closing summary (``train_loss``) apart."""
    by_step: dict[int, dict[str, Any]] = {}
    for entry in entries:
        if "loss" in entry or "eval_loss" in entry:
            numbers = {key: _number(value) if key in _COLUMNS else value for key, value in entry.items()}
            by_step.setdefault(int(entry["step"]), {}).update(numbers)
    for step in sorted(by_step):
        yield {"step": step, **by_step[step]}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, float | int | None):
        raise TypeError(f"{quoted(value)} is no number")
    return value if value is None or isinstance(value, int) else float(value)


def summary(state: State) -> RenderableType:
    """The loss table, the sentence, spikes, plateaus and the course of the learning rate."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    there = [key for key in _COLUMNS if any(key in line for line in state.lines)]
    for key in there:
        table.add_column(_COLUMNS[key], justify="right", no_wrap=True)
    for line in _thinned(state.lines):
        table.add_row(*(_cell(key, line[key]) if key in line else "-" for key in there))
    found = state.diagnosis
    notes = [found.sentence]
    if found.spikes:
        named = ", ".join(f"{each.step:,} ({each.norm:.2f}, usually {each.usual:.2f})" for each in found.spikes)
        notes.append(f"Gradient-norm spikes at step {named}.")
    notes += [
        f"Plateau from step {each.from_step:,} to {each.to_step:,} at {number(each.loss)}." for each in found.plateaus
    ]
    rate = found.learning_rate
    if rate is not None:
        shape = "" if rate.shape == "other" else f", {rate.shape} from there"
        peak, last = significant(rate.peak, 3), significant(rate.last, 3)
        notes.append(f"Learning rate: {peak} at step {rate.peak_step:,}{shape}, {last} at the end.")
    left = len(state.lines) - len(_thinned(state.lines))
    shown = [Text(f"{left:,} more logged steps are not shown", style="dim")] if left else []
    return Group(table, *shown, Text(), *(Text(note) for note in notes))


def _thinned(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(lines) <= _ROWS:
        return list(lines)
    every = math.ceil(len(lines) / _ROWS)
    return [
        line for index, line in enumerate(lines) if index % every == 0 or "eval_loss" in line or index == len(lines) - 1
    ]


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    if key == "step":
        return f"{value:,}"
    if key == "epoch":
        return f"{value:.3g}"
    return significant(value, 3) if key == "learning_rate" else number(value)

"""What came of the trials of a sweep: a row for each, a cell for those that differ in their seed alone, the best."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ftcls.environment import json_files
from ftcls.environment.files import replacing, write_json, write_text
from ftcls.errors import DataError
from ftcls.runs import predictions as prediction_files
from ftcls.runs import report_schema
from ftcls.scoring.intervals import resampled
from ftcls.scoring.likeness import refuse_unlike
from ftcls.scoring.metrics import Predictions, higher_is_better, in_range
from ftcls.scoring.significance import over_seeds
from ftcls.scoring.wilson import Interval
from ftcls.search.space import SEED
from ftcls.search.trials import Trial

Split = Literal["validation", "test"]
SPLITS: tuple[Split, ...] = ("validation", "test")
State = Literal["done", "failed", "pruned", "interrupted", "open"]


@dataclass(frozen=True)
class Row:
    """One trial."""

    trial: str
    state: State
    choices: dict[str, str]
    """Label by axis."""
    values: dict[str, Any]
    """Plain value by axis."""
    seed: int
    run: str
    """The run directory, relative to the sweep's folder."""
    exit_code: int | None = None
    """Of a failed trial."""
    metrics: dict[str, report_schema.Metrics] | None = None
    """By split; None unless the trial is done, like everything below."""
    intervals: dict[str, report_schema.Intervals] | None = None
    train_examples: int | None = None
    test_examples: int | None = None
    parameters: int | None = None
    trainable_parameters: int | None = None
    steps: int | None = None
    best_step: int | None = None
    seconds: float | None = None
    """Of the whole run."""
    peak_memory_bytes: int | None = None


@dataclass(frozen=True)
class Score:
    """A metric of a cell."""

    value: float | None
    """The mean over the seeds."""
    interval: Interval | None
    """95 %, over the test rows and, from two seeds on, the seeds."""


@dataclass(frozen=True)
class Cell:
    """The done trials that differ in their seed alone."""

    choices: dict[str, str]
    """Label by axis, seed aside."""
    trials: tuple[str, ...]
    seeds: tuple[int, ...]
    train_examples: float
    """Mean over the seeds."""
    scores: dict[str, dict[str, Score]]
    """By split and metric, for the metrics that the sweep is about."""


@dataclass(frozen=True)
class Results:
    """Everything that is said about a sweep."""

    sweep: str
    metric: str
    """Of validation; the best cell has most of it."""
    axes: tuple[str, ...]
    trials: tuple[Row, ...]
    cells: tuple[Cell, ...]
    best: Cell | None
    """Among the cells with the most seeds; None where no trial is done."""
    best_trial: str | None
    """The best cell's trial with the first seed."""
    schema_version: Literal[1] = 1


def row(trial: Trial, folder: Path, state: State, code: int | None) -> Row:
    """What came of one trial.

    Raises:
        DataError: its report cannot be read.
    """
    known: dict[str, Any] = {
        "trial": trial.name,
        "state": state,
        "choices": trial.choices,
        "values": trial.values,
        "seed": trial.seed,
        "run": trial.run.path.relative_to(folder.absolute()).as_posix(),
    }
    if state != "done":
        return Row(**known, exit_code=code)
    report = report_schema.read_report(trial.run)
    return Row(
        **known,
        metrics=report.metrics,
        intervals=report.intervals,
        train_examples=report.data.splits["train"].examples,
        test_examples=report.data.splits["test"].examples,
        parameters=report.model.parameters,
        trainable_parameters=report.model.trainable_parameters,
        steps=report.training.steps,
        best_step=report.training.best.step,
        seconds=report.run.seconds,
        peak_memory_bytes=report.training.peak_memory_bytes,
    )


def collect(sweep: str, metric: str, axes: Sequence[str], rows: Sequence[Row], folder: Path, *more: str) -> Results:
    """Put the rows together.

    Args:
        sweep: its name.
        metric: the validation metric of the search.
        axes: names in order.
        rows: of all trials.
        folder: of the sweep; predictions are read for the intervals of several seeds.
        more: other metrics that cells are to have.
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    others = [axis for axis in axes if axis != SEED]
    for each in rows:
        if each.state == "done":
            groups.setdefault(tuple(each.choices[axis] for axis in others), []).append(each)
    wanted = tuple(dict.fromkeys((metric, *more)))
    cells = [
        Cell(
            choices=dict(zip(others, key, strict=True)),
            trials=tuple(each.trial for each in group),
            seeds=tuple(each.seed for each in group),
            train_examples=float(np.mean([each.train_examples for each in group if each.train_examples is not None])),
            scores={split: {name: _score(group, split, name, folder) for name in wanted} for split in SPLITS},
        )
        for key, group in groups.items()
    ]
    best = _best(cells, metric)
    return Results(
        sweep, metric, tuple(axes), tuple(rows), tuple(cells), best, None if best is None else best.trials[0]
    )


def write(found: Results, folder: Path) -> tuple[Path, ...]:
    """Write results.json, results.csv and results.parquet, each whole or not at all; returns their paths."""
    paths = tuple(folder / f"results.{kind}" for kind in ("json", "csv", "parquet"))
    write_json(paths[0], json_files.finite(asdict(found)))
    # A column has one type: numbers where all values of the axis are, else what the axis calls them.
    numbers = {axis for axis in found.axes if all(_is_number(each.values[axis]) for each in found.trials)}
    table = pd.DataFrame([_flat(each, numbers) for each in found.trials])
    write_text(paths[1], table.to_csv(index=False, lineterminator="\n"))
    with replacing(paths[2]) as staged:
        table.to_parquet(staged, index=False)
    return paths


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flat(each: Row, numbers: Collection[str]) -> dict[str, Any]:
    """A row as one line of a table; axes that are no numbers by their label."""
    line: dict[str, Any] = {"trial": each.trial, "state": each.state, "exit_code": each.exit_code}
    for axis, value in each.values.items():
        line[axis] = value if axis in numbers else each.choices[axis]
    line.setdefault(SEED, each.seed)
    for split in SPLITS if each.metrics and each.intervals else ():
        for name, value in each.metrics[split].items():  # type: ignore[index]
            bounds = each.intervals[split][name]  # type: ignore[index]
            line[f"{split}.{name}"] = value
            line[f"{split}.{name}.low"], line[f"{split}.{name}.high"] = bounds or (None, None)
    costs = ("train_examples", "test_examples", "parameters", "trainable_parameters", "steps", "best_step", "seconds")
    return line | {name: getattr(each, name) for name in (*costs, "peak_memory_bytes", "run")}


def _score(group: Sequence[Row], split: Split, name: str, folder: Path) -> Score:
    values = [each.metrics[split][name] for each in group if each.metrics is not None]
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values) or not numbers:
        return Score(None, None)
    if len(group) == 1:
        return Score(numbers[0], group[0].intervals[split][name] if group[0].intervals is not None else None)
    said = [prediction_files.read(folder / each.run / "predictions" / f"{split}.parquet") for each in group]
    estimate = over_seeds([(1, numbers)], mean_draws(said, name))
    return Score(estimate.value, in_range(name, estimate.interval))


def mean_draws(said: Sequence[Predictions], metric: str) -> NDArray[np.float64]:
    """The mean of a metric over runs, float64 [d] over the draws of the bootstrap.

    Runs on the same rows are drawn together. Where each seed has rows of its own, their draws are put together in order
    of size, as if all runs erred on the same side at the same time: the variance is then the largest that it can be.
    """
    draws = [resampled(each, metric) for each in said]
    if not _same_rows(said):
        draws = [np.sort(each) for each in draws]
    mean: NDArray[np.float64] = np.mean(draws, axis=0)
    return mean


def _same_rows(said: Sequence[Predictions]) -> bool:
    try:
        for other in said[1:]:
            refuse_unlike(said[0], other)
    except DataError:
        return False
    return True


def _best(cells: Sequence[Cell], metric: str) -> Cell | None:
    def value(cell: Cell) -> float | None:
        return cell.scores["validation"][metric].value

    most = max((len(cell.seeds) for cell in cells), default=0)
    whole = [cell for cell in cells if len(cell.seeds) == most and value(cell) is not None]
    sign = 1 if higher_is_better(metric) else -1
    return max(whole, key=lambda cell: sign * (value(cell) or 0.0), default=None)


def ranked(found: Results) -> list[Cell]:
    """The cells, best first by the search's metric on validation; those without a value last.

    Behind the cells with the most seeds stand those that lack some, which are not chosen from.
    """
    sign = -1 if higher_is_better(found.metric) else 1
    most = max((len(cell.seeds) for cell in found.cells), default=0)

    def place(cell: Cell) -> tuple[bool, bool, float]:
        value = cell.scores["validation"][found.metric].value
        return value is None, len(cell.seeds) < most, sign * (value or 0.0)

    return sorted(found.cells, key=place)

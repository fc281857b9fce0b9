"""What a run leaves behind for others to read: report.json, evals/*.json, predictions/*.parquet.

Keys are added, never renamed. Numbers that are not finite are written as null.
``python -m ftcls.runs.report_schema`` writes the JSON schema of report.json anew.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from ftcls.environment import json_files, manifest
from ftcls.environment.files import json_text, write_json, write_text
from ftcls.errors import DataError
from ftcls.runs import directory
from ftcls.runs.data_section import Data
from ftcls.runs.folds_section import CrossValidation
from ftcls.runs.learning_curve_section import LearningCurve
from ftcls.runs.model_section import Model
from ftcls.runs.speed_section import PrecisionAgreement, Speed
from ftcls.runs.training_section import Training
from ftcls.scoring import metrics
from ftcls.scoring.decision import Task
from ftcls.scoring.diagnosis import Diagnosis
from ftcls.scoring.differences import Difference
from ftcls.scoring.intervals import LabelIntervals, certainty
from ftcls.scoring.metrics import LabelScores, Predictions
from ftcls.scoring.next_steps import NextStep
from ftcls.scoring.slices import Slice
from ftcls.scoring.soft_scores import SoftScores, soft_scores
from ftcls.scoring.wilson import Interval
from ftcls.scoring.without_leaks import WithoutLeaks

SCHEMA = Path(__file__).with_name("report.schema.json")
"""The JSON schema of report.json."""

OUT_OF_FOLD: Final = "out_of_fold"
"""The name of all rows of a cross-validation, each predicted by the model that did not see its fold."""
Metrics = dict[str, float | None]
"""Value by metric name; None where it is undefined."""
Intervals = dict[str, Interval | None]
"""95 % interval by metric name."""
PerLabel = dict[str, LabelScores]
LabelCertainty = dict[str, LabelIntervals]
"""95 % intervals of every label's scores by label name."""
Confusion = tuple[tuple[int, ...], ...] | tuple[tuple[tuple[int, ...], ...], ...]
"""[k][k], rows gold, columns predicted; multilabel [k][2][2]."""


@dataclass(frozen=True)
class Scores:
    """Everything that is said about one split's predictions."""

    metrics: Metrics
    intervals: Intervals
    per_label: PerLabel
    confusion: Confusion
    label_intervals: LabelCertainty
    widening: dict[str, float]
    """Of the intervals, by the trainings of a cross-validation; else empty."""
    unweighted: Metrics | None
    """The metrics as if all rows counted the same; None: they do."""
    soft: SoftScores | None
    """None: the labels are certain."""


@dataclass(frozen=True)
class Run:
    """Which run it was."""

    name: str
    command: str
    config_sha256: str
    seed: int
    started: datetime
    finished: datetime
    seconds: float
    ftcls_version: str
    git_commit: str | None
    smoke: bool = False


@dataclass(frozen=True)
class Environment:
    """What it ran on."""

    python: str
    platform: str
    device: str
    device_name: str
    device_count: int
    cpu_threads: int
    precision: str
    precision_reason: str
    packages: dict[str, str]


@dataclass(frozen=True)
class BaselineScores:
    """A simple model's scores on the same rows, and how far the run is above them."""

    name: str
    metrics: dict[str, Metrics]
    intervals: dict[str, Intervals]
    seconds: float
    difference: dict[str, Difference]
    """Run minus baseline on the held-out rows, by metric."""


@dataclass(frozen=True)
class Rung:
    """One model of the ladder, on the same rows as the others."""

    name: str
    """What stands behind the colon in ``RUN:tfidf``; ``fine_tuned``: the run's own model."""
    title: str
    metrics: dict[str, Metrics]
    intervals: dict[str, Intervals]
    difference: dict[str, Difference]
    """Fine-tuned model minus this one on the held-out rows, in the chosen metric."""
    seconds: float | None = None
    """To make it, what it builds on left out."""
    texts_per_second: float | None = None
    """Validation and test rows, tokenizing left out where the fine-tuned model leaves it out."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What was chosen for it, or its weights."""
    omitted: str | None = None
    """Why there is none."""
    better: bool | None = None
    """Of the mixture: whether validation shows it to be better than its best part."""


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error on the validation split, before and after temperature and shift."""

    before: float
    after: float


@dataclass(frozen=True)
class DecisionReport:
    """How probabilities become labels, and what was tuned for it on the validation split."""

    thresholds: dict[str, float] | None
    temperature: float
    calibration_error: CalibrationError | None
    objective: str | None = None
    """What the thresholds maximize on validation; None: they are not tuned."""
    shared: tuple[str, ...] = ()
    """Labels with too few validation rows for a threshold of their own."""
    unreachable: tuple[str, ...] = ()
    """Labels that no threshold makes as precise as asked; they are not given."""
    intervals_at_default: dict[str, Intervals] | None = None
    """Of `metrics_at_default`."""
    difference: dict[str, Difference] | None = None
    """Tuned minus default on the test split, by metric."""
    shift: float = 0.0
    """multilabel: what is added to every logit after the temperature."""


@dataclass(frozen=True)
class Report:
    """The whole of report.json."""

    __pydantic_config__ = ConfigDict(json_schema_serialization_defaults_required=True)

    status: Literal["done", "stopped_early"]
    run: Run
    environment: Environment
    data: Data
    model: Model
    training: Training
    metrics: dict[str, Metrics]
    intervals: dict[str, Intervals]
    per_label: dict[str, PerLabel]
    confusion: dict[str, Confusion]
    baseline: BaselineScores | None
    decision: DecisionReport | None = None
    metrics_at_default: dict[str, Metrics] | None = None
    diagnosis: Diagnosis | None = None
    slices: dict[str, tuple[Slice, ...]] | None = None
    """Of the test split: ``length`` and, where some texts were cut, ``truncation``."""
    metrics_without_leaks: WithoutLeaks | None = None
    """Of the test split; None where no row leaks, or every one does."""
    label_intervals: dict[str, LabelCertainty] | None = None
    majority: BaselineScores | None = None
    speed: Speed | None = None
    next_steps: tuple[NextStep, ...] = ()
    precision_agreement: PrecisionAgreement | None = None
    """None where the run is scored in float32."""
    ladder: tuple[Rung, ...] = ()
    """From the simplest model to the mixture of all."""
    cross_validation: CrossValidation | None = None
    """None where there is one training."""
    metrics_unweighted: dict[str, Metrics] | None = None
    """Of each split whose rows have weights: the metrics as if all counted the same; None: no split's have."""
    soft_scores: dict[str, SoftScores] | None = None
    """Of each split whose labels are probabilities or votes; None: of no split."""
    learning_curve: LearningCurve | None = None
    """Of simple models on validation; None where the config wants none."""
    schema_version: Literal[1] = 1

    @property
    def held_out(self) -> str:
        """The rows that the run is judged by: ``test``, or ``out_of_fold`` of a cross-validation."""
        return "test" if self.cross_validation is None else OUT_OF_FOLD

    @property
    def decided_on(self) -> str:
        """The rows that thresholds, temperature and the mixture were fitted on, in words."""
        return "validation" if self.cross_validation is None else "out-of-fold"

    @property
    def held_out_words(self) -> str:
        """The same in words: test or out-of-fold."""
        return self.held_out.replace("_", "-")


@dataclass(frozen=True)
class EvaluatedData:
    """What an evaluation was made on."""

    name: str
    """The data set, or the stem of the file."""
    split: str
    examples: int
    task: Task
    labels: tuple[str, ...]
    positive_label: str | None
    weight: str | None = None
    """The column of the rows' weights; None: all count the same."""


@dataclass(frozen=True)
class Evaluation:
    """The whole of one file in evals/."""

    model: str
    """What was evaluated: ``model`` or the name of a checkpoint."""
    data: EvaluatedData
    metrics: Metrics
    intervals: Intervals
    per_label: PerLabel
    confusion: Confusion
    metrics_without_leaks: WithoutLeaks | None = None
    """None also where the training data is not that of the run: with --data and --config."""
    label_intervals: LabelCertainty | None = None
    precision: str | None = None
    """What it was computed in: fp32, bf16 or fp16; an export also int8."""
    metrics_unweighted: Metrics | None = None
    """As if all rows counted the same; None: they do."""
    soft_scores: SoftScores | None = None
    """None: the labels are certain."""
    schema_version: Literal[1] = 1


_REPORT = TypeAdapter(Report)
_EVALUATION = TypeAdapter(Evaluation)


def scores(
    predictions: Predictions,
    *,
    seed: int,
    thresholds: tuple[float, ...] | None = None,
    extra: Mapping[str, float | None] | None = None,
) -> Scores:
    """Score predictions; `thresholds` (multilabel) are those that they were made with, `seed` that of the bootstrap.

    `extra` are figures of other metrics; nothing is known about them, so they have no interval.
    """
    found = certainty(predictions, seed=seed)
    alike = None if predictions.weights is None else replace(predictions, weights=None)
    return Scores(
        metrics=metrics.score(predictions) | dict(extra or {}),
        intervals=found.metrics | dict.fromkeys(extra or {}),
        per_label=metrics.per_label(predictions, thresholds),
        confusion=_tuples(metrics.confusion(predictions).tolist()),
        label_intervals=found.labels,
        widening=found.widening,
        unweighted=None if alike is None else metrics.score(alike),
        soft=soft_scores(predictions, seed=seed),
    )


def soft(found: Mapping[Any, Scores]) -> dict[str, SoftScores] | None:
    """By split the scores against labels that are not certain; None where no split has such."""
    return {str(name): each.soft for name, each in found.items() if each.soft is not None} or None


def unweighted(found: Mapping[Any, Scores]) -> dict[str, Metrics] | None:
    """By split the metrics without the weights of its rows; None where no split's rows have any."""
    return {str(name): each.unweighted for name, each in found.items() if each.unweighted is not None} or None


def scores_of(report: Report, name: str | None) -> tuple[Metrics, Intervals]:
    """Held-out scores and intervals of a run's own model (None), or of a simple one; empty where it has none."""
    held_out = report.held_out
    if name is None:
        return dict(report.metrics[held_out]), dict(report.intervals[held_out])
    rung = next((each for each in report.ladder if each.name == name and each.omitted is None), None)
    return ({}, {}) if rung is None else (rung.metrics[held_out], rung.intervals[held_out])


def document(result: Report | Evaluation) -> dict[str, Any]:
    """The result as JSON values, schema_version first; what is not finite becomes None."""
    adapter: TypeAdapter[Any] = _REPORT if isinstance(result, Report) else _EVALUATION
    return json_files.document(adapter.dump_python(result, mode="json"))


def write_report(run: directory.RunDir, report: Report) -> None:
    """Write the manifest of a run, and report.json, its last file."""
    text = json_text(document(report))
    passing = (run.checkpoints.name, run.evals.name, run.folds.name)
    manifest.write(run.path, without=passing, ahead={run.report.name: text.encode()})
    write_text(run.report, text)


def read_report(run: directory.RunDir) -> Report:
    """Read report.json.

    Raises:
        DataError: there is none, or it is not a report; names the first key that is wrong.
    """
    if not run.path.is_dir():
        raise DataError(
            f"{run.path}: no such folder, so no report.json.{directory.nearest(run.path)} Name a run that `ftcls "
            "train` wrote; a repository of the Hub has its model, but neither its report nor its predictions"
        )
    if not run.done:
        raise DataError(
            f"{run.path}: no report.json, so this is no run or it is not finished. "
            "Name a finished run, or continue this one: ftcls train ... --resume"
        )
    if not (run.path / manifest.FILE).exists():
        manifest.say_unchecked(run.path)
    manifest.check_part(run.report)
    report: Report = json_files.read(run.report, _REPORT)
    return report


def write_evaluation(path: Path, evaluation: Evaluation) -> None:
    """Write one evaluation, whole or not at all."""
    write_json(path, document(evaluation))


def read_evaluation(path: Path) -> Evaluation:
    """Read what `write_evaluation` wrote.

    Raises:
        DataError: it is no evaluation; names the first key that is wrong.
    """
    evaluation: Evaluation = json_files.read(path, _EVALUATION)
    return evaluation


def validate(document: Mapping[str, Any]) -> list[str]:
    """What is wrong with a report.json, one line ``key.path: problem`` each; nothing when it keeps to the schema."""
    # Reading does without the keys that have a default, but what ftcls writes has them all.
    lacking = [f"{each.name}: Field required" for each in fields(Report) if each.name not in document]
    try:
        _REPORT.validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        return lacking + [problem for problem in json_files.problems(error) if problem not in lacking]
    return lacking


def schema() -> dict[str, Any]:
    """The JSON schema of report.json, made from the dataclasses."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_REPORT.json_schema(mode="serialization"),
        "title": "report.json of ftcls",
    }


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


if __name__ == "__main__":
    write_json(SCHEMA, schema())

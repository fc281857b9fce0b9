"""What a student is beside the run it learnt from: ``models/static/distillation.json``, or that of a run of its own."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from ftcls.environment import json_files
from ftcls.environment.files import write_json
from ftcls.runs.report_schema import Intervals, Metrics
from ftcls.scoring.differences import Difference

FILE: Final = "distillation.json"


@dataclass(frozen=True)
class Distillation:
    """A student, and the same test rows by its teacher."""

    run: str
    """The teacher's run."""
    name: str
    """Of the student: ``static``, for ``RUN:static``, or its own run's."""
    texts: int
    """That the student learnt from."""
    unlabelled: int
    """Those of them that are no training texts of the run."""
    metrics: Metrics
    """Of the test split."""
    intervals: Intervals
    difference: dict[str, Difference]
    """Student minus teacher on the test split, by metric."""
    same_labels: float
    """Share of the test texts that get the teacher's labels."""
    seconds: float
    """For the teacher's probabilities and the student's training."""
    texts_per_second: float | None
    teacher_texts_per_second: float | None
    size_bytes: int
    ftcls_version: str
    schema_version: Literal[1] = 1


_DISTILLATION: TypeAdapter[Distillation] = TypeAdapter(Distillation)


def document(found: Distillation) -> dict[str, Any]:
    """The record as JSON values, schema_version first."""
    return json_files.document(asdict(found))


def write(found: Distillation, folder: Path) -> None:
    """Write distillation.json, whole or not at all."""
    write_json(folder / FILE, document(found))


def read(folder: Path) -> Distillation:
    """Read what `write` wrote.

    Raises:
        DataError: there is none, or it is not what `write` writes.
    """
    found: Distillation = json_files.read(folder / FILE, _DISTILLATION)
    return found

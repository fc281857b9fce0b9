"""Does an exported model say what its run says? Measured on texts, and what export.json keeps of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from ftcls.environment import json_files
from ftcls.environment.files import write_json
from ftcls.scoring.decision import Task
from ftcls.scoring.differences import Difference, paired_difference, same_labels
from ftcls.scoring.metrics import Predictions

FILE: Final = "export.json"
"""Its name in the folder of an export."""

Format = Literal["onnx", "torch"]
Precision = Literal["fp32", "int8"]


@dataclass(frozen=True)
class Agreement:
    """An exported model beside its run, on the same n texts."""

    texts: int
    source: str
    """Where the texts come from."""
    max_logit_difference: float
    """Over all texts and labels."""
    same_argmax: float
    """Share of texts whose most probable label is the same."""
    same_labels: float
    """Share of texts that get the same labels, thresholds and temperature applied."""
    metrics: tuple[Difference, ...]
    """The exported model's metric minus the run's; none where the texts have no labels."""

    def loss(self, metric: str) -> float:
        """By how much the exported model scores lower; without labels the share of texts that get others."""
        for each in self.metrics:
            if each.metric == metric:
                return 0 - each.value
        return 1 - self.same_labels


@dataclass(frozen=True)
class Export:
    """The whole of export.json."""

    run: str
    """Name of the run."""
    format: Format
    precision: Precision
    task: Task
    labels: tuple[str, ...]
    files: dict[str, int]
    """Bytes of the weights by file name."""
    agreement: Agreement
    metric: str
    """What a loss is judged by: metrics.best of the run, f1_macro where that is ``loss``."""
    tolerance: float
    """fp32: largest difference of a logit; int8: largest loss of the metric."""
    packages: dict[str, str]
    ftcls_version: str
    reload_difference: float | None = None
    """How far the logits of an adapter added to its base, with layers of few bits as numbers of float32, are from those
    it was saved with, on a few texts; None: there was no adapter."""
    schema_version: Literal[1] = 1


_EXPORT: TypeAdapter[Export] = TypeAdapter(Export)


def measure(
    run: NDArray[np.float32],
    exported: NDArray[np.float32],
    predictions: tuple[Predictions, Predictions],
    *,
    source: str,
    labelled: bool,
    metrics: Sequence[str],
    seed: int,
) -> Agreement:
    """Set two models beside each other on n texts.

    Args:
        run: the run's logits, float32 [n, k].
        exported: those of the exported model, float32 [n, k].
        predictions: what run and exported model say of the texts, by the run's decision.
        source: where the texts come from.
        labelled: whether the gold labels of the predictions are any.
        metrics: whose change is measured.
        seed: of the paired bootstrap.
    """
    before, after = predictions
    changes = [paired_difference(after, before, metric=name, seed=seed) for name in metrics] if labelled else []
    return Agreement(
        texts=len(before),
        source=source,
        max_logit_difference=float(np.abs(run.astype(np.float64) - exported).max()),
        same_argmax=float((run.argmax(axis=1) == exported.argmax(axis=1)).mean()),
        same_labels=same_labels(before.predicted, after.predicted),
        metrics=tuple(changes),
    )


def document(export: Export) -> dict[str, Any]:
    """The export as JSON values, schema_version first."""
    return json_files.document(asdict(export))


def write(export: Export, folder: Path) -> None:
    """Write export.json, whole or not at all."""
    write_json(folder / FILE, document(export))


def read(folder: Path) -> Export:
    """Read what `write` wrote.

    Raises:
        DataError: there is none, or it is not what `write` writes.
    """
    export: Export = json_files.read(folder / FILE, _EXPORT)
    return export

"""All rows of a cross-validation, each as the model said that did not see its fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ftcls.data.checks import leaks
from ftcls.data.corpus import Split
from ftcls.data.split import text_ids
from ftcls.errors import DataError
from ftcls.pipeline.label_noise import Judged
from ftcls.runs import predictions, report_schema
from ftcls.runs.directory import RunDir
from ftcls.runs.report_schema import OUT_OF_FOLD, Report
from ftcls.scoring import without_leaks
from ftcls.scoring.confident_learning import multilabel_suspicion, suspicion
from ftcls.scoring.metrics import Predictions
from ftcls.scoring.without_leaks import WithoutLeaks

_LEAST: Final = 1e-300
"""A probability below it has a logarithm all the same."""
_NEAREST: Final = 1e-15
"""How near to 0 and 1 the probability of an independent label is taken, so that its logit is finite."""
_SIMPLE: Final = ("majority", "baseline", "frozen", "stack")
"""Files of the simple models of a run, by what follows ``test-``."""


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """What the folds said about the n rows of a cross-validation, in the order of its rows."""

    reports: tuple[Report, ...]
    """Of each fold, from the first on."""
    own: Predictions
    """By the fine-tuned model of each row's fold, as it decides."""
    logits: NDArray[np.float64]
    """[n, k] of these models, up to a constant of each row; temperature and shift are taken back."""
    simple: Mapping[str, Predictions]
    """By the simple models that all folds have: majority, baseline, frozen, stack."""


def gather(run: RunDir, rows: Split) -> OutOfFold:
    """Read what the folds of a run said.

    Args:
        run: of the cross-validation.
        rows: all of its rows, with their folds.

    Raises:
        DataError: predictions are damaged, or are not of these rows.
    """
    numbers = _numbers(rows)
    runs = [run.fold(number) for number in numbers]
    reports = tuple(map(report_schema.read_report, runs))
    own = [predictions.read(each.predictions / "test.parquet") for each in runs]
    logits = np.concatenate([_logits(each, report) for each, report in zip(own, reports, strict=True)])
    simple = {}
    for name in _SIMPLE:
        files = [each.predictions / f"test-{name}.parquet" for each in runs]
        if all(file.is_file() for file in files):
            simple[name] = pooled(list(map(predictions.read, files)), rows)
    return OutOfFold(reports, pooled(own, rows), logits[_order(own, rows)], simple)


def pooled(parts: Sequence[Predictions], rows: Split) -> Predictions:
    """The predictions of each fold, from the first on, as predictions of all rows, in their order.

    Raises:
        DataError: they are not of these rows.
    """
    order = _order(parts, rows)
    fold = np.repeat(_numbers(rows), [len(each) for each in parts])[order]

    def joined(name: str) -> NDArray[Any]:
        found: NDArray[Any] = np.concatenate([getattr(each, name) for each in parts])[order]
        return found

    found = Predictions(
        task=parts[0].task,
        labels=parts[0].labels,
        gold=joined("gold"),
        predicted=joined("predicted"),
        probabilities=joined("probabilities"),
        rows=joined("rows"),
        clusters=rows.clusters,
        weights=rows.weights,
        soft=rows.soft,
        positive=parts[0].positive,
        folds=fold.astype(np.int64),
    )
    if not np.array_equal(found.gold.astype(np.int64), rows.targets.astype(np.int64)):
        raise DataError("the folds were trained on other labels than these; begin again in another --output")
    return found


def write(folder: Path, found: OutOfFold, rows: Split, *, lengths: NDArray[Any], truncated: NDArray[np.bool_]) -> None:
    """Keep the predictions of all rows, and those of the simple models beside them."""
    predictions.write(
        folder / f"{OUT_OF_FOLD}.parquet", found.own, texts=rows.texts, lengths=lengths, truncated=truncated
    )
    for name, each in found.simple.items():
        predictions.write(folder / f"{OUT_OF_FOLD}-{name}.parquet", each)


def judged(found: OutOfFold) -> Judged:
    """Every row's label, judged by the model of its fold."""
    own = found.own
    if own.task == "multilabel":
        return Judged(np.arange(len(own)), multilabel_suspicion(own.probabilities, own.gold))
    return Judged(np.arange(len(own)), suspicion(own.probabilities, own.gold.astype(np.int64)))


def scored_without_leaks(found: Predictions, rows: Split, *, seed: int) -> WithoutLeaks | None:
    """The scores without the rows whose text, equal or nearly, is in another fold; None where there are none."""
    fold = _folds(rows)
    equal, near = (_elsewhere(group, fold) for group in (text_ids(rows.texts), leaks.groups(rows.texts)))
    return without_leaks.without_leaks(found, equal=equal, near=near & ~equal, seed=seed)


def _elsewhere(group: NDArray[np.int64], fold: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Bool [n]: whether another fold has a row of this row's group."""
    pairs = np.unique(np.stack([group, fold], axis=1), axis=0)
    several = np.bincount(pairs[:, 0], minlength=int(group.max()) + 1) > 1
    found: NDArray[np.bool_] = several[group]
    return found


def _folds(rows: Split) -> NDArray[np.int64]:
    if rows.folds is None:
        raise TypeError("rows of a cross-validation have folds")
    return rows.folds


def _numbers(rows: Split) -> list[int]:
    found: list[int] = np.unique(_folds(rows)).tolist()
    return found


def _order(parts: Sequence[Predictions], rows: Split) -> NDArray[np.int64]:
    """Where each of the rows stands among the rows of the parts, one after the other.

    Raises:
        DataError: they are other rows.
    """
    own = np.concatenate([each.rows for each in parts])
    fold = np.repeat(_numbers(rows), [len(each) for each in parts])
    order, wanted = np.argsort(own, kind="stable"), np.argsort(rows.rows, kind="stable")
    known = np.array_equal(own[order], rows.rows[wanted]) and np.array_equal(fold[order], _folds(rows)[wanted])
    if not known:
        raise DataError("the folds were trained on other rows than these; begin again in another --output")
    found = np.empty(len(own), dtype=np.int64)
    found[wanted] = order
    return found


def _logits(said: Predictions, report: Report) -> NDArray[np.float64]:
    temperature, shift = (1.0, 0.0) if report.decision is None else (report.decision.temperature, report.decision.shift)
    if said.task == "multilabel":
        sure = np.clip(said.probabilities, _NEAREST, 1 - _NEAREST)
        return np.asarray((np.log(sure) - np.log1p(-sure) - shift) * temperature)
    return np.asarray(np.log(np.maximum(said.probabilities, _LEAST)) * temperature)

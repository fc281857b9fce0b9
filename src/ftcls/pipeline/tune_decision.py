"""How a trained model's probabilities become labels: tuned on validation, and compared with the default on test."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ftcls.config.outcome_schema import Decision
from ftcls.data.corpus import Corpus, Split, SplitName
from ftcls.inference.classifier import Classifier
from ftcls.runs import report_schema
from ftcls.scoring import decision, metrics, tuning
from ftcls.scoring.decision import default
from ftcls.scoring.differences import paired_difference
from ftcls.scoring.intervals import intervals
from ftcls.scoring.metrics import Predictions
from ftcls.scoring.tuning import Tuned

log = logging.getLogger(__name__)

# What tuned thresholds are compared with fixed ones on.
COMPARED: Final = ("accuracy", "f1_macro", "f1_micro")


@dataclass(frozen=True)
class Decided:
    """What report.json says of the decision."""

    report: report_schema.DecisionReport
    metrics_at_default: dict[str, report_schema.Metrics] | None
    """None where nothing is tuned: the metrics are at the default."""


def as_chosen(tuned: Tuned, labels: Sequence[str]) -> report_schema.DecisionReport:
    """What the report says of a decision that was tuned, without what it is worth."""
    chosen = tuned.decision
    return report_schema.DecisionReport(
        thresholds=None if chosen.thresholds is None else dict(zip(labels, chosen.thresholds, strict=True)),
        temperature=chosen.temperature,
        shift=chosen.shift,
        calibration_error=report_schema.CalibrationError(tuned.error_before, tuned.error_after),
        objective=tuned.objective,
        shared=tuned.shared,
        unreachable=tuned.unreachable,
    )


def tune(
    trained: Classifier | Corpus, logits: NDArray[np.floating[Any]], validation: Split, section: Decision
) -> Tuned:
    """What the validation split, or other rows that were not learnt, say of thresholds and temperature."""
    found = tuning.tune(
        logits,
        validation.targets,
        task=trained.task,
        labels=trained.labels,
        positive=trained.positive,
        objective=section.objective if section.thresholds == "tuned" else None,
        beta=section.beta,
        min_precision=section.min_precision,
        min_positives=section.min_positives,
        shrinkage=section.shrinkage,
        temperature=section.temperature == "tuned",
        rows=validation.shares,
        soft=validation.soft,
    )
    if found.unreachable:
        log.warning(
            "decision.min_precision: %g cannot be reached on validation for %s; such labels are not given",
            *(section.min_precision, ", ".join(found.unreachable)),
        )
    return found


def of_probabilities(
    validation: NDArray[np.float64], split: Split, corpus: Corpus, section: Decision
) -> decision.Decision:
    """The decision of a model that gives probabilities: thresholds as the config wants them, and no temperature.

    Args:
        validation: [n, k], what it says of the validation split.
        split: the validation split.
        corpus: whose it is.
        section: of the config.
    """
    if section.thresholds != "tuned":
        return default(corpus.task, len(corpus.labels))
    found = np.clip(validation, 1e-9, 1 - 1e-9)
    logits = np.log(found) - np.log1p(-found) if corpus.task == "multilabel" else np.log(found)
    return tuning.tune(
        logits,
        split.targets,
        task=corpus.task,
        labels=corpus.labels,
        positive=corpus.positive,
        objective=section.objective,
        beta=section.beta,
        min_precision=section.min_precision,
        min_positives=section.min_positives,
        shrinkage=section.shrinkage,
        temperature=False,
        rows=split.shares,
    ).decision


def compare(
    tuned: Tuned,
    found: Mapping[SplitName, Predictions],
    at_default: Mapping[SplitName, Predictions],
    *,
    seed: int,
) -> Decided:
    """What was tuned, the scores without it, and whether the test split is better for it.

    Args:
        tuned: what validation said.
        found: predictions of each split by the tuned decision.
        at_default: predictions of the same logits by the default decision.
        seed: of the bootstrap.
    """
    labels = found["test"].labels
    chosen, plain = tuned.decision, default(found["test"].task, len(labels))
    differs = chosen != plain
    report = replace(
        as_chosen(tuned, labels),
        intervals_at_default={name: intervals(rows, seed=seed) for name, rows in at_default.items()}
        if differs
        else None,
        difference={
            name: paired_difference(found["test"], at_default["test"], metric=name, seed=seed) for name in COMPARED
        }
        if chosen.thresholds != plain.thresholds
        else None,
    )
    scores: dict[str, report_schema.Metrics] = {name: metrics.score(rows) for name, rows in at_default.items()}
    return Decided(report, scores if differs else None)

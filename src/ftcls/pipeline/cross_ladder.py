"""The ladder of a cross-validation: simpler models scored out of fold, and the ones of all rows that are kept."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ftcls.inference.simple_classifier import FINE_TUNED, STACK
from ftcls.model.baselines import linear, logistic
from ftcls.pipeline import tune_decision
from ftcls.pipeline.ladder import FOLDS, TITLES, Embedding, keep_frozen, keep_linear, keep_mixture
from ftcls.pipeline.out_of_fold import OutOfFold
from ftcls.pipeline.trained_run import TrainedRun
from ftcls.runs.report_schema import OUT_OF_FOLD, BaselineScores, Report, Rung
from ftcls.scoring import metrics, mixture
from ftcls.scoring.decision import Decision
from ftcls.scoring.differences import differences, paired_difference, verdict
from ftcls.scoring.intervals import intervals
from ftcls.scoring.metrics import Predictions, higher_is_better

_FILES: Final = {"majority": "majority", linear.KIND: "baseline", logistic.KIND: "frozen", STACK: "stack"}
"""What a rung is called in `OutOfFold.simple`."""


def cross_ladder(found: OutOfFold, trained: TrainedRun, report: Report) -> tuple[Rung, ...]:
    """Score the rungs that the folds have, fit each to all rows, and keep it.

    Args:
        found: what the folds said.
        trained: the final model.
        report: what is said of the folds' own models and of the baseline.
    """
    known = {"majority": report.majority, linear.KIND: report.baseline}
    names = [rung.name for rung in found.reports[0].ladder]
    settings = _kept(found, trained, [name for name in names if name in _FILES and _FILES[name] in found.simple])
    return tuple(_rung(name, found, trained, report, known, settings) for name in names)


def _rung(
    name: str,
    found: OutOfFold,
    trained: TrainedRun,
    report: Report,
    known: Mapping[str, BaselineScores | None],
    settings: Mapping[str, dict[str, Any]],
) -> Rung:
    """One model, with the costs of a fold on average."""
    each = [next(rung for rung in one.ladder if rung.name == name) for one in found.reports]
    costs: dict[str, Any] = {
        "seconds": _mean([rung.seconds for rung in each]),
        "texts_per_second": _mean([rung.texts_per_second for rung in each]),
        "settings": settings.get(name, dict(each[0].settings)),
    }
    if name == FINE_TUNED:
        scores = report.metrics[OUT_OF_FOLD], report.intervals[OUT_OF_FOLD]
        return Rung(name, TITLES[name], {OUT_OF_FOLD: scores[0]}, {OUT_OF_FOLD: scores[1]}, {}, **costs)
    if name not in _FILES or _FILES[name] not in found.simple:
        return Rung(name, TITLES[name], {}, {}, {}, omitted=next(rung.omitted for rung in each if rung.omitted))
    said, scored = found.simple[_FILES[name]], known.get(name)
    metric, seed = trained.plan.experiment.metrics.best, trained.plan.experiment.seed
    return Rung(
        name=name,
        title=TITLES[name],
        metrics={OUT_OF_FOLD: metrics.score(said)} if scored is None else scored.metrics,
        intervals={OUT_OF_FOLD: intervals(said, seed=seed)} if scored is None else scored.intervals,
        difference=differences(found.own, said, metrics=(metric,), seed=seed),
        better=_better(found, metric, seed) if name == STACK else None,
        **costs,
    )


def _kept(found: OutOfFold, trained: TrainedRun, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Fit each rung to all rows and write it; thresholds and mixture come from what the folds said. Their settings."""
    plan, run = trained.plan, trained.run
    corpus, rows = plan.corpus, plan.corpus.splits["train"]
    kept: dict[str, dict[str, Any]] = {}
    if linear.KIND in names:
        k, seed = len(corpus.labels), plan.experiment.seed
        model = linear.learn(rows.texts, corpus.learnt("train"), task=corpus.task, k=k, seed=seed, weights=rows.shares)
        keep_linear(model, _decided(trained, found.simple["baseline"].probabilities), run, corpus.labels)
        kept[linear.KIND] = {}
    if logistic.KIND in names:
        embedding = Embedding(plan)
        strengths = [rung.settings["C"] for each in found.reports for rung in each.ladder if rung.name == logistic.KIND]
        frozen = logistic.fit(
            embedding.vectors("train"),
            corpus.learnt("train"),
            task=corpus.task,
            k=len(corpus.labels),
            strength=float(np.quantile(strengths, 0.5, method="lower")),  # one of those that were tried
            weights=rows.shares,
        )
        how = _decided(trained, found.simple["frozen"].probabilities)
        kept[logistic.KIND] = keep_frozen(frozen, how, embedding, run, corpus.labels)
    if STACK in names:
        parts = [name for name in (linear.KIND, logistic.KIND) if name in names]
        said = np.stack([*(found.simple[_FILES[name]].probabilities for name in parts), found.own.probabilities])
        crossed = mixture.cross_fitted(said, rows.targets, rows.shares, folds=FOLDS, seed=plan.experiment.seed)
        mixed = mixture.fit(said, rows.targets, rows.shares)
        kept[STACK] = keep_mixture(mixed, _decided(trained, crossed), [*parts, FINE_TUNED], run, corpus.labels)
    return kept


def _decided(trained: TrainedRun, probabilities: NDArray[np.float64]) -> Decision:
    """Thresholds as the config wants them, on the out-of-fold probabilities [n, k]."""
    corpus = trained.plan.corpus
    return tune_decision.of_probabilities(
        probabilities, corpus.splits["train"], corpus, trained.plan.experiment.decision
    )


def _better(found: OutOfFold, metric: str, seed: int) -> bool:
    """Whether the mixture is shown to be better than its best part, on the out-of-fold rows."""
    parts: list[Predictions] = [
        found.own,
        *(found.simple[name] for name in ("baseline", "frozen") if name in found.simple),
    ]
    scores = [metrics.score(each)[metric] for each in parts]
    if None in scores:
        return False
    sign = 1 if higher_is_better(metric) else -1
    best = parts[int(np.argmax([sign * score for score in scores if score is not None]))]
    return verdict(paired_difference(found.simple["stack"], best, metric=metric, seed=seed)) == "better"


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if len(there) == len(values) else None

"""A learning curve of three points: what twice the rows, and twice again, brought to the simple models of a run.

The fine-tuned model is not trained on fewer rows, which would take as long as the run; TF-IDF with a linear machine
takes seconds, and so does a regression on vectors that are there. Measured by ``studies/doublings.py``.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ftcls.data.corpus import Split
from ftcls.data.split import cut
from ftcls.model.baselines import linear, logistic
from ftcls.pipeline.ladder import TITLES, Vectors, decided
from ftcls.pipeline.trained_run import SimpleModels
from ftcls.pipeline.training_plan import TrainingPlan
from ftcls.pipeline.tune_decision import of_probabilities
from ftcls.runs.learning_curve_section import CurvePoint, LearningCurve, ModelCurve
from ftcls.scoring import decision
from ftcls.scoring.differences import paired_difference
from ftcls.scoring.intervals import DRAWS, score_of
from ftcls.scoring.metrics import AREAS, Predictions

FEWEST: Final = 100
"""Training rows below which a quarter of them says nothing."""
MOST: Final = 200_000
"""Training rows beyond which the last point is of so many, drawn by chance."""
SHARE: Final = 0.03
"""Of the training's time that the curve of a model may take."""
SECONDS: Final = 10.0
"""That it may take in any case."""
_FOLDS: Final = 5
"""Of the validation rows: thresholds of a fold are tuned on the others, so that no score is flattered."""
_AREA_DRAWS: Final = 200
"""Draws of the bootstrap for areas under curves, which cost a hundred times as much as counts."""

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class _Model:
    """A model that can be learnt from any rows."""

    name: str
    learn: Callable[[NDArray[np.int64]], Probabilities]
    """What it says of validation, [n, k], after it learnt these training rows."""
    seconds: float
    """That learning all rows takes."""
    whole: Probabilities
    """What it says of validation after all rows."""


def learning_curve(
    plan: TrainingPlan, simple: SimpleModels, vectors: Vectors | None, *, seconds: float
) -> LearningCurve | None:
    """How the simple models of a run score on validation after a quarter, half and all of the training rows.

    The rows are nested and stratified, clusters stay together, and the seed of the run draws them.

    Args:
        plan: of the run.
        simple: the linear model of all rows.
        vectors: of the pretrained encoder, where the ladder has them.
        seconds: that the training took.

    Returns:
        None where the config wants none.
    """
    wanted, metric = plan.experiment.report.learning_curve, plan.experiment.metrics.best
    if wanted == "never":
        return None
    train, validation = plan.corpus.splits["train"], plan.corpus.splits["validation"]
    reason = _not_worth_it(train, simple, fold=plan.experiment.data.split.fold)
    if reason is not None:
        return LearningCurve(metric, len(validation), omitted=reason)
    started = time.perf_counter()
    parts = nested(train, seed=plan.experiment.seed)
    allowed = np.inf if wanted == "always" else max(SECONDS, SHARE * seconds)
    curves = tuple(_curve(each, parts, plan, allowed=float(allowed)) for each in _models(plan, simple, vectors))
    return LearningCurve(metric, len(validation), curves, time.perf_counter() - started)


def _not_worth_it(train: Split, simple: SimpleModels, *, fold: int | None) -> str | None:
    """Why there is no curve at all."""
    if fold is not None:
        return "one fold of a cross-validation: train without data.split.folds for a learning curve"
    units = len(train) if train.clusters is None else len(np.unique(train.clusters))
    if units < FEWEST:
        what = "training rows" if train.clusters is None else "clusters of training rows"
        return f"{units:,} {what} are too few to be halved twice; {FEWEST} would do"
    if simple.model.rows is not None and simple.model.rows < len(train):
        return f"memory was enough for {simple.model.rows:,} of the {len(train):,} rows alone"
    return None


def nested(train: Split, *, seed: int) -> tuple[NDArray[np.int64], ...]:
    """Row numbers, ascending, of a quarter, half and all rows (at most `MOST`), the smaller inside the larger."""
    most = min(len(train), MOST)
    sizes = [most // 4, most // 2 - most // 4, most - most // 2][: 2 if most == len(train) else 3]
    parts = cut(train.targets, sizes, seed=[seed, 5], groups=train.clusters)[:3]
    return tuple(np.sort(np.concatenate(parts[: count + 1])) for count in range(len(parts)))


def _models(plan: TrainingPlan, simple: SimpleModels, vectors: Vectors | None) -> list[_Model]:
    corpus, seed = plan.corpus, plan.experiment.seed
    train, validation = corpus.splits["train"], corpus.splits["validation"]
    k, learnt = len(corpus.labels), corpus.learnt("train")

    def of_words(rows: NDArray[np.int64]) -> Probabilities:
        some = train.take(rows)
        model = linear.learn(some.texts, learnt[rows], task=corpus.task, k=k, seed=seed, weights=some.shares)
        return model.probabilities(validation.texts)

    models = [_Model(linear.KIND, of_words, simple.tfidf.seconds, simple.probabilities["validation"])]
    if vectors is None:
        return models
    there = vectors

    def of_vectors(rows: NDArray[np.int64]) -> Probabilities:
        some = train.take(rows)
        model = logistic.learn(
            there.train[rows],
            learnt[rows],
            (there.validation, corpus.learnt("validation")),
            task=corpus.task,
            k=k,
            seed=seed,
            weights=(some.shares, validation.shares),
        )
        return model.probabilities(there.validation)

    return [*models, _Model(logistic.KIND, of_vectors, there.seconds, there.said)]


def _curve(model: _Model, parts: Sequence[NDArray[np.int64]], plan: TrainingPlan, *, allowed: float) -> ModelCurve:
    started = time.perf_counter()
    metric, title = plan.experiment.metrics.best, TITLES[model.name]
    total = len(plan.corpus.splits["train"])
    expected = model.seconds * sum(len(part) for part in parts if len(part) < total) / total
    if expected > allowed:
        reason = f"would take {expected:.0f} s; report.learning_curve: always makes it all the same"
        return ModelCurve(model.name, title, omitted=reason)
    said = [_said(plan, model.whole if len(part) == total else model.learn(part)) for part in parts]
    scores = [score_of(each, metric) for each in said]
    draws = _AREA_DRAWS if metric in AREAS else DRAWS
    last = paired_difference(said[-1], said[-2], metric=metric, seed=plan.experiment.seed, draws=draws)
    points = tuple(CurvePoint(len(part), score) for part, score in zip(parts, scores, strict=True))
    return ModelCurve(model.name, title, points, last, time.perf_counter() - started)


def _said(plan: TrainingPlan, probabilities: Probabilities) -> Predictions:
    """Predictions of validation; where thresholds are tuned, by those of the other folds of these rows."""
    corpus, section, seed = plan.corpus, plan.experiment.decision, plan.experiment.seed
    found = decided(corpus, "validation", probabilities, decision.default(corpus.task, len(corpus.labels)))
    if section.thresholds != "tuned":
        return found
    fold = np.random.default_rng([seed, 6]).permutation(len(found)) % _FOLDS
    validation, predicted = corpus.splits["validation"], found.predicted.copy()
    for each in np.unique(fold):
        inside = fold == each
        how = of_probabilities(probabilities[~inside], validation.take(np.flatnonzero(~inside)), corpus, section)
        predicted[inside] = decision.predict(probabilities[inside], corpus.task, how.thresholds)
    return replace(found, predicted=predicted)

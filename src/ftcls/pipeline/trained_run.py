"""A training that is over, and the simple models on its rows: all that its report is made from."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ftcls.data.corpus import SplitName
from ftcls.environment import manifest
from ftcls.inference import latency, precision_check
from ftcls.inference.classifier import Classifier
from ftcls.model.baselines import linear
from ftcls.model.baselines.linear import Baseline, LinearModel
from ftcls.pipeline import tune_decision
from ftcls.pipeline.estimate import Forecast
from ftcls.pipeline.extra_metrics import ExtraMetric
from ftcls.pipeline.fit_model import Built, best_model
from ftcls.pipeline.training_plan import TrainingPlan
from ftcls.runs.directory import RunDir
from ftcls.runs.speed_section import PrecisionAgreement, Speed
from ftcls.scoring import decision
from ftcls.scoring.decision import Decision
from ftcls.scoring.metrics import Predictions
from ftcls.scoring.tuning import Tuned
from ftcls.training.fit import Fit

SCORED: Final[tuple[SplitName, ...]] = ("validation", "test")


@dataclass(frozen=True)
class Call:
    """How a run came about."""

    command: str
    """What the user typed."""
    smoke: bool
    started: datetime


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """The model of a run, read back from where it was saved, and what it says of validation and test."""

    run: RunDir
    call: Call
    plan: TrainingPlan
    forecast: Forecast
    built: Built
    fit: Fit
    classifier: Classifier
    """With the decision that was tuned."""
    tuned: Tuned
    logits: Mapping[SplitName, NDArray[np.float32]]
    scoring_seconds: float
    """That the logits took."""
    precision_agreement: PrecisionAgreement | None
    speed: Speed | None
    extra: tuple[ExtraMetric, ...]
    """Metrics beside those of ftcls."""

    @cached_property
    def predictions(self) -> dict[SplitName, Predictions]:
        """What it says of each split that it was scored on."""
        return self._decided(self.classifier)

    @cached_property
    def at_default(self) -> dict[SplitName, Predictions]:
        """The same logits under the decision of an untuned model."""
        task, labels = self.classifier.task, self.classifier.labels
        return self._decided(replace(self.classifier, decision=decision.default(task, len(labels))))

    def _decided(self, classifier: Classifier) -> dict[SplitName, Predictions]:
        return {name: classifier.decided(self.plan.corpus.splits[name], found) for name, found in self.logits.items()}


@dataclass(frozen=True, eq=False)
class SimpleModels:
    """The linear model, decided as the run's config wants it, and the most frequent label."""

    model: LinearModel
    decision: Decision
    probabilities: Mapping[SplitName, NDArray[np.float64]]
    """What the linear model says of validation and test, [n, k] each."""
    texts_per_second: float | None
    tfidf: Baseline
    majority: Baseline


def score(
    plan: TrainingPlan,
    run: RunDir,
    call: Call,
    *,
    forecast: Forecast,
    built: Built,
    fit: Fit,
    extra: tuple[ExtraMetric, ...],
    tuned: Tuned | None = None,
) -> TrainedRun:
    """Read the best weights back, score validation and test, and tune the decision, which is kept with the model.

    ``tuned`` is what was found elsewhere, where there is no validation split to tune on.

    Raises:
        FtclsError: see `best_model`.
    """
    corpus, prepared = plan.corpus, plan.prepared
    untuned = best_model(plan.experiment, machine=plan.machine, run=run)
    started = time.perf_counter()
    logits = {name: untuned.logits(prepared.encoded[name]) for name in SCORED if name in prepared.encoded}
    seconds = time.perf_counter() - started
    if tuned is None:
        tuned = tune_decision.tune(untuned, logits["validation"], corpus.splits["validation"], plan.experiment.decision)
    decision.save(tuned.decision, corpus.labels, run.model / decision.FILE)
    manifest.renew(run.model, [decision.FILE])
    classifier = replace(untuned, decision=tuned.decision)
    return TrainedRun(
        run=run,
        call=call,
        plan=plan,
        forecast=forecast,
        built=built,
        fit=fit,
        classifier=classifier,
        tuned=tuned,
        logits=logits,
        scoring_seconds=seconds,
        precision_agreement=precision_check.agreement(
            classifier,
            prepared.probe,
            logits=logits.get("validation"),
            scored=sum(len(prepared.encoded[name]) for name in logits),
        ),
        speed=latency.measure(
            classifier, corpus.splits["validation" if "validation" in corpus.splits else "train"].texts
        ),
        extra=extra,
    )


def fit_simple_models(plan: TrainingPlan) -> SimpleModels:
    """Fit the linear model to the training rows, and decide by it as the run's own model decides."""
    corpus, train = plan.corpus, plan.corpus.splits["train"]
    started = time.perf_counter()
    model = linear.learn(
        train.texts,
        corpus.learnt("train"),
        task=corpus.task,
        k=len(corpus.labels),
        seed=plan.experiment.seed,
        weights=train.shares,
    )
    learnt = time.perf_counter()
    found = {name: model.probabilities(corpus.splits[name].texts) for name in SCORED}
    seconds = time.perf_counter() - learnt
    how = tune_decision.of_probabilities(
        found["validation"], corpus.splits["validation"], corpus, plan.experiment.decision
    )
    tfidf = linear.baseline(corpus, found["test"], how, time.perf_counter() - started)
    rows = sum(len(corpus.splits[name]) for name in SCORED)
    return SimpleModels(model, how, found, rows / seconds if seconds else None, tfidf, linear.majority(corpus))

"""The ladder of a run: simpler models on the same rows, from seconds to hours, and a mixture of them all."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ftcls.data.corpus import Corpus, SplitName
from ftcls.environment.devices import TOKEN_BUDGETS
from ftcls.inference.embedding import embed
from ftcls.inference.simple_classifier import FINE_TUNED, STACK
from ftcls.model import loading
from ftcls.model.baselines import linear, logistic, store
from ftcls.model.checkpoint import SCRATCH
from ftcls.model.pooling import of_vectors
from ftcls.model.pretrained import count_parameters
from ftcls.pipeline.trained_run import SCORED, SimpleModels, TrainedRun
from ftcls.pipeline.training_plan import TrainingPlan
from ftcls.pipeline.tune_decision import of_probabilities
from ftcls.runs import predictions
from ftcls.runs.directory import RunDir
from ftcls.runs.report_schema import BaselineScores, Report, Rung
from ftcls.scoring import decision, metrics, mixture
from ftcls.scoring.decision import Decision
from ftcls.scoring.differences import differences, paired_difference, verdict
from ftcls.scoring.intervals import intervals
from ftcls.scoring.metrics import Predictions, higher_is_better

_LARGEST: Final = 500_000_000
"""Parameters up to which a second copy of the checkpoint is loaded for its vectors."""
FOLDS: Final = 5
"""Of the rows that a mixture is fitted and judged on."""
TITLES: Final = {
    "majority": linear.MAJORITY,
    "tfidf": linear.NAME,
    "frozen": "frozen encoder + logistic regression",
    FINE_TUNED: "fine-tuned",
    STACK: "mixture of the above",
}


def decided(corpus: Corpus, name: SplitName, probabilities: NDArray[np.float64], how: Decision) -> Predictions:
    """Predictions of a split from probabilities [n, k] and the decision on them."""
    split = corpus.splits[name]
    return Predictions(
        task=corpus.task,
        labels=corpus.labels,
        gold=split.targets,
        predicted=decision.predict(probabilities, corpus.task, how.thresholds),
        probabilities=probabilities,
        rows=split.rows,
        clusters=split.clusters,
        weights=split.weights,
        soft=split.soft,
        positive=corpus.positive,
    )


@dataclass(frozen=True, eq=False)
class Contender:
    """A model of the ladder: what it says about validation and test, and what it cost."""

    name: str
    probabilities: Mapping[SplitName, NDArray[np.float64]]
    decision: Decision
    seconds: float
    texts_per_second: float | None
    settings: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Setting:
    """What all rungs have in common."""

    plan: TrainingPlan
    run: RunDir
    trained: Predictions
    """What the fine-tuned model said about the test split."""

    def predictions(self, name: SplitName, found: NDArray[np.float64], how: Decision) -> Predictions:
        """Predictions of a split from probabilities."""
        return decided(self.plan.corpus, name, found, how)

    def scored(self, found: Predictions, name: str, **facts: Any) -> Rung:
        """A rung of predictions of the test split."""
        seed, metric = self.plan.experiment.seed, self.plan.experiment.metrics.best
        return Rung(
            name=name,
            title=TITLES[name],
            metrics={"test": metrics.score(found)},
            intervals={"test": intervals(found, seed=seed)},
            difference=differences(self.trained, found, metrics=(metric,), seed=seed),
            **facts,
        )

    def known(self, name: str, scores: BaselineScores, **facts: Any) -> Rung:
        """A rung whose scores the report has already."""
        metric = self.plan.experiment.metrics.best
        difference = {metric: scores.difference[metric]} if metric in scores.difference else {}
        return Rung(name, TITLES[name], scores.metrics, scores.intervals, difference, scores.seconds, **facts)


@dataclass(frozen=True, eq=False)
class Vectors:
    """The vectors of the pretrained encoder, and what a regression on those of all training rows came to."""

    train: NDArray[np.float32]
    """[n, d]"""
    validation: NDArray[np.float32]
    """[m, d]"""
    said: NDArray[np.float64]
    """[m, k] probabilities of the validation rows."""
    seconds: float
    """Of the regression alone."""


def ladder(trained: TrainedRun, simple: SimpleModels, report: Report) -> tuple[tuple[Rung, ...], Vectors | None]:
    """Fit, score and keep the rungs that the config wants, from the simplest to the mixture of all.

    Args:
        trained: the run.
        simple: the models that are fitted beside every run.
        report: what is said of all these.

    Returns:
        The rungs, and the vectors of the frozen one, where there is one.
    """
    wanted = trained.plan.experiment.report.ladder
    setting = Setting(trained.plan, trained.run, trained.predictions["test"])
    rungs: list[Rung] = []
    if "majority" in wanted and report.majority is not None:
        rungs.append(setting.known("majority", report.majority))
    contenders: list[Contender] = []
    vectors = None
    if linear.KIND in wanted and report.baseline is not None:
        contenders.append(_tfidf(setting, simple))
        rungs.append(setting.known(linear.KIND, report.baseline, texts_per_second=simple.texts_per_second))
    if logistic.KIND in wanted and (reason := cannot_embed(setting.plan)) is not None:
        rungs.append(Rung(logistic.KIND, TITLES[logistic.KIND], {}, {}, {}, omitted=reason))
    elif logistic.KIND in wanted:
        frozen, vectors = _frozen(setting)
        contenders.append(frozen)
        rungs.append(_rung(setting, contenders[-1]))
    rows = sum(map(len, trained.predictions.values()))
    fine = Contender(
        FINE_TUNED,
        {name: found.probabilities for name, found in trained.predictions.items()},
        trained.classifier.decision,
        report.training.seconds,
        rows / trained.scoring_seconds if trained.scoring_seconds else None,
        {"checkpoint": trained.plan.experiment.model.checkpoint},
    )
    rungs.append(
        Rung(
            name=FINE_TUNED,
            title=TITLES[FINE_TUNED],
            metrics={"test": report.metrics["test"]},
            intervals={"test": report.intervals["test"]},
            difference={},
            seconds=fine.seconds,
            texts_per_second=fine.texts_per_second,
            settings=dict(fine.settings),
        )
    )
    if STACK in wanted and contenders:
        rungs.append(_stack(setting, [*contenders, fine]))
    return tuple(rungs), vectors


def _rung(setting: Setting, each: Contender) -> Rung:
    found = setting.predictions("test", each.probabilities["test"], each.decision)
    return setting.scored(
        found,
        each.name,
        seconds=each.seconds,
        texts_per_second=each.texts_per_second,
        settings=dict(each.settings),
    )


def _tfidf(setting: Setting, simple: SimpleModels) -> Contender:
    keep_linear(simple.model, simple.decision, setting.run, setting.plan.corpus.labels)
    learnt = simple.model.rows
    # Where memory was too small for all of them.
    few = learnt is not None and learnt < len(setting.plan.corpus.splits["train"])
    about = {"training_rows": learnt} if few else {}
    return Contender(
        linear.KIND, simple.probabilities, simple.decision, simple.tfidf.seconds, simple.texts_per_second, about
    )


def keep_linear(model: linear.LinearModel, how: Decision, run: RunDir, labels: tuple[str, ...]) -> None:
    """Write the linear model where ``RUN:tfidf`` finds it."""
    folder = run.models / linear.KIND
    model.save(folder, labels)
    decision.save(how, labels, folder / decision.FILE)


def cannot_embed(plan: TrainingPlan) -> str | None:
    """Why there is no frozen rung; None: there is one."""
    checkpoint = plan.experiment.model.checkpoint
    if checkpoint.startswith(SCRATCH):
        return "the checkpoint is not pretrained"
    if plan.experiment.model.allow_code:
        return "the checkpoint brings its own code"
    if plan.experiment.adapter.quantization != "none":
        return "its weights are quantized"
    config = plan.prepared.config
    if config.is_encoder_decoder:
        return "an encoder and decoder has no vector of a text"
    if count_parameters(config) > _LARGEST:
        return f"the checkpoint has more than {_LARGEST // 10**6} million parameters"
    return None


class Embedding:
    """The checkpoint before any training, which gives the vectors of a split."""

    def __init__(self, plan: TrainingPlan) -> None:
        self._plan = plan
        self.checkpoint = plan.experiment.model.source
        self.kind = of_vectors(self.checkpoint, plan.prepared.config)
        self._encoder = loading.load_encoder(self.checkpoint).to(plan.machine.device)

    def vectors(self, name: SplitName) -> NDArray[np.float32]:
        """The vectors [n, d] of a split's texts."""
        prepared, machine = self._plan.prepared, self._plan.machine
        return embed(
            self._encoder,
            prepared.encoded[name],
            self.kind,
            pad_id=int(prepared.config.pad_token_id),
            token_budget=self._plan.experiment.training.token_budget or TOKEN_BUDGETS[machine.device],
            precision=machine.precision,
        )


def keep_frozen(
    model: logistic.LogisticModel, how: Decision, embedding: Embedding, run: RunDir, labels: tuple[str, ...]
) -> dict[str, Any]:
    """Write the linear model of a checkpoint's vectors where ``RUN:frozen`` finds it; what is to be said of it."""
    folder, about = run.models / logistic.KIND, {"checkpoint": embedding.checkpoint, "pooling": embedding.kind}
    model.save(folder, {"labels": list(labels), **about})
    decision.save(how, labels, folder / decision.FILE)
    return {**about, "C": model.strength}


def _frozen(setting: Setting) -> tuple[Contender, Vectors]:
    started = time.perf_counter()
    corpus = setting.plan.corpus
    embedding = Embedding(setting.plan)
    train, validation = embedding.vectors("train"), embedding.vectors("validation")
    learnt, unseen = corpus.splits["train"], corpus.splits["validation"]
    embedded = time.perf_counter()
    model = logistic.learn(
        train,
        corpus.learnt("train"),
        (validation, corpus.learnt("validation")),
        task=corpus.task,
        k=len(corpus.labels),
        seed=setting.plan.experiment.seed,
        weights=(learnt.shares, unseen.shares),
    )
    fitted = time.perf_counter()
    found: dict[SplitName, NDArray[np.float64]] = {"test": model.probabilities(embedding.vectors("test"))}
    rate = _rate(len(corpus.splits["test"]), fitted)
    found["validation"] = model.probabilities(validation)
    how = _decided(setting, found["validation"])
    about = keep_frozen(model, how, embedding, setting.run, corpus.labels)
    predictions.write(setting.run.predictions / "test-frozen.parquet", setting.predictions("test", found["test"], how))
    vectors = Vectors(train, validation, found["validation"], fitted - embedded)
    return Contender(logistic.KIND, found, how, fitted - started, rate, about), vectors


def keep_mixture(
    mixed: mixture.Mixture, how: Decision, parts: Sequence[str], run: RunDir, labels: tuple[str, ...]
) -> dict[str, Any]:
    """Write a mixture where ``RUN:stack`` finds it; what is to be said of it."""
    folder = run.models / STACK
    store.save(folder, STACK, {"labels": list(labels), "parts": list(parts)}, asdict(mixed))
    decision.save(how, labels, folder / decision.FILE)
    mean = mixed.weights if mixed.weights.ndim == 1 else mixed.weights.mean(axis=0)
    return {"weights": {name: round(float(each), 3) for name, each in zip(parts, mean, strict=True)}}


def _stack(setting: Setting, parts: Sequence[Contender]) -> Rung:
    """The mixture of the parts; better only if it is on validation, where its weights were fitted on other rows."""
    started = time.perf_counter()
    corpus, seed, metric = setting.plan.corpus, setting.plan.experiment.seed, setting.plan.experiment.metrics.best
    gold, rows = corpus.splits["validation"].targets, corpus.splits["validation"].shares
    said = {name: np.stack([part.probabilities[name] for part in parts]) for name in SCORED}
    mixed = mixture.fit(said["validation"], gold, rows)
    crossed = mixture.cross_fitted(said["validation"], gold, rows, folds=FOLDS, seed=seed)
    how = _decided(setting, crossed)
    about = keep_mixture(mixed, how, [part.name for part in parts], setting.run, corpus.labels)
    found = setting.predictions("test", mixed.probabilities(said["test"]), how)
    predictions.write(setting.run.predictions / "test-stack.parquet", found)
    rates = [part.texts_per_second for part in parts]
    return setting.scored(
        found,
        STACK,
        seconds=time.perf_counter() - started,
        texts_per_second=None if None in rates else 1 / sum(1 / rate for rate in rates if rate),
        settings=about,
        better=_better(setting, crossed, how, parts, metric),
    )


def _better(
    setting: Setting, crossed: NDArray[np.float64], how: Decision, parts: Sequence[Contender], metric: str
) -> bool:
    """Whether the mixture is shown to be better than its best part, on validation rows."""
    stacked = setting.predictions("validation", crossed, how)
    alone = [setting.predictions("validation", part.probabilities["validation"], part.decision) for part in parts]
    scores = [metrics.score(each)[metric] for each in alone]
    if None in scores:
        return False
    sign = 1 if higher_is_better(metric) else -1
    best = alone[int(np.argmax([sign * score for score in scores if score is not None]))]
    found = paired_difference(stacked, best, metric=metric, seed=setting.plan.experiment.seed)
    return verdict(found) == "better"


def _decided(setting: Setting, validation: NDArray[np.float64]) -> Decision:
    """Thresholds as the config wants them, on the probabilities of the validation split."""
    corpus = setting.plan.corpus
    return of_probabilities(validation, corpus.splits["validation"], corpus, setting.plan.experiment.decision)


def _rate(texts: int, started: float) -> float | None:
    """Texts a second since a time of `time.perf_counter`."""
    seconds = time.perf_counter() - started
    return texts / seconds if seconds else None

"""The ladder of a run: simpler models on the same rows, from seconds to hours, and a mixture of them all."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ftcls.config.schema import Decision as DecisionSection
from ftcls.config.schema import Experiment
from ftcls.data.corpus import Corpus, SplitName
from ftcls.environment.devices import TOKEN_BUDGETS, Machine
from ftcls.inference.classifier import Classifier
from ftcls.inference.embedding import embed
from ftcls.inference.simple_classifier import FINE_TUNED, STACK
from ftcls.model import loading
from ftcls.model.baselines import linear, logistic, store
from ftcls.model.baselines.linear import Baseline, LinearModel
from ftcls.model.checkpoint import SCRATCH
from ftcls.model.pooling import of_vectors
from ftcls.pipeline.prepare import Prepared
from ftcls.runs import predictions
from ftcls.runs.directory import RunDir
from ftcls.runs.report_schema import Rung
from ftcls.scoring import decision, metrics, mixture, tuning
from ftcls.scoring.decision import Decision
from ftcls.scoring.differences import differences, verdict
from ftcls.scoring.intervals import intervals, paired_difference
from ftcls.scoring.metrics import Predictions, higher_is_better

SCORED: Final[tuple[SplitName, ...]] = ("validation", "test")
_LARGEST: Final = 500_000_000
"""Parameters up to which a second copy of the checkpoint is loaded for its vectors."""
_FOLDS: Final = 5
_TITLES: Final = {
    "majority": linear.MAJORITY,
    "tfidf": linear.NAME,
    "frozen": "frozen encoder + logistic regression",
    FINE_TUNED: "fine-tuned",
    STACK: "mixture of the above",
}


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

    experiment: Experiment
    corpus: Corpus
    prepared: Prepared
    machine: Machine
    run: RunDir
    trained: Predictions
    """What the fine-tuned model said about the test split."""

    def predictions(self, name: SplitName, found: NDArray[np.float64], how: Decision) -> Predictions:
        """Predictions of a split from probabilities."""
        split, corpus = self.corpus.splits[name], self.corpus
        return Predictions(
            task=corpus.task,
            labels=corpus.labels,
            gold=split.targets,
            predicted=decision.predict(found, corpus.task, how.thresholds),
            probabilities=found,
            rows=split.rows,
            clusters=split.clusters,
            positive=corpus.positive,
        )

    def scored(self, found: Predictions, name: str, **facts: Any) -> Rung:
        """A rung of predictions of the test split."""
        seed, metric = self.experiment.seed, self.experiment.metrics.best
        return Rung(
            name=name,
            title=_TITLES[name],
            metrics={"test": metrics.score(found)},
            intervals={"test": intervals(found, seed=seed)},
            difference={} if name == FINE_TUNED else differences(self.trained, found, metrics=(metric,), seed=seed),
            **facts,
        )


def ladder(
    setting: Setting,
    *,
    classifier: Classifier,
    validation: Predictions,
    simple: tuple[LinearModel, Baseline],
    constant: Baseline,
    training_seconds: float,
    scoring_seconds: float,
) -> tuple[Rung, ...]:
    """Fit, score and keep the rungs that the config wants, from the simplest to the mixture of all.

    Args:
        setting: the run.
        classifier: the fine-tuned model.
        validation: what it said about the validation split.
        simple: the linear model, and what it said about the test split.
        constant: what the most frequent label says.
        training_seconds: of the fine-tuned model.
        scoring_seconds: of its validation and test rows.
    """
    wanted = setting.experiment.report.ladder
    rows = sum(len(setting.corpus.splits[name]) for name in SCORED)
    fine = Contender(
        FINE_TUNED,
        {"validation": validation.probabilities, "test": setting.trained.probabilities},
        classifier.decision,
        training_seconds,
        rows / scoring_seconds if scoring_seconds else None,
        {"checkpoint": setting.experiment.model.checkpoint},
    )
    contenders = [_tfidf(setting, *simple)] if linear.KIND in wanted else []
    omitted: list[Rung] = []
    if logistic.KIND in wanted:
        reason = _cannot_embed(setting)
        if reason is None:
            contenders.append(_frozen(setting))
        else:
            omitted.append(Rung(logistic.KIND, _TITLES[logistic.KIND], {}, {}, {}, omitted=reason))
    rungs = [setting.scored(constant.predictions, "majority", seconds=constant.seconds)] if "majority" in wanted else []
    rungs += [_rung(setting, each) for each in contenders] + omitted
    rungs.append(_rung(setting, fine))
    if STACK in wanted and contenders:
        rungs.append(_stack(setting, [*contenders, fine], validation))
    return tuple(rungs)


def _rung(setting: Setting, each: Contender) -> Rung:
    found = setting.predictions("test", each.probabilities["test"], each.decision)
    return setting.scored(
        found,
        each.name,
        seconds=each.seconds,
        texts_per_second=each.texts_per_second,
        settings=dict(each.settings),
    )


def _tfidf(setting: Setting, model: LinearModel, baseline: Baseline) -> Contender:
    corpus = setting.corpus
    how = decision.default(corpus.task, len(corpus.labels))
    model.save(setting.run.models / linear.KIND, corpus.labels)
    decision.save(how, corpus.labels, setting.run.models / linear.KIND / decision.FILE)
    probabilities, rate = _timed(lambda name: model.probabilities(corpus.splits[name].texts), corpus)
    return Contender(linear.KIND, probabilities, how, baseline.seconds, rate, {})


def _cannot_embed(setting: Setting) -> str | None:
    """Why there is no frozen rung; None: there is one."""
    checkpoint = setting.experiment.model.checkpoint
    if checkpoint.startswith(SCRATCH):
        return "the checkpoint is not pretrained"
    if setting.experiment.adapter.quantization != "none":
        return "its weights are quantized"
    config = setting.prepared.config
    if config.is_encoder_decoder:
        return "an encoder and decoder has no vector of a text"
    if loading.count_parameters(config) > _LARGEST:
        return f"the checkpoint has more than {_LARGEST // 10**6} million parameters"
    return None


def _frozen(setting: Setting) -> Contender:
    started = time.perf_counter()
    corpus, prepared, machine = setting.corpus, setting.prepared, setting.machine
    checkpoint = setting.experiment.model.checkpoint
    encoder = loading.load_encoder(checkpoint).to(machine.device)
    kind = of_vectors(checkpoint, prepared.config)

    def vectors(name: SplitName) -> NDArray[np.float32]:
        return embed(
            encoder,
            prepared.encoded[name],
            kind,
            pad_id=int(prepared.config.pad_token_id),
            token_budget=setting.experiment.training.token_budget or TOKEN_BUDGETS[machine.device],
            precision=machine.precision,
        )

    train, validation = vectors("train"), vectors("validation")
    model = logistic.learn(
        train,
        corpus.splits["train"].targets,
        (validation, corpus.splits["validation"].targets),
        task=corpus.task,
        k=len(corpus.labels),
        seed=setting.experiment.seed,
    )
    seconds = time.perf_counter() - started
    found, rate = _timed(lambda name: model.probabilities(vectors(name)), corpus)
    how = _decided(setting, found["validation"])
    folder = setting.run.models / logistic.KIND
    model.save(folder, {"labels": list(corpus.labels), "checkpoint": checkpoint, "pooling": kind})
    decision.save(how, corpus.labels, folder / decision.FILE)
    predictions.write(setting.run.predictions / "test-frozen.parquet", setting.predictions("test", found["test"], how))
    return Contender(
        logistic.KIND, found, how, seconds, rate, {"checkpoint": checkpoint, "pooling": kind, "C": model.strength}
    )


def _stack(setting: Setting, parts: Sequence[Contender], trained: Predictions) -> Rung:
    """The mixture of the parts; better only if it is on validation, where its weights were fitted on other rows."""
    started = time.perf_counter()
    corpus, seed, metric = setting.corpus, setting.experiment.seed, setting.experiment.metrics.best
    gold = corpus.splits["validation"].targets
    said = {name: np.stack([part.probabilities[name] for part in parts]) for name in SCORED}
    weights = mixture.fit(said["validation"], gold)
    crossed = mixture.cross_fitted(said["validation"], gold, folds=_FOLDS, seed=seed)
    how = _decided(setting, crossed)
    folder = setting.run.models / STACK
    names = [part.name for part in parts]
    store.save(folder, STACK, {"labels": list(corpus.labels), "parts": names}, {"weights": weights})
    decision.save(how, corpus.labels, folder / decision.FILE)
    found = setting.predictions("test", mixture.mixed(said["test"], weights), how)
    predictions.write(setting.run.predictions / "test-stack.parquet", found)
    mean = weights if weights.ndim == 1 else weights.mean(axis=0)
    rates = [part.texts_per_second for part in parts]
    return setting.scored(
        found,
        STACK,
        seconds=time.perf_counter() - started,
        texts_per_second=None if None in rates else 1 / sum(1 / rate for rate in rates if rate),
        settings={"weights": {name: round(float(each), 3) for name, each in zip(names, mean, strict=True)}},
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
    found = paired_difference(stacked, best, metric=metric, seed=setting.experiment.seed)
    return verdict(found) == "better"


def _decided(setting: Setting, validation: NDArray[np.float64]) -> Decision:
    """Thresholds as the config wants them, on the probabilities of the validation split."""
    section: DecisionSection = setting.experiment.decision
    corpus = setting.corpus
    if section.thresholds != "tuned":
        return decision.default(corpus.task, len(corpus.labels))
    found = np.clip(validation, 1e-9, 1 - 1e-9)
    logits = np.log(found) - np.log1p(-found) if corpus.task == "multilabel" else np.log(found)
    return tuning.tune(
        logits,
        corpus.splits["validation"].targets,
        task=corpus.task,
        labels=corpus.labels,
        positive=corpus.positive,
        objective=section.objective,
        beta=section.beta,
        min_precision=section.min_precision,
        min_positives=section.min_positives,
        temperature=False,
    ).decision


def _timed(
    say: Callable[[SplitName], NDArray[np.float64]], corpus: Corpus
) -> tuple[dict[SplitName, NDArray[np.float64]], float | None]:
    """What a model says about validation and test, and how many texts a second."""
    started = time.perf_counter()
    found = {name: say(name) for name in SCORED}
    seconds = time.perf_counter() - started
    return found, sum(len(corpus.splits[name]) for name in SCORED) / seconds if seconds else None

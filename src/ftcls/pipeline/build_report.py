"""What report.json says, from what the stages returned."""

import hashlib
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Final

import numpy as np
import torch

import ftcls
from ftcls.config.schema import Adapter
from ftcls.data.checks import leaks
from ftcls.data.corpus import Corpus, SplitName, fingerprint
from ftcls.data.summary import groups_of, votes_of, weights_of
from ftcls.environment.devices import Machine
from ftcls.inference.base_classifier import BaseClassifier
from ftcls.inference.classifier import Classifier
from ftcls.model import adapters, own_code
from ftcls.model.adapters import Adapted
from ftcls.model.baselines.linear import Baseline
from ftcls.model.tokenize import Encoded, unknown_tokens
from ftcls.pipeline import contrastive_start, data_checks, extra_metrics, tune_decision
from ftcls.pipeline.label_noise import Judged
from ftcls.pipeline.prepare import Prepared
from ftcls.pipeline.trained_run import SimpleModels, TrainedRun
from ftcls.runs import data_section, history, model_section, report_schema, training_section
from ftcls.scoring import metrics, slices
from ftcls.scoring import without_leaks as unleaked
from ftcls.scoring.diagnosis import constant_loss, diagnose
from ftcls.scoring.differences import COMPARED, differences
from ftcls.scoring.intervals import intervals
from ftcls.scoring.metrics import Predictions
from ftcls.scoring.slices import Slice
from ftcls.scoring.wilson import NORMAL_97_5, Interval
from ftcls.scoring.without_leaks import WithoutLeaks

PACKAGES: Final = (
    *("torch", "transformers", "tokenizers", "datasets", "accelerate", "scikit-learn"),
    *("numpy", "scipy", "pandas", "pyarrow"),
)


def report(trained: TrainedRun, simple: SimpleModels, about: data_section.Data) -> report_schema.Report:
    """The whole of report.json but for the ladder and what to try next.

    Args:
        trained: the run.
        simple: the models that it is compared with.
        about: its data.
    """
    plan, found = trained.plan, trained.predictions
    seed, best = plan.experiment.seed, plan.experiment.metrics.best
    validation = plan.corpus.splits["validation"]
    scores = {
        name: report_schema.scores(
            rows,
            seed=seed,
            thresholds=trained.classifier.decision.thresholds,
            extra=extra_metrics.score(trained.extra, rows),
        )
        for name, rows in found.items()
    }
    decided = tune_decision.compare(trained.tuned, found, trained.at_default, seed=seed)
    return report_schema.Report(
        status="stopped_early" if trained.fit.progress.stopped_early else "done",
        run=run(trained),
        environment=environment(plan.machine),
        data=about,
        model=model(trained),
        training=training(trained),
        metrics={name: found.metrics for name, found in scores.items()},
        intervals={name: found.intervals for name, found in scores.items()},
        per_label={name: found.per_label for name, found in scores.items()},
        confusion={name: found.confusion for name, found in scores.items()},
        label_intervals={name: found.label_intervals for name, found in scores.items()},
        baseline=against(simple.tfidf, found["test"], metric=best, seed=seed),
        majority=against(simple.majority, found["test"], metric=best, seed=seed),
        speed=trained.speed,
        precision_agreement=trained.precision_agreement,
        diagnosis=diagnose(
            history.read(trained.run.history),
            metric=best,
            chance=constant_loss(
                validation.targets if validation.soft is None else validation.soft,
                validation.weights,
                exclusive=plan.corpus.task != "multilabel",
            ),
            error=standard_error(scores["validation"].intervals["loss"]),
        ),
        slices=length_slices(found["test"], plan.prepared.encoded["test"]),
        decision=decided.report,
        metrics_at_default=decided.metrics_at_default,
        metrics_without_leaks=without_leaks(plan.corpus, "test", found["test"], seed=seed),
        metrics_unweighted=report_schema.unweighted(scores),
        soft_scores=report_schema.soft(scores),
    )


def run(trained: TrainedRun) -> report_schema.Run:
    """Which run it was; it ends now."""
    finished, call = datetime.now(UTC), trained.call
    return report_schema.Run(
        name=trained.plan.experiment.name,
        command=call.command,
        config_sha256=hashlib.sha256(trained.run.config.read_bytes()).hexdigest(),
        seed=trained.plan.experiment.seed,
        started=call.started,
        finished=finished,
        seconds=(finished - call.started).total_seconds(),
        ftcls_version=ftcls.__version__,
        git_commit=git_commit(),
        smoke=call.smoke,
    )


def standard_error(interval: Interval | None) -> float | None:
    """That of a figure with this 95 % interval."""
    return None if interval is None else (interval[1] - interval[0]) / (2 * NORMAL_97_5)


def length_slices(test: Predictions, encoded: Encoded) -> dict[str, tuple[Slice, ...]]:
    """Accuracy by length of the text, and of the texts that were cut where there are any."""
    found = {
        "length": slices.by_length(test, encoded.full_lengths),
        "truncation": slices.by_truncation(test, encoded.truncated),
    }
    return {name: groups for name, groups in found.items() if groups}


def evaluation(
    trained: BaseClassifier,
    corpus: Corpus,
    predictions: Predictions,
    *,
    model: str,
    name: str,
    split: str,
    seed: int,
    extra: Mapping[str, float | None],
    metrics_without_leaks: WithoutLeaks | None,
) -> report_schema.Evaluation:
    """One file of evals/."""
    found = report_schema.scores(predictions, seed=seed, thresholds=trained.decision.thresholds, extra=extra)
    return report_schema.Evaluation(
        model=model,
        data=report_schema.EvaluatedData(
            name=name,
            split=split,
            examples=len(predictions),
            task=corpus.task,
            labels=corpus.labels,
            positive_label=corpus.positive_label,
            weight=None if predictions.weights is None else corpus.weight,
        ),
        metrics=found.metrics,
        intervals=found.intervals,
        per_label=found.per_label,
        confusion=found.confusion,
        metrics_without_leaks=metrics_without_leaks,
        label_intervals=found.label_intervals,
        precision=trained.precision,
        metrics_unweighted=found.unweighted,
        soft_scores=found.soft,
    )


def without_leaks(corpus: Corpus, split: SplitName, predictions: Predictions, *, seed: int) -> WithoutLeaks | None:
    """The scores of a split without the rows whose text, equal or nearly, is in an earlier one."""
    known = leaks.leaks(corpus, split)
    return unleaked.without_leaks(predictions, equal=known.equal, near=known.near, seed=seed)


def against(
    simple: Baseline, trained: Predictions, *, metric: str, seed: int, split: str = "test"
) -> report_schema.BaselineScores:
    """A simple model's scores on the held-out rows, and the run's paired differences from it on the same rows.

    The chosen metric is compared first; it is left out where it has no value on these rows.
    """
    found = simple.predictions
    return report_schema.BaselineScores(
        name=simple.name,
        metrics={split: metrics.score(found)},
        intervals={split: intervals(found, seed=seed)},
        seconds=simple.seconds,
        difference=differences(trained, found, metrics=(metric, *COMPARED), seed=seed),
    )


def environment(machine: Machine) -> report_schema.Environment:
    """Versions, device and arithmetic."""
    return report_schema.Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        device=machine.device,
        device_name=machine.name,
        device_count=machine.processes,
        cpu_threads=torch.get_num_threads(),
        precision=machine.precision,
        precision_reason=machine.reason,
        packages={name: metadata.version(name) for name in PACKAGES},
    )


def git_commit() -> str | None:
    """The commit of the working directory, if it is a git checkout and git is there."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def data(corpus: Corpus, prepared: Prepared, *, seed: int, judged: Judged | None = None) -> data_section.Data:
    """The corpus as it was used, and all that was found about it; `seed` draws the folds of the label check.

    ``judged`` are rows whose labels were judged already.
    """
    encoded, settings = prepared.encoded, prepared.settings
    found = data_checks.found(
        corpus,
        lengths={name: rows.full_lengths for name, rows in encoded.items()},
        unknown={name: unknown_tokens(rows, prepared.tokenizer) for name, rows in encoded.items()},
        max_length=settings.max_length,
        truncation=settings.truncation,
        seed=seed,
        work=data_checks.BRIEF,
        judged=judged,
    )
    return data_section.Data(
        source=corpus.source,
        fingerprint=fingerprint(corpus),
        task=corpus.task,
        labels=corpus.labels,
        positive_label=corpus.positive_label,
        splits={name: _split(corpus, name, encoded[name]) for name in corpus.splits},
        checks=found,
        versions=dict(corpus.versions),
        text=corpus.text,
        weight=corpus.weight,
        group=corpus.group,
        soft=corpus.soft,
    )


def _split(corpus: Corpus, name: SplitName, encoded: Encoded) -> data_section.Split:
    targets = corpus.splits[name].targets
    counts = targets.sum(0) if targets.ndim == 2 else np.bincount(targets, minlength=len(corpus.labels))
    lengths = encoded.full_lengths
    return data_section.Split(
        examples=len(encoded),
        label_counts={label: int(count) for label, count in zip(corpus.labels, counts, strict=True)},
        tokens=data_section.TokenLengths(
            p50=int(np.percentile(lengths, 50)), p95=int(np.percentile(lengths, 95)), max=int(lengths.max())
        ),
        truncated=int(encoded.truncated.sum()),
        origin=corpus.splits[name].origin or name,
        weights=weights_of(corpus.splits[name]),
        votes=votes_of(corpus.splits[name], corpus.task, corpus.labels),
        groups=groups_of(corpus.splits[name]),
    )


def model(trained: TrainedRun) -> model_section.Model:
    """The model as it was trained."""
    section, built, classifier = trained.plan.experiment, trained.built, trained.classifier
    pooling, windows = trained.plan.prepared.pooling, classifier.settings.windows
    parameters, trainable = built.size
    return model_section.Model(
        checkpoint=section.model.checkpoint,
        architecture=adapters.architecture(classifier.model),
        parameters=parameters,
        trainable_parameters=trainable,
        size_bytes=sum(f.stat().st_size for f in trained.run.model.rglob("*") if f.is_file()),
        adapter=_adapter(section.adapter, built.adapted, classifier),
        quantization=None if section.adapter.quantization == "none" else section.adapter.quantization,
        max_length=classifier.settings.max_length,
        new_parameters=built.new_parameters,
        own_code=section.model.allow_code and bool(own_code.kept(trained.run.model)),
        revision=built.revision,
        digest=built.digest,
        pooling=model_section.Pooling(pooling.kind, pooling.reason),
        windows=None if windows is None else model_section.Windows(windows.size, windows.stride, windows.pool),
    )


def _adapter(section: Adapter, adapted: Adapted | None, trained: Classifier) -> model_section.Adapter | None:
    """The adapter as it was trained, and how exactly it was loaded back; None without one."""
    if adapted is None:
        return None
    return model_section.Adapter(
        kind=section.kind,
        r=section.r,
        alpha=section.alpha,
        dropout=section.dropout,
        target_modules=adapted.targets,
        heads=adapted.heads,
        rslora=section.rslora,
        dora=section.dora,
        merged=section.merge,
        reload_difference=trained.reload_difference,
    )


def training(trained: TrainedRun) -> training_section.Training:
    """How training went, from its outcome and history.jsonl."""
    fitted, progress, expected = trained.fit, trained.fit.progress, trained.forecast
    lines = history.read(trained.run.history)
    losses = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    lowest = min(losses, key=lambda pair: pair[1])
    return training_section.Training(
        epochs=fitted.epochs,
        steps=fitted.steps,
        micro_batches=progress.micro_batches,
        batch_size=trained.plan.experiment.training.batch_size,
        token_budget=fitted.token_budget,
        best=training_section.Best(fitted.best.step, fitted.best.metric, fitted.best.value),
        loss=training_section.Losses(
            first=losses[0][1], last=losses[-1][1], min=training_section.LowestLoss(value=lowest[1], step=lowest[0])
        ),
        evaluations=tuple(_evaluation(line) for line in lines if "eval_loss" in line),
        seconds=progress.seconds,
        examples_per_second=progress.examples_per_second,
        tokens_per_second=progress.tokens_per_second,
        peak_memory_bytes=fitted.peak_memory_bytes,
        stopped_early=progress.stopped_early,
        resumed=fitted.resumed,
        estimate=training_section.Estimate(expected.peak_memory_bytes, expected.seconds),
        contrastive=None if trained.plan.experiment.contrastive is None else contrastive_start.record(trained.run),
    )


def _evaluation(line: dict[str, float]) -> dict[str, float | None]:
    scores = {name.removeprefix("eval_"): value for name, value in line.items() if name.startswith("eval_")}
    return {"step": line["step"], "epoch": line["epoch"], **scores}

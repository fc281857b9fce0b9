"""Predictions and reports made by chance, for tests of what reads them."""

from datetime import UTC, datetime

import numpy as np

from ftcls.data.corpus import Check
from ftcls.runs import data_section, model_section, report_schema, training_section
from ftcls.scoring.differences import paired_difference
from ftcls.scoring.metrics import Predictions

LABELS = {
    "binary": ("no", "yes"),
    "multiclass": ("World", "Sports", "Business, finance", "Sci/Tech 😀"),
    "multilabel": ("earn", "acq", "money-fx", "grain", "crude"),
}


def predictions(task, n=200, *, seed=0, skill=1.5, labels=None, clusters=None):
    """The gold labels depend on the seed alone, so that two skills can be compared."""
    rng = np.random.default_rng(seed)
    names = LABELS[task] if labels is None else labels
    k = len(names)
    if task == "multilabel":
        gold = rng.random((n, k)) < 0.3
        probabilities = 1 / (1 + np.exp(-rng.normal(size=(n, k)) * 1.5 - skill * (2 * gold - 1)))
        return Predictions(task, names, gold, probabilities >= 0.5, probabilities, np.arange(n), clusters)
    gold = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), gold] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    positive = 1 if task == "binary" else None
    predicted = probabilities.argmax(axis=1)
    return Predictions(task, names, gold, predicted, probabilities, np.arange(n), clusters, positive)


def baseline(test, *, name="TF-IDF + linear SVM", skill=0.8):
    """The scores of worse predictions of the same rows."""
    poor = predictions(test.task, len(test), seed=1, skill=skill, labels=test.labels, clusters=test.clusters)
    scores = report_schema.scores(poor, seed=0)
    return report_schema.BaselineScores(
        name=name,
        metrics={"test": scores.metrics},
        intervals={"test": scores.intervals},
        seconds=1.25,
        difference={name: paired_difference(test, poor, metric=name, seed=0) for name in ("accuracy", "f1_macro")},
    )


def evaluation(made):
    """An evaluation on a file called reviews."""
    scores = report_schema.scores(made, seed=0)
    return report_schema.Evaluation(
        model="model",
        data=report_schema.EvaluatedData("reviews", "test", len(made), made.task, made.labels, None),
        metrics=scores.metrics,
        intervals=scores.intervals,
        per_label=scores.per_label,
        confusion=scores.confusion,
        label_intervals=scores.label_intervals,
    )


def split(examples, labels, origin):
    return data_section.Split(
        examples=examples,
        label_counts=dict.fromkeys(labels, examples // len(labels)),
        tokens=data_section.TokenLengths(p50=38, p95=71, max=190),
        truncated=3,
        origin=origin,
    )


def report(task, *, n=200, labels=None, with_baseline=True, clusters=None):
    """A whole report, and the predictions of its two splits."""
    thresholds = (0.5,) * len(labels or LABELS[task]) if task == "multilabel" else None
    made = {
        "validation": predictions(task, n // 2, seed=2, labels=labels),
        "test": predictions(task, n, seed=1, labels=labels, clusters=clusters),
    }
    scores = {name: report_schema.scores(each, seed=0, thresholds=thresholds) for name, each in made.items()}
    names = made["test"].labels
    whole = report_schema.Report(
        status="done",
        run=report_schema.Run(
            name="made",
            command="ftcls train made.yaml",
            config_sha256="0" * 64,
            seed=42,
            started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            finished=datetime(2026, 1, 2, 3, 9, 17, tzinfo=UTC),
            seconds=312.4,
            ftcls_version="0.1.0",
            git_commit=None,
        ),
        environment=report_schema.Environment(
            python="3.11.9",
            platform="Linux-6.1-x86_64",
            device="cpu",
            device_name="a processor",
            device_count=1,
            cpu_threads=2,
            precision="bf16",
            precision_reason="the processor has bfloat16 in hardware",
            packages={"torch": "2.13.0"},
        ),
        data=data_section.Data(
            source="ag_news",
            fingerprint="abc",
            task=task,
            labels=names,
            positive_label=names[1] if task == "binary" else None,
            splits={
                "train": split(2000, names, "train"),
                "validation": split(n // 2, names, "cut from train"),
                "test": split(n, names, "test"),
            },
            checks=(
                Check("label_names", "info", len(names), (), "nothing to do"),
                Check("leak", "warning", 3, ("first text", "second text"), "Look at them, or set data.split.pooled."),
            ),
            versions={},
        ),
        model=model_section.Model(
            checkpoint="scratch:bert",
            architecture="BertForSequenceClassification",
            parameters=22_700_000,
            trainable_parameters=22_700_000,
            size_bytes=90_900_000,
            adapter=None,
            quantization=None,
            max_length=128,
            new_parameters=("classifier.weight", "classifier.bias"),
        ),
        training=training_section.Training(
            epochs=2.0,
            steps=500,
            micro_batches=640,
            batch_size=8,
            token_budget=2048,
            best=training_section.Best(step=250, metric="f1_macro", value=scores["validation"].metrics["f1_macro"]),
            loss=training_section.Losses(first=1.4, last=0.2, min=training_section.LowestLoss(value=0.15, step=480)),
            evaluations=({"step": 250, "epoch": 1.0, **scores["validation"].metrics},),
            seconds=280.0,
            examples_per_second=14.3,
            tokens_per_second=742.9,
            peak_memory_bytes=840_000_000,
            stopped_early=False,
            resumed=False,
        ),
        metrics={name: each.metrics for name, each in scores.items()},
        intervals={name: each.intervals for name, each in scores.items()},
        per_label={name: each.per_label for name, each in scores.items()},
        confusion={name: each.confusion for name, each in scores.items()},
        baseline=baseline(made["test"]) if with_baseline else None,
        majority=baseline(made["test"], name="most frequent label", skill=0.0) if with_baseline else None,
        label_intervals={name: each.label_intervals for name, each in scores.items()},
    )
    return whole, made

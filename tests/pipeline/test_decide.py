"""A tuned decision from the config to every later command: report, decision.json, eval, predict, typed thresholds."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import f1_score

from ftcls.cli import app
from ftcls.config.load import load
from ftcls.errors import ConfigError
from ftcls.inference.classifier import Classifier
from ftcls.pipeline import dry_run, evaluate, train
from ftcls.reporting import run_tables
from ftcls.runs import predictions, report_schema
from ftcls.scoring import decision

REPOSITORY = Path(__file__).resolve().parent.parent.parent
RARE = [
    "loss.kind=asymmetric",
    "training.sampling=balanced",
    "training.augmentation={word_dropout: 0.1, token_masking: 0.1, rare: true}",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Several labels a row, everything for rare labels switched on, thresholds and temperature tuned."""
    tuned = ["decision.thresholds=tuned", "decision.temperature=tuned"]
    small = dry_run.smoke(load(REPOSITORY / "configs" / "go_emotions.yaml", [*RARE, *tuned]))
    return train.train(small, output=tmp_path_factory.mktemp("runs") / "tuned").files


@pytest.fixture(scope="module")
def report(run):
    return report_schema.read_report(run)


def test_the_report_has_the_scores_at_one_half_beside_those_at_the_tuned_thresholds(run, report):
    for split in ("validation", "test"):
        rows = predictions.read(run.predictions / f"{split}.parquet")
        thresholds = np.array([report.decision.thresholds[label] for label in rows.labels])
        for found, at in ((report.metrics, thresholds), (report.metrics_at_default, 0.5)):
            expected = f1_score(rows.gold, rows.probabilities >= at, average="macro", zero_division=0)
            assert found[split]["f1_macro"] == pytest.approx(expected, abs=1e-12)
    gain = report.metrics["test"]["f1_macro"] - report.metrics_at_default["test"]["f1_macro"]
    assert report.decision.difference["f1_macro"].value == pytest.approx(gain)
    assert report.metrics["validation"]["f1_macro"] >= report.metrics_at_default["validation"]["f1_macro"]
    assert set(report.decision.intervals_at_default) == {"validation", "test"}


def test_the_decision_is_kept_with_the_model_and_reported_per_label(run, report):
    kept = json.loads((run.model / "decision.json").read_text())
    assert kept["thresholds"] == report.decision.thresholds
    assert kept["temperature"] == report.decision.temperature != 1
    assert report.decision.objective == "f1_macro"
    error = report.decision.calibration_error
    assert error.before != error.after
    thresholds = {label: scores.threshold for label, scores in report.per_label["test"].items()}
    assert thresholds == report.decision.thresholds
    assert len(set(thresholds.values())) > 1


def test_eval_uses_it_and_a_typed_threshold_takes_its_place(run, report):
    assert evaluate.evaluate(run.path).metrics == report.metrics["test"]
    typed = evaluate.evaluate(run.path, thresholds=["0.5"])
    assert typed.metrics["f1_macro"] == report.metrics_at_default["test"]["f1_macro"]
    one = evaluate.evaluate(run.path, thresholds=["0.5", "joy=0.9"])
    assert [one.per_label[label].threshold for label in ("joy", "anger")] == [0.9, 0.5]


def test_predict_uses_it_and_a_typed_threshold_takes_its_place(run, report, capsys):
    trained = Classifier.from_pretrained(run.path)
    (said,) = trained.classify(["what a lovely day"])
    above = {label for label, value in said.probabilities.items() if value >= report.decision.thresholds[label]}
    assert set(said.labels) == above
    predict = ("predict", str(run.path), "--text", "what a lovely day")
    assert app.run([*predict, "--threshold", "0", "--json"]) == 0
    (typed,) = json.loads(capsys.readouterr().out)["predictions"]
    assert typed["labels"] == list(trained.labels)
    assert app.run([*predict, "--threshold", "joyy=0.2"]) == 2
    assert "--threshold joyy=0.2: 'joyy' is not one of" in capsys.readouterr().err


def test_the_page_and_the_summary_show_both(run, report):
    console = Console(width=80, file=io.StringIO())
    console.print(run_tables.summary(report, verbose=True))
    text = console.file.getvalue()
    assert "Decision, tuned on validation" in text
    assert "at one half" in text
    assert "tuned" in run.page.read_text(encoding="utf-8")


def test_an_operating_point_of_a_binary_task_reaches_the_model(tmp_path):
    small = dry_run.smoke(load(REPOSITORY / "configs" / "imdb.yaml", ["decision.thresholds=tuned"]))
    # Hardly trained: all its probabilities are near one half, and the best cut is not there.
    made = train.train(small, output=tmp_path / "run").files
    report = report_schema.read_report(made)
    assert evaluate.evaluate(made.path).metrics == report.metrics["test"]
    rows = predictions.read(made.predictions / "validation.parquet")
    assert report.metrics["validation"]["f1"] >= report.metrics_at_default["validation"]["f1"]
    above = rows.probabilities[:, rows.positive] > report.decision.thresholds[rows.labels[rows.positive]]
    np.testing.assert_array_equal(rows.predicted == rows.positive, above)


@pytest.mark.parametrize(
    ("task", "given", "message"),
    [
        ("multiclass", ["0.3"], "for binary and multilabel models"),
        ("multilabel", ["1.3"], "found '1.3', expected a number from 0 to 1"),
        ("multilabel", ["a=high"], "found 'high', expected a number"),
        ("multilabel", ["c=0.2"], "'c' is not one of 'a', 'b=c'"),
        ("binary", ["a=0.2"], "'a' is not one of 'b=c'"),
    ],
)
def test_a_threshold_that_is_none_is_refused(task, given, message):
    plain = decision.default(task, 2)
    with pytest.raises(ConfigError, match=message):
        decision.overridden(plain, given, task=task, labels=("a", "b=c"), positive=1)


def test_a_label_with_an_equals_sign_can_be_named():
    plain = decision.default("multilabel", 2)
    found = decision.overridden(plain, ["0.4", "b=c=0.2"], task="multilabel", labels=("a", "b=c"), positive=None)
    assert found == replace(plain, thresholds=(0.4, 0.2))
    found = decision.overridden(decision.default("binary", 2), ["0.2"], task="binary", labels=("a", "b"), positive=0)
    assert found.thresholds == (0.2, 0.8)

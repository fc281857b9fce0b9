"""Weights of rows (data.weight): in the loss, in every score and interval, in the simple models, from file to page."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as reference

import fitting
import ftcls
import synthetic
from ftcls.config.load import load
from ftcls.config.loss_schema import Loss
from ftcls.config.schema import Training
from ftcls.data.read import read
from ftcls.errors import ConfigError, DataError
from ftcls.model.baselines import linear, logistic
from ftcls.model.batching import balanced_shares
from ftcls.runs import history, predictions, report_schema
from ftcls.runs.directory import RunDir
from ftcls.scoring import calibration, intervals, metrics, mixture, thresholds, wilson
from ftcls.scoring.diagnosis import constant_loss
from ftcls.scoring.differences import paired_difference
from ftcls.training import fit, losses
from processes import forked_trainings, on_two

TASKS = ["binary", "multiclass", "multilabel"]


def weighted(task, n=200, seed=3):
    made = synthetic.predictions(task, n)
    return made.__class__(**{**vars(made), "weights": np.random.default_rng(seed).gamma(1, 1, n)})


def repeated(made, counts):
    """The rows with whole weights, and the same rows each so often."""
    rows = np.repeat(np.arange(len(made)), counts)
    kept = {name: value[rows] for name, value in vars(made).items() if isinstance(value, np.ndarray)}
    return (
        made.__class__(**{**vars(made), "weights": counts.astype(float)}),
        made.__class__(**{**vars(made), **kept, "weights": None}),
    )


# Scores


@pytest.mark.parametrize("task", TASKS)
def test_the_scores_are_those_of_scikit_learn_with_sample_weight(task):
    made = weighted(task)
    found, weights = metrics.score(made), made.weights
    gold, said = made.gold.astype(int), made.predicted.astype(int)
    for name, average in (("f1_macro", "macro"), ("f1_micro", "micro"), ("f1_weighted", "weighted")):
        assert found[name] == pytest.approx(reference.f1_score(gold, said, average=average, sample_weight=weights))
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(gold, said, sample_weight=weights))
    if task == "multilabel":
        assert found["hamming_loss"] == pytest.approx(reference.hamming_loss(gold, said, sample_weight=weights))
        score = reference.average_precision_score(gold, made.probabilities, average="micro", sample_weight=weights)
        assert found["average_precision_micro"] == pytest.approx(score)
    else:
        loss = reference.log_loss(gold, made.probabilities, sample_weight=weights, labels=range(len(made.labels)))
        assert found["loss"] == pytest.approx(loss)
    if task == "binary":
        score = reference.roc_auc_score(gold, made.probabilities[:, 1], sample_weight=weights)
        assert found["roc_auc"] == pytest.approx(score)
    labels = metrics.per_label(made)
    recall = reference.recall_score(gold, said, average=None, sample_weight=weights)
    assert [labels[name].recall for name in made.labels] == pytest.approx(recall)
    assert sum(each.support for each in labels.values()) == (gold.sum() if task == "multilabel" else len(gold))


@pytest.mark.parametrize("task", TASKS)
def test_a_row_of_weight_two_scores_like_the_row_twice(task):
    made = synthetic.predictions(task, 80)
    one, twice = repeated(made, np.random.default_rng(0).integers(1, 4, 80))
    assert metrics.score(one) == pytest.approx(metrics.score(twice))


@pytest.mark.parametrize("task", TASKS)
def test_equal_weights_change_no_score_and_no_interval(task):
    made = synthetic.predictions(task, 120)
    same = made.__class__(**{**vars(made), "weights": np.full(120, 7.5)})
    assert metrics.score(same) == pytest.approx(metrics.score(made))
    plain, alike = (intervals.certainty(each, draws=200) for each in (made, same))
    for name, ends in plain.metrics.items():
        assert alike.metrics[name] == pytest.approx(ends, abs=1e-6), name
    for label, ends in plain.labels.items():
        assert alike.labels[label].f1 == pytest.approx(ends.f1, abs=1e-6)


def test_few_heavy_rows_are_as_sure_as_few_rows():
    hits, weights = np.tile([True, False], 100), np.ones(200)
    weights[:4] = 1000.0
    low, high = wilson.of_rows(hits, None, weights)
    plain = wilson.of_rows(hits, None)
    assert high - low > 4 * (plain[1] - plain[0])
    assert wilson.effective(np.ones(3, bool), None, np.array([2.0, 1.0, 1.0])) == pytest.approx(16 / 6)


@pytest.mark.parametrize("related", [False, True])
def test_nineteen_of_twenty_intervals_hold_the_weighted_share(related):
    """Also where heavy rows are the ones that go wrong, which the number of rows by weights alone does not see."""
    rng = np.random.default_rng(5)
    population = rng.gamma(1.5, 1, 200_000)
    chance = np.clip(0.9 - 0.15 * population, 0.1, 1) if related else np.full(len(population), 0.7)
    right = rng.random(len(population)) < chance
    truth = np.average(right, weights=population)
    inside = 0
    for _ in range(600):
        rows = rng.integers(0, len(population), 150)
        low, high = wilson.of_rows(right[rows], None, population[rows])
        inside += low <= truth <= high
    assert 0.92 < inside / 600 < 0.98


def test_predictions_of_other_weights_are_not_compared():
    made = weighted("binary")
    other = made.__class__(**{**vars(made), "weights": made.weights + 1})
    with pytest.raises(DataError, match="other weights"):
        paired_difference(made, other)


def test_predictions_keep_their_weights_in_the_file(tmp_path):
    made = weighted("multilabel")
    predictions.write(tmp_path / "p.parquet", made)
    np.testing.assert_array_equal(predictions.read(tmp_path / "p.parquet").weights, made.weights)


# What is tuned on rows


def test_what_is_tuned_takes_a_row_of_weight_two_like_the_row_twice():
    rng = np.random.default_rng(1)
    counts = rng.integers(1, 4, 60)
    rows = np.repeat(np.arange(60), counts)
    weights = counts / counts.mean()
    logits, gold = rng.normal(size=(60, 3)), rng.integers(0, 3, 60)
    one = calibration.temperature(logits, gold, "multiclass", weights)
    assert one == pytest.approx(calibration.temperature(logits[rows], gold[rows], "multiclass"), rel=1e-3)
    several = rng.random((60, 3)) < 0.4
    found = 1 / (1 + np.exp(-logits - several))
    how = {"beta": 1.0, "min_precision": 0.6, "min_positives": 0, "shrinkage": 0.0}
    for objective in ("f1_macro", "f1_micro", "precision"):
        one = thresholds.tune(found, several, objective=objective, **how, rows=weights)
        assert one.values == pytest.approx(
            thresholds.tune(found[rows], several[rows], objective=objective, **how).values
        )
    one = calibration.reliability(found, several, "multilabel", weights).error
    assert one == pytest.approx(calibration.reliability(found[rows], several[rows], "multilabel").error)
    assert constant_loss(gold, weights) == pytest.approx(constant_loss(gold[rows]))
    said = np.stack([np.exp(each) / np.exp(each).sum(1, keepdims=True) for each in (logits, rng.normal(size=(60, 3)))])
    one, twice = mixture.fit(said, gold, weights), mixture.fit(said[:, rows], gold[rows])
    np.testing.assert_allclose(one.weights, twice.weights, atol=1e-3)


# The simple models


def test_the_simple_models_learn_what_heavy_rows_say():
    texts = [f"{word} {n % 7}" for n in range(120) for word in ("red", "blue")]
    targets = np.tile([0, 1, 1, 0], 60)  # every other pair says the opposite
    heavy = np.tile([1.9, 1.9, 0.1, 0.1], 60)
    for weights, expected in ((heavy, [0, 1]), (2 - heavy, [1, 0])):
        model = linear.learn(texts, targets, task="binary", k=2, seed=0, weights=weights)
        found = model.probabilities(["red 1", "blue 2"])
        assert found.argmax(axis=1).tolist() == expected
        assert found.max(axis=1).min() > 0.8  # nineteen of twenty by weight


def test_the_regression_takes_a_row_of_weight_two_like_the_row_twice():
    rng = np.random.default_rng(2)
    vectors, targets = rng.normal(size=(90, 5)).astype(np.float32), rng.integers(0, 3, 90)
    counts = rng.integers(1, 4, 90)
    rows = np.repeat(np.arange(90), counts)
    how = {"task": "multiclass", "k": 3}
    # The strength of the regularization is against the sum of the losses, which weights of mean one leave as it is.
    one = logistic.fit(vectors, targets, strength=1.0 * counts.mean(), weights=counts / counts.mean(), **how)
    twice = logistic.fit(vectors[rows], targets[rows], strength=1.0, **how)
    np.testing.assert_allclose(one.probabilities(vectors), twice.probabilities(vectors), atol=2e-3)


# The loss


def test_priors_of_the_loss_count_a_row_of_weight_two_twice():
    rng = np.random.default_rng(4)
    counts = rng.integers(1, 4, 60)
    rows, weights = np.repeat(np.arange(60), counts), counts / counts.mean()
    names = ("a", "b", "c")
    single, several = rng.integers(0, 3, 60), (rng.random((60, 3)) < [0.5, 0.3, 0.1]).astype(np.float32)
    for targets in (single, several):
        one = losses.weights("balanced", targets, names, beta=0.9, each=weights)
        torch.testing.assert_close(one, losses.weights("balanced", targets[rows], names, beta=0.9))
        one = balanced_shares(targets, 3, weights)
        twice = balanced_shares(targets[rows], 3)[np.append(0, counts.cumsum()[:-1])]
        np.testing.assert_allclose(one / one[0], twice / twice[0])
    one = losses.pos_weights("balanced", several, names, weights)
    torch.testing.assert_close(one, losses.pos_weights("balanced", several[rows], names))
    adjusted = [losses.logit_adjustment(1.0, each, names, w) for each, w in ((single, weights), (single[rows], None))]
    torch.testing.assert_close(*adjusted, atol=0.05, rtol=0)  # half a row is added to each count
    first = [
        fit.first_answer(Training(), Loss(), each, names, w) for each, w in ((several, weights), (several[rows], None))
    ]
    np.testing.assert_allclose(*first, atol=0.1)


def steps_of(folder):
    return [line for line in history.read(Path(folder) / "history.jsonl") if "loss" in line]


WEIGHTS = np.random.default_rng(8).gamma(1, 1, fitting.EXAMPLES)
ALL = {"batch_size": 1000, "max_steps": 1, "logging_steps": 1, "eval_strategy": "no", "save_strategy": "no"}
TEN = {"max_steps": 10, "learning_rate": 1e-4, "logging_steps": 1, "eval_strategy": "no", "save_strategy": "no"}


@pytest.mark.parametrize("multilabel", [False, True])
def test_a_row_of_weight_two_has_the_loss_and_gradient_of_the_row_twice(tmp_path, multilabel):
    counts = np.random.default_rng(0).integers(1, 3, fitting.EXAMPLES)
    fitting.run(tmp_path / "one", training=ALL, multilabel=multilabel, of_rows=counts.astype(float))
    fitting.run(tmp_path / "twice", training=ALL, multilabel=multilabel, repeats=counts)
    fitting.run(tmp_path / "alike", training=ALL, multilabel=multilabel)
    (one,), (twice,), (alike,) = (steps_of(tmp_path / name) for name in ("one", "twice", "alike"))
    assert one["loss"] == pytest.approx(twice["loss"], rel=1e-5)
    assert one["grad_norm"] == pytest.approx(twice["grad_norm"], rel=1e-4)
    assert one["grad_norm"] != pytest.approx(alike["grad_norm"], rel=1e-3)


def test_weights_are_the_same_in_micro_batches_packed_and_padded(tmp_path, monkeypatch):
    whole, cut, padded = ({**TEN, "token_budget": budget} for budget in (10_000, 40, 40))
    fitting.run(tmp_path / "whole", training=whole, of_rows=WEIGHTS)
    fitting.run(tmp_path / "cut", training=cut, of_rows=WEIGHTS)
    monkeypatch.setattr("ftcls.training.fit.packed_classifier", lambda *args, **kwargs: None)
    fitting.run(tmp_path / "padded", training=padded, of_rows=WEIGHTS)
    for other in ("cut", "padded"):
        for one, same in zip(steps_of(tmp_path / "whole"), steps_of(tmp_path / other), strict=True):
            assert same["loss"] == pytest.approx(one["loss"], rel=1e-5)
            assert same["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-5)


@pytest.mark.skipif(sys.platform == "win32", reason="needs forked processes")
@pytest.mark.slow
def test_two_processes_with_weights_are_one(tmp_path):
    fitting.run(tmp_path / "one", training=TEN, of_rows=WEIGHTS)
    arguments = (fitting.trained, str(tmp_path / "two"), {**TEN, "token_budget": 40}, False, None, WEIGHTS)
    assert on_two(fitting.one_of_two, *arguments) == [0, 0]
    for one, other in zip(steps_of(tmp_path / "one"), steps_of(tmp_path / "two"), strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-5)


# From a file


def rows(count=120, seed=0):
    rng = np.random.default_rng(seed)
    good = rng.integers(0, 2, count)
    words = np.array([["dull", "cold"], ["warm", "lovely"]])
    return pd.DataFrame(
        {
            "text": [f"{rng.choice(words[each])} {n} {n % 9}" for n, each in enumerate(good)],
            "label": np.array(["bad", "good"])[good],
            "w": rng.integers(1, 5, count).astype(float),
        }
    )


def config(file, **data):
    return {
        "name": "weighted",
        "data": {"source": "files", "path": str(file), "task": "binary", "weight": "w", **data},
        "model": {"checkpoint": "scratch:bert", "max_length": 16},
        "training": {"max_steps": 4, "batch_size": 16, "learning_rate": 1e-3, "device": "cpu", "precision": "fp32"},
        "report": {"ladder": ["majority", "tfidf"]},
    }


def corpus(path, **data):
    return read(load(config(path, **data)).data, seed=1)


def test_a_row_of_weight_zero_is_as_if_it_were_not_there(tmp_path):
    table = rows()
    table.loc[[3, 40, 41], "w"] = 0
    table.to_csv(tmp_path / "all.csv", index=False)
    table[table["w"] > 0].to_csv(tmp_path / "without.csv", index=False)
    found, expected = corpus(tmp_path / "all.csv"), corpus(tmp_path / "without.csv")
    for name, split in found.splits.items():
        other = expected.splits[name]
        assert split.texts == other.texts
        np.testing.assert_array_equal(split.weights, other.weights)
        np.testing.assert_array_equal(split.targets, other.targets)
    (check,) = [check for check in found.checks if check.name == "rows_of_weight_zero"]
    assert check.count == 3
    assert check.examples[0] == f"{tmp_path / 'all.csv'}:5"


@pytest.mark.parametrize("cell", ["-1", "nan", "inf", "1,5", "much", "", " ", "1e300"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_what_is_no_weight_is_an_error_with_its_row(tmp_path, cell, kind):
    table = rows(30).astype({"w": object})
    table.loc[4, "w"] = cell
    path = tmp_path / f"rows.{kind}"
    path.write_text(
        table.to_csv(index=False) if kind == "csv" else table.to_json(orient="records", lines=True), encoding="utf-8"
    )
    line = 6 if kind == "csv" else 5
    with pytest.raises(DataError, match=rf"rows.{kind}:{line}: column 'w' \(data.weight\) holds .*not a number of 0"):
        corpus(path)
    assert sum(map(len, corpus(path, on_bad_row="drop").splits.values())) == 29


@pytest.mark.parametrize(("cell", "weight"), [("1", 1.0), ("+2.5", 2.5), (".5", 0.5), ("1e-3", 0.001), (" 3 ", 3.0)])
def test_weights_are_written_as_people_write_numbers(tmp_path, cell, weight):
    table = rows(30).astype({"w": object})
    table["w"] = cell
    table.to_csv(tmp_path / "rows.csv", index=False)
    assert set(corpus(tmp_path / "rows.csv").splits["train"].weights) == {weight}


def test_numbers_of_a_parquet_file_are_weights_and_a_missing_one_is_not(tmp_path):
    rows(30).to_parquet(tmp_path / "rows.parquet")
    assert corpus(tmp_path / "rows.parquet").splits["train"].weights.max() > 1
    table = rows(30)
    table.loc[2, "w"] = np.nan
    table.to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=r"row 3: column 'w' .data.weight. holds nothing"):
        corpus(tmp_path / "rows.parquet")


def test_weights_that_are_all_zero_are_refused(tmp_path):
    rows(30).assign(w=0).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(DataError, match="every row of the train split has weight 0 in column 'w'"):
        corpus(tmp_path / "rows.csv")


def test_a_test_file_may_lack_the_weights_and_the_training_file_may_not(tmp_path):
    rows(60).to_csv(tmp_path / "train.csv", index=False)
    rows(30, seed=1).drop(columns="w").to_csv(tmp_path / "test.csv", index=False)
    made = config("", path={"train": str(tmp_path / "train.csv"), "test": str(tmp_path / "test.csv")})
    found = read(load(made).data, seed=1)
    assert found.splits["train"].weights is not None
    assert found.splits["validation"].weights is not None
    assert found.splits["test"].weights is None
    assert [check.examples for check in found.checks if check.name == "splits_without_weights"] == [("test",)]
    made["data"]["split"] = {"pooled": True}
    with pytest.raises(DataError, match=r"data.weight: test has no such column, and all rows are put together"):
        read(load(made).data, seed=1)
    made = config("", path={"train": str(tmp_path / "test.csv"), "test": str(tmp_path / "train.csv")})
    with pytest.raises(DataError, match="no column 'w'"):
        read(load(made).data, seed=1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"weight": "text"}, "data.weight: 'text' is the text"),
        ({"weight": "label"}, "data.weight: 'label' is the label"),
        ({"source": "imdb", "path": None, "task": None}, "data.weight: has no effect on imdb"),
    ],
)
def test_a_weight_where_there_is_none_is_refused(data, message):
    with pytest.raises(ConfigError, match=message):
        load(config("rows.csv", **data))


def test_a_folder_of_texts_has_no_weights(tmp_path):
    for label in ("bad", "good"):
        (tmp_path / "set" / label).mkdir(parents=True)
        for number in range(9):
            (tmp_path / "set" / label / f"{number}.txt").write_text(f"{label} {number}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"data.weight: is a column of a table; a folder"):
        corpus(tmp_path / "set")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    table = rows(160)
    table.to_csv(folder / "rows.csv", index=False)
    ftcls.train(config(folder / "rows.csv"), output=folder / "run")
    return folder


def test_a_run_says_by_what_its_rows_count(home):
    report = report_schema.read_report(RunDir(home / "run"))
    assert report.data.weight == "w"
    weights = report.data.splits["test"].weights
    assert (weights.min, weights.max) == (1, 4)
    assert weights.effective_rows < report.data.splits["test"].examples
    said = predictions.read(home / "run" / "predictions" / "test.parquet")
    assert report.metrics["test"]["loss"] == pytest.approx(np.average(metrics.row_losses(said), weights=said.weights))
    assert report.metrics_unweighted["test"]["loss"] == pytest.approx(metrics.row_losses(said).mean())
    page = (home / "run" / "report.html").read_text(encoding="utf-8")
    assert "Rows count by the column <code>w</code>" in page
    assert "test, all rows alike" in page
    assert ftcls.report(home / "run").disagreements == ()


def test_rows_without_the_column_are_predicted_and_scored_alike(home):
    rows(40, seed=5).drop(columns="w").to_csv(home / "new.csv", index=False)
    found = ftcls.evaluate(home / "run", data=home / "new.csv")
    assert found.data.weight is None
    assert found.metrics_unweighted is None
    rows(40, seed=5).to_csv(home / "weighed.csv", index=False)
    other = ftcls.evaluate(home / "run", data=home / "weighed.csv")
    assert other.data.weight == "w"
    assert other.metrics_unweighted["loss"] == pytest.approx(found.metrics["loss"])
    assert other.metrics["loss"] != pytest.approx(found.metrics["loss"], rel=1e-6)
    rows(40, seed=5)[["text"]].to_csv(home / "texts.csv", index=False)
    ftcls.predict(home / "run", home / "texts.csv", output=home / "said.csv")
    assert len(pd.read_csv(home / "said.csv")) == 40


def test_other_weights_are_other_data(home):
    rows(160).assign(w=1).to_csv(home / "rows.csv", index=False)
    try:
        with pytest.raises(DataError, match="its data has changed"):
            ftcls.evaluate(home / "run")
    finally:
        rows(160).to_csv(home / "rows.csv", index=False)


def test_the_data_command_shows_the_weights(home, capsys):
    from ftcls.cli.app import run

    (home / "c.yaml").write_text(json.dumps(config(home / "rows.csv")), encoding="utf-8")
    assert run(["data", str(home / "c.yaml")]) == 0
    assert "Rows count by w" in capsys.readouterr().out


def test_folds_keep_the_weights(home, tmp_path):
    made = config(home / "rows.csv", split={"folds": 2})
    made["report"] = {"ladder": []}
    with forked_trainings():
        ftcls.train(made, output=tmp_path / "run")
    report = report_schema.read_report(RunDir(tmp_path / "run"))
    said = predictions.read(tmp_path / "run" / "predictions" / "out_of_fold.parquet")
    np.testing.assert_array_equal(np.sort(said.weights), np.sort(rows(160)["w"]))
    assert set(report.metrics_unweighted) == {"out_of_fold"}
    low, high = report.intervals["out_of_fold"]["accuracy"]
    assert low <= report.metrics["out_of_fold"]["accuracy"] <= high

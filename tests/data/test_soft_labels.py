"""Labels that are not certain: probabilities as targets, and the votes of several annotators."""

import json

import numpy as np
import pandas as pd
import pytest

import ftcls
import synthetic
from ftcls.cli.app import run as cli
from ftcls.config.load import load
from ftcls.data.agreement import alpha
from ftcls.data.corpus import Corpus, Split, fingerprint
from ftcls.data.read import read
from ftcls.data.soft_labels import hardened, tied
from ftcls.errors import ConfigError, DataError
from ftcls.model.baselines import linear, logistic
from ftcls.pipeline.label_alignment import _ordered
from ftcls.pipeline.starter_config import Machine, from_file
from ftcls.runs import predictions, report_schema
from ftcls.runs.directory import RunDir
from ftcls.scoring import calibration, metrics
from ftcls.scoring.diagnosis import constant_loss
from ftcls.scoring.soft_scores import soft_scores

# Agreement

# Krippendorff (2011), example C: four observers, twelve units, some of which some left out.
OBSERVERS = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


def counts_of(observers, k):
    counts = np.zeros((len(observers[0]), k))
    for observer in observers:
        for unit, value in enumerate(observer):
            if value != ".":
                counts[unit, int(value) - 1] += 1
    return counts


def test_alpha_is_that_of_krippendorffs_own_example():
    counts = counts_of(OBSERVERS, 5)
    assert alpha(counts) == pytest.approx(0.743, abs=5e-4)
    assert alpha(counts, ordered=True) == pytest.approx(0.849, abs=5e-4)


def test_alpha_of_three_rows_is_the_one_worked_by_hand():
    # (a, a), (a, b), (b, b): of 6 votes 3 are a and 3 are b, 2 of the 6 pairs differ: 1 - 5 * 2 / (2 * 3 * 3).
    counts = np.array([[2, 0], [1, 1], [0, 2]], dtype=float)
    assert alpha(counts) == pytest.approx(4 / 9)
    assert alpha(np.array([[2, 0], [0, 2]], dtype=float)) == 1
    single = np.array([[1, 0], [0, 1], [2, 0], [1, 1], [0, 2]], dtype=float)
    assert alpha(single) == pytest.approx(4 / 9)  # a vote by itself agrees with nobody


@pytest.mark.parametrize("counts", [[[1, 0], [0, 1]], [[2, 0], [3, 0]]])
def test_alpha_says_nothing_of_single_votes_or_of_votes_that_are_all_alike(counts):
    assert alpha(np.array(counts, dtype=float)) is None


# From a file


def config(file, label, task="multiclass", **data):
    return {
        "name": "soft",
        "data": {"source": "files", "path": str(file), "task": task, "label": label, **data},
        "model": {"checkpoint": "scratch:bert", "max_length": 16},
        "training": {"max_steps": 3, "batch_size": 16, "learning_rate": 1e-3, "device": "cpu", "precision": "fp32"},
        "report": {"ladder": ["majority", "tfidf"]},
    }


def whole(file, label, task="multiclass", **data):
    """All rows of a file, in its order."""
    path = {"train": str(file), "validation": str(file), "test": str(file)}
    made = config(file, label, task, **data)
    made["data"]["path"] = path
    return read(load(made).data, seed=1)


def written(path, lines):
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


VOTES = {"columns": ["one", "two", "three"], "votes": "soft"}


@pytest.mark.parametrize("rule", ["soft", "majority"])
def test_votes_become_shares_and_a_label(tmp_path, rule):
    file = written(
        tmp_path / "v.csv", ["text,one,two,three", "x,b,a,b", "y,a,,", "z,b,a,", "w,c, a ,b", "u,c,c,c", "v,a,a,b"]
    )
    corpus = whole(file, {**VOTES, "votes": rule})
    split = corpus.splits["train"]
    third = 1 / 3
    expected = [[third, 2 * third, 0], [1, 0, 0], [0.5, 0.5, 0], [third] * 3, [0, 0, 1], [2 * third, third, 0]]
    np.testing.assert_allclose(split.soft, expected, atol=1e-6)
    assert corpus.labels == ("a", "b", "c")
    assert split.targets.tolist() == [1, 0, 0, 0, 2, 0]  # of equal votes the first in label order
    assert split.votes.tolist() == [3, 1, 2, 3, 3, 3]
    assert corpus.soft == (rule == "soft")
    assert corpus.learnt("train") is (split.soft if rule == "soft" else split.targets)
    (ties,) = [check for check in corpus.checks if check.name == "tied_labels"]
    assert ties.count == 6  # two rows of each of the three splits
    assert "the first in label order" in ties.advice


@pytest.mark.parametrize(
    ("label", "lines"),
    [
        ({"column": "v", "separator": "|", "votes": "soft"}, ["text,v", "x,b|a|b", "y,a", "z,a| |b"]),
        ({"column": "v", "votes": "soft"}, ["text,v", "x,\"['b', 'a', 'b']\"", "y,['a']", "z,\"['a', 'b']\""]),
    ],
)
def test_votes_in_one_column_are_lists(tmp_path, label, lines):
    split = whole(written(tmp_path / "v.csv", lines), label, "binary").splits["train"]
    np.testing.assert_allclose(split.soft, [[1 / 3, 2 / 3], [1, 0], [0.5, 0.5]], atol=1e-6)
    assert split.votes.tolist() == [3, 1, 2]


def test_annotators_of_several_labels_give_sets(tmp_path):
    rows = [
        {"text": "x", "one": ["joy", "pride"], "two": ["joy"], "three": None},
        {"text": "y", "one": [], "two": ["joy"], "three": ["pride"]},
        {"text": "z", "one": ["pride"]},
    ]
    file = written(tmp_path / "v.jsonl", map(json.dumps, rows))
    split = whole(file, VOTES, "multilabel").splits["train"]
    np.testing.assert_allclose(split.soft, [[1, 0.5], [1 / 3, 1 / 3], [0, 1]], atol=1e-6)
    assert split.targets.tolist() == [[1, 1], [0, 0], [0, 1]]  # half of the votes is enough
    lines = ["text,one,two,three", "x,joy|pride,joy,", "z,pride,,"]
    split = whole(written(tmp_path / "v.csv", lines), {**VOTES, "separator": "|"}, "multilabel").splits["train"]
    np.testing.assert_allclose(split.soft, [[1, 0.5], [0, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("line", "message"),
    [("bad,,,", r"v.csv:4: no vote in 'one', 'two', 'three'"), ("bad,d,a,a", "label 'd' is not one of 'a', 'b'")],
)
def test_a_row_without_a_vote_or_with_another_label_is_a_bad_one(tmp_path, line, message):
    file = written(tmp_path / "v.csv", ["text,one,two,three", "x,b,a,b", "y,a,,", line])
    with pytest.raises(DataError, match=message):
        whole(file, VOTES, "binary", labels=["a", "b"])
    assert len(whole(file, VOTES, "binary", labels=["b", "a"], on_bad_row="drop").splits["train"]) == 2


PROBABILITIES = {"columns": ["neg", "neu", "pos"], "kind": "probabilities"}


def test_probabilities_are_what_is_learnt(tmp_path):
    file = written(tmp_path / "p.csv", ["text,neg,neu,pos", "x,.7,.2,.1", "y,0.333,0.333,0.333", "z,0,0,1"])
    corpus = whole(file, PROBABILITIES, labels=["pos", "neu", "neg"])
    split = corpus.splits["train"]
    np.testing.assert_allclose(split.soft, [[0.1, 0.2, 0.7], [1 / 3] * 3, [1, 0, 0]], atol=1e-6)
    assert split.targets.tolist() == [2, 0, 0]
    assert corpus.soft
    assert split.votes is None
    split = whole(file, PROBABILITIES, "multilabel").splits["train"]
    np.testing.assert_allclose(split.soft[1], [0.333] * 3, atol=1e-6)  # each by itself: nothing is scaled
    assert split.targets[0].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (".7,.2,.3", "the probabilities of its labels add up to 1.2, not to 1"),
        ("0,0,0", "add up to 0, not to 1"),
        (".7,-.2,.5", "column 'neu' holds '-.2', not a probability from 0 to 1"),
        (".7,nan,.3", "column 'neu' holds 'nan', not a probability"),
        (".7,,.3", "column 'neu' holds nothing, not a probability"),
        ("70,20,10", "column 'neg' holds '70', not a probability"),
    ],
)
def test_what_is_no_probability_is_an_error_with_its_row(tmp_path, cells, message):
    file = written(tmp_path / "p.csv", ["text,neg,neu,pos", "x,.7,.2,.1", f"y,{cells}"])
    with pytest.raises(DataError, match=rf"p.csv:3: .*{message}"):
        whole(file, PROBABILITIES)


@pytest.mark.parametrize(
    ("label", "task", "message"),
    [
        ({**PROBABILITIES, "votes": "soft"}, "multiclass", "keep one"),
        ({"column": "v", "votes": "soft"}, "multilabel", "votes in one column are one label each"),
        ({**VOTES, "separator": "|"}, "multiclass", "separator is for annotators who give several labels"),
        ({"columns": ["a", "b"], "separator": "|"}, "multilabel", "separator is for the votes of annotators"),
        ({"columns": ["a", "b"]}, "multiclass", "several labels per row are task: multilabel"),
    ],
)
def test_what_does_not_go_together_is_refused(label, task, message):
    with pytest.raises(ConfigError, match=message):
        load(config("v.csv", label, task))


def test_a_rule_that_is_none_is_the_one_error(tmp_path):
    with pytest.raises(ConfigError, match=r"data.label.votes: 'most' is not allowed; allowed: majority, soft or null$"):
        load(config("v.csv", {**VOTES, "votes": "most"}))


def test_a_loss_that_asks_which_labels_apply_is_refused_for_shares():
    made = config("v.csv", VOTES, "multilabel") | {"loss": {"kind": "distribution_balanced"}}
    with pytest.raises(ConfigError, match="distribution_balanced weighs labels that apply"):
        load(made)
    made["data"]["label"] = {**VOTES, "votes": "majority"}
    load(made)


def test_probabilities_of_other_labels_than_the_listed_ones_are_refused(tmp_path):
    file = written(tmp_path / "p.csv", ["text,neg,neu,pos", "x,.7,.2,.1"])
    with pytest.raises(ConfigError, match=r"data.labels: 'neg', 'pos', and probabilities stand in"):
        whole(file, PROBABILITIES, labels=["neg", "pos"])


def test_ties_and_targets():
    soft = np.array([[0.5, 0.5, 0], [0.2, 0.4, 0.4], [0.1, 0.2, 0.7]], dtype=np.float32)
    assert hardened(soft, "ordinal").tolist() == [0, 1, 2]
    assert tied(soft, "ordinal").tolist() == [True, True, False]
    assert hardened(soft, "multilabel").tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert tied(soft, "multilabel").tolist() == [True, False, False]


def test_other_votes_are_another_fingerprint_and_labels_in_another_order_keep_theirs():
    soft = np.array([[0.6, 0.4], [0.1, 0.9]], dtype=np.float32)
    split = Split(["x", "y"], np.array([0, 1]), np.arange(2), soft=soft)
    one = Corpus("files", "binary", ("a", "b"), {"train": split}, "b")
    other = Corpus("files", "binary", ("a", "b"), {"train": Split(["x", "y"], split.targets, split.rows)}, "b")
    assert fingerprint(one) != fingerprint(other)
    turned = _ordered(one, ("b", "a")).splits["train"]
    assert turned.targets.tolist() == [1, 0]
    np.testing.assert_array_equal(turned.soft, soft[:, ::-1])


# Scores and models


def softened(task, n=80, seed=0):
    made = synthetic.predictions(task, n)
    rng = np.random.default_rng(seed)
    k = len(made.labels)
    soft = rng.random((n, k)) if task == "multilabel" else rng.dirichlet(np.ones(k), n)
    return made.__class__(**{**vars(made), "soft": soft.astype(np.float32)})


def test_the_loss_is_the_cross_entropy_against_the_shares():
    made = softened("multiclass")
    expected = -(made.soft * np.log(made.probabilities)).sum(axis=1).mean()
    assert metrics.score(made)["loss"] == pytest.approx(expected, rel=1e-6)
    several, p = softened("multilabel"), softened("multilabel").probabilities
    expected = -(several.soft * np.log(p) + (1 - several.soft) * np.log(1 - p)).mean()
    assert metrics.score(several)["loss"] == pytest.approx(expected, rel=1e-6)
    plain = made.__class__(**{**vars(made), "soft": None})
    assert metrics.score(made)["f1_macro"] == metrics.score(plain)["f1_macro"]
    certain = made.__class__(**{**vars(made), "soft": np.eye(4, dtype=np.float32)[made.gold]})
    assert metrics.score(certain)["loss"] == pytest.approx(metrics.score(plain)["loss"])


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_the_brier_score_and_the_least_loss(task):
    made = softened(task)
    found = soft_scores(made, seed=0)
    apart = (made.probabilities - made.soft) ** 2
    assert found.brier == pytest.approx(apart.mean() if task == "multilabel" else apart.sum(axis=1).mean())
    low, high = found.brier_interval
    assert low < found.brier < high
    perfect = made.__class__(**{**vars(made), "probabilities": made.soft.astype(float)})
    assert metrics.score(perfect)["loss"] == pytest.approx(found.entropy)
    assert found.loss_of_labels == pytest.approx(metrics.score(made.__class__(**{**vars(made), "soft": None}))["loss"])
    assert soft_scores(synthetic.predictions(task), seed=0) is None


def test_the_temperature_goes_by_the_shares():
    rng = np.random.default_rng(3)
    logits, gold = rng.normal(size=(200, 3)), rng.integers(0, 3, 200)
    certain = np.eye(3)[gold]
    assert calibration.temperature(logits, certain, "multiclass") == pytest.approx(
        calibration.temperature(logits, gold, "multiclass")
    )
    said = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=1, keepdims=True)
    assert calibration.temperature(logits, said, "multiclass") == pytest.approx(2, rel=1e-3)
    several = 1 / (1 + np.exp(-(0.5 * logits + 0.3)))
    assert calibration.scale_and_shift(logits, several) == pytest.approx((0.5, 0.3), abs=0.01)
    assert constant_loss(certain, exclusive=True) == pytest.approx(constant_loss(gold))


def test_predictions_keep_the_shares_in_the_file(tmp_path):
    made = softened("multilabel")
    predictions.write(tmp_path / "p.parquet", made)
    np.testing.assert_array_equal(predictions.read(tmp_path / "p.parquet").soft, made.soft)


TEXTS = [f"{word} {n % 9}" for n in range(90) for word in ("red", "blue")]


def test_the_simple_models_learn_shares():
    hard = np.tile([0, 1], 90)
    shares = np.tile(np.array([[0.8, 0.2], [0.3, 0.7]], dtype=np.float32), (90, 1))
    one = linear.learn(TEXTS, hard, task="binary", k=2, seed=0).probabilities(TEXTS[:2])
    same = linear.learn(TEXTS, np.eye(2, dtype=np.float32)[hard], task="binary", k=2, seed=0)
    np.testing.assert_array_equal(same.probabilities(TEXTS[:2]), one)
    for task in ("binary", "multilabel"):
        found = linear.learn(TEXTS, shares, task=task, k=2, seed=0).probabilities(TEXTS[:2])
        np.testing.assert_allclose(found, [[0.8, 0.2], [0.3, 0.7]], atol=0.05)
        vectors = np.tile(np.eye(2, dtype=np.float32), (90, 1))
        found = logistic.fit(vectors, shares, task=task, k=2, strength=1000.0).probabilities(vectors[:2])
        np.testing.assert_allclose(found, [[0.8, 0.2], [0.3, 0.7]], atol=0.02)


# From file to page


def rows(n=120):
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 3, n)
    words, names = np.array(["red", "blue", "green"]), np.array(["a", "b", "c"])
    table = {"text": [f"{words[g]} {i} {i % 7}" for i, g in enumerate(gold)]}
    for annotator in VOTES["columns"]:
        table[annotator] = np.where(rng.random(n) < 0.6, names[gold], rng.choice(names, n))
    made = pd.DataFrame(table)
    made.loc[::5, "three"] = ""
    return made


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("votes")
    rows().to_csv(folder / "votes.csv", index=False)
    ftcls.train(config(folder / "votes.csv", VOTES), output=folder / "run")
    return folder


def test_a_run_of_votes_reports_agreement_and_is_scored_against_shares(home):
    report = report_schema.read_report(RunDir(home / "run"))
    said = predictions.read(home / "run" / "predictions" / "test.parquet")
    assert report.data.soft
    assert report.metrics["test"]["loss"] == pytest.approx(metrics.row_losses(said).mean())
    votes = report.data.splits["train"].votes
    assert set(votes.votes_per_row) == {2, 3}
    assert 0 < votes.alpha < 0.667
    assert {"tied_labels", "annotators_disagree"} <= {check.name for check in report.data.checks}
    assert report.soft_scores["test"].brier == pytest.approx(soft_scores(said, seed=0).brier)
    page = (home / "run" / "report.html").read_text(encoding="utf-8")
    assert "votes of several annotators; models learnt them as they are" in page
    assert "Krippendorff" in page
    assert ftcls.report(home / "run").disagreements == ()


def test_a_run_of_votes_predicts_and_scores_other_files(home, capsys):
    rows(30)[["text"]].to_csv(home / "texts.csv", index=False)
    ftcls.predict(home / "run", home / "texts.csv", output=home / "said.csv")
    assert len(pd.read_csv(home / "said.csv")) == 30
    rows(40).to_csv(home / "more.csv", index=False)
    found = ftcls.evaluate(home / "run", data=home / "more.csv")
    assert found.soft_scores.entropy < found.metrics["loss"]
    (home / "c.yaml").write_text(json.dumps(config(home / "votes.csv", VOTES)), encoding="utf-8")
    assert cli(["data", str(home / "c.yaml")]) == 0
    assert "Votes of annotators, and how far they agree" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("cells", "task", "labels"),
    [
        (lambda p: p, "multiclass", ["a", "b", "c"]),
        (lambda p: p[:, :2] * 0.9, "multilabel", ["a", "b"]),
    ],
)
def test_a_first_config_sees_probabilities(tmp_path, cells, task, labels):
    found = cells(np.random.default_rng(0).dirichlet(np.ones(3), 100))
    table = pd.DataFrame(np.round(found, 4), columns=labels).assign(text=[f"some words {n}" for n in range(100)])
    table.to_csv(tmp_path / "p.csv", index=False)
    made = from_file(tmp_path / "p.csv", label=labels, text=None, machine=Machine("cpu", "a CPU"))
    assert f"label: {{columns: [{', '.join(labels)}], kind: probabilities}}" in made.text
    assert f"task: {task}" in made.text

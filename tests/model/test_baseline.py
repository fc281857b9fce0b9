import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from ftcls.data.corpus import Corpus, Split
from ftcls.model.baselines import linear, logistic
from ftcls.model.baselines.linear import Baseline
from ftcls.pipeline import build_report
from ftcls.scoring import decision, metrics
from ftcls.scoring.differences import verdict
from ftcls.scoring.metrics import Predictions

WORDS = ("goal match team", "bank market shares", "planet rocket star", "vote party law")


def made(n, k=4, *, seed=0):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, k, n)
    texts = [" ".join(rng.choice([*WORDS[target].split(), "the", "a", "of"], 6)) for target in targets]
    return texts, targets


@pytest.mark.parametrize("k", [2, 4])
def test_words_that_tell_labels_apart_are_learned(k):
    (train, targets), (test, gold) = made(200, k), made(100, k, seed=1)
    found, seconds = linear.fit_predict(train, targets, test, task="binary" if k == 2 else "multiclass", k=k, seed=0)
    assert found.shape == (100, k)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    assert (found.argmax(axis=1) == gold).mean() > 0.9
    assert seconds > 0


def test_each_label_of_a_multilabel_task_is_learned_for_itself():
    (train, targets), (test, gold) = made(300), made(100, seed=1)
    multi_hot = np.zeros((300, 6), dtype=np.float32)
    multi_hot[np.arange(300), targets] = 1
    multi_hot[:, 5] = 1  # label 4 never, label 5 always
    found, _ = linear.fit_predict(train, multi_hot, test, task="multilabel", k=6, seed=0)
    assert ((found[:, :4] >= 0.5) == (gold[:, None] == np.arange(4))).mean() > 0.9
    np.testing.assert_allclose(found[:, 4], 1 / 302)
    np.testing.assert_allclose(found[:, 5], 301 / 302)


def test_the_same_seed_gives_the_same_probabilities():
    train, targets = made(100)
    first, second = (linear.fit_predict(train, targets, train, task="multiclass", k=4, seed=2**40)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_label_missing_from_training_is_unlikely_and_not_impossible():
    train, targets = made(100, 3)
    found, _ = linear.fit_predict(train, targets, train, task="multiclass", k=4, seed=0)
    np.testing.assert_allclose(found[:, 3], 1 / 104)
    np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("train", "targets", "shares"),
    [
        (["", "  ", ""], [1, 1, 0], [0.4, 0.6]),
        (["one class", "one class", "one class"], [1, 1, 1], [0.2, 0.8]),
    ],
)
def test_nothing_to_learn_gives_the_shares_of_the_labels(train, targets, shares):
    found, _ = linear.fit_predict(train, np.array(targets), ["a text", ""], task="binary", k=2, seed=0)
    np.testing.assert_allclose(found, [shares, shares])


def test_empty_texts_of_a_multilabel_task_give_the_shares_of_the_labels():
    targets = np.array([[1, 0], [1, 1]], dtype=np.float32)
    found, _ = linear.fit_predict(["", ""], targets, [""], task="multilabel", k=2, seed=0)
    np.testing.assert_allclose(found, [[0.75, 0.5]])


def test_two_rows_emoji_and_very_long_texts_work():
    train = ["😀 " * 10_000, "😡"]
    found, _ = linear.fit_predict(train, np.array([0, 1]), ["😀", "😡"], task="binary", k=2, seed=0)
    assert found.argmax(axis=1).tolist() == [0, 1]


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_a_corpus_gives_predictions_of_its_test_rows(task):
    (train, targets), (test, gold) = made(80, 2), made(40, 2, seed=1)
    if task == "multilabel":
        targets, gold = (np.eye(2, dtype=np.float32)[each] for each in (targets, gold))
    splits = {
        "train": Split(train, targets, np.arange(80)),
        "test": Split(test, gold, np.arange(40) + 7, clusters=np.arange(40) // 2),
    }
    positive = "a" if task == "binary" else None
    corpus = Corpus("made", task, ("a", "b"), splits, positive_label=positive)
    said = linear.learn(train, targets, task=task, k=2, seed=0).probabilities(test)
    found = linear.baseline(corpus, said, decision.default(task, 2), 1.0)
    assert found.name == linear.NAME
    assert found.predictions.positive == (0 if task == "binary" else None)
    assert found.predictions.rows[0] == 7
    assert found.predictions.clusters[-1] == 19
    assert metrics.score(found.predictions)["accuracy"] > 0.9


def test_probabilities_are_calibrated_on_rows_that_the_machine_did_not_see():
    rng = np.random.default_rng(0)
    train, targets = made(600, 2)
    targets = np.where(rng.random(600) < 0.25, 1 - targets, targets)  # a quarter of all labels is noise
    test, gold = made(300, 2, seed=1)
    found, _ = linear.fit_predict(train, targets, test, task="binary", k=2, seed=0)
    assert (found.argmax(axis=1) == gold).mean() > 0.9
    assert np.median(found.max(axis=1)) == pytest.approx(0.75, abs=0.1)


def test_a_label_of_one_training_row_is_learned_without_holding_it_out():
    train, targets = made(50, 2)
    multi_hot = np.stack([targets == 0, targets == 1, np.arange(50) == 7], axis=1).astype(np.float32)
    train[7] = "unheard of"
    found, _ = linear.fit_predict(train, multi_hot, ["unheard of", train[0]], task="multilabel", k=3, seed=0)
    assert found[0, 2] > found[1, 2]


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_the_majority_is_what_most_training_rows_have(task):
    targets = np.array([2, 0, 1, 1, 2])  # as often 1 as 2: the first of them
    if task == "multilabel":
        targets = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1], [1, 1, 0]], dtype=np.float32)
    test = Split(["a", "b"], targets[:2], np.array([4, 5]))
    corpus = Corpus("made", task, ("a", "b", "c"), {"train": Split(["x"] * 5, targets, np.arange(5)), "test": test})
    found = linear.majority(corpus)
    assert found.name == "most frequent label"
    predicted = found.predictions.predicted
    assert predicted.tolist() == ([[True, True, False]] * 2 if task == "multilabel" else [1, 1])
    shares = [4 / 7, 3 / 7, 3 / 7] if task == "multilabel" else [2 / 8, 3 / 8, 3 / 8]
    np.testing.assert_allclose(found.predictions.probabilities, [shares, shares])


@pytest.mark.slow
@pytest.mark.real_data
def test_ag_news_is_as_good_as_a_linear_model_gets():
    home = Path(os.environ.get("FTCLS_DATA") or Path(__file__).parents[3] / "shared" / "data") / "ag_news"
    if not home.is_dir():
        pytest.skip(f"no original AG News at {home}; set FTCLS_DATA")
    splits = []
    for name in ("train", "test"):
        with gzip.open(home / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        splits.append(([f"{row[1]} {row[2]}" for row in rows], np.array([int(row[0]) - 1 for row in rows])))
    (train, targets), (test, gold) = splits
    found, _ = linear.fit_predict(train, targets, test, task="multiclass", k=4, seed=42)
    assert (found.argmax(axis=1) == gold).mean() == pytest.approx(0.911, abs=0.003)


def test_a_model_is_held_against_the_baseline_in_the_chosen_metric():
    """Of ten labels, all of them gold: the model finds eight in every row, the baseline all of them in every third."""
    gold = np.ones((300, 10), dtype=np.float32)
    model, simple = np.ones(gold.shape, dtype=bool), np.zeros(gold.shape, dtype=bool)
    model[:, :2], simple[::3] = False, True
    labels = tuple("abcdefghij")
    trained, found = (
        Predictions("multilabel", labels, gold, said, 0.2 + 0.6 * said, np.arange(300)) for said in (model, simple)
    )
    scores = build_report.against(Baseline("some", found, 0.0), trained, metric="f1_micro", seed=0)
    assert list(scores.difference) == ["f1_micro", "accuracy", "f1_macro"]
    assert scores.difference["f1_micro"].value == pytest.approx(2 * 0.8 / 1.8 - 0.5)
    assert verdict(scores.difference["f1_micro"]) == "better"
    assert verdict(scores.difference["accuracy"]) == "worse"


def test_many_labels_of_few_rows_are_learnt_without_a_word_of_scikit_learn():
    rows = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    targets = np.arange(60) % 50
    found = logistic.fit(rows, targets, task="multiclass", k=50, strength=1.0).probabilities(rows)
    assert found.sum(axis=1) == pytest.approx(np.ones(60))

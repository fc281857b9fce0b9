"""Data that is handed over: tables of `datasets`, a corpus, tables by split."""

from dataclasses import replace

import datasets
import numpy as np
import pytest

import ftcls
from ftcls.config.load import load
from ftcls.data.read import read
from ftcls.data.soft_labels import hardened
from ftcls.data.texts import Pair
from ftcls.errors import ConfigError, DataError
from ftcls.pipeline.own_data import with_data

pytestmark = pytest.mark.usefixtures("undrawn")

LABELS = ["neg", "pos, really", "3"]
CONFIG = {
    "name": "mine",
    "data": {"source": "files", "path": "unused.csv", "task": "multiclass", "split": {"validation": 0.2, "test": 0.2}},
    "model": {"checkpoint": "scratch:bert", "max_length": 16},
}


def read_back(data, folder, *overrides):
    return read(with_data(load(CONFIG, list(overrides)), data, folder).data, seed=0)


def everything(corpus):
    """All texts with the names of their labels."""
    found = {}
    for split in corpus.splits.values():
        for text, target in zip(split.texts, split.targets, strict=True):
            named = np.flatnonzero(target) if np.ndim(target) else [target]
            found[text] = tuple(corpus.labels[int(i)] for i in named)
    return found


def table(**columns):
    rows = 30
    features = {
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=LABELS),
    }
    given = {"text": [f"text {i} 😀" for i in range(rows)], "label": [i % 3 for i in range(rows)], **columns}
    return datasets.Dataset.from_dict(given, features=datasets.Features(features))


def test_a_dataset_brings_the_names_of_its_labels(tmp_path):
    found = everything(read_back(table(), tmp_path))
    assert found == {f"text {i} 😀": (LABELS[i % 3],) for i in range(30)}


def test_the_splits_of_a_dataset_stay_apart(tmp_path):
    whole = table()
    parts = datasets.DatasetDict(train=whole.select(range(20)), test=whole.select(range(20, 30)))
    found = read_back(parts, tmp_path)
    assert set(found.splits["test"].texts) == {f"text {i} 😀" for i in range(20, 30)}
    assert len(found.splits["train"]) + len(found.splits["validation"]) == 20
    with pytest.raises(ConfigError, match="'train', 'unsupervised'"):
        read_back(datasets.DatasetDict(train=whole, unsupervised=whole), tmp_path)


def test_rows_without_a_label_are_named(tmp_path):
    without = table(label=[-1] + [i % 3 for i in range(29)])
    with pytest.raises(DataError, match="1 row"):
        read_back(without, tmp_path)
    assert len(everything(read_back(without, tmp_path, "data.on_bad_row=drop"))) == 29


def test_lists_of_class_labels_are_several_labels(tmp_path):
    several = datasets.Dataset.from_dict(
        {"text": [f"text {i}" for i in range(30)], "label": [[i % 3] if i % 2 else [0, 2] for i in range(30)]},
        features=datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.List(datasets.ClassLabel(names=LABELS))}
        ),
    )
    found = everything(read_back(several, tmp_path, "data.task=multilabel"))
    expected = {i: (LABELS[i % 3],) if i % 2 else (LABELS[0], LABELS[2]) for i in range(30)}
    assert {text: set(names) for text, names in found.items()} == {f"text {i}": set(expected[i]) for i in expected}


def test_what_is_no_table_is_one_message(tmp_path):
    with pytest.raises(ConfigError, match="is streamed"):
        read_back(table().to_iterable_dataset(), tmp_path)
    with pytest.raises(ConfigError, match="data: list: no table"):
        read_back([("a text", "neg")], tmp_path)


def corpus(task="multiclass", **changed):
    n = 12
    targets = np.arange(n) % 3
    if task == "multilabel":
        targets = (np.arange(3)[None] <= targets[:, None]).astype(np.float32)
    texts = changed.pop("texts", [f"text {i}" for i in range(n)])
    splits = {
        name: ftcls.Split([f"{name} {text}" if isinstance(text, str) and not isinstance(text, Pair) else text
                           for text in texts], targets, np.arange(n), **changed)
        for name in ("train", "validation", "test")
    }  # fmt: skip
    return ftcls.Corpus("mine", task, tuple(LABELS), splits)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_a_corpus_is_read_as_it_was_made(tmp_path, task):
    given = corpus(task)
    found = read_back(given, tmp_path)
    assert (found.task, found.labels) == (task, given.labels)
    for name, split in given.splits.items():
        assert found.splits[name].texts == split.texts
        np.testing.assert_array_equal(found.splits[name].targets, split.targets)


def test_a_corpus_of_pairs_stays_one(tmp_path):
    pairs = [Pair(f"first {i}", f"second {i}") for i in range(12)]
    found = read_back(corpus(texts=pairs), tmp_path)
    assert found.splits["test"].texts == pairs


def test_the_weights_of_a_corpus_count(tmp_path):
    weights = np.linspace(0.5, 2, 12)
    found = read_back(corpus(weights=weights), tmp_path)
    np.testing.assert_allclose(found.splits["train"].weights, weights)


def test_the_clusters_of_a_corpus_stay_together(tmp_path):
    clusters = np.array([7, 7, 2, 2, 2, 9, 9, 9, 9, 4, 4, 4])
    found = read_back(corpus(clusters=clusters), tmp_path).splits["train"].clusters
    np.testing.assert_array_equal(found[:, None] == found, clusters[:, None] == clusters)


def soft_corpus(task, *, votes=None, labels=LABELS, certain=(), **changed):
    """A corpus whose rows have shares of votes, or probabilities, of three labels."""
    rng = np.random.default_rng(0)
    splits = {}
    for name in ("train", "validation", "test"):
        if votes is None:
            shares = rng.dirichlet(np.ones(3), 12) if task == "multiclass" else rng.random((12, 3))
            voters = None
        else:
            voters = rng.integers(1, votes + 1, 12)
            draw = rng.multinomial if task == "multiclass" else rng.binomial
            shares = np.stack([draw(n, [1 / 3, 1 / 3, 1 / 3]) / n for n in voters])
        shares = shares.astype(np.float32)
        targets = hardened(shares, task)
        known = {} if name in certain else {"soft": shares, "votes": voters}
        splits[name] = ftcls.Split([f"{name} text {i}" for i in range(12)], targets, np.arange(12), **known)
    return ftcls.Corpus("mine", task, tuple(labels), splits, **{"soft": True, **changed})


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
@pytest.mark.parametrize(("votes", "soft"), [(None, True), (5, True), (5, False), (1, True)])
def test_a_corpus_with_probabilities_or_votes_is_read_as_it_was_made(tmp_path, task, votes, soft):
    given = soft_corpus(task, votes=votes, soft=soft)
    found = read_back(given, tmp_path)
    assert (found.soft, found.labels) == (soft, given.labels)
    for name, split in given.splits.items():
        np.testing.assert_array_equal(found.splits[name].targets, split.targets)
        np.testing.assert_allclose(found.splits[name].soft, split.soft, atol=1e-6)
        if votes is not None:
            np.testing.assert_array_equal(found.splits[name].votes, split.votes)


@pytest.mark.parametrize("votes", [None, 3])
def test_splits_with_certain_labels_may_stand_beside(tmp_path, votes):
    given = soft_corpus("multiclass", votes=votes, certain=("test",))
    found = read_back(given, tmp_path).splits
    np.testing.assert_array_equal(found["test"].soft, np.eye(3)[given.splits["test"].targets])
    np.testing.assert_allclose(found["train"].soft, given.splits["train"].soft, atol=1e-6)


def test_labels_may_be_called_as_the_columns_are(tmp_path):
    given = soft_corpus("multiclass", labels=["text", "weight", "text_"])
    weighted = {name: replace(split, weights=np.linspace(1, 2, 12)) for name, split in given.splits.items()}
    found = read_back(replace(given, splits=weighted), tmp_path)
    assert found.labels == given.labels
    assert found.splits["train"].texts == given.splits["train"].texts
    np.testing.assert_allclose(found.splits["train"].weights, np.linspace(1, 2, 12))


def test_a_corpus_that_contradicts_itself_is_refused(tmp_path):
    given = soft_corpus("multiclass")
    with pytest.raises(DataError, match=r"make it with soft=True, or its splits without soft"):
        read_back(replace(given, soft=False), tmp_path)
    wrong = given.splits["test"].targets.copy()
    wrong[7] = (wrong[7] + 1) % 3
    splits = {**given.splits, "test": replace(given.splits["test"], targets=wrong)}
    with pytest.raises(DataError, match=r"test:7: its target \(Split.targets\) is not what its probabilities"):
        read_back(replace(given, splits=splits), tmp_path)


@pytest.mark.parametrize("votes", [None, 3])
def test_a_run_on_a_corpus_with_probabilities_is_trained_and_scored(tmp_path, votes):
    given = soft_corpus("multiclass", votes=votes)
    overrides = {"training.max_steps": 2, "report.ladder": []}
    run = ftcls.train(CONFIG, data=given, output=tmp_path / "run", overrides=overrides)
    assert run.report.data.soft
    assert ftcls.evaluate(run).metrics == run.metrics["test"]


def test_a_run_on_a_dataset_is_trained_and_scored(tmp_path):
    run = ftcls.train(
        CONFIG,
        data=table(),
        output=tmp_path / "run",
        overrides={"training.max_steps": 1, "report.ladder": [], "training.learning_rate": 1e-3},
    )
    assert set(run.predictions("test")["gold"]) <= set(LABELS)
    assert ftcls.evaluate(run).metrics == run.metrics["test"]
    assert ftcls.evaluate(run, data=table()).data.examples == 30
    assert set(ftcls.inspect_data(CONFIG, data=table()).used.splits["train"].label_counts) == set(LABELS)

"""Which rows are in which fold, and what a corpus of folds is."""

import numpy as np
import pytest

from ftcls.config.load import load
from ftcls.config.schema import Data
from ftcls.data.folds import assign
from ftcls.data.read import read
from ftcls.errors import ConfigError, DataError


def data(path, **keys):
    return Data.model_validate({"source": "files", "path": path, "task": "multiclass"} | keys)


@pytest.fixture
def table(tmp_path):
    def write(rows, name="a.csv"):
        path = tmp_path / name
        path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows), encoding="utf-8")
        return str(path)

    return write


def numbered(n, classes=3):
    return [(f"text number {index}", f"c{index % classes}") for index in range(n)]


@pytest.mark.parametrize("folds", [2, 3, 5, 10])
def test_every_fold_has_its_share_of_every_label(folds):
    targets = np.random.default_rng(0).choice(4, size=503, p=[0.6, 0.3, 0.07, 0.03])
    fold = assign(targets, folds, seed=[1, 4])
    sizes = np.bincount(fold)[1:]
    assert len(sizes) == folds
    assert sizes.max() - sizes.min() <= 1
    for label in range(4):
        counts = np.bincount(fold[targets == label], minlength=folds + 1)[1:]
        assert np.abs(counts - (targets == label).sum() / folds).max() <= 1.5


def test_several_labels_are_spread_over_the_folds():
    targets = (np.random.default_rng(0).random((400, 6)) < [0.5, 0.3, 0.2, 0.1, 0.05, 0.02]).astype(np.float32)
    fold = assign(targets, 5, seed=[1, 4])
    counts = np.stack([targets[fold == number].sum(axis=0) for number in range(1, 6)])
    assert np.abs(counts - targets.sum(axis=0) / 5).max() <= 2


def test_rows_that_belong_together_are_in_one_fold_and_the_seed_draws():
    targets = np.arange(300) % 3
    groups = np.arange(300) // 4
    first, again, other = (assign(targets, 5, seed=[seed, 4], groups=groups) for seed in (1, 1, 2))
    assert all(len(set(first[groups == group])) == 1 for group in range(75))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert set(first) == {1, 2, 3, 4, 5}


def test_fewer_rows_than_folds_are_one_message():
    with pytest.raises(DataError, match=r"data\.split\.folds: 5: there are 4 rows; write fewer folds"):
        assign(np.array([0, 1, 0, 1]), 5, seed=0)
    with pytest.raises(DataError, match=r"12 rows, 4 counting as one those that must not be parted; write fewer"):
        assign(np.arange(12) % 2, 5, seed=0, groups=np.arange(12) // 3)


def test_the_folds_of_a_file_hold_each_row_once_and_no_text_twice(table):
    path = table([(f"text {index // 2}", f"c{index // 2 % 2}") for index in range(120)])
    whole = read(data(path, split={"folds": 4}), seed=3)
    assert list(whole.splits) == ["train"]
    assert len(whole.splits["train"]) == 120
    each = [read(data(path, split={"folds": 4, "fold": number}), seed=3) for number in (1, 2, 3, 4)]
    assert sorted(np.concatenate([one.splits["test"].rows for one in each])) == list(range(120))
    texts = [set(one.splits["test"].texts) for one in each]
    assert sum(map(len, texts)) == 60
    for number, one in enumerate(each, 1):
        rows = np.concatenate([one.splits[name].rows for name in ("train", "validation", "test")])
        assert sorted(rows) == list(range(120))
        assert not set(one.splits["test"].texts) & {*one.splits["train"].texts, *one.splits["validation"].texts}
        inside = whole.splits["train"].folds == number
        assert one.splits["test"].rows.tolist() == whole.splits["train"].rows[inside].tolist()


def test_an_official_test_split_stays_one_and_train_and_validation_are_pooled(table):
    paths = {
        "train": table(numbered(40), "a.csv"),
        "validation": table([(f"v{i}", f"c{i % 3}") for i in range(20)], "b.csv"),
        "test": table([(f"t{i}", f"c{i % 3}") for i in range(9)], "c.csv"),
    }
    whole = read(data(paths, split={"folds": 3}), seed=0)
    assert {name: len(split) for name, split in whole.splits.items()} == {"train": 60, "test": 9}
    one = read(data(paths, split={"folds": 3, "fold": 1, "validation": 10}), seed=0)
    assert {name: len(split) for name, split in one.splits.items()} == {"train": 30, "validation": 10, "test": 20}
    assert not any(text.startswith("t") and text[1:].isdigit() for text in one.splits["test"].texts)
    pooled = read(data(paths, split={"folds": 3, "pooled": True}), seed=0)
    assert {name: len(split) for name, split in pooled.splits.items()} == {"train": 69}


def test_a_subset_is_drawn_before_the_folds(table):
    whole = read(data(table(numbered(90)), split={"folds": 3}, subset={"train": 30}), seed=0)
    assert len(whole.splits["train"]) == 30
    with pytest.raises(ConfigError, match=r"data\.subset\.test: no effect with folds, there is no other test split"):
        read(data(table(numbered(90)), split={"folds": 3}, subset={"test": 30}), seed=0)


def test_a_label_with_fewer_rows_than_folds_is_a_warning(table):
    rows = [*numbered(60, classes=2), ("rare one", "c9"), ("rare two", "c9")]
    found = {check.name: check for check in read(data(table(rows), split={"folds": 5}), seed=0).checks}
    assert found["fewer_rows_than_folds"].examples == ("c9: 2",)
    assert found["fewer_rows_than_folds"].severity == "warning"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"data.split.folds": 1}, "data.split.folds=1: found 1, expected a whole number of at least 2 or null"),
        ({"data.split.fold": 1}, r"data.split.fold=1: is one of several folds; add data: \{split: \{folds: 5\}\}"),
        (
            {"data.split.folds": 3, "data.split.fold": 4},
            "data.split.fold=4: there are 3 folds; write a number from 1 to 3",
        ),
        ({"data.split.folds": 3, "data.split.test": 0.2}, "data.split.test=0.2: has no effect with folds"),
        ({"data.split.folds": 3, "data.subset.validation": 5}, "data.subset.validation=5: has no effect with folds"),
        (
            {"data.split.folds": 3, "distillation.teacher": "runs/x"},
            "distillation.teacher=.runs/x.: has learnt rows of the folds",
        ),
    ],
)
def test_keys_that_do_not_go_with_folds_are_refused(keys, message):
    config = {"name": "x", "data": {"source": "ag_news"}, "model": {"checkpoint": "scratch:bert"}}
    with pytest.raises(ConfigError, match=message):
        load(config, keys)

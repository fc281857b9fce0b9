"""Test rows that are all that training does not see."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ftcls.config.load import load
from ftcls.config.schema import Data
from ftcls.data.corpus import Split
from ftcls.data.read import read
from ftcls.data.rest import rest
from ftcls.errors import ConfigError, DataError

LABELS = ["admiration", "approval", "gratitude", "amusement"]


def split(texts, start=0):
    return Split(list(texts), np.zeros(len(texts), dtype=np.int64), np.arange(start, start + len(texts)))


def test_what_was_taken_is_not_in_the_rest_nor_is_its_text():
    every = split("abcdabz")
    taken = {"train": split("ab"), "validation": split("c", 2)}
    assert rest(every, taken, part_equal_texts=False).texts == ["d", "z"]
    assert rest(every, taken, part_equal_texts=True).texts == ["d", "a", "b", "z"]
    with pytest.raises(DataError, match="rest: train and validation took every row"):
        rest(split("ab"), taken, part_equal_texts=False)


def test_no_row_of_a_group_that_was_taken_is_in_the_rest():
    every = replace(split("abcdef"), clusters=np.array([1, 2, 3, 1, 3, 4]))
    taken = {"train": every.take(np.array([0])), "validation": every.take(np.array([1]))}
    found = rest(every, taken, part_equal_texts=False)
    assert found.texts == ["c", "e", "f"]
    assert found.origin.startswith("every row of groups of which no row is in train")
    with pytest.raises(DataError, match=r"took a row of every group; ask for fewer in data\.subset"):
        rest(every, {"train": every.take(np.array([0, 1, 2, 5]))}, part_equal_texts=False)


def corpus(folder, *, test=None, seed=1, rows=20, sources=("train", "test")):
    paths = {}
    for number, name in enumerate(sources):
        paths[name] = str(folder / f"{name}.csv")
        lines = [f"{name} {n},{'ab'[n % 2]}" for n in range(100 * (number + 1))]
        (folder / f"{name}.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    subset = {"train": {"balanced": rows}, "validation": {"balanced": 4}} | ({"test": test} if test else {})
    keys = {"source": "files", "task": "binary", "path": paths, "split": {"test": "rest"}, "subset": subset}
    return read(Data.model_validate(keys), seed=seed)


def test_the_rest_is_of_every_split_of_the_source(tmp_path):
    found = corpus(tmp_path).splits
    assert {name: len(one) for name, one in found.items()} == {"train": 20, "validation": 4, "test": 276}
    rows = np.concatenate([one.rows for one in found.values()])
    assert sorted(rows) == list(range(300))
    assert found["test"].origin.startswith("every row that is neither in train nor in validation")
    by_row = {f"train {row}" if row < 100 else f"test {row - 100}" for row in found["test"].rows}
    assert by_row == set(found["test"].texts)


def test_a_source_without_splits_has_a_rest_too(tmp_path):
    found = corpus(tmp_path, sources=("train",)).splits
    assert {name: len(one) for name, one in found.items()} == {"train": 20, "validation": 4, "test": 76}


def test_the_rest_is_capped_by_the_subset(tmp_path):
    assert len(corpus(tmp_path, test=50).splits["test"]) == 50
    whole = corpus(tmp_path, test=None).splits["test"]
    assert corpus(tmp_path, test=100_000).splits["test"].rows.tolist() == whole.rows.tolist()


def test_smaller_training_sets_lie_in_larger_ones_and_validation_stays(tmp_path):
    small, large = (corpus(tmp_path, rows=rows).splits for rows in (20, 40))
    assert set(small["train"].rows) < set(large["train"].rows)
    assert set(small["validation"].rows) == set(large["validation"].rows)
    assert set(corpus(tmp_path, seed=2).splits["train"].rows) != set(small["train"].rows)


def test_a_rest_needs_a_subset_and_no_pool():
    keys = ["data.split={test: rest}"]
    with pytest.raises(ConfigError, match="rest leaves nothing while train takes every row"):
        load("ag_news", keys)
    with pytest.raises(ConfigError, match="rest takes rows of every split already"):
        load("ag_news", ["data.split={test: rest, pooled: true}", "data.subset.train=800"])
    assert load("ag_news", [*keys, "data.subset.train=800"]).data.split.test == "rest"


@pytest.mark.parametrize("rows", [800, 2400])
def test_go_emotions_single_label_rows_are_balanced_and_scored_on_all_others(data_folder, rows):
    keys = {
        "source": "go_emotions",
        "path": str(data_folder / "go_emotions"),
        "single_label": True,
        "labels": LABELS,
        "split": {"test": "rest"},
        "subset": {"train": {"balanced": rows * 9 // 10}, "validation": {"balanced": rows // 10}},
    }
    found = read(Data.model_validate(keys), seed=1).splits
    assert Counter(found["train"].targets.tolist()) == dict.fromkeys(range(4), rows * 9 // 40)
    assert Counter(found["validation"].targets.tolist()) == dict.fromkeys(range(4), rows // 40)
    assert not set(found["train"].texts) & set(found["test"].texts)
    assert not set(found["validation"].rows) & set(found["test"].rows)
    assert len(found["test"]) > 7000

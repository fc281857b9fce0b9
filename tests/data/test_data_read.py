from pathlib import Path

import numpy as np
import pytest

from ftcls.config.schema import Data
from ftcls.data.corpus import Corpus, Split, fingerprint
from ftcls.data.read import read
from ftcls.errors import ConfigError, DataError
from ftcls.pipeline.file_contents import contents


@pytest.fixture
def table(tmp_path):
    def write(rows, name="a.csv"):
        path = tmp_path / name
        path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows), encoding="utf-8")
        return str(path)

    return write


def data(path, **keys):
    return Data.model_validate({"source": "files", "path": path, "task": "multiclass"} | keys)


def numbered(n, classes=2):
    return [(f"text number {index}", f"c{index % classes}") for index in range(n)]


def test_one_file_is_cut_eighty_ten_ten_and_rows_point_into_the_file(table):
    rows = numbered(100)
    whole = read(data(table(rows)), seed=3)
    assert {name: len(split) for name, split in whole.splits.items()} == {"train": 80, "validation": 10, "test": 10}
    for split in whole.splits.values():
        assert split.texts == [rows[row][0] for row in split.rows]
        assert [whole.labels[target] for target in split.targets] == [rows[row][1] for row in split.rows]


def test_the_same_seed_gives_the_same_corpus_and_another_one_another(table):
    path = table(numbered(60))
    prints = [fingerprint(read(data(path, subset={"train": 20}), seed=seed)) for seed in (1, 1, 2)]
    assert prints[0] == prints[1] != prints[2]


def test_equal_texts_stay_on_one_side_after_cleaning(table):
    rows = [(f"{'Text' if index % 2 else 'TEXT'}  {index // 4}", f"c{index // 4 % 2}") for index in range(120)]
    whole = read(data(table(rows), clean=["lower_case", "spaces"]), seed=0)
    texts = [set(split.texts) for split in whole.splits.values()]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 30
    assert [check.name for check in whole.checks] == ["duplicates"]


def test_pooled_splits_are_numbered_on(table):
    paths = {"train": table(numbered(30), "a.csv"), "test": table([(f"t{i}", f"c{i % 2}") for i in range(20)], "b.csv")}
    whole = read(data(paths, split={"pooled": True, "validation": 5, "test": 10}), seed=0)
    assert [len(whole.splits[name]) for name in ("train", "validation", "test")] == [35, 5, 10]
    found = {row: text for split in whole.splits.values() for row, text in zip(split.rows, split.texts, strict=True)}
    assert found == {i: f"text number {i}" for i in range(30)} | {30 + i: f"t{i}" for i in range(20)}


def test_a_bad_row_stops_the_reading_with_place_and_reason(table):
    rows = [*numbered(20), ("no label", ""), *numbered(8)]
    with pytest.raises(DataError, match=r"1 row cannot be used:\n  .*a\.csv:22: no label\n.*data\.on_bad_row: drop"):
        read(data(table(rows)), seed=0)
    with pytest.raises(DataError, match=r"30 rows cannot be used:(\n  .*){5}\n  and 25 more"):
        read(data(table([*numbered(20), *[("x", "")] * 30])), seed=0)


def test_dropped_rows_are_counted_and_the_others_keep_their_numbers(table):
    rows = [("no label", ""), *numbered(20)]
    whole = read(data(table(rows), on_bad_row="drop"), seed=0)
    assert whole.checks[0].name == "dropped_rows"
    assert whole.checks[0].count == 1
    assert sorted(np.concatenate([split.rows for split in whole.splits.values()])) == list(range(1, 21))


def test_labels_given_set_the_order_and_refuse_all_others(table):
    path = table(numbered(40, classes=3))
    with pytest.raises(DataError, match="label 'c2' is not one of 'c1', 'c0'"):
        read(data(path, labels=["c1", "c0"]), seed=0)
    whole = read(data(path, labels=["c1", "c0"], on_bad_row="drop", task="binary"), seed=0)
    assert whole.labels == ("c1", "c0")
    assert whole.positive_label == "c0"
    assert sum(map(len, whole.splits.values())) == 27


def test_labels_are_the_union_of_the_splits_with_a_report(table):
    paths = {
        "train": table(numbered(20), "a.csv"),
        "validation": table([("v", "c0")], "v.csv"),
        "test": table([("t", "c10")], "b.csv"),
    }
    whole = read(data(paths), seed=0)
    assert whole.labels == ("c0", "c1", "c10")
    (check,) = whole.checks
    assert (check.name, check.count) == ("labels_missing", 5)
    assert check.examples[0] == "train: c10"


def test_multilabel_rows_may_have_no_label(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,tags\n" + "".join(f"t{i},{('x', 'x|y', '')[i % 3]}\n" for i in range(30)), encoding="utf-8")
    whole = read(data(str(path), task="multilabel", label={"column": "tags", "separator": "|"}), seed=0)
    assert whole.labels == ("x", "y")
    targets = np.concatenate([split.targets for split in whole.splits.values()])
    assert targets.dtype == np.float32
    assert targets.sum(axis=0).tolist() == [20, 10]
    assert whole.positive_label is None


def test_empty_texts_and_long_ones_and_emoji_are_kept(table):
    rows = [("", "c0"), (" ", "c1"), ("word " * 10_000, "c0"), ("👩‍🚀", "c1"), *numbered(20)]
    whole = read(data(table(rows)), seed=0)
    assert sum(map(len, whole.splits.values())) == 24
    assert ("empty_texts", 2) in [(check.name, check.count) for check in whole.checks]


def test_texts_in_two_splits_are_reported_with_and_without_the_same_label(table):
    paths = {
        "train": table([*numbered(20), ("same", "c0"), ("other", "c0")], "a.csv"),
        "validation": table([("same", "c0")], "v.csv"),
        "test": table([("same", "c0"), ("other", "c1"), ("twice", "c0"), ("twice", "c1")], "b.csv"),
    }
    found = {check.name: check for check in read(data(paths), seed=0).checks}
    assert found["shared_between_splits"].count == 2
    assert found["shared_between_splits"].examples == ("train:20, validation:0: same", "train:20, test:0: same")
    assert found["shared_between_splits"].rows == {"validation": (0,), "test": (0,)}
    assert found["shared_between_splits_with_other_labels"].examples == ("train:21, test:1: other",)
    assert found["duplicates_with_other_labels"].examples == ("test:2, test:3: twice",)


@pytest.mark.parametrize(
    ("subset", "sizes"),
    [
        ({"train": 30}, [30, 10, 10]),
        ({"train": {"share": 0.5}, "test": {"per_class": 2}}, [40, 10, 4]),
        ({"validation": 1}, [80, 1, 10]),
    ],
)
def test_subsets_are_drawn_after_the_cut(table, subset, sizes):
    path = table(numbered(100))
    whole, part = read(data(path), seed=0), read(data(path, subset=subset), seed=0)
    assert [len(part.splits[name]) for name in ("train", "validation", "test")] == sizes
    for name in whole.splits:
        assert set(part.splits[name].rows) <= set(whole.splits[name].rows)


def test_asking_for_more_rows_than_there_are_names_the_key(table):
    with pytest.raises(DataError, match=r"data\.subset\.train: 81 rows are asked for, there are 80"):
        read(data(table(numbered(100)), subset={"train": 81}), seed=0)


def test_a_file_too_small_to_cut_says_so_and_two_rows_a_split_do(table):
    with pytest.raises(DataError, match="2 rows cannot be cut"):
        read(data(table(numbered(2))), seed=0)
    path = table(numbered(2))
    whole = read(data({"train": path, "validation": path, "test": path}), seed=0)
    assert [len(split) for split in whole.splits.values()] == [2, 2, 2]


def test_one_class_is_refused(table):
    with pytest.raises(DataError, match="one label, 'c0'"):
        read(data(table(numbered(9, classes=1))), seed=0)


def test_a_whole_number_is_one_label_with_and_without_a_point(table):
    train = table([(f"text {n}", f"{n % 2 + 1}.0") for n in range(20)], "train.csv")
    test = table([(f"other {n}", n % 2 + 1) for n in range(20)], "test.csv")
    found = read(data({"train": train, "test": test}), seed=0)
    assert found.labels == ("1", "2")
    assert [found.labels[target] for target in found.splits["test"].targets] == ["1", "2"] * 10
    assert not any(check.name in ("labels_missing", "similar_labels") for check in found.checks)
    for labels in (("2", "1"), ("2.0", "1.0")):
        listed = read(data({"train": train, "test": test}, labels=labels), seed=0)
        assert (listed.labels, listed.splits["test"].targets.tolist()) == (labels, [1, 0] * 10)
    halves = table([(f"text {n}", ("1.0", "1.5", "1")[n % 3]) for n in range(30)], "halves.csv")
    assert read(data(halves), seed=0).labels == ("1", "1.5")


def test_a_table_without_rows_is_called_one(table):
    path = table([])
    with pytest.raises(DataError, match="no row below the names of the columns"):
        read(data(path), seed=0)
    with pytest.raises(DataError, match=r"a\.csv: no row below the names of the columns"):
        contents(Path(path), label=["label"], text=None)


def test_an_empty_split_is_refused(table):
    with pytest.raises(DataError, match="the test split has no row"):
        read(data({"train": table(numbered(9)), "test": table([], "b.csv")}), seed=0)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"source": "files", "task": "binary"}, r"data\.path: source files needs it"),
        ({"source": "files", "path": "a.csv"}, r"data\.task: source files needs it"),
        ({"source": "files", "path": "a.csv", "task": "binary", "revision": "x"}, r"data\.revision"),
        ({"source": "ag_news", "text": "body"}, r"data\.text: ag_news knows its columns"),
        ({"source": "ag_news", "path": {"train": "a.csv"}}, r"data\.path: ag_news takes one folder"),
        ({"source": "docstrings", "path": "x"}, r"data\.path: docstrings reads the installed libraries"),
    ],
)
def test_keys_that_mean_nothing_for_a_source_are_refused(keys, message):
    with pytest.raises(ConfigError, match=message):
        read(Data.model_validate(keys), seed=0)


def test_the_fingerprint_sees_texts_targets_rows_and_where_a_text_ends():
    def corpus(texts, targets=(0, 1), rows=(0, 1), labels=("a", "b")):
        split = Split(list(texts), np.array(targets), np.array(rows))
        return fingerprint(Corpus("files", "binary", labels, {"train": split}))

    same = corpus(["ab", "c"])
    assert same == corpus(["ab", "c"])
    assert len(same) == 64
    others = [
        corpus(["a", "bc"]),
        corpus(["ab", "d"]),
        corpus(["ab", "c"], targets=(1, 1)),
        corpus(["ab", "c"], rows=(0, 2)),
        corpus(["ab", "c"], labels=("a", "c")),
    ]
    assert len({same, *others}) == 6

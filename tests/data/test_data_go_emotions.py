import gzip
import tarfile

import datasets
import numpy as np
import pytest

from ftcls.config.schema import Data
from ftcls.data.corpus import fingerprint
from ftcls.data.miniature.write import write
from ftcls.data.read import read
from ftcls.data.readers import go_emotions, hub
from ftcls.data.readers.go_emotions import FILES, GROUPS, LABELS
from ftcls.errors import ConfigError, DataError


@pytest.fixture
def folder(tmp_path):
    return write("go_emotions", tmp_path / "go_emotions")


@pytest.fixture
def few(tmp_path):
    """Four rows a split, made by hand."""
    rows = (
        'Fair enough.\t4\te1\n"He said ""well"", [NAME]."\t2,3\te2\n'
        "Both, I'd say \U0001f602\t17,27\te3\nThe bus is late.\t27\te4\n"
    )
    for file in FILES.values():
        (tmp_path / file).write_text(rows, encoding="utf-8", newline="")
    return tmp_path


def corpus(path, **keys):
    return read(Data(source="go_emotions", path=str(path), **keys), seed=1)


def rows(path, **keys):
    given = {"grouping": None, "single_label": False, "labels": None} | keys
    split = go_emotions.read(path=str(path), revision=None, **given).splits["train"]
    return list(zip(split.rows.tolist(), split.labels, strict=True))


def append(folder, line):
    with (folder / "train.tsv").open("a", encoding="utf-8", newline="") as file:
        file.write(line)


def test_quotes_around_a_text_are_no_part_of_it_and_masks_are(few):
    split = go_emotions.read(path=str(few), revision=None, grouping=None, single_label=False, labels=None).splits[
        "train"
    ]
    assert split.texts[1] == 'He said "well", [NAME].'
    assert split.place(1) == f"{few}/train.tsv:2"


def test_targets_are_float_one_column_a_label_in_the_order_of_the_files(folder):
    whole = corpus(folder)
    assert (whole.task, whole.labels) == ("multilabel", LABELS)
    assert whole.splits["train"].targets.dtype == np.float32
    assert {name: split.targets.shape for name, split in whole.splits.items()} == {
        "train": (336, 28),
        "validation": (112, 28),
        "test": (112, 28),
    }


def test_a_row_has_the_labels_of_its_groups_each_once(few):
    assert rows(few) == [
        (0, ("approval",)),
        (1, ("anger", "annoyance")),
        (2, ("joy", "neutral")),
        (3, ("neutral",)),
    ]
    assert rows(few, grouping="ekman") == [
        (0, ("joy",)),
        (1, ("anger",)),
        (2, ("joy", "neutral")),
        (3, ("neutral",)),
    ]
    assert [names for _, names in rows(few, grouping="sentiment")] == [
        ("positive",),
        ("negative",),
        ("positive", "neutral"),
        ("neutral",),
    ]


def test_rows_with_one_label_are_counted_after_the_grouping(few):
    assert rows(few, single_label=True) == [(0, "approval"), (3, "neutral")]
    assert rows(few, single_label=True, grouping="ekman") == [(0, "joy"), (1, "anger"), (3, "neutral")]


def test_rows_lose_labels_that_are_not_chosen_or_with_one_label_are_left_out(few):
    chosen = ["neutral", "anger"]
    assert rows(few, labels=chosen) == [(0, ()), (1, ("anger",)), (2, ("neutral",)), (3, ("neutral",))]
    assert rows(few, labels=chosen, single_label=True) == [(3, "neutral")]


def test_chosen_labels_are_no_bad_rows_and_set_the_order(folder):
    whole = corpus(folder, labels=["joy", "anger", "fear"], single_label=True)
    assert (whole.task, whole.labels) == ("multiclass", ("joy", "anger", "fear"))
    assert not [check for check in whole.checks if check.name == "dropped_rows"]
    several = corpus(folder, labels=["joy", "anger", "fear"])
    assert len(several.splits["train"]) == 336
    assert (several.splits["train"].targets.sum(axis=1) == 0).any()


def test_balanced_rows_are_as_many_of_each_label_and_smaller_sets_lie_in_larger_ones(folder):
    def drawn(total):
        keys = {"labels": ["joy", "anger", "fear", "love"], "single_label": True}
        return corpus(folder, subset={"train": {"balanced": total}}, **keys).splits["train"]

    sets = {total: drawn(total) for total in (8, 16, 24)}
    assert [np.bincount(split.targets).tolist() for split in sets.values()] == [[2] * 4, [4] * 4, [6] * 4]
    assert set(sets[8].rows) < set(sets[16].rows) < set(sets[24].rows)
    assert np.bincount(drawn(10).targets).tolist() == [3, 3, 2, 2]
    assert set(sets[8].rows) < set(drawn(10).rows)


def test_more_balanced_rows_than_there_are_name_the_label_that_is_short(folder):
    keys = {"labels": ["joy", "anger"], "single_label": True}
    with pytest.raises(DataError, match=r"data\.subset\.train: 200 rows of each label are asked for, '\w+' has \d+"):
        corpus(folder, subset={"train": {"balanced": 400}}, **keys)
    with pytest.raises(DataError, match=r"data\.subset\.train: as many rows of every label need one label per row"):
        corpus(folder, subset={"train": {"balanced": 8}})


def test_every_original_form_gives_the_same_corpus(folder, tmp_path):
    zipped = tmp_path / "zipped"
    zipped.mkdir()
    for name in FILES.values():
        (zipped / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    archive = tmp_path / "go.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder, arcname="goemotions/data")
    outer = tmp_path / "outer"
    outer.mkdir()
    folder.rename(outer / "data")
    assert len({fingerprint(corpus(path)) for path in (zipped, archive, outer, outer / "data")}) == 1


def test_the_hub_gives_the_same_corpus_as_the_files(folder, tmp_path, monkeypatch):
    found = go_emotions.read(path=str(folder), revision=None, grouping=None, single_label=False, labels=None)
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "labels": datasets.List(datasets.ClassLabel(names=list(LABELS))),
            "id": datasets.Value("string"),
        }
    )
    copy = {}
    for name, split in found.splits.items():
        columns = {
            "text": split.texts,
            "labels": [[LABELS.index(label) for label in some] for some in split.labels],
            "id": [str(row) for row in split.rows],
        }
        copy[name] = str(tmp_path / f"{name}.parquet")
        datasets.Dataset.from_dict(columns, features=features).to_parquet(copy[name])
    asked = []

    def load_dataset(name, config, revision):
        asked.append((name, config, revision))
        return datasets.load_dataset("parquet", data_files=copy, cache_dir=str(tmp_path / "hub"))

    monkeypatch.setattr(hub, "load_dataset", load_dataset)
    assert fingerprint(read(Data(source="go_emotions"), seed=1)) == fingerprint(corpus(folder))
    assert asked == [("google-research-datasets/go_emotions", "simplified", go_emotions.REVISION)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("text\t99\te\n", "label '99' is not one of 0 to 27"),
        ("text\t1,joy\te\n", "label 'joy' is not one of 0 to 27"),
        ("text\t\te\n", "label '' is not one of 0 to 27"),
        ("text only\n", "not the three fields text, labels, id"),
    ],
)
def test_a_row_that_is_not_goemotions_is_named_with_file_and_line(folder, line, reason):
    append(folder, line)
    with pytest.raises(DataError, match=rf"1 row cannot be used:\n  .*train\.tsv:337: {reason}"):
        corpus(folder)
    assert len(corpus(folder, on_bad_row="drop").splits["train"]) == 336
    # A bad row is a bad row, whichever labels are wanted.
    with pytest.raises(DataError, match=reason):
        corpus(folder, labels=["joy", "anger"], single_label=True)


def test_a_label_that_is_none_is_answered_with_the_nearest_one(folder):
    with pytest.raises(ConfigError, match=r"data\.labels: 'angr' is no label, did you mean 'anger'\?"):
        corpus(folder, labels=["joy", "angr"])
    with pytest.raises(ConfigError, match=r"data\.labels: 'remorse' is no label.*'anger', 'disgust', 'fear', 'joy'"):
        corpus(folder, labels=["joy", "remorse"], grouping="ekman")


def test_a_missing_file_is_named(folder):
    (folder / "dev.tsv").unlink()
    with pytest.raises(
        DataError, match=r"no dev\.tsv or dev\.tsv\.gz in this folder, it holds emotions\.txt, test\.tsv"
    ):
        corpus(folder)


def test_a_damaged_file_is_named(folder):
    content = gzip.compress((folder / "test.tsv").read_bytes())
    (folder / "test.tsv").unlink()
    (folder / "test.tsv.gz").write_bytes(content[:-20])
    with pytest.raises(DataError, match=r"test\.tsv\.gz: not a whole gzip file"):
        corpus(folder)


def test_groups_hold_every_label_once():
    for groups in GROUPS.values():
        assert sorted(name for names in groups.values() for name in names) == sorted(LABELS)

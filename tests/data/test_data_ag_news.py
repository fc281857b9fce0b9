import csv
import gzip
import tarfile

import datasets
import numpy as np
import pytest

from ftcls.config.schema import Data
from ftcls.data.corpus import fingerprint
from ftcls.data.miniature.write import write
from ftcls.data.read import read
from ftcls.data.readers import ag_news, hub
from ftcls.environment.hub_access import connect
from ftcls.errors import DataError, UnavailableError


@pytest.fixture
def folder(tmp_path):
    return write("ag_news", tmp_path / "ag_news")


def corpus(path, **keys):
    return read(Data(source="ag_news", path=str(path), **keys), seed=1)


def append(file, *fields):
    with file.open("a", encoding="utf-8", newline="") as opened:
        csv.writer(opened, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(fields)


def test_the_text_is_title_space_description_and_the_class_has_its_name(folder):
    (folder / "test.csv").write_text('"4","A ""small"" chip ","It costs \\$5, AT amp;T\\said. "\n', encoding="utf-8")
    found = ag_news.read(path=str(folder), revision=None).splits["test"]
    assert found.texts == ['A "small" chip  It costs \\$5, AT amp;T\\said. ']
    assert found.labels == ["Sci/Tech"]
    assert found.place(0) == f"{folder}/test.csv:1"


def test_validation_is_cut_from_train_and_test_is_left_alone(folder):
    whole = corpus(folder)
    assert whole.labels == ("World", "Sports", "Business", "Sci/Tech")
    assert whole.task == "multiclass"
    assert {name: len(split) for name, split in whole.splits.items()} == {"train": 216, "validation": 24, "test": 120}
    assert whole.splits["test"].rows.tolist() == list(range(120))
    assert np.bincount(whole.splits["validation"].targets).tolist() == [6, 6, 6, 6]


def test_every_original_form_gives_the_same_corpus(folder, tmp_path):
    zipped = tmp_path / "zipped"
    zipped.mkdir()
    for name in ("train.csv", "test.csv"):
        (zipped / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    archive = tmp_path / "ag_news_csv.tgz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder, arcname="ag_news_csv")
    outer = tmp_path / "outer"
    outer.mkdir()
    folder.rename(outer / "ag_news_csv")
    prints = {fingerprint(corpus(path)) for path in (zipped, archive, outer, outer / "ag_news_csv")}
    assert len(prints) == 1


def test_the_hub_gives_the_same_corpus_as_the_files(folder, tmp_path, monkeypatch):
    copy = {}
    for name in ("train", "test"):
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        features = datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(ag_news.LABELS))}
        )
        columns = {"text": [f"{row[1]} {row[2]}" for row in rows], "label": [int(row[0]) - 1 for row in rows]}
        copy[name] = str(tmp_path / f"{name}.parquet")
        datasets.Dataset.from_dict(columns, features=features).to_parquet(copy[name])
    asked = []

    def load_dataset(name, revision):
        asked.append((name, revision))
        return datasets.load_dataset("parquet", data_files=copy, cache_dir=str(tmp_path / "hub"))

    monkeypatch.setattr(hub, "load_dataset", load_dataset)
    from_hub = read(Data(source="ag_news"), seed=1)
    assert fingerprint(from_hub) == fingerprint(corpus(folder))
    assert asked == [("fancyzhx/ag_news", ag_news.REVISION)]
    assert from_hub.versions == {"fancyzhx/ag_news": ag_news.REVISION}


def test_a_miss_offline_names_the_ways_out(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    assert connect() is False
    with pytest.raises(
        UnavailableError, match=r"fancyzhx/ag_news cannot be had.*\n.*data\.path.*HF_ENDPOINT.*--offline"
    ):
        read(Data(source="ag_news"), seed=1)


def test_a_row_that_is_not_ag_news_is_named_with_file_and_line(folder):
    append(folder / "train.csv", "5", "title", "text")
    append(folder / "train.csv", "1", "title")
    message = (
        r"2 rows cannot be used:\n.*train\.csv:241: class '5' is not one of 1, 2, 3, 4\n.*train\.csv:242: not the three"
    )
    with pytest.raises(DataError, match=message):
        corpus(folder)
    dropped = corpus(folder, on_bad_row="drop")
    assert len(dropped.splits["train"]) + len(dropped.splits["validation"]) == 240
    (check,) = (check for check in dropped.checks if check.name == "dropped_rows")
    assert check.count == 2
    assert "train.csv:241" in check.examples[0]


def test_a_folder_without_the_files_is_an_error_that_says_what_is_there(folder, tmp_path):
    (folder / "test.csv").unlink()
    with pytest.raises(
        DataError, match=r"no test\.csv or test\.csv\.gz in this folder, it holds classes\.txt, train\.csv"
    ):
        corpus(folder)
    with pytest.raises(DataError, match="does not exist"):
        corpus(tmp_path / "nowhere")
    (tmp_path / "x.tgz").write_text("no archive")
    with pytest.raises(DataError, match=r"neither a folder nor a \.tar\.gz archive"):
        corpus(tmp_path / "x.tgz")


def test_the_real_ag_news_has_the_rows_its_authors_counted(data_folder):
    whole = corpus(data_folder / "ag_news", clean=("entities", "backslashes", "special_characters", "spaces"))
    assert len(whole.splits["train"]) + len(whole.splits["validation"]) == 26_494
    assert np.bincount(whole.splits["test"].targets).tolist() == [1_900] * 4
    raw = ag_news.read(path=str(data_folder / "ag_news"), revision=None).splits["test"]
    # What the Hub's card says of its test split: UTF-8 bytes plus 12 a row.
    assert sum(len(text.encode()) + 12 for text in raw.texts) == 1_879_474
    texts = whole.splits["test"].texts
    assert not any(mark in text for text in texts for mark in ("\\", " #39;", " quot;", "&lt;", "<b>", "  "))

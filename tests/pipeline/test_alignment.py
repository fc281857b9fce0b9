"""Labels of a model and of data brought together: order, names, what is typed."""

from pathlib import Path

import numpy as np
import pytest

from ftcls.config.schema import Data
from ftcls.data.corpus import Corpus, Split
from ftcls.errors import DataError
from ftcls.pipeline import label_alignment


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_targets_follow_their_labels_into_another_order(task):
    labels, order = ("a", "b", "c", "d"), ("c", "a", "d", "b")
    targets = np.eye(4, dtype=np.float32)[[0, 1, 2, 3]] if task == "multilabel" else np.arange(4)
    split = Split(["A", "B", "C", "D"], targets, np.arange(4))
    found = label_alignment._ordered(Corpus("made", task, labels, {"test": split}), order)
    indices = found.splits["test"].targets
    indices = indices.argmax(axis=1) if task == "multilabel" else indices
    assert found.labels == order
    assert [found.labels[index].upper() for index in indices] == found.splits["test"].texts


def test_only_numbered_labels_are_bare():
    assert label_alignment.bare(("LABEL_0", "LABEL_1"))
    assert not label_alignment.bare(("LABEL_0", "spam"))
    assert not label_alignment.bare(("neg", "pos"))


def test_a_file_in_place_of_a_known_data_set_keeps_what_is_about_its_texts(tmp_path):
    (tmp_path / "own.csv").touch()
    pooled = {"pooled": True}
    section = Data(source="reuters21578", topics="R10", clean=("reuter",), on_bad_row="drop", split=pooled)
    found = label_alignment.elsewhere(section, tmp_path / "own.csv", task="multilabel", labels=("earn", "acq"))
    assert (found.source, found.task, found.labels) == ("files", "multilabel", ("earn", "acq"))
    assert (found.clean, found.on_bad_row) == (("reuter",), "drop")
    assert found.topics == Data.model_fields["topics"].default
    assert not found.split.pooled, "the file is taken whole"


def test_a_folder_in_place_of_a_known_data_set_is_another_copy_of_it(tmp_path):
    section = Data(source="imdb", subset={"train": 100})
    found = label_alignment.elsewhere(section, tmp_path, task="binary", labels=None)
    assert (found.source, found.path, found.subset.train) == ("imdb", str(tmp_path), None)


def test_data_that_is_not_there_is_an_error():
    with pytest.raises(DataError, match=r"--data gone\.csv: no such file or folder"):
        label_alignment.elsewhere(Data(source="imdb"), Path("gone.csv"), task="binary", labels=None)


def test_a_sheet_of_a_workbook_is_a_file_to_score(tmp_path):
    (tmp_path / "book.xlsx").touch()
    section = Data(source="files", path="train.csv", task="binary")
    found = label_alignment.elsewhere(section, tmp_path / "book.xlsx#More", task="binary", labels=("a", "b"))
    assert found.path.test == str(tmp_path / "book.xlsx#More")
    with pytest.raises(DataError, match="no such file or folder"):
        label_alignment.elsewhere(section, tmp_path / "other.xlsx#More", task="binary", labels=("a", "b"))

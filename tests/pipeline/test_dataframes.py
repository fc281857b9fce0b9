"""What people hand over from Python: columns of any kind, tables with odd headers, texts of other libraries."""

import datetime

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ftcls
from ftcls.data.tables import frames
from ftcls.data.tables.read import read_table
from ftcls.data.texts import TextColumns
from ftcls.errors import DataError
from ftcls.inference.classifier import Classifier
from ftcls.model import loading, settings
from ftcls.model.settings import Settings

DAYS = pd.to_datetime(["2020-01-31", "2021-02-01"])
TEXTS = ["red one", "blue two"]


def cells(frame, folder, name="x"):
    """The cells of a column, as training reads them and as predictions do, which must agree."""
    stored = read_table(frames.store(frame, [name], folder, "stored"), [name]).column(name)
    assert frames.joined_texts(frame, TextColumns((name,))) == stored
    return stored


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.Series([1.0, 2.5]), ["1", "2.5"]),
        (pd.Series([1.0, None, 2], dtype=object), ["1", None, "2"]),
        (pd.Series([np.float64(3), np.nan], dtype=object), ["3", None]),
        (pd.Series([1, None], dtype="Int64"), ["1", None]),
        (pd.Series([True, False], dtype="category"), ["true", "false"]),
        (pd.Series(DAYS), ["2020-01-31", "2021-02-01"]),
        (pd.Series(DAYS + pd.Timedelta("90min")), ["2020-01-31 01:30:00", "2021-02-01 01:30:00"]),
        (pd.Series(DAYS.to_period("M")), ["2020-01", "2021-02"]),
        (pd.cut(pd.Series([1, 5, None]), [0, 3, 6]), ["(0.0, 3.0]", "(3.0, 6.0]", None]),
        (pd.Series(pd.to_timedelta([1], unit="D")), ["1 days 00:00:00"]),
        (pd.Series(pd.arrays.SparseArray([0, 1])), ["0", "1"]),
        (pd.Series([datetime.date(2020, 1, 2)]), ["2020-01-02"]),
    ],
)
def test_cells_are_what_people_see(column, expected, tmp_path):
    assert cells(pd.DataFrame({"x": column}), tmp_path) == expected


def test_lists_of_numbers_are_the_numbers_that_stand_alone(tmp_path):
    frame = pd.DataFrame({"x": pd.Series([[1.0, 2.5], np.array([3.0]), [np.nan, None]], dtype=object)})
    found = read_table(frames.store(frame, ["x"], tmp_path, "stored"), ["x"]).column("x")
    assert found == [["1", "2.5"], ["3"], []]


def test_dates_of_a_parquet_file_are_those_of_a_dataframe(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": pa.array(DAYS.to_pydatetime(), pa.timestamp("ns"))}), path)
    assert read_table(path).column("x") == ["2020-01-31", "2021-02-01"]


def test_columns_are_found_by_what_they_show(tmp_path):
    assert cells(pd.DataFrame([["a", "b"]]), tmp_path, "1") == ["b"]
    levels = pd.MultiIndex.from_tuples([("x", ""), ("y", "z")])
    assert cells(pd.DataFrame([["a", "b"]], columns=levels), tmp_path) == ["a"]
    with pytest.raises(DataError, match="no column '2'; The columns are '0', '1'"):
        frames.joined_texts(pd.DataFrame([["a", "b"]]), TextColumns(("2",)))


def test_two_columns_of_one_name_are_an_error(tmp_path):
    frame = pd.DataFrame([["a", "b"]], columns=["x", "x"])
    for read in (
        lambda: frames.store(frame, ["x"], tmp_path, "stored"),
        lambda: frames.joined_texts(frame, TextColumns(("x",))),
    ):
        with pytest.raises(DataError, match="the DataFrame: 2 columns are called 'x'; rename or drop all but one"):
            read()


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A small untrained model."""
    home = tmp_path_factory.mktemp("model")
    tokenizer = loading.load_tokenizer("scratch:bert", train_texts=TEXTS)
    config = loading.load_config("scratch:bert", tokenizer, labels=("neg", "pos"), task="binary")
    loading.load_model("scratch:bert", config, attention=None, seed=0).model.save_pretrained(home)
    tokenizer.save_pretrained(home)
    settings.save(Settings("binary", clean=(), max_length=16, truncation="head", positive_label="pos"), home)
    return Classifier.from_pretrained(home, device="cpu")


def test_texts_of_any_kind_are_no_names_of_files(classifier):
    expected = ftcls.predict(classifier, TEXTS)
    assert expected["text"].tolist() == TEXTS
    table = datasets.Dataset.from_dict({"text": TEXTS})
    for given in (
        pd.Index(TEXTS),
        pd.Series(TEXTS).array,
        pd.Series(TEXTS, dtype="string").unique(),
        (text for text in TEXTS),
        dict(enumerate(TEXTS)).values(),
        pa.array(TEXTS),
        pa.table({"text": TEXTS}),
        table["text"],
        table,
    ):
        found = ftcls.predict(classifier, given)
        pd.testing.assert_frame_equal(found, expected, check_names=False, check_dtype=False)
    for given in (set(TEXTS), {"text": TEXTS}):
        with pytest.raises(DataError, match="give a list of texts, or a DataFrame"):
            ftcls.predict(classifier, given)

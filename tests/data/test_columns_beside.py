"""Columns beside the text: one template, the same in training, prediction, the server and the baseline."""

import numpy as np
import pandas as pd
import pytest

import ftcls
from ftcls.config.load import load
from ftcls.data.columns import text_of
from ftcls.data.read import read
from ftcls.data.texts import Pair, TextColumns
from ftcls.errors import ConfigError, DataError
from ftcls.pipeline.starter_config import Machine, from_file

COLUMNS = TextColumns(("text",), beside=("brand", "price"))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["good", "Acme", "12"], "brand: Acme | price: 12 | good"),
        (["good", None, "12"], "price: 12 | good"),
        (["good", " ", ""], "good"),
        (["good", ["Acme", "Bolt"], None], "brand: Acme, Bolt | good"),
        (["", "Acme", None], "brand: Acme | "),
        ([None, "Acme", "12"], None),
    ],
)
def test_the_template_leaves_out_what_is_missing(cells, expected):
    assert COLUMNS.of(cells) == expected


def test_columns_stand_before_the_first_text_of_a_pair():
    columns = TextColumns(("a",), ("b",), ("brand",))
    assert columns.names == ("a", "b", "brand")
    assert columns.of(["one", "two", "Acme"]) == Pair("brand: Acme | one", "two")


def rows(count, seed=0):
    """Rows whose label is the brand alone."""
    rng = np.random.default_rng(seed)
    brand = rng.integers(0, 2, count)
    return pd.DataFrame(
        {
            "text": [f"words {n % 50} of a review" for n in range(count)],
            "brand": np.array(["Acme", "Bolt"])[brand],
            "price": rng.integers(1, 9, count),
            "label": np.array(["good", "bad"])[brand],
        }
    )


CONFIG = {
    "name": "beside",
    "data": {"source": "files", "path": "rows.csv", "columns": ["brand", "price"], "task": "binary"},
    "model": {"checkpoint": "scratch:bert", "max_length": 32},
    "training": {"max_steps": 60, "batch_size": 16, "learning_rate": 1e-3, "device": "cpu", "precision": "fp32"},
    "report": {"ladder": []},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return ftcls.train(CONFIG, data=rows(200), output=tmp_path_factory.mktemp("beside") / "run")


def test_a_model_learns_what_stands_in_a_column_and_says_so_from_a_file(run, tmp_path):
    assert run.metrics["test"]["accuracy"] > 0.9
    assert run.report.data.text == COLUMNS
    assert run.predictions()["text"].str.match(r"brand: (Acme|Bolt) \| price: \d \| words").all()
    unseen = rows(20, seed=1)
    unseen.to_csv(tmp_path / "more.csv", index=False)
    found = ftcls.predict(run, tmp_path / "more.csv", prefix="predicted_", precision="fp32")
    assert (found["predicted_label"] == unseen["label"]).all()
    classifier = run.classifier(device="cpu")
    np.testing.assert_array_equal(classifier.predict(unseen), found["predicted_label"])
    read_as = unseen[["text", "brand", "price"]].astype(str).itertuples(index=False)
    written = [COLUMNS.of(list(row)) for row in read_as]
    np.testing.assert_array_equal(classifier.predict_proba(written), classifier.predict_proba(unseen))
    assert ftcls.evaluate(run.path, data=tmp_path / "more.csv").metrics["accuracy"] == 1


def test_a_file_without_the_column_is_refused_and_a_row_without_it_is_not(run, tmp_path):
    with pytest.raises(DataError, match="no column 'brand'"):
        ftcls.predict(run, pd.DataFrame({"text": ["good"], "brnd": ["Acme"], "price": [1]}))
    (tmp_path / "rows.jsonl").write_text('{"text": "words 1 of a review", "brand": "Bolt"}\n{"text": "words 2"}\n')
    found = ftcls.predict(run, tmp_path / "rows.jsonl", precision="fp32")
    assert found["label"][0] == "bad"
    assert found["label"].notna().all()


def test_the_server_takes_the_columns_of_a_text_or_a_text_alone(run):
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from starlette.testclient import TestClient

    from ftcls.serving import app, guard, server

    limits = guard.Limits(
        characters=99, texts=9, rows=9, body_bytes=9_999, waiting=99, together=9, delay=0.001, timeout=60.0
    )
    classifier = run.classifier(device="cpu")
    about = server.describe(classifier, "nowhere", limits, COLUMNS)
    with TestClient(app.create(app.Service(classifier, limits, about, COLUMNS))) as client:
        given = [{"text": "words 3 of a review", "brand": brand, "price": 3} for brand in ("Acme", "Bolt")]
        said = client.post("/predict", json={"texts": [*given, "words 3 of a review"]}).json()["predictions"]
        assert [each["labels"] for each in said[:2]] == [["good"], ["bad"]]
        words = client.post("/words", json={"text": given[1]}).json()
        assert words["texts"] == ["brand: Bolt | price: 3 | words 3 of a review"]
        most = max(words["words"], key=lambda word: word["weight"])
        assert words["texts"][0][most["start"] : most["end"]] == "Bolt"
        assert client.get("/model").json()["text_columns"]["beside"] == ["brand", "price"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"columns": ["label"]}, r"data.columns\[0\]: 'label' is the label, and would tell the model"),
        ({"columns": ["brand", "brand"]}, r"data.columns\[1\]: 'brand' is listed twice"),
        ({"columns": ["a"], "text": {"first": "a", "second": "b"}}, r"data.columns\[0\]: 'a' is the text already"),
        ({"source": "imdb", "path": None, "task": None, "columns": ["a"]}, "data.columns: has no effect on imdb"),
        ({"text": ["title", "label"]}, "data.text: 'label' is the label, and would tell the model"),
        ({"text": {"first": "a", "second": "tags"}, "label": {"column": "tags"}}, "data.text: 'tags' is the label"),
        ({"split": {"column": "label"}}, "data.split.column: 'label' is the label; name the column that says"),
        ({"split": {"column": "text"}}, "data.split.column: 'text' is the text"),
    ],
)
def test_columns_that_are_two_things_at_once_are_refused(keys, message):
    with pytest.raises(ConfigError, match=message):
        load({**CONFIG, "data": {**CONFIG["data"], **keys}})


def test_init_names_columns_that_may_help(tmp_path):
    frame = rows(60)
    frame["id"] = [f"number-{n}" for n in range(60)]
    frame.to_csv(tmp_path / "rows.csv", index=False)
    made = from_file(tmp_path / "rows.csv", label=["label"], text=None, machine=Machine("cpu", "a CPU"))
    assert "before the text with their names, if they help: columns: [brand, price]" in made.text
    (tmp_path / "rows.yaml").write_text(made.text)
    assert load(tmp_path / "rows.yaml").data.columns == ()


def test_they_can_be_given_as_an_override(tmp_path):
    rows(60).to_csv(tmp_path / "rows.csv", index=False)
    config = tmp_path / "rows.yaml"
    config.write_text("name: r\ndata: {source: files, path: rows.csv, task: binary}\nmodel: {checkpoint: c}\n")
    experiment = load(config, ["data.columns=[brand]"])
    assert text_of(experiment.data) == TextColumns(("text",), beside=("brand",))
    assert all(text.startswith("brand: ") for text in read(experiment.data, seed=1).splits["train"].texts)

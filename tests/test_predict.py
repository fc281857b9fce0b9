import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ftcls import predict
from ftcls.errors import ConfigError, DataError
from ftcls.predict import predict_file, predict_texts


@dataclass(frozen=True)
class Prediction:
    labels: tuple[str, ...]
    probabilities: dict[str, float]


@dataclass
class Lengths:
    """Says "long" of texts with more than five characters; multilabel: of each word."""

    labels: tuple[str, ...] = ("short", "long")
    task: str = "binary"
    seen: int = 0
    largest: int = 0

    def __call__(self, texts):
        self.seen += len(texts)
        self.largest = max(self.largest, len(texts))
        return [self.one(text) for text in texts]

    def one(self, text):
        share = min(len(text) / 10, 1.0)
        names = self.labels[int(len(text) > 5) :][:1]
        if self.task == "multilabel":
            names = tuple(label for label in self.labels if label in text)
        return Prediction(names, dict(zip(self.labels, (1 - share, share), strict=True)))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(path, delimiter=","):
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def objects(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_texts_keep_their_order():
    assert [p.labels for p in predict_texts(Lengths(), ["hello", "", "a long one"])] == [
        ("short",),
        ("short",),
        ("long",),
    ]


def test_a_csv_keeps_its_columns_and_order(here):
    Path("in.csv").write_text('id,text\n7,"hi, ""you"""\n3,"a longer\ntext 😀"\n5,\n', encoding="utf-8")
    summary = predict_file(Lengths(), Path("in.csv"), Path("out.csv"))
    found = rows("out.csv")
    assert list(found[0]) == ["id", "text", "label", "probability_short", "probability_long"]
    assert [row["id"] for row in found] == ["7", "3", "5"]
    assert [row["label"] for row in found] == ["long", "long", "short"]
    assert found[1]["text"] == "a longer\ntext 😀"
    assert float(found[2]["probability_short"]) == 1.0
    assert (summary.rows, summary.label_counts) == (3, {"short": 1, "long": 2})


def test_a_csv_of_excel_keeps_its_semicolons(here):
    Path("in.csv").write_bytes("id;text\n1;\u201eTür\u201c\n".encode("cp1252"))
    predict_file(Lengths(), Path("in.csv"), Path("out.csv"))
    assert rows("out.csv", ";") == [
        {"id": "1", "text": "„Tür“", "label": "short", "probability_short": "0.5", "probability_long": "0.5"}
    ]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_kind_of_table_gives_the_same_labels(here, suffix):
    texts = ["one", "a long text", "", "tab\there", "NA"]
    source = Path(f"in.{suffix}")
    if suffix == "parquet":
        pq.write_table(pa.table({"n": pa.array(range(5), pa.int16()), "text": texts}), source)
    elif suffix == "jsonl":
        source.write_text("".join(json.dumps({"n": n, "text": text}) + "\n" for n, text in enumerate(texts)))
    else:
        with source.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter="\t" if suffix == "tsv" else ",")
            writer.writerows([["n", "text"], *enumerate(texts)])
    output = Path(f"out.{suffix}")
    predict_file(Lengths(), source, output)
    if suffix == "parquet":
        table = pq.read_table(output)
        assert table.schema.field("n").type == pa.int16()
        found = table.to_pylist()
    elif suffix == "jsonl":
        found = objects(output)
    else:
        found = rows(output, "\t" if suffix == "tsv" else ",")
    assert [row["text"] for row in found] == texts
    assert [row["label"] for row in found] == ["short", "long", "short", "long", "short"]
    assert [str(row["n"]) for row in found] == list("01234")


def test_lines_of_text_become_a_table_or_labels(here):
    Path("in.txt").write_text("hello\n\nsomething long\n")
    predict_file(Lengths(), Path("in.txt"), Path("out.csv"))
    assert [row["label"] for row in rows("out.csv")] == ["short", "short", "long"]
    predict_file(Lengths(), Path("in.txt"), Path("out.txt"))
    assert Path("out.txt").read_text() == "short\nshort\nlong\n"
    predict_file(Lengths(), Path("in.txt"), Path("out.parquet"))
    assert pq.read_table("out.parquet").column_names == ["text", "label", "probability_short", "probability_long"]


def test_a_stream_is_read_by_line_and_written_as_a_table():
    output = io.StringIO()
    summary = predict_file(Lengths(), io.StringIO("hello\nlonger text\n"), output)
    assert output.getvalue().splitlines()[0] == "text,label,probability_short,probability_long"
    assert output.getvalue().splitlines()[2].startswith("longer text,long,")
    assert summary.output is None


def test_json_is_one_document():
    for text, count in (("hello\nlonger text\n", 2), ("", 0)):
        output = io.StringIO()
        predict_file(Lengths(), io.StringIO(text), output, kind="json")
        assert len(json.loads(output.getvalue())["predictions"]) == count


def test_multilabel_is_joined_in_a_table_and_a_list_where_there_are_lists(here):
    classifier = Lengths(labels=("toxic", "a, b"), task="multilabel")
    Path("in.txt").write_text("toxic and a, b\nnothing\n")
    predict_file(classifier, Path("in.txt"), Path("out.csv"))
    assert [row["labels"] for row in rows("out.csv")] == ["toxic|a, b", ""]
    predict_file(classifier, Path("in.txt"), Path("out.jsonl"))
    assert [row["labels"] for row in objects("out.jsonl")] == [["toxic", "a, b"], []]
    predict_file(classifier, Path("in.txt"), Path("out.parquet"))
    assert pq.read_table("out.parquet").column("labels").to_pylist() == [["toxic", "a, b"], []]


def test_a_label_with_the_separator_in_it_is_not_torn(here):
    classifier = Lengths(labels=("a|b", "c"), task="multilabel")
    Path("in.txt").write_text("a|b c\n")
    predict_file(classifier, Path("in.txt"), Path("out.csv"))
    assert json.loads(rows("out.csv")[0]["labels"]) == ["a|b", "c"]


def test_several_text_columns_are_joined_by_a_space(here):
    Path("in.csv").write_text("title,body\nab,cd\nab,cde\n")
    predict_file(Lengths(), Path("in.csv"), Path("out.csv"), text_columns=("title", "body"))
    assert [row["label"] for row in rows("out.csv")] == ["short", "long"]


def test_a_file_is_labelled_in_chunks(here, monkeypatch):
    monkeypatch.setattr(predict, "CHUNK", 10)
    Path("in.csv").write_text("text\n" + "".join(f"row {n}\n" for n in range(25)))
    classifier = Lengths()
    predict_file(classifier, Path("in.csv"), Path("out.csv"))
    assert (classifier.seen, classifier.largest) == (25, 10)
    assert [row["text"] for row in rows("out.csv")] == [f"row {n}" for n in range(25)]


def test_a_file_without_rows_gives_a_file_without_rows(here):
    Path("in.csv").write_text("id,text\n")
    assert predict_file(Lengths(), Path("in.csv"), Path("out.csv")).rows == 0
    assert Path("out.csv").read_text() == "id,text,label,probability_short,probability_long\n"
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), "in.parquet")
    predict_file(Lengths(), Path("in.parquet"), Path("out.parquet"))
    assert pq.read_table("out.parquet").num_rows == 0


def test_nulls_count_as_empty_texts_and_are_said(here, caplog):
    Path("in.jsonl").write_text('{"text": null}\n{"text": 12345678}\n')
    predict_file(Lengths(), Path("in.jsonl"), Path("out.jsonl"))
    assert [row["label"] for row in objects("out.jsonl")] == ["short", "long"]
    assert "1 of 2 texts are empty" in caplog.text


def test_json_lines_with_different_keys_keep_them(here):
    Path("in.jsonl").write_text('{"text": "a", "x": 1}\n{"y": {"z": [1]}, "text": "b"}\n')
    predict_file(Lengths(), Path("in.jsonl"), Path("out.jsonl"))
    found = objects("out.jsonl")
    assert (found[0]["x"], found[1]["y"]) == (1, {"z": [1]})
    with pytest.raises(DataError, match=r"in\.jsonl: rows have different keys"):
        predict_file(Lengths(), Path("in.jsonl"), Path("out.csv"))
    assert not Path("out.csv").exists()


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("in.csv", "id,body\n1,x\n", DataError, r"in\.csv: no column 'text'.*--text-column"),
        ("in.csv", "text,label\nx,y\n", ConfigError, r"has a column 'label' already.*--prefix predicted_"),
        ("in.csv", "text,text\nx,y\n", DataError, r"two columns are called 'text'"),
        ("in.csv", "text,id\nx,1\nbroken\n", DataError, r"in\.csv:3: 1 fields, the header has 2"),
        ("in.csv", "", DataError, r"in\.csv: is empty"),
        ("in.jsonl", '{"text": "a"}\n{"text": \n', DataError, r"in\.jsonl:2: not JSON"),
        ("in.jsonl", '{"text": "a"}\n[1]\n', DataError, r"in\.jsonl:2: expected an object"),
        ("in.jsonl", '{"body": "a"}\n', DataError, r"in\.jsonl, row 1: no key 'text'; name the text column"),
        ("in.jsonl", '{"text": ["a"]}\n', DataError, r"in\.jsonl, row 1: 'text' is no text but a list"),
        ("in.jsonl", '{"text": "a", "label": 1}\n', ConfigError, r"has a column 'label' already"),
        ("in.parquet", "no parquet", DataError, r"in\.parquet: not a Parquet file"),
        ("in.xlsx", "x", ConfigError, r"in\.xlsx: not a kind of file that predict takes; use \.csv, \.tsv"),
        ("in", "x", ConfigError, r"in: not a kind of file"),
    ],
)
def test_a_bad_input_is_one_error_and_leaves_no_output(here, name, content, error, message):
    Path(name).write_text(content)
    with pytest.raises(error, match=message):
        predict_file(Lengths(), Path(name), Path("out.jsonl"))
    assert sorted(path.name for path in here.iterdir()) == [name]


def test_what_cannot_be_written_is_refused_before_anything_is_read(here):
    Path("in.csv").write_text("text\nx\n")
    with pytest.raises(ConfigError, match="Parquet cannot be printed"):
        predict_file(Lengths(), Path("in.csv"), io.StringIO(), kind="parquet")
    with pytest.raises(ConfigError, match=r"--output in\.csv: is the input"):
        predict_file(Lengths(), Path("in.csv"), Path("in.csv"))
    with pytest.raises(ConfigError, match=r"out\.xlsx: not a kind of file"):
        predict_file(Lengths(), Path("in.csv"), Path("out.xlsx"))
    with pytest.raises(DataError, match=r"gone\.csv: no such file"):
        predict_file(Lengths(), Path("gone.csv"), Path("out.csv"))


def test_a_prefix_renames_the_new_columns(here):
    Path("in.csv").write_text("text,label\nx,y\n")
    predict_file(Lengths(), Path("in.csv"), Path("out.csv"), prefix="predicted_")
    assert list(rows("out.csv")[0])[2:] == [
        "predicted_label",
        "predicted_probability_short",
        "predicted_probability_long",
    ]
    assert rows("out.csv")[0]["label"] == "y"


def test_an_existing_output_stays_as_it_was_when_the_input_is_bad(here):
    Path("in.csv").write_text("text,id\nx,1\nbroken\n")
    Path("out.csv").write_text("before")
    with pytest.raises(DataError, match="fields"):
        predict_file(Lengths(), Path("in.csv"), Path("out.csv"))
    assert Path("out.csv").read_text() == "before"

import csv
import gzip
import io
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import binomtest

from ftcls.data.texts import TextColumns
from ftcls.errors import ConfigError, DataError, Interrupted
from ftcls.prediction import chunks, group_shares
from ftcls.prediction.files import Step, Wanted, predict_files, predict_texts
from ftcls.prediction.stream import Live


@dataclass(frozen=True)
class Prediction:
    labels: tuple[str, ...]
    probabilities: dict[str, float]


def predict_file(classifier, source, output, *, kind=None, input_kind=None, resume=False, progress=None, **wanted):
    """One file or stream, its options as keywords."""
    given = [source] if isinstance(source, Path) else source
    more = {} if progress is None else {"progress": progress}
    return predict_files(
        classifier, given, output, Wanted(**wanted), kind=kind, input_kind=input_kind, resume=resume, **more
    )


@dataclass
class Lengths:
    """Says "long" of texts with more than five characters; multilabel: of each word."""

    labels: tuple[str, ...] = ("short", "long")
    task: str = "binary"
    seen: int = 0
    largest: int = 0

    def classify(self, texts):
        self.seen += len(texts)
        self.largest = max(self.largest, len(texts))
        return [self.one(text) for text in texts]

    def fingerprint(self):
        return f"{self.labels} {self.task}"

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
    predict_file(Lengths(), Path("in.csv"), Path("out.csv"), text_columns=TextColumns(("title", "body")))
    assert [row["label"] for row in rows("out.csv")] == ["short", "long"]


def test_a_file_is_labelled_in_chunks(here, monkeypatch):
    monkeypatch.setattr(chunks, "ROWS", 10)
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


def test_an_empty_text_is_one_and_a_null_is_none(here, caplog):
    Path("in.jsonl").write_text('{"text": null}\n{"text": ""}\n{"text": 12345678}\n')
    predict_file(Lengths(), Path("in.jsonl"), Path("out.jsonl"))
    assert [row["label"] for row in objects("out.jsonl")] == [None, "short", "long"]
    assert "1 of 3 texts are empty" in caplog.text
    assert "in.jsonl:1: no text in column text; the row stays without a label" in caplog.text


def test_json_in_a_cell_of_a_table_is_json(here):
    line = '{"text": "a", "n": 1.50, "yes": true, "tags": ["é", "it\'s"], "more": {"z": null}, "none": null}\n'
    Path("in.jsonl").write_text(line)
    predict_file(Lengths(), Path("in.jsonl"), Path("out.csv"))
    with Path("out.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    own = {key: row[key] for key in ("n", "yes", "tags", "more", "none")}
    assert own == {"n": "1.50", "yes": "true", "tags": '["é", "it\'s"]', "more": '{"z": null}', "none": ""}


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
        ("in.csv", "text,id\nbroken\n", DataError, r"in\.csv:2: 1 field, the header has 2.*none of the first 1 rows"),
        ("in.csv", 'text,id\n"open' + "x" * 17_000_000, DataError, r"in\.csv:2: .*never closed"),
        ("in.csv", "", DataError, r"in\.csv: is empty"),
        ("in.jsonl", '{"text": \n', DataError, r"in\.jsonl:1: not JSON"),
        ("in.jsonl", "[1]\n", DataError, r"in\.jsonl:1: expected an object"),
        ("in.jsonl", '{"body": "a"}\n', DataError, r"in\.jsonl:1: no key 'text'; name the text column"),
        ("in.jsonl", '{"text": {"a": 1}}\n', DataError, r"in\.jsonl:1: column 'text' holds an object"),
        ("in.jsonl", '{"text": "a", "label": 1}\n', ConfigError, r"has a column 'label' already"),
        ("in.parquet", "no parquet", DataError, r"in\.parquet: not a Parquet file"),
        ("in.doc", "x", ConfigError, r"in\.doc: not a kind of file that predict takes; use \.csv, \.tsv"),
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


BAD = {
    "csv": ("text,id\nx,1\nbroken\nlong text, with a comma,3\n\nlong enough,4\n", [1, 2]),
    "jsonl": (
        '{"text": "x"}\n{"text": \n[1]\n{"body": 1}\n{"text": {"a": 1}}\n{"text": "long enough"}\n',
        [1, 2, 3, 4],
    ),
}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_row_stays_in_its_place_without_a_label(here, caplog, kind, suffix):
    content, bad = BAD[kind]
    Path(f"in.{kind}").write_text(content)
    summary = predict_file(Lengths(), Path(f"in.{kind}"), Path(f"out.{suffix}"))
    found = {"csv": rows, "jsonl": objects, "parquet": lambda path: pq.read_table(path).to_pylist()}[suffix](
        f"out.{suffix}"
    )
    assert len(found) == summary.rows == len(bad) + 2
    assert [i for i, row in enumerate(found) if row["label"] in (None, "")] == bad
    assert [i for i, row in enumerate(found) if row["probability_long"] in (None, "")] == bad
    assert (found[0]["label"], found[-1]["label"]) == ("short", "long")
    assert (summary.bad_rows, summary.label_counts) == (len(bad), {"short": 1, "long": 1})
    assert len(summary.problems) == len(bad)
    assert f"in.{kind}:3: " in caplog.text
    if suffix == "jsonl":
        assert ["error" in row for row in found] == [i in bad for i in range(len(found))]


def test_what_a_bad_row_says_is_kept(here):
    Path("in.csv").write_text("id,text\n1,ok\n2\n3,a, b, c\n")
    predict_file(Lengths(), Path("in.csv"), Path("out.csv"))
    assert [(row["id"], row["text"]) for row in rows("out.csv")] == [("1", "ok"), ("2", ""), ("3", "a, b, c")]
    Path("in.jsonl").write_text('{"text": "ok"}\n{"text": tru\n')
    predict_file(Lengths(), Path("in.jsonl"), Path("out.jsonl"))
    assert objects("out.jsonl")[1] == {
        "text": '{"text": tru',
        "label": None,
        "probability_short": None,
        "probability_long": None,
        "error": "not JSON: Expecting value (column 10)",
    }


def test_a_header_that_comes_again_is_no_text(here):
    Path("in.csv").write_text("text,id\na,1\n\ufefftext , id\nlonger text,2\n", encoding="utf-8-sig")
    summary = predict_file(Lengths(), Path("in.csv"), Path("out.csv"))
    assert (summary.rows, summary.bad_rows, summary.label_counts) == (3, 1, {"short": 1, "long": 1})


def test_a_bad_row_can_be_an_error(here):
    Path("in.csv").write_text("text,id\nx,1\nbroken\n")
    Path("out.csv").write_text("before")
    with pytest.raises(DataError, match=r"in\.csv:3: 1 field, the header has 2.*--on-bad-row keep"):
        predict_file(Lengths(), Path("in.csv"), Path("out.csv"), on_bad_row="error")
    assert Path("out.csv").read_text() == "before"
    assert sorted(path.name for path in here.iterdir()) == ["in.csv", "out.csv"]


def test_a_json_row_nested_beyond_reading_is_a_bad_row(here):
    Path("in.jsonl").write_text('{"text": "a"}\n' + "[" * 200_000 + "\n")
    assert predict_file(Lengths(), Path("in.jsonl"), Path("out.jsonl")).bad_rows == 1


def test_several_files_become_one_in_the_order_given(here):
    for name, text in (("b.csv", "second"), ("a.csv", "one"), ("c.csv", "third one")):
        Path(name).write_text(f"text\n{text}\n")
    predict_files(Lengths(), [Path("b.csv"), Path("a.csv")], Path("out.csv"), Wanted())
    assert [row["text"] for row in rows("out.csv")] == ["second", "one"]
    predict_files(Lengths(), [Path("[abc].csv")], Path("out.jsonl"), Wanted())
    assert [row["text"] for row in objects("out.jsonl")] == ["one", "second", "third one"]
    predict_files(Lengths(), [here / "[bc].csv"], Path("out.jsonl"), Wanted())
    assert [row["text"] for row in objects("out.jsonl")] == ["second", "third one"]


def test_several_parquet_files_become_one(here):
    for n in range(2):
        pq.write_table(pa.table({"n": pa.array([n], pa.int16()), "text": ["x"]}), f"in-{n}.parquet")
    predict_files(Lengths(), [Path("in-*.parquet")], Path("out.parquet"), Wanted())
    assert pq.read_table("out.parquet").column("n").to_pylist() == [0, 1]


def test_files_that_do_not_belong_together_are_refused(here):
    Path("a.csv").write_text("text\nx\n")
    Path("b.csv").write_text("text,id\nx,1\n")
    Path("c.jsonl").write_text('{"text": "x"}\n')
    with pytest.raises(DataError, match=r"b\.csv: other columns than a\.csv: 'text', 'id' instead of 'text'"):
        predict_files(Lengths(), [Path("a.csv"), Path("b.csv")], Path("out.csv"), Wanted())
    with pytest.raises(ConfigError, match=r"c\.jsonl: another kind of file than a\.csv"):
        predict_files(Lengths(), [Path("a.csv"), Path("c.jsonl")], Path("out.csv"), Wanted())
    with pytest.raises(DataError, match=r"x\*\.csv: matches no file"):
        predict_files(Lengths(), [Path("x*.csv")], Path("out.csv"), Wanted())
    assert not Path("out.csv").exists()


@pytest.mark.parametrize(
    ("kind", "text"),
    [("csv", "id,text\n1,hello\n"), ("jsonl", '{"id": 1, "text": "hello"}\n'), ("tsv", "id\ttext\n1\thello\n")],
)
def test_a_stream_can_hold_a_table(kind, text):
    output = io.StringIO()
    predict_file(Lengths(), io.StringIO(text), output, input_kind=kind)
    assert "hello" in output.getvalue()
    assert "short" in output.getvalue()
    with pytest.raises(ConfigError, match="Parquet cannot be read from a stream"):
        predict_file(Lengths(), io.StringIO(text), output, input_kind="parquet")


@pytest.fixture
def pipe():
    read, write = os.pipe()
    with os.fdopen(write, "wb", buffering=0) as end:
        yield Live(read), end
    os.close(read)


def test_a_stream_is_read_by_lines_whatever_its_blocks_are(pipe):
    live, end = pipe
    text = "\ufeffone\r\ntwo é\u2028still\n\nlast"
    for byte in text.encode():
        end.write(bytes([byte]))
    end.write(b" \xff")
    end.close()
    assert list(live) == ["one\r\n", "two é\u2028still\n", "\n", "last \ufffd"]
    assert (live.readline(), live.pauses(10)) == ("", False)


def test_what_is_there_is_labelled_while_more_is_awaited(pipe):
    live, end = pipe
    output = io.StringIO()
    with ThreadPoolExecutor(1) as thread:
        work = thread.submit(predict_files, Lengths(), live, output, Wanted(), input_kind="jsonl")
        end.write(b'{"text": \n{"text": "a"}\n{"te')  # the first can be read only with a row beside it that can
        while output.getvalue().count("\n") < 2:
            time.sleep(0.01)
        assert not work.done()
        end.write(b'xt": "bcdefg"}\n')
        end.close()
        assert work.result().rows == 3
    found = [json.loads(line)["label"] for line in output.getvalue().splitlines()]
    assert found == [None, "short", "long"]


def test_a_stream_that_goes_to_a_file_is_cut_as_always(pipe, here, monkeypatch):
    monkeypatch.setattr(chunks, "PAUSE", 0.0)
    live, end = pipe
    steps = []
    end.write(b"a\nb\n")
    end.close()
    predict_files(Lengths(), live, Path("out.csv"), Wanted(), progress=steps.append)
    assert steps == [Step(2, None)]


def test_a_packed_file_is_read(here):
    with gzip.open("in.csv.gz", "wt") as file:
        file.write("text\nhello\n")
    steps = []
    predict_file(Lengths(), Path("in.csv.gz"), Path("out.csv"), progress=steps.append)
    assert [row["label"] for row in rows("out.csv")] == ["short"]
    assert steps == [Step(1, 1.0)]


def test_only_the_most_probable_labels_are_written_when_asked(here):
    Path("in.txt").write_text("abc\n12345678\n")
    predict_file(Lengths(), Path("in.txt"), Path("out.csv"), top=1, prefix="p_")
    assert rows("out.csv")[1] == {"text": "12345678", "p_label": "long", "p_label_1": "long", "p_probability_1": "0.8"}
    predict_file(Lengths(), Path("in.txt"), Path("out.parquet"), top=2)
    assert pq.read_table("out.parquet").column_names[2:] == [
        "label_1", "probability_1", "label_2", "probability_2",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="--top 3: the model has 2 labels"):
        predict_file(Lengths(), Path("in.txt"), Path("out.csv"), top=3)


def test_an_unsure_label_is_not_given_when_asked(here):
    Path("in.txt").write_text("x\n1234567\n")
    summary = predict_file(Lengths(), Path("in.txt"), Path("out.jsonl"), abstain=0.8)
    assert [row["label"] for row in objects("out.jsonl")] == ["short", None]
    assert objects("out.jsonl")[1]["probability_long"] == 0.7
    assert (summary.without_label, summary.label_counts) == (1, {"short": 1, "long": 0})
    with pytest.raises(ConfigError, match="--abstain 2: must be a probability"):
        predict_file(Lengths(), Path("in.txt"), Path("out.csv"), abstain=2)
    with pytest.raises(ConfigError, match=r"--abstain 0\.5: a model of several labels gives none below --threshold"):
        predict_file(Lengths(task="multilabel"), Path("in.txt"), Path("out.csv"), abstain=0.5)


def test_progress_says_rows_and_the_share_of_the_input(here, monkeypatch):
    monkeypatch.setattr(chunks, "ROWS", 10)
    Path("in.txt").write_text("text\n" * 25)
    steps = []
    predict_file(Lengths(), Path("in.txt"), Path("out.csv"), progress=steps.append)
    assert [step.rows for step in steps] == [10, 20, 25]
    assert steps[-1].fraction == 1.0
    predict_file(Lengths(), io.StringIO("text\n"), Path("out.csv"), progress=steps.append)
    assert steps[-1] == Step(1, None)


# --- interrupted and continued


@dataclass
class Interrupting(Lengths):
    """Is killed while it labels the third chunk."""

    error: type[BaseException] = KeyboardInterrupt

    def classify(self, texts):
        if self.seen >= 15:
            raise self.error
        return super().classify(texts)


@pytest.fixture
def long_input(here, monkeypatch):
    monkeypatch.setattr(chunks, "ROWS", 10)
    for name, numbers in (("a.csv", range(15)), ("b.csv", range(15, 35))):
        lines = [f"row {n},{n % 3}" if n % 7 else f"row {n}" for n in numbers]
        Path(name).write_text("\n".join(["text,group", *lines]) + "\n")
    return [Path("a.csv"), Path("b.csv")]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet", "txt"])
def test_a_continued_output_has_the_bytes_of_an_uninterrupted_one(long_input, suffix):
    output, whole = Path(f"out.{suffix}"), Path(f"whole.{suffix}")
    wanted = Wanted(by=("group",))
    expected = predict_files(Lengths(), long_input, whole, wanted)
    with pytest.raises(Interrupted, match=r"out\.\w+\.partial: half done.*--resume"):
        predict_files(Interrupting(), long_input, output, wanted)
    assert not output.exists()
    with Path(f"out.{suffix}.partial").open("ab") as file:
        file.write(b"half a row that was never committed")

    classifier = Lengths()
    found = predict_files(classifier, long_input, output, wanted, resume=True)
    assert classifier.seen == 35 - 20 - 2  # two of the rest are bad rows
    assert output.read_bytes() == whole.read_bytes()
    assert Path("out-by-group.csv").read_bytes() == Path("whole-by-group.csv").read_bytes()
    assert (found.label_counts, found.bad_rows) == (expected.label_counts, expected.bad_rows)
    assert found.problems == expected.problems
    assert not list(Path().glob("*partial*"))
    assert not list(Path().glob(".*lock"))


def test_a_crash_leaves_what_can_be_continued_too(long_input):
    with pytest.raises(MemoryError):
        predict_files(Interrupting(error=MemoryError), long_input, Path("out.csv"), Wanted())
    predict_files(Lengths(), long_input, Path("out.csv"), Wanted(), resume=True)
    assert [row["text"] for row in rows("out.csv")] == [f"row {n}" for n in range(35)]


def test_a_stream_can_be_continued_by_giving_it_again(here, monkeypatch):
    monkeypatch.setattr(chunks, "ROWS", 10)
    text = "".join(f"row {n}\n" for n in range(25))
    with pytest.raises(Interrupted, match="half done"):
        predict_file(Interrupting(), io.StringIO(text), Path("out.csv"))
    predict_file(Lengths(), io.StringIO(text), Path("out.csv"), resume=True)
    assert [row["text"] for row in rows("out.csv")] == text.splitlines()


def test_a_half_done_output_is_neither_lost_nor_continued_with_something_else(long_input):
    output = Path("out.csv")
    with pytest.raises(Interrupted, match="half done"):
        predict_files(Interrupting(), long_input, output, Wanted())
    before = Path("out.csv.partial").read_bytes()
    with pytest.raises(ConfigError, match=r"out\.csv\.partial: is half done; add --resume"):
        predict_files(Lengths(), long_input, output, Wanted())
    with pytest.raises(ConfigError, match="made with another prefix, top"):
        predict_files(Lengths(), long_input, output, Wanted(prefix="p_", top=1), resume=True)
    with pytest.raises(ConfigError, match="made with another model"):
        predict_files(Lengths(labels=("a", "b")), long_input, output, Wanted(), resume=True)
    changed = long_input[0].read_text().replace("row 3", "another row")
    long_input[0].write_text(changed)
    with pytest.raises(DataError, match="first 20 rows are not those that the partial file was made from"):
        predict_files(Lengths(), long_input, output, Wanted(), resume=True)
    with pytest.raises(DataError, match="first 20 rows are not those"):
        predict_files(Lengths(), long_input[:1], output, Wanted(), resume=True)
    assert Path("out.csv.partial").read_bytes() == before


def test_a_damaged_partial_file_is_one_error(long_input):
    with pytest.raises(Interrupted, match="half done"):
        predict_files(Interrupting(), long_input, Path("out.csv"), Wanted())
    note = Path("out.csv.partial.json")
    kept = note.read_text()
    note.write_text(kept[:50])
    with pytest.raises(DataError, match=r"out\.csv\.partial\.json: cannot be read"):
        predict_files(Lengths(), long_input, Path("out.csv"), Wanted(), resume=True)
    note.write_text(kept)
    Path("out.csv.partial").write_text("short")
    with pytest.raises(DataError, match="is shorter than"):
        predict_files(Lengths(), long_input, Path("out.csv"), Wanted(), resume=True)


def test_resume_without_anything_to_resume_starts(here):
    Path("in.txt").write_text("x\n")
    Path("out.csv.partial").write_text("begun, never committed")
    Path("out.csv.partial.json").unlink(missing_ok=True)
    predict_file(Lengths(), Path("in.txt"), Path("out.csv"), resume=True)
    assert len(rows("out.csv")) == 1


def test_two_processes_do_not_write_one_output(here):
    Path("in.txt").write_text("x\n")

    @dataclass
    class Nested(Lengths):
        def classify(self, texts):
            with pytest.raises(ConfigError, match=r"--output out\.csv: another process is writing it"):
                predict_file(Lengths(), Path("in.txt"), Path("out.csv"))
            return super().classify(texts)

    predict_file(Nested(), Path("in.txt"), Path("out.csv"))
    assert len(rows("out.csv")) == 1


# --- shares by group


def test_shares_by_group_stand_beside_the_output(here):
    lines = ["text,show"] + ["good one,b"] * 3 + ["x,b"] + ["x,a"] * 4 + ["x,"]
    Path("in.csv").write_text("\n".join(lines) + "\n")
    summary = predict_file(Lengths(), Path("in.csv"), Path("out.csv"), by=("show",), abstain=0.85)
    found = rows("out-by-show.csv")
    assert [(row["group"], row["label"], row["count"], row["rows"]) for row in found] == [
        ("", "short", "1", "1"), ("", "long", "0", "1"), ("", "", "0", "1"),
        ("a", "short", "4", "4"), ("a", "long", "0", "4"), ("a", "", "0", "4"),
        ("b", "short", "1", "4"), ("b", "long", "0", "4"), ("b", "", "3", "4"),
    ]  # fmt: skip
    low, high = binomtest(3, 4).proportion_ci(method="wilson")
    assert (float(found[-1]["low"]), float(found[-1]["high"])) == pytest.approx((low, high), abs=1e-6)
    assert [path.name for path in summary.written] == ["out-by-show.csv", "out-by-show.png", "out-by-show.svg"]
    assert all(path.is_file() for path in summary.written)


def test_groups_need_a_column_that_is_there_and_a_file_to_stand_beside(here):
    Path("in.csv").write_text("text,show\nx,a\n")
    with pytest.raises(DataError, match=r"no column 'shw', did you mean 'show'\?.*--by"):
        predict_file(Lengths(), Path("in.csv"), Path("out.csv"), by=("shw",))
    with pytest.raises(ConfigError, match="--by: writes its table and plot beside the output"):
        predict_file(Lengths(), Path("in.csv"), io.StringIO(), by=("show",))


def test_a_column_of_ids_is_no_group(here, monkeypatch):
    monkeypatch.setattr(group_shares, "MOST_GROUPS", 3)
    Path("in.csv").write_text("text,id\n" + "".join(f"x,{n}\n" for n in range(4)))
    with pytest.raises(DataError, match="--by id: more than 3 different values"):
        predict_file(Lengths(), Path("in.csv"), Path("out.csv"), by=("id",))
    assert not Path("out.csv").exists()


FORMULAS = ("=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "=", "-", "+-1", "-1 =2")
PLAIN = ("-1", "+2.5", "-.5e-3", "a=b", " =1", "'=1", "1-1", "", "\u2212 1")


def test_formulas_are_text_when_asked(here):
    with Path("in.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text", "=id"], *([each, each] for each in (*FORMULAS, *PLAIN))])
    classifier = Lengths(labels=("=short", "long"))
    predict_file(classifier, Path("in.csv"), Path("as-it-is.csv"))
    assert [row["text"] for row in rows("as-it-is.csv")] == [*FORMULAS, *PLAIN]
    predict_file(classifier, Path("in.csv"), Path("safe.csv"), safe_cells=True, by=("=id",))
    found = rows("safe.csv")
    assert [row["text"] for row in found] == [*(f"'{each}" for each in FORMULAS), *PLAIN]
    assert [row["'=id"] for row in found] == [row["text"] for row in found]
    assert {row["label"] for row in found} == {"'=short", "long"}
    shares = rows("safe-by-_id.csv")
    assert {row["column"] for row in shares} == {"'=id"}
    assert not any(value.startswith(("=", "@", "\t")) for row in shares for value in row.values())


def test_a_carriage_return_in_a_cell_makes_no_row(here):
    Path("in.csv").write_bytes(b'text,label_\r\n"a\rb",1\r\n"c\r\nd",2\r\ne,3\r\n')
    predict_file(Lengths(), Path("in.csv"), Path("out.csv"))
    assert [row["text"] for row in rows("out.csv")] == ["a\rb", "c\r\nd", "e"]
    assert not Path("out.csv").read_bytes().endswith(b"\r\n")


def test_a_plain_tsv_has_no_formulas_either_when_asked(here):
    Path("in.tsv").write_text("text\tid\n=1+1\t-5\n", encoding="utf-8")
    predict_file(Lengths(), Path("in.tsv"), Path("out.tsv"), safe_cells=True)
    assert Path("out.tsv").read_text(encoding="utf-8").splitlines()[1].startswith("'=1+1\t-5\t")


def test_safe_cells_are_for_what_a_spreadsheet_opens(here):
    Path("in.csv").write_text("text\na\n")
    for name in ("out.jsonl", "out.parquet", "out.txt"):
        with pytest.raises(ConfigError, match="--safe-cells: is for CSV and TSV"):
            predict_file(Lengths(), Path("in.csv"), Path(name), safe_cells=True)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_half_of_a_surrogate_pair_is_written_as_it_can_be(here, suffix):
    Path("in.jsonl").write_text('{"text": "a\\ud83d", "n": 1}\n', encoding="ascii")
    output = Path(f"out.{suffix}")
    predict_file(Lengths(), Path("in.jsonl"), output)
    if suffix == "jsonl":
        assert objects(output)[0]["text"] == "a\ud83d"
    elif suffix == "csv":
        assert rows(output)[0]["text"] == "a\\ud83d"
    else:
        assert pq.read_table(output)["text"].to_pylist() == ["a\ufffd"]

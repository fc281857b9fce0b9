import gzip
import json

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ftcls.data.readers import files
from ftcls.data.readers.label_columns import Indicators, Several
from ftcls.data.tables.read import read_table
from ftcls.data.texts import PLAIN, TextColumns
from ftcls.errors import DataError


@pytest.fixture
def put(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def read(path, *, text=PLAIN, label="label", task="multiclass"):
    return files.read(path, text=text, label=label, task=task)


def train(path, **keys):
    return read(path, **keys).splits["train"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("excel.csv", '\ufefftext;label\r\n"a\r\n;b";1\r\nNA;n/a\r\n;NULL\r\n'),
        ("comma.csv", 'text,label\n"a\r\n;b",1\nNA,n/a\n"",NULL\n'),
        ("tab.csv", 'text\tlabel\n"a\r\n;b"\t1\nNA\tn/a\n""\tNULL\n'),
        ("tab.tsv", 'text\tlabel\n"a\r\n;b"\t1\n\nNA\tn/a\n""\tNULL\n'),
        ("wide.csv", 'text,label\r\n"a\r\n;b",1\r\nNA,n/a\r\n,NULL\r\n'.encode("utf-16")),
        ("zipped.csv.gz", gzip.compress(b'text,label\n"a\r\n;b",1\nNA,n/a\n"",NULL\n', mtime=0)),
        (
            "lines.jsonl",
            '{"text": "a\\r\\n;b", "label": 1}\n{"label": "n/a", "text": "NA"}\n{"text": "", "label": "NULL"}\n',
        ),
        (
            "list.json",
            '[{"text": "a\\r\\n;b", "label": 1}, {"label": "n/a", "text": "NA"}, {"text": "", "label": "NULL"}]',
        ),
    ],
)
def test_every_kind_of_file_gives_the_same_rows(put, name, content):
    table = read_table(put(name, content))
    assert table.columns == ("text", "label")
    assert table.rows == 3
    assert table.column("text") == ["a\r\n;b", "NA", ""]
    assert table.column("label") == ["1", "n/a", "NULL"]
    assert table.bad.count == 0


def test_parquet_numbers_are_written_as_people_write_them(tmp_path):
    columns = {"text": ["a", None], "n": [1, 2], "x": [1.0, 2.5], "tags": [["a"], None], "codes": [[1, 2], []]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert table.column("text") == ["a", None]
    assert table.column("n") == ["1", "2"]
    assert table.column("x") == ["1", "2.5"]
    assert table.column("tags") == [["a"], None]
    assert table.column("codes") == [["1", "2"], []]
    assert table.place(1) == f"{tmp_path}/a.parquet, row 2"


def test_parquet_class_labels_of_the_datasets_library_get_their_names(tmp_path):
    label = datasets.ClassLabel(names=["no", "yes"])
    features = {"text": datasets.Value("string"), "label": label, "tags": datasets.List(label)}
    columns = {"text": ["a", "b", "c"], "label": [1, 0, -1], "tags": [[0], [], [1, 0]]}
    datasets.Dataset.from_dict(columns, features=datasets.Features(features)).to_parquet(tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert table.column("label") == ["yes", "no", None]
    assert table.column("tags") == [["no"], [], ["yes", "no"]]


def test_numbers_in_json_stay_as_they_are_written(put):
    table = read_table(put("a.jsonl", '{"a": 1, "b": 1.50}\n{"a": NaN, "c": true}\n{"a": "\\ud800é"}\n'))
    assert table.column("a") == ["1", None, "\ufffdé"]
    assert table.column("b") == ["1.50", None, None]
    assert table.column("c") == [None, "true", None]


def test_windows_text_is_found_and_named(put, caplog):
    path = put("a.csv", "text,label\ncaf\xe9,1\n\x93so\x94,2\n".encode("latin-1"))
    with caplog.at_level("INFO", logger="ftcls"):
        raw = read(path)
    assert raw.splits["train"].texts == ["café", "“so”"]
    assert "not UTF-8, read as Windows-1252" in caplog.text
    assert [(check.name, check.examples) for check in raw.checks] == [("encoding", (str(path),))]
    with pytest.raises(DataError, match=r"b\.csv:2: not UTF-8, nor Windows-1252 \(byte 0x81\)"):
        read_table(put("b.csv", b"text,label\n\x81,c\n"))


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "привет мир"),
        ("koi8-r", "привет мир"),
        ("gb18030", "这个产品很好"),
        ("euc-kr", "이 제품은 좋습니다"),
        ("cp1253", "καλημέρα κόσμε"),
        ("cp1255", "שלום עולם"),
        ("tis-620", "สวัสดี"),
    ],
)
def test_another_script_is_not_taken_for_windows_text(put, encoding, text):
    path = put("a.csv", f"text,label\nascii,x\n{text},x\n{text},y\n".encode(encoding))
    with pytest.raises(DataError, match=r"a\.csv:3: not UTF-8, and no text in Latin letters: as Windows-1252 it would"):
        read_table(path)
    put("set/x/a.txt", "good")
    folder = put("set/x/b.txt", (2 * text).encode(encoding)).parent.parent
    assert read(folder).splits["train"].bad.count == 1


def test_letters_beside_each_other_are_windows_text(put):
    text = "l\u2019été d\u2019Œuvre «\xa0fini…\xa0» „Spaß“ MENÜ“ ÄÖÜß"
    path = put("a.csv", f"text\n{text}\n{text}\n".encode("cp1252"))
    assert read_table(path).column("text") == [text, text]


def test_lines_of_two_encodings_are_read_each_in_its_own(put, caplog):
    whole, old = "été à la “plage”", "été d\u2019hier"
    content = b"\xef\xbb\xbftext,label\n" + f"{whole},x\n{whole},y\n".encode() + f"{old},x\n".encode("cp1252")
    # A letter that is cut off, as where a field has a length in bytes.
    path = put("a.csv", content + "这个产品很好".encode()[:-1] + b",y\n")
    raw = read(path)
    assert raw.splits["train"].texts == [whole, whole, old, "这个产品很\ufffd"]
    assert [(check.name, check.severity) for check in raw.checks] == [("mixed_encodings", "warning")]
    assert "some lines are not UTF-8" in caplog.text
    packed = put("b.csv.gz", gzip.compress(content))
    assert read_table(packed).column("text") == [whole, whole, old]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (gzip.compress(b"text,label\na,x\n", mtime=0), "packed with gzip"),
        (b"PK\x03\x04\x14\0", "a zip file or a spreadsheet"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"%PDF-1.4\n", "a PDF"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a pointer of Git LFS .*run: git lfs pull"),
    ],
)
def test_a_file_that_is_something_else_is_called_that(put, content, what):
    for name in ("a.csv", "a.jsonl"):
        with pytest.raises(DataError, match=f"{name}: is no text, but {what}"):
            read_table(put(name, content))
    folder = put("set/x/a.txt", content).parent.parent
    assert "is no text, but" in read(folder).splits["train"].bad.examples[0]


def test_utf_32_is_known_by_its_mark(put):
    assert read_table(put("a.csv", "text\nété\n".encode("utf-32"))).column("text") == ["été"]


def test_a_missing_column_is_named_with_the_nearest_one_and_all_others(put):
    path = put("a.csv", "text,lable\na,b\n")
    with pytest.raises(DataError, match="no column 'label', did you mean 'lable'\\? The columns are 'text', 'lable'"):
        read(path)
    with pytest.raises(DataError, match="no column 'xyz'; The columns are"):
        read_table(path).column("xyz")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "is empty"),
        ("a.jsonl", "\n", "is empty"),
        ("a.csv", "text,text\na,b\n", "two columns are called 'text'"),
        ("a.doc", "x", r"not a kind of file that ftcls reads; use \.csv, \.tsv"),
        ("a.json", "[1,", r"a\.json:1:4: not JSON"),
        ("a.csv.gz", "text", "not a whole gzip file"),
        ("a.parquet", "text", "not a Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_error(put, name, content, message):
    with pytest.raises(DataError, match=message):
        read_table(put(name, content))


def test_a_path_that_is_no_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "a.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path)
    with pytest.raises(DataError, match="no text in it"):
        read(tmp_path)


def test_a_bad_csv_row_is_named_by_the_line_an_editor_shows(put):
    split = train(put("a.csv", 'text,label\n"two\nlines",x\n\na,b,c\nd\ne,y\n'))
    assert split.texts == ["two\nlines", "e"]
    assert split.bad.examples == [
        f"{split.place(0)[:-2]}:5: 3 fields, the header has 2; quote a text that has the delimiter in it",
        f"{split.place(0)[:-2]}:6: 1 field, the header has 2; quote a text that has the delimiter in it",
    ]
    assert split.place(1).endswith("a.csv:7")
    assert split.rows.tolist() == [0, 3]
    assert split.size == 4


@pytest.mark.parametrize("line", ['c,"d', '"c,d'])
def test_a_quote_that_is_never_closed_does_not_swallow_the_rest_in_silence(put, line):
    split = train(put("a.csv", f"text,label\na,b\n{line}\ne,f\ng,h\n"))
    assert split.texts == ["a", "e", "g"]
    assert split.bad.count == 1
    assert "a.csv:3: a quote that begins in the row is never closed" in split.bad.examples[0]


def test_a_json_line_that_is_none_is_a_bad_row(put):
    path = put("a.jsonl", '{"text": "a", "label": "x"}\nnope\n\n[1]\n{"label": "x"}\n')
    split = train(path)
    assert split.bad.examples == [
        f"{path}:2: not JSON: Expecting value (column 1)",
        f'{path}:4: expected an object such as {{"text": "..."}}, found [1]',
        f"{path}:5: no text in column text",
    ]
    assert split.rows.tolist() == [0]
    assert split.size == 4


def test_several_text_columns_are_joined_by_a_space(put):
    split = train(put("a.csv", "title,body,label\nOne,two,x\n,three,y\n"), text=TextColumns(("title", "body")))
    assert split.texts == ["One two", " three"]


def test_labels_lose_the_white_space_around_them_and_an_empty_one_is_none(put):
    assert train(put("a.csv", 'text,label\na, x \nb,\nc,"x, y"\n')).labels == ["x", None, "x, y"]


def test_separated_labels(put):
    split = train(put("a.csv", "text,tags\na,x|y\nb,\nc,y | y|\n"), label=Several("tags", "|"), task="multilabel")
    assert split.labels == [("x", "y"), (), ("y",)]


def test_lists_of_labels(put):
    lines = ['{"text": "a", "tags": ["x", "y"]}', '{"text": "b", "tags": []}', '{"text": "c", "tags": null}']
    path = put("a.jsonl", "\n".join([*lines, '{"text": "d", "tags": "x"}']))
    assert train(path, label="tags", task="multilabel").labels == [("x", "y"), (), None, "x"]
    split = train(path, label=Several("tags", None), task="multilabel")
    assert split.labels == [("x", "y"), (), None]
    assert split.bad.examples == [f"{path}:4: 'tags' is no list: 'x'"]


def test_a_single_text_is_no_multilabel_column(put):
    with pytest.raises(DataError, match=r'label: \{column: tags, separator: "\|"\}'):
        read(put("a.csv", "text,tags\na,x|y\n"), label="tags", task="multilabel")


def test_a_column_of_zeros_and_ones_per_label(put):
    path = put("a.csv", "text,toxic,insult\na,1,0\nb,0,0\nc,true,1.0\nd,2,0\ne,,1\n")
    raw = read(path, label=Indicators(("toxic", "insult")), task="multilabel")
    assert raw.labels == ("toxic", "insult")
    split = raw.splits["train"]
    assert split.labels == [("toxic",), (), ("toxic", "insult")]
    assert split.bad.examples == [
        f"{path}:5: column 'toxic' holds '2', not 0 or 1",
        f"{path}:6: column 'toxic' holds '', not 0 or 1",
    ]
    assert split.place(2) == f"{path}:4"


def test_a_file_per_split_may_be_of_any_kind(put):
    paths = {
        "train": put("a.csv", "text,label\na,x\n"),
        "test": put("b.jsonl", json.dumps({"text": "b", "label": "y"})),
    }
    raw = read(paths)
    assert {name: split.texts for name, split in raw.splits.items()} == {"train": ["a"], "test": ["b"]}


def test_a_folder_per_class(put, tmp_path):
    for name, content in (("10/a.txt", "ten"), ("2/b10.txt", "two\r\n"), ("2/b9.txt", b"caf\xe9"), ("2/c.md", "no")):
        put(f"set/{name}", content)
    raw = read(tmp_path / "set")
    split = raw.splits["train"]
    assert split.texts == ["café", "two\n", "no", "ten"]
    assert split.labels == ["2", "2", "2", "10"]
    assert split.place(0) == str(tmp_path / "set" / "2" / "b9.txt")
    assert raw.checks[0].name == "encoding"


def test_a_folder_per_class_and_split(put, tmp_path):
    for name in ("train/pos/a.txt", "train/neg/b.txt", "test/pos/c.txt", "dev/neg/d.txt"):
        put(f"set/{name}", name)
    raw = read(tmp_path / "set")
    assert {name: split.labels for name, split in raw.splits.items()} == {
        "train": ["neg", "pos"],
        "validation": ["neg"],
        "test": ["pos"],
    }
    put("set/val/neg/e.txt", "e")
    with pytest.raises(DataError, match="both dev and val hold the validation split"):
        read(tmp_path / "set")
    put("other/test/neg/e.txt", "e")
    with pytest.raises(DataError, match="holds test, but no folder train"):
        read(tmp_path / "other")

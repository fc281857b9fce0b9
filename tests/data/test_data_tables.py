"""One reader of tables: whole in memory and row by row give the same, for every command."""

import bz2
import contextlib
import csv
import io
import json
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftcls.data.readers.files import read as read_files
from ftcls.data.tables.cells import text_of
from ftcls.data.tables.dialect import detect
from ftcls.data.tables.read import read_table
from ftcls.data.tables.records import kind_of, opened, streamed
from ftcls.data.texts import PLAIN as TEXT_COLUMN
from ftcls.data.texts import TextColumns
from ftcls.errors import DataError, UnavailableError
from ftcls.prediction import chunks, rows


def whole(path, columns=("text",)):
    """Texts and lines of a table in memory."""
    table = read_table(path, columns)
    return [text_of(cells) for cells in zip(*(table.column(name) for name in columns), strict=True)], table.bad.examples


def by_row(given, columns=("text",), kind=None):
    """Texts of the rows that predict labels, and the problems of the others."""
    with rows.opened(given, kind) as source:
        items = [item for chunk in chunks.cut(source, TextColumns(tuple(columns))) for item in chunk]
    texts = [item.text for item in items if item.text is not None]
    return texts, [f"{item.place}: {item.record.problem}" for item in items if item.text is None]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=12)
"""Anything but a lone carriage return, which ends a line in one tool and none in another."""


@contextlib.contextmanager
def file(folder, suffix, found, delimiter=","):
    path = folder / f"in{suffix}"
    if suffix == ".parquet":
        pq.write_table(
            pa.table({"id": [i for i, _ in found], "text": pa.array([t for _, t in found], pa.string())}), path
        )
    elif suffix in (".jsonl", ".json"):
        lines = [json.dumps({"id": i, "text": t}) for i, t in found]
        path.write_text(
            "[" + ",\n".join(lines) + "]" if suffix == ".json" else "\n".join(lines) + "\n", encoding="utf-8"
        )
    else:
        with path.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("id", "text"), *found])
    yield path
    path.unlink()


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json", ".parquet"])
@given(texts=st.lists(TEXT, min_size=1, max_size=6), delimiter=st.sampled_from([",", ";", "|", "\t"]))
def test_training_and_prediction_read_the_texts_that_were_written(tmp_path_factory, suffix, texts, delimiter):
    found = list(enumerate(texts))
    mark = "\t" if suffix == ".tsv" else delimiter
    with file(tmp_path_factory.mktemp("tables"), suffix, found, mark) as path:
        assert whole(path) == (texts, [])
        assert by_row([path]) == (texts, [])


@pytest.mark.parametrize("text", ['\n"0', 'a\n"b\t"c', '"', 'x\t"'])
def test_a_header_in_quotes_says_that_cells_are_quoted(tmp_path, text):
    with file(tmp_path, ".csv", [(0, text)], "\t") as path:
        assert whole(path) == by_row([path]) == ([text], [])


PLAIN = st.text(st.sampled_from('ab",;\t|\n\\ é'), max_size=40)


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@given(body=PLAIN)
def test_both_ways_of_reading_agree_on_any_text_whatever(tmp_path_factory, suffix, body):
    path = tmp_path_factory.mktemp("tables") / f"in{suffix}"
    path.write_text(f"id,text\tn\n{body}", encoding="utf-8", newline="")
    with opened(path, kind_of(path)) as records:
        column = records.columns[-1]
    table = read_table(path, [column])
    texts, problems = by_row([path], [column])
    assert ([*table.column(column)], table.bad.examples) == (texts, problems[:5])
    assert table.size == len(texts) + len(problems)


@given(body=st.lists(st.text(st.sampled_from('ab" '), min_size=1, max_size=8).map(str.strip).filter(bool), min_size=2))
def test_no_line_of_a_tab_file_vanishes(tmp_path_factory, body):
    path = tmp_path_factory.mktemp("tables") / "in.tsv"
    path.write_text("text\tlabel\n" + "".join(f"{text}\tx\n" for text in body))
    table = read_table(path)
    assert table.size == len(body)


FILES = {
    "spaces after commas": (
        "a.csv",
        'id, text, label\n1, one two, x\n2, "three, four", y\n',
        ["one two", "three, four"],
    ),
    "a comma inside the header": ("a.csv", "id;text;label, or none\n1;one;x\n2;two;y\n", ["one", "two"]),
    "a blank first line": ("a.csv", "\n\nid,text,label\n1,one,x\n2,two,y\n", ["one", "two"]),
    "json": ("a.json", '[{"text": "one", "label": "x"}, {"text": "two", "label": "y"}]', ["one", "two"]),
    "a quote that is not closed": ("a.csv", 'text,label\none,x\n"two,y\nthree,y\n', ["one", "three"]),
    "a declared delimiter": ("a.csv", "sep=;\ntext;label\none, or;x\ntwo;y\n", ["one, or", "two"]),
    "backslashes before quotes": ("a.csv", 'text,label\n"a \\"b\\", c",x\n"d\\\\e",y\n', ['a "b", c', "d\\e"]),
    "columns without a name": ("a.csv", ",text,label,,\n0,one,x,,\n1,two,y,,\n", ["one", "two"]),
    "texts that begin with a quote": (
        "a.tsv",
        'text\tlabel\n"one\tx\ntwo\ty\n"three" it is\tx\n',
        ['"one', "two", '"three" it is'],
    ),
    "quotes around every cell": ("a.tsv", '"text"\t"label"\n"one ""1"""\t"x"\n"two\n2"\t"y"\n', ['one "1"', "two\n2"]),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_alike_by_every_command_and_as_a_person_reads_it(tmp_path, name):
    file_name, content, texts = FILES[name]
    path = tmp_path / file_name
    path.write_text(content, encoding="utf-8", newline="")
    assert whole(path)[0] == texts
    assert by_row([path])[0] == texts
    if path.suffix != ".json":
        assert by_row(io.StringIO(content, newline=""), kind=kind_of(path))[0] == texts
    assert whole(path)[1] == by_row([path])[1]


def test_a_null_in_one_of_several_columns_is_left_out_everywhere(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"title": null, "body": "b"}\n{"title": "t"}\n{"title": null, "body": null}\n')
    table = tmp_path / "a.parquet"
    pq.write_table(pa.table({"title": [None, "t", None], "body": ["b", None, None]}), table)
    for one in (path, table):
        assert whole(one, ("title", "body"))[0] == ["b", "t", None]
        assert by_row([one], ("title", "body"))[0] == ["b", "t"]


def test_values_that_are_no_texts_become_the_same_texts_everywhere(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": 1.50}\n{"text": true}\n{"text": ["a", 2]}\n{"text": {"a": 1}}\n{"text": NaN}\n')
    assert whole(path)[0] == ["1.50", "true", "a 2", None]
    assert by_row([path])[0] == ["1.50", "true", "a 2"]
    place = f"{path}:4: column 'text' holds an object"
    assert (whole(path)[1], by_row([path])[1][0]) == ([place], place)
    table = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [True, False], "x": [1.0, float("nan")], "o": [{"a": 1}, None]}), table)
    assert whole(table)[0] == by_row([table])[0] == ["true", "false"]
    assert (whole(table, ("x",))[0], by_row([table], ("x",))[0]) == (["1", None], ["1"])
    assert whole(table, ("o",)) == ([None], [f"{table}, row 1: column 'o' holds an object"])


def test_a_quote_left_open_costs_its_own_row_and_no_other(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,label\na,x\n"b,x\nc,y\nd,y\n"e,x\nf,y\n')
    table = read_table(path)
    assert table.column("text") == ["a", "c", "d", "f"]
    assert table.bad.examples == [
        f"{path}:3: a quote that begins in the row ends in line 6 in the midst of a cell, with 3 lines inside it; "
        "write a quote inside a text twice",
        f"{path}:6: a quote that begins in the row is never closed; write a quote inside a text twice",
    ]
    assert [table.place(index) for index in range(4)] == [f"{path}:{line}" for line in (2, 4, 5, 7)]


def test_what_is_invisible_around_the_name_of_a_column_is_no_part_of_it(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("te\u0301xt\u200b,\u200elabel\xa0\na,x\n", encoding="utf-8")
    assert read_table(path, ["te\u0301xt", "label"]).column("label") == ["x"]
    path.write_text("text,text\u200b\na,x\n", encoding="utf-8")
    with pytest.raises(DataError, match="two columns are called 'text'"):
        read_table(path)


def test_a_header_that_comes_again_is_a_bad_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,label\na,x\n\ufefftext,"label "\nb,label\ntext,y\n')
    table = read_table(path)
    assert table.column("text") == ["a", "b", "text"]
    assert table.bad.examples == [
        f"{path}:3: the names of the columns again, as where files were put together; delete the row"
    ]
    path.write_text("text\na\ntext\n")  # of one column it may be a text
    assert read_table(path).column("text") == ["a", "text"]
    book = tmp_path / "a.xlsx"
    xlsx(book, First=[["text", "label"], ["a", "x"], ["text", "label"]])
    assert (read_table(book).column("text"), read_table(book).bad.count) == (["a"], 1)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "a.jsonl",
            '{\n "text": "a"\n}\n',
            ":1: not JSON: .*; each row is an object in a line of its own; so all 3 rows",
        ),
        ("a.jsonl", '[{"text": "a"}]\n', ":1: expected an object"),
        ("a.json", '{"text": {"0": "a", "1": "b"}}', r':1: a whole table, .*to_json\(..., orient="records"\)$'),
    ],
)
def test_where_no_row_can_be_read_the_reason_is_said_and_no_column_missed(tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError, match=f"no row can be read: {path}{reason}"):
        read_table(path, ["text"])


def test_rows_that_look_swallowed_are_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id,text,label\n1,"a,x\n2,b,y\n3,c",x\n4,"two\nlines",y\n')
    table = read_table(path)
    assert table.rows == 2
    assert table.swallowed.examples == [f"{path}:2: 2 more lines inside its quotes look like rows"]


def test_a_cell_that_never_ends_does_not_fill_the_memory(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,label\n"' + "x" * 17_000_000 + "\nb,y\n")
    table = read_table(path)
    assert table.column("text") == ["b"]
    assert "a cell of more than 16 million characters, or a quote that is never closed" in table.bad.examples[0]


def test_a_stream_shows_its_dialect_in_what_is_there():
    lines = ["id;text, or not\n", "1;a, b\n"]
    assert detect(lines, lambda: lines).delimiter == ";"
    found = streamed("stdin", iter(lines), "csv", sample=None)
    assert (found.columns, [record.row["text, or not"] for record in found.records]) == (
        ("id", "text, or not"),
        ["a, b"],
    )


def test_two_columns_of_one_name_are_an_error_in_every_kind(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table([["a"], ["b"]], names=["text", "text"]), path)
    with pytest.raises(DataError, match="two columns are called 'text'"):
        read_table(path)
    with pytest.raises(DataError, match="two columns are called 'text'"):
        by_row([path])


def test_a_class_without_a_name_is_a_bad_row(tmp_path):
    features = {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}
    schema = pa.schema(
        [("text", pa.string()), ("label", pa.int64())],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a", "b", "c"], "label": [1, 2, -1]}, schema=schema), path)
    table = read_table(path, ["text", "label"])
    assert (table.column("label"), table.numbers.tolist()) == (["yes", None], [0, 2])
    assert table.bad.examples == [f"{path}, row 2: column 'label' holds 2, which is no class: there are 2"]


def test_utf_16_is_known_without_its_mark(tmp_path):
    path = tmp_path / "a.csv"
    for encoding in ("utf-16-le", "utf-16-be"):
        path.write_bytes("text,label\ncafé,x\n日本,y\n".encode(encoding))
        table = read_table(path)
        assert (table.column("text"), table.encoding) == (["café", "日本"], encoding)


def test_every_kind_is_known_by_its_suffix():
    kinds = {name: kind_of(Path(name)) for name in ("a.CSV", "a.json.gz", "a.parquet.gz", "a.doc", "a.ndjson", "a.txt")}
    assert list(kinds.values()) == ["csv", "json", None, None, "jsonl", "txt"]


XML = '<?xml version="1.0" encoding="UTF-8"?>'
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def xlsx(path, **sheets):
    """A workbook of some sheets, each a list of rows of texts, numbers and None."""

    def cell(value):
        if value is None:
            return "<c/>"
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t xml:space="preserve">{value}</t></is></c>'
        return f'<c t="b"><v>{int(value)}</v></c>' if isinstance(value, bool) else f"<c><v>{value}</v></c>"

    with zipfile.ZipFile(path, "w") as file:
        named = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, 1))
        file.writestr(
            "xl/workbook.xml", f'{XML}<workbook xmlns="{MAIN}" xmlns:r="{LINKS}"><sheets>{named}</sheets></workbook>'
        )
        links = "".join(
            f'<Relationship Id="r{n}" Type="{LINKS}/worksheet" Target="worksheets/s{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        file.writestr(
            "xl/_rels/workbook.xml.rels", f'{XML}<Relationships xmlns="{PACKAGE}/relationships">{links}</Relationships>'
        )
        root = f'<Relationship Id="r0" Type="{LINKS}/officeDocument" Target="xl/workbook.xml"/>'
        file.writestr("_rels/.rels", f'{XML}<Relationships xmlns="{PACKAGE}/relationships">{root}</Relationships>')
        file.writestr("[Content_Types].xml", f'{XML}<Types xmlns="{PACKAGE}/content-types"/>')
        for n, rows in enumerate(sheets.values(), 1):
            body = "".join(f'<row r="{r}">{"".join(map(cell, row))}</row>' for r, row in enumerate(rows, 1))
            file.writestr(
                f"xl/worksheets/s{n}.xml", f'{XML}<worksheet xmlns="{MAIN}"><sheetData>{body}</sheetData></worksheet>'
            )


ROWS = [
    [None, None, None],
    ["text", "rating", "sure"],
    ["good and bad", 4, True],
    [None, None, None],
    ["é", 2.5, False],
    [None, 1, True],
]


def test_a_spreadsheet_is_read_alike_in_training_and_in_prediction(tmp_path):
    pytest.importorskip("python_calamine")
    path = tmp_path / "book.xlsx"
    xlsx(path, First=ROWS, Notes=[["text"], ["other"]])
    table = read_table(path)
    assert table.columns == ("text", "rating", "sure")
    assert table.column("rating") == ["4", "2.5", "1"]  # whole numbers have no point
    assert table.column("sure") == ["true", "false", "true"]
    assert [table.place(n) for n in range(3)] == [f"{path}:{n}" for n in (3, 5, 6)]  # the numbers that Excel shows
    texts, problems = by_row([path])
    assert texts == ["good and bad", "é"]
    assert problems == [f"{path}:6: no text in column text"]
    assert read_table(tmp_path / "book.xlsx#Notes").column("text") == ["other"]
    assert by_row([tmp_path / "book.xlsx#Notes"])[0] == ["other"]


def test_sheets_that_nobody_named_are_named(tmp_path):
    path, rows = tmp_path / "book.xlsx", [["text", "label"], *([f"text {n}", "xy"[n % 2]] for n in range(20))]
    xlsx(path, First=rows, Notes=[["text"], ["other"]])
    checks = {check.name: check for check in read_files(path, text=TEXT_COLUMN, label="label", task="binary").checks}
    assert (checks["sheets_left_out"].severity, checks["sheets_left_out"].examples) == ("info", ("'Notes'",))
    paths = {"train": tmp_path / "book.xlsx#First", "test": tmp_path / "book.xlsx#First"}
    assert not read_files(paths, text=TEXT_COLUMN, label="label", task="binary").checks
    with pytest.raises(DataError, match=r"no column 'body'; .* Other sheets are 'Notes': .*book\.xlsx#SHEET"):
        read_table(path, ["body"])


def test_what_is_no_spreadsheet_or_no_sheet_is_one_message(tmp_path, monkeypatch):
    pytest.importorskip("python_calamine")
    path = tmp_path / "book.xlsx"
    xlsx(path, First=ROWS, Notes=[])
    with pytest.raises(DataError, match=r"book\.xlsx: no sheet 'Nots'; the sheets are 'First', 'Notes'"):
        read_table(tmp_path / "book.xlsx#Nots")
    with pytest.raises(DataError, match=r"book\.xlsx#Notes: is empty"):
        read_table(tmp_path / "book.xlsx#Notes")
    with pytest.raises(DataError, match=r"gone\.xlsx: no such file"):
        read_table(tmp_path / "gone.xlsx")
    (tmp_path / "bad.ods").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"bad\.ods: not a spreadsheet that can be read"):
        read_table(tmp_path / "bad.ods")
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(UnavailableError, match=r'"ftcls\[excel\]"\nor save it as CSV'):
        read_table(path)


def test_a_packed_table_is_read_as_the_table(tmp_path):
    content = b"text,label\ngood,a\nbad,b\n"
    (tmp_path / "a.csv.bz2").write_bytes(bz2.compress(content))
    for name, inside in (("b.csv.zip", "in/a.csv"), ("c.zip", "a.csv")):
        with zipfile.ZipFile(tmp_path / name, "w") as file:
            file.writestr(inside, content)
            file.writestr("__MACOSX/._a.csv", b"x")
    for name in ("a.csv.bz2", "b.csv.zip", "c.zip"):
        assert read_table(tmp_path / name).column("label") == ["a", "b"]
        assert by_row([tmp_path / name])[0] == ["good", "bad"]


def test_an_archive_of_several_files_or_a_damaged_one_is_one_message(tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as file:
        file.writestr("a.csv", "text\nx\n")
        file.writestr("b.csv", "text\nx\n")
    with pytest.raises(DataError, match=r"two\.zip: holds 2 files: a\.csv, b\.csv; unpack it and name one of them"):
        read_table(tmp_path / "two.zip")
    (tmp_path / "bad.csv.zip").write_bytes(b"PK no archive")
    with pytest.raises(DataError, match=r"bad\.csv\.zip: not a whole zip file"):
        read_table(tmp_path / "bad.csv.zip")
    (tmp_path / "cut.csv.bz2").write_bytes(bz2.compress(b"text\nx\n" * 99)[:-9])
    with pytest.raises(DataError, match=r"cut\.csv\.bz2: not a whole bzip2 file"):
        read_table(tmp_path / "cut.csv.bz2")
    (tmp_path / "odd.csv.bz2").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"odd\.csv\.bz2: not a whole bzip2 file"):
        read_table(tmp_path / "odd.csv.bz2")

"""What a stranger may hand over: limits before parsing, time by the length alone, messages of a line."""

import gzip
import json
import re
import tarfile
import time
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ftcls.config import source
from ftcls.data import labels
from ftcls.data.readers import archives, label_columns, reuters21578
from ftcls.data.tables import records
from ftcls.data.tables.delimited import Dialect, Lines, rows
from ftcls.data.tables.read import read_table
from ftcls.environment import json_files, limits, manifest
from ftcls.errors import LONGEST_MESSAGE, ConfigError, DataError, FtclsError, printable, quoted
from ftcls.inference import reload_check
from ftcls.model import adapters, settings
from ftcls.model import limits as model_limits
from ftcls.model.baselines import store
from ftcls.reporting import trainer_state
from ftcls.runs import data_record, export_record, history, report_schema
from ftcls.runs.directory import RunDir
from ftcls.scoring import decision

SIZE = 300_000
"""Characters of an input that would take minutes if time grew with its square."""
STORY = '<REUTERS LEWISSPLIT="TRAIN" TOPICS="YES" NEWID="1"><TOPICS>{}</TOPICS><TEXT>{}</TEXT></REUTERS>'


def filled(piece):
    return piece * (SIZE // len(piece))


TABLES = {
    "nameless.csv": "," * SIZE + "\n1\n",
    "columns.csv": ",".join(f"c{number}" for number in range(SIZE // 7)) + "\n",
    "quotes.csv": "text,label\n" + filled('a,"b\n'),
    "quotes.tsv": "text\tlabel\n" + filled('"a" b\t"b\n'),
    "open.csv": "text,label\n" + filled('"a""b,c\n'),
    "escaped.csv": "text,label\n" + filled('"a\\"b,c\n'),
    "blank.csv": "\n" * SIZE,
    "keys.jsonl": "".join(f'{{"k{number}":1}}\n' for number in range(SIZE // 12)),
    "deep.json": "[" * SIZE,
    "number.jsonl": '{"a":' + "9" * SIZE + "}\n",
}
STORIES = {
    "open": filled("<REUTERS "),
    "unclosed": filled("<REUTERS a>"),
    "attribute": "<REUTERS " + "a" * SIZE + "></REUTERS>",
    "attributes": "<REUTERS " + filled('a="') + "></REUTERS>",
    "topics": STORY.format(filled("<TOPICS>"), ""),
    "topic": STORY.format(filled("<D>"), ""),
    "title": STORY.format("", filled("<TITLE>")),
    "text": STORY.format("", filled("<TEXT ")),
}
YAML = {
    "aliases": "a: &a [x, x]\n" + filled("b: *a\n"),
    "flow": "a: [" + filled("[a],") + "]",
    "deep": "- " * SIZE,
    "digits": "a: " + "9" * SIZE,
    "tag": "a: !" + "x" * SIZE + " b",
    "anchors": filled("&a "),
}
LISTS = ("[" + " " * SIZE, "[" + filled("1, "), "['" + "\\" * SIZE, "[" + "1" * SIZE)


def soon(work):
    """Do the work, which may fail with a message, within a time that only what is linear keeps."""
    begun = time.process_time()
    message = ""
    try:
        work()
    except FtclsError as error:
        message = str(error)
    assert len(message) <= LONGEST_MESSAGE
    assert time.process_time() - begun < 15


@pytest.mark.parametrize("name", TABLES)
def test_a_table_takes_time_by_its_length(name, tmp_path):
    path = tmp_path / name
    path.write_text(TABLES[name])
    soon(lambda: read_table(path))


@pytest.mark.parametrize("name", STORIES)
def test_sgml_takes_time_by_its_length(name):
    soon(lambda: list(reuters21578._stories("reut2-000.sgm", STORIES[name].encode())))


@pytest.mark.parametrize("name", YAML)
def test_a_config_takes_time_by_its_length(name):
    soon(lambda: source.parse(YAML[name], source.Place("a.yaml", 1, 1)))


@pytest.mark.parametrize("text", LISTS, ids=range(len(LISTS)))
def test_a_list_written_as_text_takes_time_by_its_length(text):
    soon(lambda: label_columns.written_lists([text]))


def test_the_nearest_name_is_looked_for_among_few_short_names():
    soon(lambda: limits.nearest("x" * 99, ["x" * 98 + str(number) for number in range(SIZE)]))
    assert limits.nearest("x" * SIZE, ["y" * SIZE]) is None
    assert limits.nearest("txet", ["label", "text"]) == "text"


def test_a_quote_that_is_left_open_is_read_twice_and_not_for_every_line():
    lines = ["text\tlabel\n", *['"a" b\t"b\n'] * 3_000]
    read = 0

    def counted():
        nonlocal read
        for line in lines:
            read += 1
            yield line

    source_lines = Lines(counted(), Dialect("\t"))
    found = list(rows(source_lines, Dialect("\t")))
    assert len(found) == len(lines) == read
    assert source_lines.number == len(lines)
    assert {row.problem is None for row in found[1:]} == {False}


def test_text_behind_a_closing_quote_belongs_to_the_cell():
    found = list(rows(Lines(["a,b\n", '"x" y,1\n', '"x" y,"1\n', '2"\n'], Dialect()), Dialect()))
    assert found[1].cells == ["x y", "1"]
    assert found[2].problem is not None
    assert [row.line for row in found] == [1, 2, 3, 4]


def test_a_packed_file_unpacks_to_a_hundred_times_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "UNPACKED_BYTES", 1_000)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"text,label\n" + b"a,b\n" * 1_000_000))
    with pytest.raises(DataError, match=r"a\.csv\.gz: unpacks to more than [0-9,]+ bytes, 100 times its size"):
        read_table(path)


def test_a_file_with_holes_in_an_archive_is_not_filled(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        holes = tarfile.TarInfo("train.csv")
        holes.size = 10**12
        archive.addfile(holes)
    with pytest.raises(DataError, match=r"train\.csv has 1,000,000,000,000 bytes; ftcls takes 10"):
        archives.files(path, ["train.csv"], of="files")


def test_a_parquet_file_that_says_too_much_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a"] * 100_000}), path)
    assert read_table(path).rows == 100_000
    monkeypatch.setattr(limits, "PARQUET_ROWS", 10)
    monkeypatch.setattr(limits, "UNPACKED_TIMES", 0)
    with pytest.raises(DataError, match=r"a\.parquet: says that it unpacks to 100,000 rows; of [0-9,]+ bytes"):
        read_table(path)


def test_a_parquet_file_whose_columns_have_no_names_that_can_be_read_is_one_error(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"caption": ["a"]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"caption", b"capti\xe9n"))
    with pytest.raises(DataError, match=r"a\.parquet: not a Parquet file that can be read \('utf-8' codec"):
        read_table(path)


@pytest.mark.parametrize("dictionary", [False, True])
def test_a_parquet_file_whose_text_is_none_is_one_error(tmp_path, dictionary):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["caption"] * 3}), path, compression="none", use_dictionary=dictionary)
    path.write_bytes(path.read_bytes().replace(b"caption", b"capti\xe9n"))
    for read in (read_table, streamed):
        with pytest.raises(DataError, match=r"a\.parquet: not a Parquet file that can be read"):
            read(path)


def streamed(path):
    with records.opened(path, "parquet") as found:
        return list(found.records)


def test_a_kilobyte_of_parquet_that_stands_for_gigabytes_of_text_is_refused(tmp_path, monkeypatch):
    path, text = tmp_path / "a.parquet", "a" * 1_000
    words = pa.DictionaryArray.from_arrays(pa.array([0, None, 1] * 1_000), pa.array([text, "b"]))
    pq.write_table(pa.table({"text": words.cast(pa.string()), "n": list(range(3_000))}), path)
    found = read_table(path)
    assert found.column("text") == [text, None, "b"] * 1_000
    assert found.column("text")[0] is found.column("text")[3]
    monkeypatch.setattr(limits, "PARQUET_BYTES", 500_000)
    monkeypatch.setattr(limits, "UNPACKED_TIMES", 1)
    with pytest.raises(DataError, match=r"a\.parquet: unpacks to 1,001,000 bytes of text"):
        read_table(path)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl"])
def test_a_table_with_too_many_columns_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "COLUMNS", 3)
    path = tmp_path / name
    row = {"a": "1", "b": "2", "c": "3", "d": "4"}
    if name == "a.parquet":
        pq.write_table(pa.table({key: [value] for key, value in row.items()}), path)
    else:
        path.write_text(json.dumps(row) if name == "a.jsonl" else ",".join(row) + "\n")
    with pytest.raises(DataError, match=re.escape(str(path)) + ".* columns"):
        read_table(path)


def test_a_text_that_is_too_long_is_a_bad_row(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "CHARACTERS", 10)
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "short"}\n{"text": "much too long"}\n')
    table = read_table(path, ["text"])
    assert table.column("text") == ["short"]
    assert table.bad.examples == [f"{path}:2: column 'text' holds a text of 13 characters; ftcls takes 10"]


def test_json_that_is_nested_too_deeply_is_a_bad_row(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": ' + "[" * 200 + "]" * 200 + '}\n{"text": "' + "[" * 200 + '"}\n')
    table = read_table(path, ["text"])
    assert table.column("text") == ["[" * 200]
    assert table.bad.examples == [f"{path}:1: not JSON that can be read: nested more than 100 deep"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- " * 60, r"a\.yaml:1:10[0-9]: nested more than 50 deep; that is no config"),
        ("- a\n" * 30_000, r"a\.yaml:[0-9]+:[0-9]+: more than 20,000 values; that is no config"),
        ("a: b\n" * 200_000, r"a\.yaml:1:1: has 1,000,000 characters; a config has at most 500,000"),
        ("a: &a [x, x]\nb: &b [*a, *a]\n" + "c: [" + "*b, " * 20_000 + "]", "more than 20,000 values"),
    ],
    ids=["deep", "values", "size", "aliases"],
)
def test_a_config_that_is_none_is_refused_where_it_stops_being_one(text, problem):
    with pytest.raises(ConfigError, match=problem):
        source.parse(text, source.Place("a.yaml", 1, 1))


def test_a_message_quotes_a_line_and_escapes_what_steers_a_terminal():
    assert quoted("a" * 1_000) == repr("a" * 53 + "..." + "a" * 20)
    assert len(quoted(["a" * 100] * 100)) < 100
    assert str(DataError("a\x1b[31mb\u202ec\nd\x9b")) == "a\\x1b[31mb\\u202ec\nd\\x9b"
    assert len(str(DataError("a" * 10_000))) <= LONGEST_MESSAGE
    family = "\U0001f468\u200d\U0001f469 \u0928\u094d\u200c\u0937"
    assert printable(family) == family


def deep(path):
    path.write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    return path


SIDECARS = {
    settings.FILE: lambda folder: settings.load(folder),
    decision.FILE: lambda folder: decision.load(folder / decision.FILE, ("a", "b")),
    adapters.FILE: lambda folder: adapters.read_origin(folder),
    reload_check.FILE: lambda folder: reload_check.load(folder),
    "report.json": lambda folder: report_schema.read_report(RunDir(folder)),
    "data.json": lambda folder: data_record.read(RunDir(folder)),
    "history.jsonl": lambda folder: history.read(folder / "history.jsonl"),
    "manifest.json": lambda folder: manifest.read(folder),
    "export.json": lambda folder: export_record.read(folder),
    "model.json": lambda folder: store.load_settings(folder),
    "trainer_state.json": lambda folder: trainer_state.read(folder / "trainer_state.json"),
    "config.json": lambda folder: model_limits.check_config(folder / "config.json", "checkpoint"),
}


@pytest.mark.parametrize("name", SIDECARS)
def test_a_file_beside_weights_that_is_nested_too_deeply_is_one_error(name, tmp_path):
    text = deep(tmp_path / name).read_text()
    (tmp_path / name).write_text(f"{text}\n")
    with pytest.raises(FtclsError, match=f"{name}.*nested more than 100 deep|is damaged"):
        SIDECARS[name](tmp_path)


@pytest.mark.parametrize("value", ["[]", '"a"', "1", "null", "{}", '{"schema_version": 1}', "9" * 5_000])
@pytest.mark.parametrize("name", SIDECARS)
def test_a_file_beside_weights_that_holds_something_else_is_one_error(name, value, tmp_path):
    (tmp_path / name).write_text(f"{value}\n")
    if name == "config.json" and value.startswith("{"):
        SIDECARS[name](tmp_path)  # a config that says nothing
    else:
        with pytest.raises(FtclsError, match=name):
            SIDECARS[name](tmp_path)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        (reload_check.FILE, {"schema_version": 1, "input_ids": [[1]], "logits": [[0.5]], "tolerance": 10**400}),
        (decision.FILE, {"labels": ["a", "b"], "thresholds": {"a": 10**400, "b": 0.5}, "temperature": 1}),
    ],
)
def test_a_number_that_no_float_holds_is_one_error(name, stored, tmp_path):
    (tmp_path / name).write_text(json.dumps(stored))
    with pytest.raises(DataError, match=name):
        SIDECARS[name](tmp_path)


def test_a_file_beside_weights_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    (tmp_path / settings.FILE).write_text("[" * 100)
    with pytest.raises(ValueError, match="has 100 bytes; ftcls reads 10"):
        json_files.value(tmp_path / settings.FILE, most=10)


def test_more_labels_than_a_classifier_has_are_refused(monkeypatch):
    monkeypatch.setattr(limits, "LABELS", 3)
    with pytest.raises(DataError, match=r"a\.csv: 4 labels; ftcls takes 3\. Is data\.label the right column"):
        labels.check(("a", "b", "c", "d"), task="multiclass", source="a.csv")
    assert labels.natural(["9" * 5_000, "10", "a" + "1" * 5_000, "a2"]) == ("10", "9" * 5_000, "a2", "a" + "1" * 5_000)


@pytest.mark.parametrize("content", [b"\xff\xfea\x00b", b"\xff\xfe\x00\xd8a\x00", b"a\x00,\x00b\x00\n\x00c"])
def test_utf16_that_is_cut_off_is_one_error(content, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.csv: looks like UTF-16 and is none"):
        read_table(path)


def sheet(path, *cells):
    """A workbook of one sheet with texts in some cells."""
    names = "http://schemas.openxmlformats.org"
    rows = "".join(
        f'<row r="{re.sub("[A-Z]", "", cell)}"><c r="{cell}" t="inlineStr"><is><t>{cell}</t></is></c></row>'
        for cell in cells
    )
    relation = f"{names}/officeDocument/2006/relationships"
    files = {
        "[Content_Types].xml": f'<Types xmlns="{names}/package/2006/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{names}/package/2006/relationships">'
        f'<Relationship Id="a" Type="{relation}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{names}/spreadsheetml/2006/main" xmlns:r="{relation}"><sheets>'
        '<sheet name="S" sheetId="1" r:id="a"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{names}/package/2006/relationships">'
        f'<Relationship Id="a" Type="{relation}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{names}/spreadsheetml/2006/main"><sheetData>{rows}'
        "</sheetData></worksheet>",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_sheet_that_means_billions_of_cells_is_one_error(tmp_path):
    pytest.importorskip("python_calamine", reason="needs the extra excel")
    assert read_table(sheet(tmp_path / "a.xlsx", "A1", "A2", "A3")).column("A1") == ["A2", "A3"]
    far = sheet(tmp_path / "far.xlsx", "A1", "XFD1048576")  # reading it would end this process
    with pytest.raises(DataError, match=r"far\.xlsx: takes more than 4 GB to read|has 17,179,869,184 cells"):
        read_table(far)
    wide = sheet(tmp_path / "wide.xlsx", "A1", "ALL20000")
    with pytest.raises(DataError, match=r"wide\.xlsx: has 20,000,000 cells, empty ones .* ftcls takes 10,000,000"):
        read_table(wide)

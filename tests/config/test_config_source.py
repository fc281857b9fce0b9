import math

import pytest
import yaml

from ftcls.config.source import Place, dump, flow, number, parse, read
from ftcls.errors import ConfigError

FILE = Place("my.yaml", 1, 1)


def value(text):
    return parse(text, FILE).value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2e-5", 2e-5),
        ("1e5", 1e5),
        ("-1.5E+3", -1500.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("+3", 3),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("2024-01-02", "2024-01-02"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("'2e-5'", "2e-5"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("-.INF", -math.inf),
    ],
)
def test_values_are_those_of_yaml_1_2(text, expected):
    found = value(f"key: {text}")["key"]
    assert found == expected
    assert type(found) is type(expected)


def test_a_key_is_text_as_it_is_written():
    assert value("{010: a, true: b, 2e-5: c}") == {"010": "a", "true": "b", "2e-5": "c"}


def test_anchors_and_aliases_are_read():
    assert value("a: &x [1, 2]\nb: *x") == {"a": [1, 2], "b": [1, 2]}


def test_every_key_and_list_item_knows_its_line_and_column():
    places = parse("data:\n  text: [title, body]\n  split:\n    test: 0.1\n", FILE).places
    assert {path: (place.line, place.column) for path, place in places.items()} == {
        (): (1, 1),
        ("data",): (1, 1),
        ("data", "text"): (2, 3),
        ("data", "text", 0): (2, 10),
        ("data", "text", 1): (2, 17),
        ("data", "split"): (3, 3),
        ("data", "split", "test"): (4, 5),
    }
    assert places["data", "split", "test"].text == "    test: 0.1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", r"^my\.yaml:3:1: a: written twice, first on line 1; keep one of them\n    a: 3$"),
        ("d:\n  a: 1\n  a: 1", r"my\.yaml:3:3: d\.a: written twice"),
        ("a:\n\tb: 1", r"my\.yaml:2:1: a tab cannot indent YAML"),
        ("a: [1, 2\nb: 3", r"my\.yaml:2:2: not valid YAML: expected ',' or ']'"),
        ("a: b: c", r"my\.yaml:1:5: a key cannot stand here; check the indentation"),
        ("a: *x", r"my\.yaml:1:4: not valid YAML: found undefined alias"),
        ("&a [*a]", r"my\.yaml:1:1: .*an alias inside its own anchor never ends"),
        ("a: !!python/object:os.system x", r"my\.yaml:1:4: a: the tag .* is not allowed"),
        ("a: !!set {x, y}", r"my\.yaml:1:4: a: the tag .* is not allowed"),
        ("a: !!int x", r"my\.yaml:1:4: a: 'x' is not a int"),
        ("a: 1\n---\nb: 2", r"my\.yaml:2:1: a second document begins here"),
        ("ok: 1\na: \x07", r"my\.yaml:2:1: character U\+0007 is not allowed"),
        ("? [a]\n: 1", r"my\.yaml:1:3: a key must be text"),
    ],
)
def test_what_is_not_yaml_is_one_message_with_line_and_column(text, message):
    with pytest.raises(ConfigError, match=message):
        parse(text, FILE)


def test_ten_lines_of_aliases_do_not_fill_the_memory():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
    )
    with pytest.raises(ConfigError, match="more than 20,000 values"):
        parse(bomb, FILE)


def test_a_file_that_is_not_utf_8_names_the_line(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: x\ndata: caf\xe9\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml:2: not UTF-8 text \(byte 0xE9\); save it as UTF-8"):
        read(path, "latin.yaml")


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\r\nseed: 1\r\n")
    assert read(path, "windows.yaml").value == {"name": "x", "seed": 1}


def test_a_folder_in_the_place_of_a_file_is_one_message(tmp_path):
    with pytest.raises(ConfigError, match="here: cannot be read"):
        read(tmp_path, "here")


TRICKY = ["no", "on", "true", "null", "", "~", "010", "0o10", "1", "2e-5", "1e5", "1:30", "2020-01-01", "a, b", "a: b"]
TRICKY += [
    "#x",
    "'",
    '"',
    "- a",
    "{",
    "😀",
    "é",
    " lead",
    "line\nbreak",
    "tab\t",
    "*a",
    "&a",
    "!x",
    "%",
    "@",
    "`",
    "=",
    "<<",
]


@pytest.mark.parametrize("text", TRICKY)
def test_written_text_reads_back_as_the_same_text_in_yaml_1_1_and_1_2(text):
    written = dump({"key": [text], text: 1})
    assert value(written) == {"key": [text], text: 1}
    assert yaml.safe_load(written)["key"] == [text]
    assert value(f"key: {flow([text])}") == {"key": [text]}


def test_numbers_are_written_as_people_write_them():
    assert [number(x) for x in (2e-5, 1e-10, 0.1, 3.0, 1e22)] == ["2e-5", "1e-10", "0.1", "3.0", "1e+22"]
    assert flow({"training": {"learning_rate": 2e-5}}) == "{training: {learning_rate: 2e-5}}"

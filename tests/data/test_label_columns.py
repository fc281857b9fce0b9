"""What the cells of a label column mean."""

import json

import pytest

from ftcls.config import schema
from ftcls.data.labels import alike, as_name
from ftcls.data.read import read
from ftcls.data.readers import files
from ftcls.data.readers.label_columns import Indicators, Several, written_lists
from ftcls.data.texts import PLAIN
from ftcls.errors import ConfigError, DataError
from ftcls.pipeline.file_contents import contents


@pytest.fixture
def put(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    return write


def labels(path, label="tags", task="multilabel", names=None):
    return files.read(path, text=PLAIN, label=label, task=task, names=names).splits["train"].labels


def corpus(path, **keys):
    return read(schema.Data(source="files", path=str(path), task=keys.pop("task", "multiclass"), **keys), seed=1)


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["['a', 'b']", "[]", "['c']"], [("a", "b"), (), ("c",)]),
        (['["a, b"]', "[]", '["it\'s"]'], [("a, b",), (), ("it's",)]),
        (["[1, 2.5]", "[]", "[3]"], [("1", "2.5"), (), ("3",)]),
        (["{'b', 'a'}", "set()", "{'c'}"], [("a", "b"), (), ("c",)]),
        (["('a', 'b')", "()", "('c',)"], [("a", "b"), (), ("c",)]),
    ],
)
@pytest.mark.parametrize("label", ["tags", Several("tags", None), Several("tags", ",")])
def test_lists_written_as_text_are_lists(put, cells, found, label):
    rows = "".join(f'x,"{cell.replace(chr(34), chr(34) * 2)}"\n' for cell in cells)
    assert labels(put("a.csv", f"text,tags\n{rows}"), label) == found


def test_a_list_that_numpy_printed_is_none():
    # Python would read ['a' 'b'] as one text.
    assert written_lists(["['a' 'b']", "['c']"]) is None
    assert written_lists(["[NEG]", "[POS]"]) is None
    assert written_lists(["['a']", "b"]) is None
    assert written_lists(["", None]) is None


def test_what_looks_like_a_list_and_is_none_is_refused_for_several_labels_and_a_label_for_one(put):
    path = put("a.csv", "text,tags\nx,[NEG]\ny,[POS]\n")
    with pytest.raises(DataError, match=r"look like lists written as text.*\[NEG\]; write them as JSON"):
        labels(path, Several("tags", "|"))
    assert labels(path, task="binary") == ["[NEG]", "[POS]"]


def test_a_place_for_each_label_needs_their_names(put):
    lines = [json.dumps({"text": f"x{tags}", "tags": tags}) for tags in ([0, 1, 1], [0, 0, 0], [1, 0, 0])]
    path = put("a.jsonl", "\n".join(lines))
    with pytest.raises(DataError, match=r"lists of 3 zeros and ones.*name the 3 labels in that order: data.labels"):
        labels(path)
    with pytest.raises(DataError, match="It names 2"):
        labels(path, names=("a", "b"))
    assert labels(path, names=("a", "b", "c")) == [("b", "c"), (), ("a",)]
    found = corpus(path, label="tags", task="multilabel", labels=["a", "b", "c"], split={"validation": 1, "test": 1})
    assert found.labels == ("a", "b", "c")


def test_lists_of_labels_that_are_called_0_and_1_are_lists_of_labels(put):
    path = put("a.jsonl", '{"text": "x", "tags": [0, 1]}\n{"text": "y", "tags": [1]}\n')
    assert labels(path) == [("0", "1"), ("1",)]
    path = put("b.jsonl", '{"text": "x", "tags": [0, 1]}\n{"text": "y", "tags": [1, 0]}\n')
    assert labels(path, names=("0", "1")) == [("0", "1"), ("1", "0")]


def test_an_object_is_no_label(put):
    path = put("a.jsonl", '{"text": "x", "tags": {"a": 1}}\n{"text": "y", "tags": ["b"]}\n')
    split = files.read(path, text=PLAIN, label="tags", task="multilabel").splits["train"]
    assert split.labels == [("b",)]
    assert split.bad.examples == [f"{path}:1: column 'tags' holds an object"]


def test_spellings_that_nobody_can_tell_apart_are_one_label(put):
    assert as_name(" caf\u0065\u0301\u200b ") == "café"
    assert as_name("\ufeff \xa0") is None
    assert as_name("very\xa0\u200bgood") == as_name("very\u2009good") == "very good"
    assert as_name("very  good") == "very  good"
    family = "\U0001f468\u200d\U0001f469"  # a joiner inside an emoji is part of it
    assert as_name(family) == family
    path = put("a.csv", "text,label\nx,cafe\u0301\ny,café\nz,tea\n")
    assert labels(path, "label", "binary") == ["café", "café", "tea"]


def test_labels_that_may_be_one_are_named(put):
    assert alike(["pos", "Pos", "neg"]) == (("pos", "Pos"),)
    assert alike(["1", "1.0", "01", "2", "a  b", "A b"]) == (("1", "1.0", "01"), ("a  b", "A b"))
    assert alike(["1", "10", "x"]) == alike(["1", "-1", "C", "C++"]) == ()
    assert alike(["good", "good."]) == (("good", "good."),)
    assert alike(["very_good", "Very-good", "very good", "verygood"]) == (("very_good", "Very-good", "very good"),)
    rows = "".join(f"text {n},{label}\n" for n, label in enumerate(["pos", "Pos", "neg"] * 5))
    found = corpus(put("a.csv", f"text,label\n{rows}"), text="text", label="label")
    check = next(check for check in found.checks if check.name == "similar_labels")
    assert check.examples == ("'Pos' and 'pos'",)


SPLIT = "text,label,split\n" + "".join(
    f"text {n},{'ab'[n % 2]},{split}\n" for n, split in enumerate(["train"] * 6 + ["dev"] * 2 + ["Test"] * 4)
)


def test_a_column_may_say_which_split_a_row_is_of(put):
    path = put("a.csv", SPLIT)
    found = corpus(path, split={"column": "split"}, task="binary")
    assert {name: len(split) for name, split in found.splits.items()} == {"train": 6, "validation": 2, "test": 4}
    assert found.splits["test"].texts == ["text 8", "text 9", "text 10", "text 11"]
    assert found.splits["test"].rows.tolist() == [8, 9, 10, 11]
    assert not [check for check in found.checks if check.name == "unused_split_column"]
    numbered = put("b.csv", SPLIT.replace(",train\n", ",0\n").replace(",dev\n", ",1\n").replace(",Test\n", ",2\n"))
    assert len(corpus(numbered, split={"column": "split"}, task="binary").splits["test"]) == 4


@pytest.mark.parametrize(
    "keys",
    [
        {"split": {"column": "split", "pooled": True}},
        {"split": {"column": "split", "folds": 2}},
        {"split": {"column": "split", "folds": 2, "fold": 1}},
        {"split": {"column": "split", "test": "rest"}, "subset": {"train": 4, "validation": 2}},
    ],
)
def test_rows_that_a_column_parted_keep_their_numbers_in_the_file(put, keys):
    found = corpus(put("a.csv", SPLIT), task="binary", **keys)
    numbers = {
        text: row for split in found.splits.values() for text, row in zip(split.texts, split.rows.tolist(), strict=True)
    }
    assert numbers == {f"text {row}": row for row in numbers.values()}
    assert len(numbers) == (8 if "fold" in keys["split"] else 12)  # the file's own test rows are in no fold


def test_a_split_that_the_column_does_not_have_is_cut_from_train(put):
    path = put("a.csv", SPLIT.replace(",dev\n", ",train\n"))
    found = corpus(path, split={"column": "split", "validation": 2}, task="binary")
    assert {name: len(split) for name, split in found.splits.items()} == {"train": 6, "validation": 2, "test": 4}


def test_a_split_column_that_is_not_used_is_a_finding(put):
    found = corpus(put("a.csv", SPLIT), task="binary")
    check = next(check for check in found.checks if check.name == "unused_split_column")
    assert (check.severity, check.examples) == ("warning", ("split",))
    assert "data.split: {column: split} uses it" in check.advice
    other = put("b.csv", SPLIT.replace(",dev\n", ",left\n"))  # a column of that name about something else
    assert not [c for c in corpus(other, task="binary").checks if c.name == "unused_split_column"]


@pytest.mark.parametrize(
    ("content", "column", "message"),
    [
        (SPLIT.replace(",dev\n", ",maybe\n"), "split", r"a\.csv:8: column 'split' holds 'maybe', not train, training"),
        (SPLIT.replace(",train\n", ",test\n"), "split", "says of no row that it is for training"),
        (SPLIT, "sets", "no column 'sets'"),
    ],
)
def test_a_split_column_that_cannot_be_used_is_one_error(put, content, column, message):
    with pytest.raises(DataError, match=message):
        corpus(put("a.csv", content), split={"column": column}, task="binary")


def test_a_split_column_is_one_of_a_file(put, tmp_path):
    path = put("a.csv", SPLIT)
    with pytest.raises(ConfigError, match=r"data\.split\.column: is a column of one file"):
        read(schema.Data(source="files", path={"train": str(path)}, task="binary", split={"column": "split"}), seed=1)
    with pytest.raises(ConfigError, match=r"data\.split\.column: is for source files"):
        read(schema.Data(source="docstrings", split={"column": "split"}), seed=1)


def test_bad_rows_come_before_what_is_wrong_with_the_labels(put):
    path = put("a.csv", "text,label\na,x,\nb,y,\n")
    for keys in ({}, {"on_bad_row": "drop"}):
        with pytest.raises(
            DataError, match=r"2 rows cannot be used:\n.*a\.csv:2: 3 fields, the header has 2; drop the"
        ):
            corpus(path, **keys)


def test_all_bad_rows_stand_in_one_message(put):
    path = put("a.csv", "text,label\na,x\nb,y,\nc,\nd,y\n")
    with pytest.raises(DataError, match=r"2 rows cannot be used:\n.*a\.csv:3: 3 fields.*\n.*a\.csv:4: no label"):
        corpus(path)


def test_yes_and_no_are_1_and_0_where_each_label_has_a_column(put):
    path = put("a.csv", "text,rude,late\na,yes,N\nb,No,TRUE\nc,n,f\nd,maybe,no\n")
    split = files.read(path, text=PLAIN, label=Indicators(("rude", "late")), task="multilabel").splits["train"]
    assert split.labels == [("rude",), ("late",), ()]
    assert split.bad.examples == [f"{path}:5: column 'rude' holds 'maybe', not 0 or 1"]


def test_a_split_column_with_gaps_is_named_and_not_used(put):
    path = put("a.csv", SPLIT.replace("split\n", "data_split\n").replace(",dev\n", ",\n"))
    assert found_check(corpus(path, task="binary"), "unused_split_column").examples == ("data_split",)
    with pytest.raises(DataError, match="column 'data_split' holds nothing, not train, "):
        corpus(path, split={"column": "data_split"}, task="binary")
    assert contents(path, label=["label"], text=None).data.split.column is None


def test_a_separator_that_stands_in_no_cell_is_named(put):
    rows = "".join(f"text {i},{('a|b', 'a', 'b')[i % 3]}\n" for i in range(30))
    path = put("a.csv", f"text,tags\n{rows}")
    wrong = corpus(path, label={"column": "tags", "separator": ";"}, task="multilabel")
    check = found_check(wrong, "unused_separator")
    assert (check.severity, check.examples) == ("warning", ("'a|b'",))
    assert "separator ';' stands in no cell of 'tags'" in check.advice
    right = corpus(path, label={"column": "tags", "separator": "|"}, task="multilabel")
    assert not found_check(right, "unused_separator")


def test_a_column_of_numbers_of_rows_is_no_label(put):
    rows = "".join(f"text {i},{i // 1.5:.0f}\n" for i in range(120))
    check = found_check(corpus(put("a.csv", f"text,label\n{rows}")), "nearly_a_label_per_row")
    assert (check.severity, check.count) == ("warning", 80)
    assert "80 labels in 120 rows" in check.advice


def found_check(found, name):
    return next((check for check in found.checks if check.name == name), None)


def test_labels_that_are_empty_cells_of_programs_are_named(put):
    rows = "".join(f"text {i},{('good', 'bad', 'nan', 'None')[i % 4]}\n" for i in range(40))
    check = found_check(corpus(put("a.csv", f"text,label\n{rows}")), "labels_that_say_nothing")
    assert (check.severity, check.count, check.examples) == ("warning", 20, ("'None': 10", "'nan': 10"))
    check = found_check(corpus(put("a.csv", f"text,label\n{rows.replace('nan', 'dull')}")), "labels_that_say_nothing")
    assert (check.severity, check.count) == ("info", 10)  # people say none, too
    assert not found_check(corpus(put("a.csv", SPLIT), task="binary"), "labels_that_say_nothing")


def test_a_scale_with_a_gap_is_named(put):
    rows = "".join(f"text {i},{(1, 2, 4, 5)[i % 4]}\n" for i in range(40))
    path = put("a.csv", f"text,label\n{rows}")
    check = found_check(corpus(path, task="ordinal"), "gaps_between_labels")
    assert (check.severity, check.examples) == ("warning", ("2 and 4",))
    assert not found_check(corpus(path, task="ordinal", labels=tuple("12345")), "gaps_between_labels")
    assert not found_check(corpus(path), "gaps_between_labels")


def test_what_systems_put_into_folders_is_no_text_and_a_link_to_nowhere_is_no_silence(put, tmp_path):
    for split in ("train", "test", "unsup"):
        for name in ("neg/1.txt", "neg/desktop.ini", "pos/2.txt", "pos/Thumbs.db", "__MACOSX/._1.txt", "pos/~$3.docx"):
            put(f"set/{split}/{name}", f"text of {split}/{name}")
    (tmp_path / "set/train/pos/lost.txt").symlink_to("nowhere")
    raw = files.read(tmp_path / "set", text=PLAIN, label="label", task="binary")
    assert raw.splits["train"].texts == ["text of train/neg/1.txt", "text of train/pos/2.txt"]
    assert raw.splits["train"].bad.count == 1
    assert f"{tmp_path}/set/train/pos/lost.txt: no text (" in raw.splits["train"].bad.examples[0]
    left_out = next(check for check in raw.checks if check.name == "folders_left_out")
    assert left_out.examples == (f"{tmp_path}/set/unsup",)


def test_every_file_of_a_class_is_read_or_named(put, tmp_path):
    for name in ("neg/1", "neg/2.TXT", "pos/3.txt", "pos/4.md", "pos/.hidden", "pos/deeper/5.txt"):
        put(f"set/{name}", f"text of {name}")
    (tmp_path / "set" / "neg" / "image").write_bytes(b"\x89PNG\0\0\xff")
    raw = files.read(tmp_path / "set", text=PLAIN, label="label", task="binary")
    split = raw.splits["train"]
    assert split.texts == ["text of neg/1", "text of neg/2.TXT", "text of pos/3.txt", "text of pos/4.md"]
    assert split.labels == ["neg", "neg", "pos", "pos"]
    assert split.bad.examples == [f"{tmp_path}/set/neg/image: is no text, but a picture"]
    assert split.place(2) == f"{tmp_path}/set/pos/3.txt"
    left_out = next(check for check in raw.checks if check.name == "folders_left_out")
    assert left_out.examples == (f"{tmp_path}/set/pos/deeper",)

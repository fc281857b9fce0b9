import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftcls.config.load import load
from ftcls.config.schema import LabelColumns, Windows
from ftcls.data.read import read
from ftcls.errors import ConfigError, DataError
from ftcls.pipeline import starter_config
from ftcls.pipeline.starter_config import Machine, from_file, like
from ftcls.scoring.wilson import wilson

CPU = Machine("cpu", "2 CPU cores")
GPU = Machine("cuda", "H200")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(data, *label, text=None, machine=CPU, output=None):
    """The starter for a data file, and the experiment that its text loads to."""
    found = from_file(Path(data), label=label, text=text, machine=machine, output=output)
    place = output or Path("made.yaml")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(found.text, encoding="utf-8")
    return found, load(place)


def test_a_csv_becomes_a_whole_config_that_loads(here):
    Path("reviews.csv").write_text("id,stars,body\n1,5,A good book about trains.\n2,1,Dull\n3,4,I liked it\n")
    found, experiment = made("reviews.csv", "stars")
    assert experiment.name == "reviews"
    assert experiment.data.path == str(here / "reviews.csv")
    assert (experiment.data.text, experiment.data.label, experiment.data.task) == ("body", "stars", "ordinal")
    assert any("text column: body, guessed" in note for note in found.notes)
    assert "guessed: it has the longest texts" in found.text
    assert found.text.startswith("# yaml-language-server: $schema=file:///")
    assert "schema.json\n# ftcls train" in found.text
    assert "3 labels: 1, 4, 5" in found.text


def test_stars_with_a_point_are_stars_and_gaps_between_them_are_named(here):
    rows = "".join(f"review number {i} of a book,{(1, 2, 5)[i % 3]}.0\n" for i in range(30))
    Path("reviews.csv").write_text(f"text,stars\n{rows}")
    found, experiment = made("reviews.csv", "stars")
    assert experiment.data.task == "ordinal"
    assert any(note.startswith("gaps between labels: 2.0 and 5.0. ") for note in found.notes)


def test_columns_of_yes_and_no_are_labels_and_no_votes(here):
    rows = "".join(
        f"text number {i} of the rows,{('yes', 'no')[i % 2]},{('no', 'yes')[i % 3 > 0]}\n" for i in range(30)
    )
    Path("mails.csv").write_text(f"text,rude,late\n{rows}")
    _, experiment = made("mails.csv", "rude", "late")
    assert (experiment.data.task, experiment.data.label.kind, experiment.data.label.votes) == (
        "multilabel",
        "indicators",
        None,
    )


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("\"['a' 'b']\"", "look like lists written as text"),
        ("\"{'a': 1, 'b': 0}\"", "look like objects written as text"),
    ],
)
def test_lists_and_objects_that_cannot_be_read_are_no_names_of_labels(here, cell, message):
    Path("a.csv").write_text("text,tags\n" + f"some text here,{cell}\nanother text there,{cell}\n" * 9)
    with pytest.raises(DataError, match=message):
        from_file(Path("a.csv"), label=["tags"], text=None, machine=CPU)


def test_many_numbers_are_called_a_measurement(here):
    Path("a.csv").write_text("text,price\n" + "".join(f"offer {i} of many,{i % 25}.5\n" for i in range(100)))
    found, _ = made("a.csv", "price")
    assert any(note.startswith("labels: 25 different numbers, each taken for a name") for note in found.notes)


def test_a_named_text_column_is_not_called_a_guess(here):
    Path("r.csv").write_text(
        "stars,body,note\n5,short,a much longer note\n1,also,another long note\n1,last,a third long note\n"
    )
    found, experiment = made("r.csv", "stars", text="body")
    assert experiment.data.text == "body"
    assert not any("guessed" in note for note in found.notes)
    assert "guessed:" not in found.text


def test_two_label_values_are_binary_and_say_how_to_choose_the_positive_one(here):
    Path("r.csv").write_text("label,text\nyes,some text\nno,more text\nno,last text\n")
    found, experiment = made("r.csv", "label")
    assert experiment.data.task == "binary"
    assert "# positive_label: NAME" in found.text


def test_few_rows_get_many_epochs_and_many_rows_few(here):
    for rows, epochs, batch in ((50, 10, 16), (2_000, 5, 16), (12_000, 3, 32)):
        Path("r.csv").write_text("label,text\n" + "".join(f"{i % 3},some text {i}\n" for i in range(rows)))
        training = made("r.csv", "label")[1].training
        assert (training.num_train_epochs, training.batch_size) == (epochs, batch)
        assert (training.learning_rate, training.head_learning_rate, training.warmup_steps) == (1e-4, 1e-3, 0.1)
        assert training.early_stopping_patience == (3 if epochs > 3 else None)


def test_several_labels_get_thresholds_of_their_own_and_more_epochs(here):
    Path("t.csv").write_text("tags,text\n" + "".join(f"a|b,hello {i}\nb,bye {i}\n" for i in range(2_000)))
    experiment = made("t.csv", "tags")[1]
    assert experiment.decision.thresholds == "tuned"
    assert (experiment.loss.kind, experiment.decision.temperature) == ("asymmetric", "tuned")
    assert experiment.training.num_train_epochs == 4


def test_a_base_size_encoder_is_trained_at_a_lower_rate(here):
    Path("r.csv").write_text("label,text\nyes,some text\nno,more text\nno,last text\n")
    training = made("r.csv", "label", machine=GPU)[1].training
    assert (training.learning_rate, training.head_learning_rate) == (2e-5, None)


def test_a_separator_a_list_and_several_columns_are_multilabel(here):
    Path("t.csv").write_text("tags,text\na|b,hello world\nb,good bye\na,again\n")
    assert made("t.csv", "tags")[1].data.label.separator == "|"
    Path("t.jsonl").write_text(
        '{"tags": ["a", "b"], "text": "hello"}\n{"tags": [], "text": "bye"}\n{"tags": ["b"], "text": "again"}\n'
    )
    _, experiment = made("t.jsonl", "tags")
    assert (experiment.data.label.column, experiment.data.label.separator) == ("tags", None)
    Path("c.csv").write_text("text,toxic,insult\nhello there,0,1\nbye,1,0\nagain,0,0\n")
    _, experiment = made("c.csv", "toxic", "insult")
    assert experiment.data.label.columns == ("toxic", "insult")
    assert experiment.data.task == "multilabel"
    assert experiment.metrics.best == "f1_micro"


def test_parquet_and_names_that_yaml_would_misread_are_written_so_that_they_load(here):
    table = pa.table({"no": ["a", "b", "c"], "text: x": ["one", "two", "three"]})
    pq.write_table(table, "odd name (1).parquet")
    _, experiment = made("odd name (1).parquet", "no")
    assert (experiment.data.text, experiment.data.label, experiment.name) == ("text: x", "no", "odd-name-1")


def test_labels_with_line_breaks_and_a_hundred_labels_stay_in_their_comment(here):
    rows = [{"label": f"name\n{i}: x", "text": f"text {i}"} for i in range(100)] * 3
    Path("m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found, experiment = made("m.jsonl", "label")
    assert experiment.data.task == "multiclass"
    assert "100 labels: name 0: x" in found.text
    assert "and 80 more" in found.text


def test_the_path_is_relative_to_where_the_config_stands(here):
    Path("data").mkdir()
    Path("data/r.csv").write_text("label,text\na,some text\nb,more text\nb,last text\n")
    found, experiment = made("data/r.csv", "label", output=Path("configs/mine.yaml"))
    assert "path: ../data/r.csv" in found.text
    assert experiment.data.path == str(here / "data" / "r.csv")


def test_a_gpu_gets_a_larger_checkpoint_than_a_cpu(here, monkeypatch):
    Path("r.csv").write_text("label,text\na,some text\nb,more text\nb,last text\n")
    assert made("r.csv", "label", machine=GPU)[1].model.checkpoint == "bert-base-uncased"
    monkeypatch.setattr(starter_config.importlib.util, "find_spec", lambda name: None)
    assert made("r.csv", "label")[1].model.checkpoint == "sentence-transformers/all-MiniLM-L6-v2"


def test_long_texts_are_cut_at_512_tokens(here):
    rows = "".join(f"{'ab'[n % 2]},{'word ' * (9_000 + n)}\n" for n in range(9))
    Path("r.csv").write_text(f"label,text\n{rows}c,short\n")
    found, experiment = made("r.csv", "label")
    assert (experiment.model.max_length, experiment.model.truncation) == (512, "head_tail")
    # What is offered in a comment is a config.
    whole = found.text.replace("  # windows:", "  windows:").replace("max_length: 512", "max_length: null")
    Path("whole.yaml").write_text(whole)
    assert load("whole.yaml").model.windows == Windows(size=512, stride=128, pool="mean")


def test_where_few_texts_are_cut_their_beginnings_are_kept(here):
    rows = "".join(f"{'ab'[n % 2]},some text {n}\n" for n in range(39))
    Path("r.csv").write_text(f"label,text\n{rows}a,{'word ' * 9_000}\nb,last\n")
    assert made("r.csv", "label")[1].model.truncation == "head"


@pytest.mark.parametrize(
    ("content", "label", "message"),
    [
        ("label,text\na,x\na,y\n", "label", r"r\.csv: column 'label' has one label only \(a\)"),
        ("label,text\na,x\nb,y\n", "lable", r"no column 'lable', did you mean 'label'\?"),
        ("label\na\nb\nb\n", "label", r"r\.csv: no column with text beside the label"),
        (
            "id,text\n" + "".join(f"{i},x\n" for i in range(200)),
            "id",
            r"200 different values in 200 rows; that is no label",
        ),
        ("", "label", r"r\.csv: is empty"),
        ("label,text\na,x\nb,y\n", "label", r"r\.csv: cannot be trained on: 2 rows cannot be cut into 1 \+ 1 rows"),
        ("label,text\n,x\n ,y\n", "label", r"r\.csv: column 'label' is empty; name another with --label"),
        ("a,b,text\n1,x,t\n0,z,u\n", "a,b", r"column 'b' holds 'x', not 0 or 1; several label columns hold 0 and 1"),
    ],
)
def test_a_file_that_cannot_be_classified_is_one_error(here, content, label, message):
    Path("r.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        from_file(Path("r.csv"), label=[label], text=None, machine=CPU)


def test_a_copy_of_a_shipped_config_loads_and_has_the_whole_path_of_the_schema(here):
    Path("mine.yaml").write_text(like("ag_news"), encoding="utf-8")
    assert load("mine.yaml") == load("ag_news")
    assert like("ag_news").count("yaml-language-server: $schema=") == 1
    assert like("ag_news").startswith("# yaml-language-server: $schema=file:///")
    with pytest.raises(ConfigError, match="agnews: no such file; did you mean ag_news"):
        like("agnews")


def table(name, head, rows):
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])


@pytest.mark.parametrize(
    ("cells", "separator"),
    [
        (["price, quality", "quality", "price"], ","),
        (["price,quality,service", "quality,service", "price"], ","),
        (["a;b", "b;c", "a"], ";"),
        (["a|b", "c"], "|"),
        (["好、快", "好", "快"], "、"),
        (["Food, drink", "Travel", "Home, garden"], None),  # the parts come as a whole only
        (["Food, drink", "Food, other", "Travel"], None),
        (["Albany, NY", "Buffalo, NY", "Newark, NJ"], None),
        (["Smith, Jane", "Smith, John", "Doe, Jane", "Doe, John"], None),  # written in order
        (["4,5", "3,5", "4,0", "3,0"], None),  # numbers
        (["a; b, c", "b, c", "a"], ";"),  # the surer sign of the two
    ],
)
def test_what_stands_between_labels_is_told_from_what_stands_in_a_name(here, cells, separator):
    table("t.csv", ["text", "tags"], [(f"some words {n}", cell) for n, cell in enumerate(cells * 4)])
    found, experiment = made("t.csv", "tags")
    label = experiment.data.label
    assert (None if label == "tags" else label.separator) == separator
    assert (experiment.data.task == "multilabel") == (separator is not None)
    several = next((note for note in found.notes if "is read as several" in note), None)
    assert (several is not None) == (separator is not None)


def test_a_name_with_a_comma_is_said_to_be_one_label(here):
    table("t.csv", ["text", "tags"], [(f"words {n}", ("Food, drink", "Travel")[n % 2]) for n in range(20)])
    found, experiment = made("t.csv", "tags")
    assert read(experiment.data, seed=1).labels == ("Food, drink", "Travel")
    assert "labels: 'Food, drink' is one label, for its parts do not stand alone or with others too" in found.notes


def test_columns_may_be_named_with_commas_between_them(here):
    rows = [(f"words {n}", "a title", n % 2, n % 3 == 0) for n in range(20)]
    table("c.csv", ["text", "title", "toxic", "insult"], [(*row[:3], int(row[3])) for row in rows])
    _, experiment = made("c.csv", "toxic,insult", text="title,text")
    assert experiment.data.label.columns == ("toxic", "insult")
    assert experiment.data.text == ("title", "text")
    table("d.csv", ["text", "a,b"], [(f"words {n}", n % 2) for n in range(20)])
    assert made("d.csv", "a,b")[1].data.label == "a,b"  # the name of a column


def test_a_title_is_joined_with_its_text_and_that_is_said(here):
    table(
        "n.csv",
        ["Title", "body", "url", "label"],
        [(f"head {n}", f"a long text {n}", "http://x.org/" + "a" * 99, n % 2) for n in range(20)],
    )
    found, experiment = made("n.csv", "label")
    assert experiment.data.text == ("Title", "body")
    assert (
        "text column: Title + body, guessed: the longest texts, with their titles before them (--text names another)"
        in found.notes
    )
    assert made("n.csv", "label", text="body")[1].data.text == "body"


def test_labels_that_differ_by_spaces_are_one_and_those_that_look_alike_are_named(here):
    table("a.csv", ["text", "label"], [(f"words {n}", (" Pos", "Pos", "pos", "neg ")[n % 4]) for n in range(20)])
    found, _ = made("a.csv", "label")
    assert "3 labels: Pos, neg, pos" in found.text
    assert "labels: the space around them is left out, as in ' Pos'" in found.notes
    assert any(note.startswith("labels that look alike: 'Pos' and 'pos'.") for note in found.notes)
    table("b.csv", ["text", "label"], [(f"words {n}", ("a", "a ", "b")[n % 3]) for n in range(20)])
    assert made("b.csv", "label")[1].data.task == "binary"


def test_rows_that_cannot_be_used_are_left_out_and_counted(here):
    rows = "".join(f"{n};good {n};{'ab'[n % 2]}\n" for n in range(20))
    Path("e.csv").write_text(f"sep=;\n\nid;text;label\n;;\n{rows};;\n")
    found, experiment = made("e.csv", "label")
    assert experiment.data.on_bad_row == "drop"
    assert sum(map(len, read(experiment.data, seed=1).splits.values())) == 20
    assert any(note.startswith("left out: 2 rows that cannot be used, such as") for note in found.notes)
    table("w.csv", ["text", "label"], [(f"words {n}", n % 2) for n in range(20)])
    found, experiment = made("w.csv", "label")
    assert experiment.data.on_bad_row == "error"
    assert "on_bad_row" not in found.text


def test_few_rows_are_told_what_they_can_show(here):
    table("f.csv", ["text", "label"], [(f"words {n}", n % 2) for n in range(12)])
    note = next(note for note in made("f.csv", "label")[0].notes if note.startswith("few rows"))
    low, high = wilson(0.8, 1)
    assert note.startswith("few rows: 10 to train on, 1 to test on.")
    assert f"anything from {low:.0%} to {high:.0%} there; 200 test rows would say 74% to 85%" in note
    table("m.csv", ["text", "label"], [(f"words {n}", n % 2) for n in range(2_000)])
    assert not any(note.startswith("few rows") for note in made("m.csv", "label")[0].notes)


def test_a_folder_of_folders_has_its_labels_in_their_names(here):
    for label in ("ham", "spam"):
        Path("mails", label).mkdir(parents=True)
        for n in range(9):
            Path("mails", label, f"{n}.txt").write_text(f"{label} {n}")
    _, experiment = made("mails")
    assert (experiment.data.task, experiment.data.path) == ("binary", str(here / "mails"))
    assert read(experiment.data, seed=1).labels == ("ham", "spam")
    with pytest.raises(ConfigError, match="mails: is a folder, whose labels are the names of the folders in it"):
        made("mails", "label")


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
NAMES = st.lists(st.sampled_from(["a", "b", "c d", "no", "1", "é: x", "#x", "'", "{y}"]), min_size=1, max_size=3)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    head=st.lists(
        st.sampled_from(["text", "title", "no: x", "url", "#", "split"]), min_size=1, max_size=3, unique=True
    ),
    labels=st.lists(NAMES, min_size=1, max_size=30),
    mark=st.sampled_from([", ", "|", ";", " "]),
    draw=st.data(),
)
def test_a_config_that_is_written_always_runs(here, head, labels, mark, draw):
    rows = [[draw.draw(CELLS) for _ in head] + [mark.join(names)] for names in labels]
    table("any.csv", [*head, "the label"], rows)
    try:
        _, experiment = made("any.csv", "the label")
    except DataError:
        return
    assert len(read(experiment.data, seed=experiment.seed).labels) >= 2


def voted(path, columns, rows):
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text", *columns], *([f"some text {n}", *row] for n, row in enumerate(rows))])
    return path


def test_columns_with_the_same_labels_are_votes(here):
    rows = [("good", "bad", ""), ("bad", "bad", "good"), ("good", "good", "neutral"), ("neutral", "bad", "bad")] * 5
    found, experiment = made(voted("v.csv", ["anna", "ben", "c"], rows), "anna,ben,c", text="text")
    assert experiment.data.label == LabelColumns(columns=("anna", "ben", "c"), votes="majority")
    assert experiment.data.task == "multiclass"
    [note] = [note for note in found.notes if note.startswith("votes: ")]
    assert "columns anna, ben, c hold the same labels, taken for what 3 annotators said" in note
    assert read(experiment.data, seed=experiment.seed).labels == ("bad", "good", "neutral")


@pytest.mark.parametrize(
    ("columns", "cells", "task"),
    [
        (("annotator_1", "annotator_2"), ("0", "1"), "binary"),
        (("rater A", "rater B"), ("1", "3", "5"), "ordinal"),
        (("Vote1", "Vote2"), ("x", "y", "z"), "multiclass"),
    ],
)
def test_the_names_of_columns_say_that_numbers_are_votes(here, columns, cells, task):
    rows = [(cells[n % len(cells)], cells[(n // 2) % len(cells)]) for n in range(30)]
    _, experiment = made(voted("v.csv", columns, rows), *columns, text="text")
    assert experiment.data.label == LabelColumns(columns=columns, votes="majority")
    assert experiment.data.task == task
    assert len(read(experiment.data, seed=experiment.seed).labels) == len(cells)


def test_columns_of_numbers_with_names_of_their_own_are_no_votes(here):
    voted("v.csv", ["toxic", "insult"], [("0", "1"), ("1", "0"), ("1", "1"), ("0", "0")] * 5)
    _, experiment = made("v.csv", "toxic", "insult", text="text")
    assert (experiment.data.label, experiment.data.task) == (LabelColumns(columns=("toxic", "insult")), "multilabel")
    voted("w.csv", ["price", "quality"], [("1", "5"), ("4", "2"), ("5", "5")] * 5)
    with pytest.raises(DataError, match="several label columns hold 0 and 1"):
        made("w.csv", "price", "quality", text="text")
    voted("x.csv", ["colour", "size"], [("red", "small"), ("blue", "large")] * 5)
    with pytest.raises(DataError, match="holds 'small', not 0 or 1"):
        made("x.csv", "colour", "size", text="text")


@pytest.mark.parametrize(
    ("column", "cells", "offered"),
    [
        ("weight", ("0.5", "2", "1"), True),
        ("Sample_Weight", ("1e-1", ".5", "3."), True),
        ("weight", ("1", "1", "1"), False),
        ("weight", ("1", "", "2"), False),
        ("weight", ("-1", "1", "2"), False),
        ("weight", ("5 kg", "1 kg", "2 kg"), False),
        ("overweight", ("0", "1", "2"), False),
    ],
)
def test_a_column_of_weights_is_offered_and_not_used(here, column, cells, offered):
    voted("w.csv", ["label", column], [("ab"[n % 2], cells[n % 3]) for n in range(30)])
    found, experiment = made("w.csv", "label", text="text")
    assert experiment.data.weight is None
    assert (f"weight: {column}" in found.text) == offered
    if offered:  # what the comment offers is a config, and its rows count so
        whole = found.text.replace("data:\n", f"data:\n  weight: {column}\n", 1)
        Path("whole.yaml").write_text(whole)
        weights = read(load("whole.yaml").data, seed=experiment.seed).splits["train"].weights
        assert set(weights.tolist()) == {float(cell) for cell in cells}


def test_the_config_says_which_splits_are_cut(here):
    Path("r.csv").write_text("label,text\n" + "".join(f"{'ab'[n % 2]},some text {n}\n" for n in range(30)))
    assert "# validation and test are cut from it, a tenth each;" in made("r.csv", "label")[0].text
    for split in ("train", "test"):
        for label in ("a", "b"):
            folder = Path("mails") / split / label
            folder.mkdir(parents=True)
            for n in range(20):
                (folder / f"{n}.txt").write_text(f"{split} {label} text {n}")
    assert "# validation is cut from it, a tenth each;" in made("mails")[0].text


def few(counts):
    """A file with so many rows of each label."""
    with Path("few.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["body", "topic"])
        for label, count in counts.items():
            writer.writerows([f"a text about {label} number {number}", label] for number in range(count))
    return "few.csv"


@pytest.mark.parametrize(
    ("counts", "machine", "written"),
    [
        ({"sport": 10, "money": 10, "music": 10}, CPU, True),
        ({"sport": 4, "money": 16}, CPU, True),
        ({"sport": 18, "money": 18}, CPU, True),
        # A tenth each goes to validation and to test; eighteen are more than were measured.
        ({"sport": 22, "money": 22}, CPU, False),
        # BERT-base was not measured.
        ({"sport": 10, "money": 10, "music": 10}, GPU, False),
    ],
)
def test_few_rows_of_each_label_get_a_contrastive_start(here, counts, machine, written):
    found, experiment = made(few(counts), "topic", machine=machine)
    assert (experiment.contrastive is not None) == written
    assert ("learns from pairs of texts first" in found.text) == written


def test_a_label_for_each_row_has_no_pairs(here):
    rows = {f"label{chr(97 + number)}": 1 for number in range(6)}
    assert starter_config.few_labels(contents_of([label for label in rows for _ in range(2)]))
    assert not starter_config.few_labels(contents_of(list(rows)))
    assert not starter_config.few_labels(contents_of(["a", "a"]))
    assert not starter_config.few_labels(contents_of(["1", "1", "2", "2"], task="ordinal"))


def contents_of(labels, task="multiclass"):
    """What is known of a file with such training rows."""
    names = tuple(dict.fromkeys(labels))
    targets = np.array([names.index(label) for label in labels])
    train = SimpleNamespace(targets=targets)
    corpus = SimpleNamespace(task=task, soft=False, labels=names, splits={"train": train})
    return SimpleNamespace(corpus=corpus)

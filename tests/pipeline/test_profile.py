"""What `ftcls data` counts, on files small enough to count by hand, and on the original data sets."""

import functools
import io
import json
from dataclasses import asdict

import pytest
from rich.console import Console

from ftcls.cli.app import run
from ftcls.pipeline import data_checks
from ftcls.pipeline.data_profile import inspect_data
from ftcls.reporting import data_tables

CHECKPOINT = "model: {checkpoint: 'scratch:bert', max_length: 8}\n"


def written(folder, name, rows):
    path = folder / name
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    return path


@pytest.fixture
def config(tmp_path):
    """Three files with one of everything that is counted."""
    train = [("red apple", "fruit"), ("red apple", "fruit"), ("red apple ", "tool"), ("hammer", "tool"), ("", "tool")]
    train += [(f"a very long text that nobody wants to read to its end number {i}", "fruit") for i in range(15)]
    written(tmp_path, "train.csv", train)
    written(tmp_path, "dev.csv", [("hammer", "tool"), ("pear", "fruit")])
    written(tmp_path, "test.csv", [("hammer", "fruit"), ("red apple", "fruit"), ("saw", "tool"), ("saw", "tool")])
    path = tmp_path / "mine.yaml"
    data = "{source: files, path: {train: train.csv, validation: dev.csv, test: test.csv}, task: multiclass}"
    path.write_text(f"name: mine\ndata: {data}\n{CHECKPOINT}", encoding="utf-8")
    return path


def shown(found):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(data_tables.profile(found))
    return console.export_text()


def test_repeats_inside_a_split_are_rows_minus_distinct_texts(config):
    train, test = (inspect_data(config).used.splits[name] for name in ("train", "test"))
    assert (train.examples, train.duplicates, train.duplicates_with_other_labels) == (20, 2, 1)
    assert (test.examples, test.duplicates, test.duplicates_with_other_labels) == (4, 1, 0)
    assert (train.empty, test.empty) == (1, 0)


def test_texts_of_two_splits_are_counted_with_those_that_are_labelled_otherwise(config):
    shared = {(s.first, s.second): (s.texts, s.with_other_labels, s.rows) for s in inspect_data(config).used.shared}
    assert shared == {
        ("train", "validation"): (1, 0, 1),
        ("train", "test"): (2, 2, 2),
        ("validation", "test"): (1, 1, 1),
    }


def test_lengths_count_the_tokens_of_the_checkpoint_and_what_max_length_cuts(config):
    found = inspect_data(config)
    train = found.used.splits["train"]
    assert (found.unit, found.max_length) == ("tokens", 8)
    assert train.truncated == 15
    assert train.lengths.p50 > 8
    assert train.lengths.p50 <= train.lengths.p95 <= train.lengths.p99 <= train.lengths.max


def test_words_are_counted_where_the_tokenizer_cannot_be_had_and_the_table_says_so(config):
    found = inspect_data(config, overrides=["model.checkpoint=nobody/has-this"])
    assert (found.unit, found.max_length) == ("words", 8)
    assert found.used.splits["train"].lengths.max == 14
    assert found.used.splits["train"].truncated == 15
    assert "words (the tokenizer cannot be had)" in shown(found)


def test_labels_are_counted_by_split_and_by_row(config, tmp_path):
    assert inspect_data(config).used.splits["train"].label_counts == {"fruit": 17, "tool": 3}
    rows = [("a|b", "x"), ("", "y"), ("b", "z"), ("a|b|c", "w")] * 5
    (tmp_path / "many.csv").write_text(
        "label,text\n" + "".join(f"{label},{text}{i}\n" for i, (label, text) in enumerate(rows))
    )
    many = tmp_path / "many.yaml"
    data = 'data: {source: files, path: many.csv, task: multilabel, label: {column: label, separator: "|"}}\n'
    many.write_text(f"name: many\n{data}{CHECKPOINT}")
    found = inspect_data(many)
    assert found.given.splits["train"].labels_per_row == {0: 5, 1: 5, 2: 5, 3: 5}
    assert found.given.splits["train"].label_counts == {"a": 10, "b": 15, "c": 5}


def test_rows_cut_from_a_split_are_counted_there_too(config):
    found = inspect_data(config, overrides=[f"data.path={config.parent / 'train.csv'}"])
    assert set(found.used.splits) == {"train", "validation", "test"}
    assert {split.origin for split in found.used.splits.values()} == {"cut from train"}
    assert {name: split.examples for name, split in found.given.splits.items()} == {"train": 20}
    assert (found.given.splits["train"].duplicates, found.given.splits["train"].duplicates_with_other_labels) == (2, 1)


def test_the_table_fits_eighty_columns_and_names_what_leaks(config):
    text = shown(inspect_data(config))
    assert max(map(len, text.splitlines())) <= 80
    assert "2 texts are in train and in test (2 of its rows), 2 with other labels" in text
    assert "shared_between_splits" in text
    assert "fruit" in text


def test_a_hundred_labels_are_shown_from_both_ends(tmp_path):
    rows = [(f"text {i} {j}", f"label{i}") for i in range(100) for j in range(3)]
    path = written(tmp_path, "wide.csv", rows)
    (tmp_path / "wide.yaml").write_text(
        f"name: wide\ndata: {{source: files, path: {path.name}, task: multiclass}}\n{CHECKPOINT}"
    )
    text = shown(inspect_data(tmp_path / "wide.yaml"))
    assert "the 15 most and the 15 least frequent of 100" in text


def test_the_command_prints_a_table_or_one_json_document(config, capsys):
    assert run(["data", str(config), "--quiet"]) == 0
    assert "Rows by label" in capsys.readouterr().out
    assert run(["data", str(config), "model.max_length=16", "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["max_length"] == 16
    expected = json.loads(json.dumps(asdict(inspect_data(config, overrides=["model.max_length=16"]))))
    assert found == expected


def test_bad_data_is_one_message_and_exit_code_3(config, capsys):
    (config.parent / "test.csv").unlink()
    assert run(["data", str(config), "--quiet"]) == 3
    assert "test.csv" in capsys.readouterr().err


# By split: rows, repeats; by pair of splits: shared texts, those with other labels.
PUBLISHED = {
    "imdb": ({"train": (25_000, 96), "test": (25_000, 199)}, {("train", "test"): (123, 0)}),
    "reuters21578": ({"train": (9_603, 134), "test": (3_299, 16)}, {("train", "test"): (4, 3)}),
    "ag_news": ({"train": (26_494, 3), "test": (7_600, 0)}, {}),
    "go_emotions": (
        {"train": (43_410, 184), "validation": (5_426, 3), "test": (5_427, 6)},
        {("train", "validation"): (41, 15), ("train", "test"): (32, 14), ("validation", "test"): (10, 4)},
    ),
}
WHOLE = {"reuters21578": ["data.subset.train=null", "data.topics=all"], "ag_news": ["data.clean=[]"]}


@pytest.fixture(scope="module")
def original(data_folder):
    """The profile of an original data set, its lengths in words and few labels judged, which is quicker."""

    @functools.cache
    def make(name):
        more = WHOLE[name] if name in WHOLE else []
        return inspect_data(name, overrides=[f"data.path={data_folder / name}", "model.checkpoint=none/here", *more])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_checks, "USUAL", data_checks.BRIEF // 4)
        yield make


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_an_original_data_set_has_the_rows_repeats_and_leaks_that_are_known_of_it(original, name):
    given = original(name).given
    splits, shared = PUBLISHED[name]
    assert {split: (found.examples, found.duplicates) for split, found in given.splits.items()} == splits
    assert {(s.first, s.second): (s.texts, s.with_other_labels) for s in given.shared} == shared
    assert [split.empty for split in given.splits.values()] == [0] * len(splits)
    assert max(map(len, shown(original(name)).splitlines())) <= 80


# Rows of the test split as the config cuts it: those with an equal text in train or validation.
LEAKING = {"imdb": 123, "reuters21578": 4, "ag_news": 0, "go_emotions": 42}


@pytest.mark.slow
@pytest.mark.parametrize("name", LEAKING)
def test_an_original_data_set_leaks_what_is_known_of_it_and_a_few_near_duplicates(original, name):
    found = original(name)
    leaking = found.leaks["test"]
    assert leaking.equal == LEAKING[name]
    assert 0 < leaking.near < 0.04 * leaking.examples
    assert "near_duplicates" in {check.name for check in found.checks}


@pytest.mark.slow
def test_the_labels_of_the_original_data_sets_are_counted(original):
    assert original("imdb").given.splits["test"].label_counts == {"neg": 12_500, "pos": 12_500}
    assert set(original("ag_news").given.splits["test"].label_counts.values()) == {1_900}
    reuters = original("reuters21578").given.splits
    assert (reuters["train"].labels_per_row[0], reuters["test"].labels_per_row[0]) == (1_828, 280)
    assert (reuters["train"].label_counts["earn"], reuters["test"].label_counts["earn"]) == (2_877, 1_087)
    emotions = original("go_emotions").given.splits
    assert emotions["train"].labels_per_row == {1: 36_308, 2: 6_541, 3: 532, 4: 28, 5: 1}
    assert emotions["validation"].labels_per_row == {1: 4_548, 2: 809, 3: 62, 4: 7}
    assert emotions["test"].labels_per_row == {1: 4_590, 2: 774, 3: 61, 4: 2}
    assert len(emotions["train"].label_counts) == 28


@pytest.mark.slow
def test_the_lengths_of_the_original_reviews_are_those_known(original):
    # White-space words of the raw texts, p50, p95, p99, max.
    lengths = original("imdb").given.splits["train"].lengths
    assert (lengths.p50, lengths.p95, lengths.p99, lengths.max) == (174, 598, 913, 2_470)

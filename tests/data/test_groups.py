"""Rows that belong together (data.group): no group on two sides of a cut, and intervals that draw whole groups."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ftcls
from ftcls.cli.app import run as typed
from ftcls.config.load import load
from ftcls.data.read import read
from ftcls.errors import ConfigError, DataError
from ftcls.runs import predictions
from ftcls.runs.report_schema import read_report

pytestmark = pytest.mark.usefixtures("undrawn")

TRAINING = {
    "max_steps": 4,
    "batch_size": 16,
    "eval_strategy": "no",
    "save_strategy": "no",
    "device": "cpu",
    "precision": "fp32",
}


def rows(authors=40, seed=0, first=0):
    """Texts of authors who write 1 to 9 of them, each mostly with one label."""
    rng = np.random.default_rng(seed)
    found = []
    for author in range(first, first + authors):
        label = int(rng.integers(0, 2))
        for n in range(int(rng.integers(1, 10))):
            said = label if rng.random() < 0.9 else 1 - label
            found.append((f"text {author} {n} {['dull', 'warm'][said]}", ["bad", "good"][said], f"author {author}"))
    return pd.DataFrame(found, columns=["text", "label", "author"]).sample(frac=1, random_state=seed)


def config(place, **data):
    return load(
        {
            "name": "grouped",
            "data": {"source": "files", "path": place, "task": "binary", "group": "author", **data},
            "model": {"checkpoint": "scratch:bert", "max_length": 16},
            "training": TRAINING,
            "report": {"ladder": ["tfidf"]},
        }
    )


@pytest.fixture
def table(tmp_path):
    rows().to_csv(tmp_path / "rows.csv", index=False)
    return str(tmp_path / "rows.csv")


def authors(split):
    return {text.split()[1] for text in split.texts}


def checks(corpus):
    return {check.name: check for check in corpus.checks}


@pytest.mark.parametrize("seed", range(5))
def test_no_author_is_on_two_sides_of_a_cut(table, seed):
    found = read(config(table).data, seed=seed)
    sides = [authors(split) for split in found.splits.values()]
    assert len(sides) == 3
    assert sum(map(len, sides)) == len(set.union(*sides)) == 40
    assert sum(len(split) for split in found.splits.values()) == len(rows())
    for split in found.splits.values():  # one number for an author, another one for another
        pairs = {(text.split()[1], number) for text, number in zip(split.texts, split.clusters.tolist(), strict=True)}
        assert len(pairs) == len({number for _, number in pairs}) == len(authors(split))
    plain = read(config(table, group=None).data, seed=seed)
    assert plain.splits["train"].clusters is None
    assert authors(plain.splits["train"]) & authors(plain.splits["test"])


def test_no_author_is_in_two_folds(table):
    found = [read(config(table, split={"folds": 4, "fold": fold}).data, seed=1).splits for fold in (1, 2, 3, 4)]
    tested = [authors(splits["test"]) for splits in found]
    assert sum(map(len, tested)) == 40
    for splits in found:
        assert not (authors(splits["train"]) | authors(splits["validation"])) & authors(splits["test"])


def test_a_group_of_two_files_is_one_and_is_named(tmp_path):
    rows(30).to_csv(tmp_path / "train.csv", index=False)
    rows(8, seed=1, first=27).to_csv(tmp_path / "test.csv", index=False)
    paths = {"train": str(tmp_path / "train.csv"), "test": str(tmp_path / "test.csv")}
    found = read(config(paths).data, seed=0)
    check = checks(found)["groups_shared_between_splits"]
    assert check.count == 3  # 27, 28 and 29
    assert check.severity == "warning"
    assert all(place.startswith("test:") for place in check.examples)
    assert checks(found)["few_groups"].count in (len(authors(found.splits[name])) for name in ("validation", "test"))
    anew = read(config(paths, split={"pooled": True}).data, seed=0)
    assert "groups_shared_between_splits" not in checks(anew)
    assert not authors(anew.splits["train"]) & authors(anew.splits["test"])


def test_no_author_of_train_or_validation_is_in_a_test_split_of_the_rest(tmp_path):
    rows(30).to_csv(tmp_path / "train.csv", index=False)
    rows(30, seed=1, first=20).to_csv(tmp_path / "test.csv", index=False)
    paths = {"train": str(tmp_path / "train.csv"), "test": str(tmp_path / "test.csv")}
    config_ = config(paths, split={"test": "rest"}, subset={"train": 12, "validation": 4})
    found = read(config_.data, seed=0)
    learnt = authors(found.splits["train"]) | authors(found.splits["validation"])
    assert authors(found.splits["test"]) == {f"{number}" for number in range(50)} - learnt
    assert not [
        check for check in found.checks if check.name == "groups_shared_between_splits" and "test" in str(check)
    ]


def test_a_number_is_one_group_with_and_without_a_point(tmp_path):
    made = rows()
    made["author"] = made.author.str.removeprefix("author ")
    made.to_csv(tmp_path / "train.csv", index=False)
    # As pandas writes the numbers where one is missing.
    made.head(40).assign(author=made.author.astype(float)).to_csv(tmp_path / "test.csv", index=False)
    paths = {name: str(tmp_path / f"{name}.csv") for name in ("train", "test")}
    found = read(config(paths).data, seed=0)
    assert checks(found)["groups_shared_between_splits"].count == made.author.head(40).nunique()


def test_rows_without_a_group_stand_alone(tmp_path):
    made = rows()
    made.loc[made.author == "author 3", "author"] = " "
    made.to_csv(tmp_path / "rows.csv", index=False)
    found = read(config(str(tmp_path / "rows.csv")).data, seed=0)
    alone = int((rows().author == "author 3").sum())
    assert checks(found)["rows_without_group"].count == alone
    numbers = [number for split in found.splits.values() for number in split.clusters.tolist()]
    assert len(set(numbers)) == 39 + alone


def test_a_test_file_may_lack_the_column_and_a_training_file_may_not(tmp_path):
    rows().to_csv(tmp_path / "train.csv", index=False)
    rows(5, seed=1, first=90).drop(columns="author").to_csv(tmp_path / "test.csv", index=False)
    paths = {"train": str(tmp_path / "train.csv"), "test": str(tmp_path / "test.csv")}
    found = read(config(paths).data, seed=0)
    assert found.splits["test"].clusters is None
    assert found.splits["validation"].clusters is not None
    assert checks(found)["splits_without_groups"].examples == ("test",)
    with pytest.raises(DataError, match=r"data\.group: test has no such column, and all rows are put together"):
        read(config(paths, split={"pooled": True}).data, seed=0)
    with pytest.raises(DataError, match="author"):
        read(config({"train": paths["test"], "test": paths["train"]}).data, seed=0)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"group": "text"}, "data.group: 'text' is the text; name the column that holds the groups"),
        ({"group": "label"}, "data.group: 'label' is the label"),
        ({"source": "imdb", "path": None, "task": None}, "data.group: has no effect on imdb"),
    ],
)
def test_what_cannot_be_grouped_by_is_refused(keys, said):
    with pytest.raises(ConfigError) as error:
        config("rows.csv", **keys)
    assert said in str(error.value)


def test_a_folder_has_no_column(tmp_path):
    for label in ("a", "b"):
        (tmp_path / "mails" / label).mkdir(parents=True)
        for n in range(6):
            (tmp_path / "mails" / label / f"{n}.txt").write_text(f"text {n}")
    with pytest.raises(ConfigError, match=r"data\.group: is a column of a table"):
        read(config(str(tmp_path / "mails")).data, seed=0)


def test_an_interval_draws_whole_groups(table, tmp_path):
    """Eight copies of each row say no more than one."""
    found = {}
    copies = pd.concat([rows(50)] * 8, ignore_index=True)
    copies["text"] = [f"{text} copy {n}" for n, text in enumerate(copies.text)]
    copies.to_csv(tmp_path / "copies.csv", index=False)
    for group in ("author", None):
        run = ftcls.train(config(str(tmp_path / "copies.csv"), group=group), output=tmp_path / f"run-{group}")
        report = read_report(run.files)
        low, high = report.intervals["test"]["accuracy"]
        found[group] = high - low
        split = report.data.splits["test"]
        assert report.data.group == group
        assert (split.groups is None) == (group is None)
        if group:
            said = predictions.read(run.files.predictions / "test.parquet")
            assert split.groups == len(set(said.clusters.tolist()))
            assert split.groups < split.examples / 8
            assert report.baseline.difference["f1_macro"].clusters == split.groups
    assert found["author"] > 2 * found[None]


def test_the_data_command_shows_the_groups(table, tmp_path, capsys):
    Path(tmp_path / "c.yaml").write_text(
        f"name: c\ndata: {{source: files, path: {table}, task: binary, group: author}}\n"
        "model: {checkpoint: 'scratch:bert'}\n"
    )
    assert typed(["data", str(tmp_path / "c.yaml")]) == 0
    assert "Groups of rows that stay together, by column author" in capsys.readouterr().out


def test_a_corpus_keeps_its_clusters(table, tmp_path):
    given = read(config(table).data, seed=0)
    found = ftcls.train(config(table), data=given, output=tmp_path / "run")
    report = read_report(found.files)
    assert report.data.group == "group"
    assert {name: split.groups for name, split in report.data.splits.items()} == {
        name: len(np.unique(split.clusters)) for name, split in given.splits.items()
    }


@pytest.mark.parametrize(("name", "offered"), [("author", True), ("Patient ID", True), ("colour", False)])
def test_a_first_config_offers_the_column(tmp_path, monkeypatch, capsys, name, offered):
    monkeypatch.chdir(tmp_path)
    rows().rename(columns={"author": name}).to_csv("rows.csv", index=False)
    assert typed(["config", "init", "rows.csv", "--label", "label", "--output", "rows.yaml"]) == 0
    said = capsys.readouterr()
    written = Path("rows.yaml").read_text()
    assert (f"group: {name}" in written) == offered
    assert (f"groups: column {name}" in said.out + said.err) == offered
    assert load("rows.yaml").data.group is None
    if offered:
        Path("whole.yaml").write_text(written.replace("data:\n", f"data:\n  group: {name}\n", 1))
        sides = [authors(split) for split in read(load("whole.yaml").data, seed=0).splits.values()]
        assert sum(map(len, sides)) == 40

"""`ftcls train FILE --label COLUMN`: no YAML is needed for the first evening."""

from pathlib import Path

import pandas as pd
import pytest

import ftcls
from ftcls.cli.app import run
from ftcls.config import recipe
from ftcls.config.load import load
from ftcls.environment import devices
from ftcls.errors import ConfigError
from ftcls.pipeline import own_file
from ftcls.pipeline.own_file import config_beside, is_data
from ftcls.pipeline.starter_config import Machine, from_file

pytestmark = pytest.mark.usefixtures("undrawn")

QUICK = ["model.checkpoint=scratch:bert", "training.max_steps=2", "training.device=cpu", "training.precision=fp32"]
ROWS = "".join(
    f"{n},a warm and clever film {n},{'pos' if n % 2 else 'neg'},http://example.org/a/long/address/{n}\n"
    for n in range(60)
)


@pytest.fixture
def reviews(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("reviews.csv")
    path.write_text(f"id,body,stars,url\n{ROWS}")
    return path


def test_a_data_file_is_trained_on_and_its_config_lies_beside_it(reviews, capsys):
    assert run(["train", "reviews.csv", "--label", "stars", *QUICK]) == 0
    printed = capsys.readouterr()
    assert "text column: body, guessed" in printed.err
    assert "config: reviews.yaml, ready to be edited" in printed.err
    assert printed.out.splitlines()[-1].endswith("runs/reviews")
    own, made = load("runs/reviews/config.yaml"), load("reviews.yaml")
    assert (own.data, own.name) == (made.data, "reviews")
    assert own.training.max_steps == 2
    assert "ftcls train" in Path("reviews.yaml").read_text()
    assert run(["train", "reviews.csv", "--label", "stars", *QUICK, "--resume", "--quiet"]) == 0
    assert [path.name for path in Path().glob("*.yaml")] == ["reviews.yaml"]


def test_a_config_that_was_edited_is_left_alone(reviews):
    Path("reviews.yaml").write_text("name: mine\n")
    path, notes = config_beside("reviews.csv", label=["stars"], text=None)
    assert str(path) == "reviews-2.yaml"
    assert Path("reviews.yaml").read_text() == "name: mine\n"
    assert notes[-1] == "config: reviews-2.yaml, ready to be edited"
    assert config_beside("reviews.csv", label=["stars"], text=None)[0] == path


def test_the_python_function_takes_a_file_too(reviews):
    found = ftcls.train("reviews.csv", label="stars", text="body", overrides=QUICK, output="run")
    assert found.report.data.labels == ("neg", "pos")
    assert Path("reviews.yaml").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["reviews.csv"], 2, "reviews.csv: which column has the labels? Add --label COLUMN: id, body, stars, url"),
        (["quickstart", "--label", "stars"], 2, "--label stars: goes with a data file; quickstart is none"),
        (["reviews.csv", "--label", "star"], 3, "no column 'star', did you mean 'stars'?"),
        (["reviews.csv", "--label", "stars", "--text", "boby"], 3, "no column 'boby', did you mean 'body'?"),
        (["quickstart", "--text", "body"], 2, "--text body: goes with a data file; quickstart is none"),
        (["gone.csv", "--label", "stars"], 2, "--label stars: goes with a data file; gone.csv is none: no such file"),
        (["https://a.org/b.csv", "--label", "stars"], 2, "no such file; download it first"),
        ([".", "--label", "stars"], 2, "is none: it is a folder without a folder for each label; name a table in it"),
        (["reviews.feather", "--label", "stars"], 2, "is none: not a kind of file that ftcls reads; use .csv, .tsv"),
    ],
)
def test_what_is_typed_wrong_is_one_message(reviews, capsys, arguments, code, message):
    Path("reviews.feather").touch()
    assert run(["train", *arguments]) == code
    assert message in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_table_in_the_place_of_a_config_is_one_message(reviews):
    with pytest.raises(ConfigError, match=r"config: a DataFrame is none; .* data=TABLE, or is saved first"):
        ftcls.train(pd.read_csv(reviews), label="stars")


def test_a_text_column_without_a_data_file_is_refused(reviews):
    with pytest.raises(ConfigError, match="text='body': goes with label"):
        ftcls.train("reviews.yaml", text="body")


def test_what_a_data_file_is(reviews):
    assert is_data("reviews.csv")
    assert not is_data("gone.csv")
    assert not is_data("quickstart")
    Path("mails/spam").mkdir(parents=True)
    assert is_data("mails")
    assert not is_data("mails/spam")
    Path("mails/config.yaml").touch()
    assert not is_data("mails")  # a run


def test_a_folder_is_trained_on_and_its_config_lies_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for label in ("ham", "spam"):
        Path("in/mails", label).mkdir(parents=True)
        for n in range(9):
            Path("in/mails", label, f"{n}.txt").write_text(f"{label} {n}")
    path, _ = config_beside("in/mails", label=(), text=None)
    assert str(path) == "in/mails.yaml"
    assert load(path).data.path == str(tmp_path / "in" / "mails")
    monkeypatch.chdir("in/mails")
    assert config_beside(".", label=(), text=None)[0] == tmp_path / "in" / "mails-2.yaml"


@pytest.mark.parametrize(
    ("header", "cells", "text"),
    [
        ("url,body", "http://example.org/a/very/long/address/{n},good film {n}", "body"),
        ("when,remark", "2024-01-01T10:00:00+00:00,ok {n}", "remark"),
        ("mail,remark", "somebody.with.a.long.name@example.org,ok {n}", "remark"),
        ("hash,remark", "0123456789abcdef0123456789abcdef,ok {n}", "remark"),
        ("text,notes", "a film {n},much longer notes of an editor about the row {n}", "text"),
        ("first,second", "short {n},a much longer text {n}", "second"),
    ],
)
def test_the_text_is_what_people_wrote(tmp_path, header, cells, text):
    path = tmp_path / "d.csv"
    rows = "".join(f"{cells.format(n=n)},{n % 2}\n" for n in range(20))
    path.write_text(f"{header},label\n{rows}")
    assert f"\n  text: {text}\n" in from_file(path, label=["label"], text=None, machine=Machine("cpu", "x")).text


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ({}, True),
        ({"overrides": ("training.batch_size=8",)}, True),
        ({"overrides": ("model.checkpoint=gpt2",)}, False),
        ({"overrides": {"adapter.kind": "lora"}}, False),
        ({"budget": "10m"}, False),
    ],
)
def test_a_contrastive_start_is_written_where_it_was_measured(tmp_path, monkeypatch, options, written):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "choose", lambda *_: devices.Machine("cpu", "fp32", "", 0, 1))
    monkeypatch.setattr(own_file, "choose", lambda *_: None)
    rows = "".join(f"a text about {label} number {i},{label}\n" for label in ("sport", "money") for i in range(8))
    Path("few.csv").write_text(f"body,topic\n{rows}")
    place, _ = config_beside("few.csv", label=["topic"], text=None, **options)
    assert (load(place).contrastive is not None) == written


@pytest.mark.parametrize("overrides", [["model.checkpoint=bert-base-uncased"], ["adapter.kind=lora"], []])
def test_the_schedule_is_left_open_for_a_model_that_is_put_over_the_config(reviews, overrides):
    place, _ = config_beside("reviews.csv", label=["stars"], text=None, overrides=overrides)
    training = load(place, overrides).training
    open_keys = (training.num_train_epochs, training.learning_rate, training.head_learning_rate)
    assert (open_keys == (None, None, None)) == bool(overrides)


def test_a_large_model_over_the_config_trains_at_its_own_rates(reviews, monkeypatch):
    monkeypatch.setattr(recipe, "SMALL", 1)  # the tiny model is a large one
    found = ftcls.train("reviews.csv", label="stars", overrides=QUICK, output="run")
    training = load(Path(found.path) / "config.yaml").training
    assert (training.learning_rate, training.head_learning_rate) == (2e-5, None)

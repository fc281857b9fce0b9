"""Options that people type from habit."""

import pytest

from ftcls.cli import likely_options
from ftcls.cli.app import run
from ftcls.errors import ConfigError


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("train imdb --epochs 3", "ftcls train imdb training.num_train_epochs=3"),
        ("train imdb --lr=2e-5 --smoke", "ftcls train imdb training.learning_rate=2e-5 --smoke"),
        ("train r.csv --label stars --batch_size 8", "ftcls train r.csv --label stars training.batch_size=8"),
        ("--debug train imdb --model roberta-base", "ftcls --debug train imdb model.checkpoint=roberta-base"),
        ("train imdb --seed 1 --fp16 --output_dir x", "ftcls train imdb seed=1 training.precision=fp16 --output x"),
        ("train imdb --epochs", "ftcls train imdb training.num_train_epochs=VALUE"),
        ("train imdb --max_seq_length --smoke", "ftcls train imdb model.max_length=VALUE --smoke"),
        ("train r.csv --text-column body", "ftcls train r.csv --text body"),
    ],
)
def test_a_likely_option_is_answered_with_the_line_to_type(typed, line):
    with pytest.raises(ConfigError, match="train has no such option; settings are written KEY=VALUE") as raised:
        likely_options.refuse(typed.split())
    assert str(raised.value).splitlines()[-1].strip() == line


def test_the_options_that_there_are_pass():
    likely_options.refuse(
        ["train", "r.csv", "--label", "a", "--text", "b", "--output", "o", "--smoke", "training.seed=1"]
    )
    likely_options.refuse(["predict", "runs/r", "--model", "x"])


def test_every_key_that_is_named_is_one(capsys):
    for key in set(likely_options.KEYS.values()) | {
        each.partition("=")[0] for each in likely_options.SETTINGS.values()
    }:
        assert run(["config", "check", "imdb", f"{key}={{}}"]) == 2
        assert "unknown key" not in capsys.readouterr().err, key


def test_it_is_one_message_of_the_command_line(capsys):
    assert run(["train", "quickstart", "--epochs", "3"]) == 2
    assert capsys.readouterr().err.startswith("--epochs: train has no such option;")

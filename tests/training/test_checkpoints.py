"""What a training goes on from: the newest checkpoint that is whole, with the best weights and the history up to it."""

import logging
import shutil

import pytest
import torch
from transformers import TrainerCallback

import fitting
from ftcls.errors import DataError
from ftcls.runs import history
from ftcls.training import checkpoints

SETTINGS = {
    "num_train_epochs": 2,
    "learning_rate": 1e-3,
    "eval_strategy": "steps",
    "eval_steps": 6,
    "save_strategy": "steps",
    "save_steps": 4,
    "logging_steps": 3,
}
"""Of 18 steps: checkpoints after 4, 8, 12, 16 and 18, evaluations after 6, 12 and 18."""


class Crash(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step + 1 == self.step:
            raise RuntimeError("planted")


def train(folder, crash=None, resume=False, **settings):
    fitting.run(
        folder,
        training={**SETTINGS, **settings},
        dropout=0.1,
        best_metric="loss",
        resume=resume,
        callbacks=() if crash is None else (Crash(crash),),
    )


def crashed(folder, step, **settings):
    with pytest.raises(RuntimeError, match="planted"):
        train(folder, crash=step, **settings)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    train(folder)
    return folder


@pytest.fixture(scope="module")
def crashed_at_14(tmp_path_factory):
    return crashed(tmp_path_factory.mktemp("crashed"), 14)


@pytest.fixture
def stopped(crashed_at_14, tmp_path):
    """A run with checkpoints of the steps 8 and 12, and best weights of step 12."""
    folder = tmp_path / "run"
    shutil.copytree(crashed_at_14, folder)
    return folder


def same(first, second):
    expected, found = fitting.weights(first), fitting.weights(second)
    best = [(folder / "checkpoints" / "best" / "model.safetensors").read_bytes() for folder in (first, second)]
    histories = [(folder / "history.jsonl").read_text() for folder in (first, second)]
    return (
        all(torch.equal(expected[name], found[name]) for name in expected)
        and best[0] == best[1]
        and histories[0] == histories[1]
    )


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize(("save", "log", "crash"), [(4, 3, 6), (5, 7, 17), (3, 10, 5)])
def test_a_resumed_run_has_the_history_of_an_undisturbed_one_whatever_its_steps(tmp_path, save, log, crash):
    steps = {"save_steps": save, "logging_steps": log}
    train(tmp_path / "one", **steps)
    train(crashed(tmp_path / "two", crash, **steps), resume=True, **steps)
    assert same(tmp_path / "one", tmp_path / "two")


def test_a_resume_leaves_out_a_damaged_checkpoint_and_names_the_file(stopped, whole, caplog):
    flip(stopped / "checkpoints" / "step-12" / "optimizer.pt")
    with caplog.at_level(logging.INFO, logger="ftcls"):
        train(stopped, resume=True)
    assert "step-12/optimizer.pt: is damaged: as long as it was written, with another content" in caplog.text
    assert "resuming after step 8" in caplog.text
    assert same(whole, stopped)
    assert sorted(p.name for p in (stopped / "checkpoints").iterdir()) == ["best", "step-16", "step-18"]


@pytest.mark.parametrize("name", ["scheduler.pt", "rng_state.pth", "manifest.json", "history.jsonl"])
def test_a_state_that_is_missing_is_not_done_without(stopped, name):
    for step in (8, 12):
        (stopped / "checkpoints" / f"step-{step}" / name).unlink()
    before = (stopped / "history.jsonl").read_bytes()
    with pytest.raises(DataError, match="cannot be continued, no checkpoint is whole") as caught:
        train(stopped, resume=True)
    for step in (8, 12):
        assert f"step-{step}/{name}: is missing" in str(caught.value)
    assert (stopped / "history.jsonl").read_bytes() == before


def test_damaged_best_weights_come_from_the_checkpoint_of_their_step(stopped, whole, caplog):
    best = stopped / "checkpoints" / "best"
    expected = (best / "model.safetensors").read_bytes()
    flip(best / "model.safetensors")
    found = checkpoints.start(stopped / "checkpoints")
    assert (found.progress.step, found.best_from.name, found.skipped) == (12, "step-12", ())
    checkpoints.restore_best(stopped / "checkpoints", found.best_from, found.progress.best)
    assert (best / "model.safetensors").read_bytes() == expected
    assert sorted(p.name for p in best.iterdir()) == ["config.json", "manifest.json", "model.safetensors"]
    assert checkpoints.start(stopped / "checkpoints").best_from is None


def test_best_weights_that_are_gone_are_made_again_from_an_older_checkpoint(tmp_path, caplog):
    # Best of step 6; the checkpoints are of 4 and 8, and only that of 4 comes before it.
    folder = crashed(tmp_path / "run", 10, eval_steps=6)
    shutil.rmtree(folder / "checkpoints" / "best")
    with caplog.at_level(logging.WARNING, logger="ftcls"):
        train(folder, resume=True, eval_steps=6)
    assert "step-8: the best weights up to there are not whole" in caplog.text
    assert "best/manifest.json: is missing" in caplog.text
    assert checkpoints.start(folder / "checkpoints").skipped == ()
    assert [line["step"] for line in history.read(folder / "history.jsonl") if "eval_loss" in line] == [6, 12, 18]


def test_a_history_with_a_torn_line_is_that_of_the_checkpoint_and_the_line_is_named(stopped, whole, caplog):
    with (stopped / "history.jsonl").open("a") as file:
        file.write('{"step": 13, "lo')
    train(stopped, resume=True)
    assert 'history.jsonl: its last line was cut off and is left out: {"step": 13, "lo' in caplog.text
    assert same(whole, stopped)


def test_a_damaged_history_is_taken_from_the_checkpoint(stopped, whole, caplog):
    (stopped / "history.jsonl").write_text("")
    train(stopped, resume=True)
    assert "history.jsonl: damaged; taken from" in caplog.text
    assert same(whole, stopped)


def test_a_line_of_a_history_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 1}\n{"step: 2}\n')
    with pytest.raises(DataError, match=r"history\.jsonl:2: cannot be read as a line of a history"):
        history.read(path)
    path.write_text('{"step": 1}\n[2]\n')
    with pytest.raises(DataError, match=r"history\.jsonl:2: is no line of a history"):
        history.read(path)
    path.write_text('{"step": 1}\n{"st')
    assert history.read(path) == [{"step": 1}]

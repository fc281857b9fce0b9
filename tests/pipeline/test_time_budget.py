"""A training that fits into a time."""

import time
from dataclasses import replace

import numpy as np
import pytest

from ftcls.cli.app import run
from ftcls.config.durations import seconds_of
from ftcls.config.load import load
from ftcls.data.read import read
from ftcls.environment import devices
from ftcls.errors import ConfigError
from ftcls.pipeline.time_budget import Pace, fit_into, measure, within

pytestmark = pytest.mark.usefixtures("undrawn")

PACE = Pace(step=1.0, steps_per_epoch=100, evaluation=10.0, vectors=30.0, around=50.0, rows=1_600)
MANY = Pace(step=1.0, steps_per_epoch=10_000, evaluation=10.0, vectors=30.0, around=210.0, rows=160_000)


@pytest.fixture
def experiment(tmp_path):
    rows = "".join(f"a {'good' if n % 2 else 'bad'} film {n},{n % 2}\n" for n in range(200))
    (tmp_path / "all.csv").write_text(f"text,label\n{rows}")
    return load(
        {
            "name": "mine",
            "data": {"source": "files", "path": str(tmp_path / "all.csv"), "task": "binary"},
            "model": {"checkpoint": "scratch:bert", "max_length": 16},
            "training": {"num_train_epochs": 3, "batch_size": 16, "device": "cpu", "precision": "fp32"},
        }
    )


def test_times_as_they_are_typed():
    assert [seconds_of(text) for text in ("90s", "10m", "1.5h", " 5 m ")] == [90, 600, 5400, 300]
    for text in ("10", "m", "-5m", "0s", "ten minutes"):
        with pytest.raises(ConfigError, match=r"give a time such as 90s, 10m or 1\.5h"):
            seconds_of(text)


def test_a_schedule_that_fits_is_left_as_it_is(experiment):
    plan = fit_into(experiment, PACE, 600)
    assert plan.overrides == {}
    assert plan.notes == ("budget     the whole schedule fits: 300 steps, 6 min 50 s in all",)


def test_steps_are_as_many_as_fit_with_what_comes_after_them(experiment):
    plan = fit_into(experiment, PACE, 300)
    steps = plan.overrides["training.max_steps"]
    assert set(plan.overrides) == {"training.max_steps"}
    spent = steps * (1.0 + 10.0 / 100) + 10 + 50 + 30
    assert 0.85 * 300 < spent <= 0.9 * 300
    assert "all of them would take 6 min 50 s" in plan.notes[0]


def test_less_than_an_epoch_is_not_evaluated_on_the_way_and_said(experiment):
    plan = fit_into(experiment, PACE, 170)
    assert plan.overrides["training.max_steps"] < 100
    assert plan.overrides["training.eval_strategy"] == "no"
    assert "RUN:tfidf may be the better model" in plan.notes[-1]


def test_where_one_pass_over_all_rows_does_not_fit_fewer_are_drawn_and_said(experiment):
    plan = fit_into(experiment, replace(MANY, around=50 + 160.0), 1_000)
    # 649 steps, 10,384 rows, would fit; the simple models learn 20,000 in a fiftieth of the time.
    assert plan.overrides["data.subset.train"] == 20_000
    assert plan.notes[0] == (
        "budget     20,000 of 160,000 training rows, each label with its share: one pass over all of them would take "
        "2 h 46 min; the report says what more rows brought"
    )
    steps = plan.overrides["training.max_steps"]
    assert 0.85 * 1_000 < steps * 1.001 + 10 + 70 + 30 <= 0.9 * 1_000  # 140 s less around it
    assert plan.notes[-1].startswith("budget     that is less than one pass over the training rows")


def test_the_drawn_rows_are_those_that_the_steps_pass_once(experiment):
    wide = load(experiment, {"training.batch_size": 256})
    plan = fit_into(wide, replace(MANY, steps_per_epoch=10_000, rows=2_560_000, around=600.0), 2_000)
    rows, steps = plan.overrides["data.subset.train"], plan.overrides["training.max_steps"]
    assert rows == 1_158 * 256
    assert steps >= rows / 256
    assert plan.notes[-1] == "budget     that is a single pass over them: RUN:tfidf may be the better model"
    assert plan.overrides["training.eval_strategy"] == "no"


@pytest.mark.parametrize(
    "keys", [{"data.subset.train": {"share": 0.5}}, {"data.split.test": "rest", "data.subset.train": 90}]
)
def test_rows_that_the_config_draws_itself_stay_as_they_are(experiment, keys):
    plan = fit_into(load(experiment, keys), MANY, 1_000)
    assert "data.subset.train" not in plan.overrides


def test_fewer_rows_are_drawn_by_seed_with_each_labels_share_and_the_test_rows_stay(experiment):
    fewer = load(experiment, {"data.subset.train": 40})
    whole, drawn = (read(each.data, seed=each.seed) for each in (experiment, fewer))
    assert np.bincount(drawn.splits["train"].targets).tolist() == [20, 20]
    assert set(drawn.splits["train"].rows) < set(whole.splits["train"].rows)
    assert np.array_equal(drawn.splits["test"].rows, whole.splits["test"].rows)


def test_vectors_that_would_take_most_of_the_time_are_left_out(experiment):
    plan = fit_into(experiment, PACE, 120)
    assert plan.overrides["report.ladder"] == ["majority", "tfidf", "stack"]
    assert plan.notes[0] == "budget     no frozen encoder beside the model: its vectors would take 30.0 s"


def test_a_time_in_which_nothing_fits_makes_one_step_and_says_so(experiment):
    plan = fit_into(experiment, PACE, 20)
    assert plan.overrides["training.max_steps"] == 1
    assert "less than one step fits; one is made" in "".join(plan.notes)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"training.early_stopping_patience": 3}, {"early_stopping_patience": None}),
        ({"training.eval_strategy": "steps", "training.eval_steps": 20}, {"eval_steps": None}),
        ({"training.warmup_steps": 30}, {"warmup_steps": 0.1}),
        ({"training.warmup_steps": 0.2}, {"warmup_steps": 0.2}),
    ],
)
def test_what_goes_with_evaluations_or_all_steps_is_cut_too_so_that_the_config_is_one(experiment, keys, expected):
    whole = load(experiment, keys)
    fitting = fit_into(whole, PACE, 20)
    found = load(whole, fitting.overrides).training
    assert (found.max_steps, found.eval_strategy) == (1, "no")
    assert {key: getattr(found, key) for key in expected} == expected


def test_the_pace_is_that_of_the_model_on_this_machine(experiment):
    whole, found = measure(experiment, devices.choose("cpu", "fp32"))
    assert (whole.training.num_train_epochs, whole.training.learning_rate) == (3, 1e-4)
    assert (found.steps_per_epoch, found.rows) == (10, 160)
    assert 0 < found.step < 60
    assert 0 < found.evaluation < found.step * 10
    chosen = within(experiment, 10_000, started=time.monotonic())
    assert chosen == whole


def test_a_budget_is_kept_by_the_command(experiment, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    quick = ["model.checkpoint=scratch:bert", "model.max_length=16", "training.device=cpu", "training.precision=fp32"]
    started = time.monotonic()
    more = ["training.num_train_epochs=100000", "--output", "run", "--budget", "40s"]
    assert run(["train", "all.csv", "--label", "label", *quick, *more]) == 0
    assert time.monotonic() - started < 60
    assert "steps fit, the rate falls to zero over them" in capsys.readouterr().err
    assert load("run/config.yaml").training.max_steps is not None
    assert run(["train", "quickstart", "--budget", "soon"]) == 2
    for option in ("--smoke", "--resume", "--dry-run"):
        assert run(["train", "quickstart", "--budget", "5m", option]) == 2

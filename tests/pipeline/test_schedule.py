"""The schedule of a run whose config leaves it open."""

import pytest
import yaml

from ftcls.config.load import load
from ftcls.config.recipe import complete, complete_from
from ftcls.errors import ConfigError
from ftcls.pipeline import dry_run
from ftcls.pipeline import train as pipeline

pytestmark = pytest.mark.usefixtures("undrawn")

SMALL, BASE = 22_000_000, 110_000_000


@pytest.fixture
def config(tmp_path):
    rows = "".join(f"a {'good' if n % 2 else 'bad'} film {n},{n % 2}\n" for n in range(60))
    (tmp_path / "all.csv").write_text(f"text,label\n{rows}")

    def make(**training):
        return {
            "name": "mine",
            "data": {"source": "files", "path": str(tmp_path / "all.csv"), "task": "binary"},
            "model": {"checkpoint": "scratch:bert", "max_length": 16},
            "training": {"batch_size": 48, "device": "cpu", "precision": "fp32", **training},
            "report": {"ladder": []},
        }

    return make


def chosen(config, *, rows, parameters=SMALL, task="multiclass", **sections):
    return complete(load({**config(), **sections}), rows=rows, task=task, parameters=parameters).training


@pytest.mark.parametrize(("rows", "epochs"), [(100, 10), (2_000, 4), (100_000, 3)])
def test_few_rows_get_many_epochs(config, rows, epochs):
    assert chosen(config, rows=rows).num_train_epochs == epochs


def test_the_rate_goes_by_what_is_trained(config):
    small, base = chosen(config, rows=100), chosen(config, rows=100, parameters=BASE)
    low_rank = chosen(config, rows=100, adapter={"kind": "lora"})
    assert (small.learning_rate, small.head_learning_rate) == (1e-4, 1e-3)
    assert (base.learning_rate, base.head_learning_rate) == (2e-5, None)
    assert (low_rank.learning_rate, low_rank.head_learning_rate) == (3e-4, None)


def test_what_a_config_says_stands(config):
    experiment = load(config(num_train_epochs=2, learning_rate=5e-5))
    assert complete(experiment, rows=100, task="binary", parameters=SMALL) == experiment
    steps = complete(load(config(max_steps=7)), rows=100, task="binary", parameters=SMALL).training
    assert (steps.max_steps, steps.num_train_epochs) == (7, None)


def test_a_rate_alone_is_that_of_the_head_too(config):
    assert chosen(lambda: config(learning_rate=5e-5), rows=100).head_learning_rate is None


def test_an_earlier_choice_fills_open_keys_alone(config):
    earlier = complete(load(config()), rows=100, task="binary", parameters=SMALL).training.model_dump()
    assert complete_from(load(config()), earlier).training.model_dump() == earlier
    fixed = load(config(learning_rate=5e-5, max_steps=7))
    assert complete_from(fixed, earlier) == fixed


def test_a_run_writes_down_what_it_chose_and_resumes_with_either_config(config, tmp_path):
    run = pipeline.train(config(), output=tmp_path / "run")
    written = yaml.safe_load(run.files.config.read_text())["training"]
    assert (written["num_train_epochs"], written["learning_rate"], written["head_learning_rate"]) == (10, 1e-4, 1e-3)
    assert run.report.training.epochs == 10
    before = run.files.report.read_bytes()
    for again in (config(), str(run.files.config)):
        assert pipeline.train(again, output=tmp_path / "run", resume=True).files.report.read_bytes() == before
    with pytest.raises(ConfigError, match=r"training\.num_train_epochs: 10\.0 in the run, 3\.0 now"):
        pipeline.train(config(num_train_epochs=3), output=tmp_path / "run", resume=True)


def test_a_dry_run_has_the_steps_of_the_run(config):
    assert dry_run.dry_run(load(config())).steps == 10

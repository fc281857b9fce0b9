"""The studies' recipes as they run: a small untrained model in BERT's place, real text, every other setting theirs."""

import json
import math

import pytest

from ftcls.config.load import load
from ftcls.pipeline import train as pipeline

SMALL = ["model.checkpoint=scratch:bert", "model.max_length=32", "training.device=cpu", "training.precision=fp32"]
FEW = ["data.subset.validation=64", "data.subset.test=64"]

pytestmark = pytest.mark.slow


@pytest.fixture
def trained(data_folder, tmp_path):
    """Train a shipped config on the original data set and return its history and its report."""

    def train(name, *overrides):
        experiment = load(name)
        path = f"data.path={data_folder / experiment.data.source}"
        run = pipeline.train(load(name, [path, *SMALL, *FEW, *overrides]), output=tmp_path / name).files
        history = [json.loads(line) for line in run.history.read_text().splitlines()]
        return run, history, json.loads(run.report.read_text())

    return train


def test_imdb_2000_follows_the_learning_rates_that_its_study_logged(trained):
    run, history, report = trained("imdb-2000")
    logged = {line["step"]: line for line in history if "learning_rate" in line}
    # Steps 10 and 370 of 375; each line carries the rate that its step was taken with.
    assert logged[10]["learning_rate"] == pytest.approx(1.952e-5, rel=1e-9)
    assert logged[370]["learning_rate"] == pytest.approx(3.2e-7, rel=1e-9)
    assert report["training"]["steps"] == 375
    assert set(range(10, 371, 10)) <= set(logged), "loss, learning rate and gradient norm every 10 steps"
    assert all({"loss", "grad_norm"} <= set(logged[step]) for step in range(10, 371, 10))
    assert [line["step"] for line in history if "eval_loss" in line] == [125, 250, 375]
    # Saved every 10 steps and at the end, of which two are kept, and the best weights.
    kept = {path.name for path in run.checkpoints.iterdir() if not path.name.startswith(".")}
    assert "best" in kept
    assert len(kept - {"best"}) == 2


@pytest.mark.parametrize("token_budget", [512, 16_384])
def test_ag_news_takes_128_examples_a_step_under_any_token_budget(trained, token_budget):
    some = ("data.subset.train=2000", "training.max_steps=3")
    _, _, report = trained("ag_news", *some, f"training.token_budget={token_budget}")
    training = report["training"]
    assert round(training["examples_per_second"] * training["seconds"]) == 3 * 128
    assert training["batch_size"] == 128
    assert (training["micro_batches"] > 3 * 4) == (token_budget == 512)
    steps = math.ceil(report["data"]["splits"]["train"]["examples"] / 128)
    assert training["epochs"] == pytest.approx(3 / steps)

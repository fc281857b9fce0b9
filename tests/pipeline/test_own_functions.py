"""Losses and metrics of one's own: handed over or named by a config, tried early, recorded, asked for again."""

import functools
import json
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score, matthews_corrcoef
from torch.nn import functional

import ftcls
from ftcls.cli.app import run as command
from ftcls.config import paths
from ftcls.config.load import dump, load
from ftcls.config.loss_schema import Loss
from ftcls.config.source import Place
from ftcls.errors import ConfigError
from ftcls.pipeline import own_functions
from ftcls.training import objective_check
from ftcls.training.fit import objective

pytestmark = pytest.mark.usefixtures("undrawn")

FILE = """
    import torch

    def doubled(logits, targets):
        return 2 * torch.nn.functional.cross_entropy(logits, targets, reduction="none")

    def mistakes(gold, predicted):
        return int((gold != predicted).sum())
"""


def cross_entropy(logits, targets):
    return functional.cross_entropy(logits, targets, reduction="none")


def mistakes(gold, predicted):
    return int((gold != predicted).sum())


def cost(gold, predicted, probabilities, labels):
    assert labels == ("bad", "good")
    assert probabilities.shape == (len(gold), 2)
    return float(np.where(gold == labels.index("bad"), 5.0, 1.0)[gold != predicted].sum())


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    words = {"bad": "awful dull", "good": "fine warm"}
    rows = [(f"{words[label]} film {i}", label) for i in range(40) for label in words]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(folder / "films.csv", index=False)
    return {
        "name": "films",
        "data": {"source": "files", "path": str(folder / "films.csv"), "task": "binary"},
        "model": {"checkpoint": "scratch:bert", "max_length": 16},
        "training": {
            "max_steps": 6,
            "batch_size": 16,
            "learning_rate": 1e-3,
            "eval_steps": 2,
            "save_steps": 2,
            "eval_strategy": "steps",
            "save_strategy": "steps",
            "device": "cpu",
            "precision": "fp32",
        },
        "report": {"ladder": []},
    }


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    """By a loss and two metrics that were handed over."""
    place = tmp_path_factory.mktemp("own") / "run"
    return ftcls.train(config, output=place, objective=cross_entropy, metrics={"mistakes": mistakes, "cost": cost})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent(FILE))
    return path


def weights(run):
    return (run.files.model / "model.safetensors").read_bytes()


def test_cross_entropy_of_ones_own_trains_to_the_bytes_of_the_configs(config, trained, tmp_path):
    plain = ftcls.train(config, output=tmp_path / "plain")
    assert weights(plain) == weights(trained)


def test_the_run_says_what_it_was_trained_and_scored_with(trained):
    found = load(trained.files.config)
    assert found.loss == Loss(function=f"{__file__}:cross_entropy")
    assert found.metrics.functions == {"mistakes": f"{__file__}:mistakes", "cost": f"{__file__}:cost"}


def test_a_metric_of_ones_own_stands_in_the_report(trained):
    rows = trained.predictions("test")
    wrong = rows[rows["gold"] != rows["predicted"]]
    assert trained.metrics["test"]["mistakes"] == len(wrong)
    assert trained.metrics["test"]["cost"] == sum(5 if gold == "bad" else 1 for gold in wrong["gold"])
    assert "mistakes" in trained.files.page.read_text(encoding="utf-8")


def test_eval_says_what_it_needs_and_repeats_the_figures_with_it(trained, capsys):
    with pytest.raises(ConfigError, match=r"metrics\.functions\.mistakes: .*metrics=\{\"mistakes\": FUNCTION\}"):
        ftcls.evaluate(trained)
    assert command(["eval", str(trained.path)]) == 2
    assert "add --allow-code" in " ".join(capsys.readouterr().err.split())
    again = ftcls.evaluate(trained, metrics={"mistakes": mistakes, "cost": cost})
    assert again.metrics == trained.metrics["test"]


def test_eval_with_other_metrics_says_so(trained, caplog):
    def cost(gold, predicted):
        return 7.0

    found = ftcls.evaluate(trained, metrics={"mistakes": mistakes, "cost": cost, "mcc": matthews_corrcoef})
    assert found.metrics["cost"] == 7.0
    assert found.metrics["mcc"] == pytest.approx(found.metrics["mcc"])
    assert "metrics.functions.cost: the config has" in caplog.text


def test_prediction_needs_neither(trained):
    assert len(ftcls.predict(trained, ["a fine film"])) == 1


def test_a_stopped_training_is_continued_with_the_same_loss_or_not_at_all(config, trained, tmp_path, monkeypatch):
    from ftcls.training.trainer import Trainer

    step, begun = Trainer.training_step, []

    def stop(self, *given, **named):
        begun.append(1)
        if len(begun) == 5:
            raise RuntimeError("stopped")
        return step(self, *given, **named)

    own = {"mistakes": mistakes, "cost": cost}
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "training_step", stop)
        with pytest.raises(RuntimeError, match="stopped"):
            ftcls.train(config, output=tmp_path / "run", objective=cross_entropy, metrics=own)
    with pytest.raises(ConfigError, match=r"loss\.function: .*objective=FUNCTION"):
        ftcls.train(tmp_path / "run" / "config.yaml", output=tmp_path / "run", resume=True)
    again = ftcls.train(config, output=tmp_path / "run", resume=True, objective=cross_entropy, metrics=own)
    assert again.report.training.resumed
    assert weights(again) == weights(trained)


def test_the_command_line_runs_a_file_that_is_allowed(config, file, tmp_path, capsys):
    path = tmp_path / "films.yaml"
    functions = {"loss": {"function": "mine.py:doubled"}, "metrics": {"functions": {"wrong": "mine.py:mistakes"}}}
    path.write_text(json.dumps(config | functions))
    assert command(["train", str(path), "--output", str(tmp_path / "run")]) == 2
    assert "loss.function" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert command(["train", str(path), "--output", str(tmp_path / "run"), "--allow-code"]) == 0
    found = ftcls.Run(tmp_path / "run")
    assert load(found.files.config).loss.function == f"{file}:doubled"
    assert "wrong" in found.metrics["test"]
    assert command(["eval", str(found.path), "--allow-code"]) == 0
    file.unlink()
    assert command(["eval", str(found.path), "--allow-code"]) == 2
    assert "no such file" in capsys.readouterr().err


def test_several_labels_and_their_names(tmp_path):
    seen = []

    def loss(logits, targets):
        return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(-1)

    def macro(gold, predicted):
        seen.append(gold.shape)
        return f1_score(gold, predicted, average="macro", zero_division=0)

    rows = [{"text": f"{a} {b} {i}", "label": f"{a},{b}" if i % 2 else a} for i in range(30) for a, b in [("x", "y")]]
    rows += [{"text": f"y z {i}", "label": "y,z"} for i in range(20)]
    config = {
        "name": "tags",
        "data": {
            "source": "files",
            "path": "unused.csv",
            "task": "multilabel",
            "label": {"column": "label", "separator": ","},
        },
        "model": {"checkpoint": "scratch:bert", "max_length": 16},
        "training": {"max_steps": 2, "batch_size": 16, "learning_rate": 1e-3},
        "report": {"ladder": []},
    }
    run = ftcls.train(
        config, data=pd.DataFrame(rows), output=tmp_path / "run", objective=loss, metrics={"macro": macro}
    )
    assert run.metrics["test"]["macro"] == pytest.approx(run.metrics["test"]["f1_macro"])
    assert all(shape[1] == 3 for shape in seen)


WRONG = {
    "mean": (lambda logits, targets: functional.cross_entropy(logits, targets), "leave out the mean"),
    "list": (lambda logits, targets: [0.0] * len(targets), "gives list"),
    "shape": (lambda logits, targets: logits, r"gives a tensor of shape \[4, 3\]"),
    "detached": (lambda logits, targets: cross_entropy(logits.detach(), targets), "no gradient"),
    "infinite": (lambda logits, targets: cross_entropy(logits, targets) / 0, "not finite"),
    "raises": (lambda logits: logits, "fails on logits"),
    "batch": (
        lambda logits, targets: cross_entropy(logits, targets) - cross_entropy(logits, targets).mean() + logits.sum(),
        "depends on the texts beside it",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_loss_that_does_not_fit_is_found_before_the_first_step(name):
    function, message = WRONG[name]
    with pytest.raises(ConfigError, match=message):
        objective_check.check(function, np.arange(5) % 3, 3, name="loss.function: mine")


@pytest.mark.parametrize("kind", ["cross_entropy", "focal", "asymmetric"])
def test_the_losses_of_ftcls_would_fit(kind):
    several = kind == "asymmetric"
    targets = np.eye(3, dtype=np.float32) if several else np.arange(3)
    own = objective(Loss(kind=kind), targets, ("a", "b", "c"), task="multilabel" if several else "multiclass")
    objective_check.check(own, targets, 3, name="loss")


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"f1_macro": mistakes}, "has a metric of that name"),
        ({"half": lambda gold, predicted: "half"}, "fails on binary labels: TypeError: it gives str"),
        ({"half": lambda gold, predicted: gold}, "it gives ndarray"),
        ({"half": lambda gold, predicted: 1 / 0}, "ZeroDivisionError"),
        ({"half": 0.5}, "is no function"),
    ],
)
def test_a_metric_that_does_not_fit_is_found_before_the_first_step(config, tmp_path, metrics, message):
    with pytest.raises(ConfigError, match=message):
        ftcls.train(config, output=tmp_path / "run", metrics=metrics)


def test_a_metric_that_fails_at_the_end_costs_no_report(config, tmp_path, caplog):
    calls = []

    def late(gold, predicted):
        calls.append(1)
        if (gold != predicted).any():
            raise ValueError("only for perfect models")
        return 1.0

    run = ftcls.train(config, output=tmp_path / "run", metrics={"late": late}, overrides={"training.max_steps": 1})
    assert run.metrics["test"]["late"] is None
    assert "late failed and is reported as null" in caplog.text


def test_functions_are_named_by_their_file_or_library():
    assert own_functions.reference(cross_entropy) == f"{__file__}:cross_entropy"
    assert own_functions.reference(matthews_corrcoef).endswith(":matthews_corrcoef")
    assert own_functions.reference(matthews_corrcoef).startswith("sklearn.metrics")
    bound = functools.partial(cross_entropy)
    assert own_functions.reference(bound) == f"{__file__}:cross_entropy(...)"
    with pytest.raises(ConfigError, match="hand it over from Python"):
        own_functions.load(own_functions.reference(bound), "loss.function")
    with pytest.raises(ConfigError, match="hand it over from Python"):
        own_functions.load(own_functions.reference(lambda: 0), "loss.function")
    found = own_functions.load(own_functions.reference(cross_entropy), "loss.function")
    assert found(torch.zeros(1, 2), torch.zeros(1, dtype=torch.long)).item() == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("nowhere.py:loss", "no such file"),
        ("{file}:absent", "there is no absent in it"),
        ("{file}:torch", "is module, and no function"),
        ("no_such_module:loss", "cannot be loaded: ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_loaded_is_one_message(file, said, message):
    with pytest.raises(ConfigError, match=message):
        own_functions.load(said.format(file=file), "loss.function")


def test_other_keys_of_the_loss_have_no_effect_beside_it():
    with pytest.raises(ConfigError, match=r"loss\.label_smoothing=0\.1: has no effect on a loss of one's own"):
        load("ag_news", ["loss.function=mine.py:loss", "loss.label_smoothing=0.1"])
    assert load("ag_news", ["loss.function=mine:loss"]).loss.function == "mine:loss"
    assert "function: mine:loss" in dump(load("ag_news", ["loss.function=mine:loss"]))
    with pytest.raises(ConfigError, match=r"loss\.function"):
        load("ag_news", ["loss.function=mine"])


@pytest.mark.parametrize("key", ["loss.function", "metrics.functions.cost"])
def test_a_file_of_a_sweeps_axis_is_made_absolute(tmp_path, key):
    place = Place("sweep.yaml", line=1, column=1, folder=tmp_path)
    assert paths.absolute(key, "mine.py:cost", place) == f"{tmp_path / 'mine.py'}:cost"
    assert paths.absolute(key, "mine:cost", place) == "mine:cost"

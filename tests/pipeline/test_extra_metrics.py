"""Modules of the `evaluate` library as metrics: allowed, tried early, reported beside ours."""

import json
from pathlib import Path
from types import SimpleNamespace

import evaluate
import numpy as np
import pytest

import synthetic
from ftcls.cli.app import run
from ftcls.config.load import load
from ftcls.data.corpus import Corpus, Split
from ftcls.errors import ConfigError
from ftcls.pipeline import extra_metrics

pytestmark = pytest.mark.usefixtures("undrawn")

MODULE = """
import datasets
import evaluate


class Own(evaluate.Metric):
    def _info(self):
        kind = datasets.Value("int32")
        kind = datasets.Sequence(kind) if self.config_name == "multilabel" else kind
        features = datasets.Features({{"predictions": kind, "references": kind}})
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=features)

    def _compute(self, predictions, references{signature}):
        {body}
"""


@pytest.fixture(scope="module", autouse=True)
def module_cache(tmp_path_factory):
    """Where `evaluate` copies modules before it imports them: one folder, because it becomes a package."""
    folder = str(tmp_path_factory.mktemp("modules"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate.config, "HF_MODULES_CACHE", folder)
        patch.setattr(evaluate.config, "HF_EVALUATE_OFFLINE", True)
        patch.syspath_prepend(folder)
        yield


@pytest.fixture
def module(tmp_path):
    def write(name, body, signature=""):
        path = tmp_path / f"{name}.py"
        path.write_text(MODULE.format(body=body, signature=signature))
        return str(path)

    return write


def corpus(task, n=30):
    made = synthetic.predictions(task, n)
    targets = made.gold.astype(np.float32) if task == "multilabel" else made.gold
    split = Split([f"text {i}" for i in range(n)], targets, np.arange(n))
    positive = made.labels[1] if task == "binary" else None
    return Corpus("made", task, made.labels, {"train": split, "validation": split, "test": split}, positive)


RIGHT = 'return {"right": sum(p == r for p, r in zip(predictions, references)) / len(references)}'


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_a_module_gets_numbers_of_labels_and_its_figure_its_own_name(module, task):
    modules = extra_metrics.load([module("share_right", RIGHT)], corpus(task))
    made = synthetic.predictions(task)
    right = (made.gold == made.predicted).reshape(len(made), -1).all(axis=1).mean()
    assert extra_metrics.score(modules, made) == {"right": pytest.approx(right)}


def test_a_name_that_ftcls_has_already_gets_a_prefix(module):
    names = [module("accuracy_again", 'return {"accuracy": 0.25, "mine": 1}'), module("twice", 'return {"mine": 2}')]
    modules = extra_metrics.load(names, corpus("binary"))
    found = extra_metrics.score(modules, synthetic.predictions("binary"))
    assert found == {"evaluate.accuracy": 0.25, "mine": 1.0, "evaluate.mine": 2.0}


def test_options_of_scikit_learn_are_set_where_a_module_knows_them(module):
    body = 'return {"mean": float(average == "macro")}'
    several = module("averaged", body, signature=', average="binary"')
    modules = extra_metrics.load([several], corpus("multiclass"))
    assert extra_metrics.score(modules, synthetic.predictions("multiclass")) == {"mean": 1.0}
    assert extra_metrics.load([several], corpus("binary"))[0].score(synthetic.predictions("binary")) == {"mean": 0.0}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('raise ValueError("only on Tuesdays")', "fails on binary labels: ValueError: only on Tuesdays"),
        ('return {"curve": [1, 2]}', "gives no number for curve"),
        ("return {}", "gives nothing"),
    ],
)
def test_a_module_that_fails_is_found_before_training(module, body, message):
    with pytest.raises(ConfigError, match=message):
        extra_metrics.load([module("odd", body)], corpus("binary"))


def test_a_module_that_cannot_be_imported_names_the_reason(tmp_path):
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(ConfigError, match=r"broken.py: cannot be loaded: .*nothing_of_this_name"):
        extra_metrics.load([str(tmp_path / "broken.py")], corpus("binary"))


def test_a_module_in_the_cache_is_found_by_its_name(module, tmp_path):
    cached = Path(evaluate.config.HF_MODULES_CACHE, "evaluate_modules", "metrics", "evaluate-metric--share", "0" * 64)
    cached.mkdir(parents=True)
    Path(module("share", RIGHT)).rename(cached / "share.py")
    assert set(extra_metrics.load(["share"], corpus("binary"))[0].keys) == {"right"}


@pytest.mark.parametrize("name", ["acuracy", "somebody/acuracy", "./acuracy.py"])
def test_a_wrong_name_says_where_it_was_looked_for_and_how_to_fetch_it(name):
    with pytest.raises(ConfigError, match=r"acuracy.*: no (such )?file.*evaluate.load"):
        extra_metrics.load([name], corpus("binary"))


def test_a_module_that_fails_after_training_costs_no_run_its_report(module, caplog):
    # It runs on gold labels and gives up on wrong predictions.
    body = 'assert predictions == references, "not perfect"\n        return {"perfect": 1.0}'
    modules = extra_metrics.load([module("perfectionist", body)], corpus("binary"))
    assert extra_metrics.score(modules, synthetic.predictions("binary")) == {"perfect": None}
    assert "perfectionist.py failed and is reported as null: not perfect" in caplog.text


def test_a_figure_that_is_not_finite_is_none(module):
    modules = extra_metrics.load([module("nan", 'return {"nan": float("nan")}')], corpus("binary"))
    assert extra_metrics.score(modules, synthetic.predictions("binary")) == {"nan": None}


def test_inputs_that_ftcls_cannot_give_are_named():
    metric = SimpleNamespace(features={"sources": None, "predictions": None})
    with pytest.raises(ValueError, match="it asks for sources; ftcls gives predictions, references, prediction_scores"):
        extra_metrics._computed(metric, synthetic.predictions("binary"))


def test_no_module_needs_no_permission_and_no_library():
    extra_metrics.check_allowed((), allow_code=False)
    assert extra_metrics.load((), corpus("binary")) == ()


@pytest.fixture
def config(tmp_path, module):
    module("share_right", RIGHT)
    rows = "".join(f"a good film {i},pos\na bad film {i},neg\n" for i in range(40))
    (tmp_path / "all.csv").write_text(f"text,label\n{rows}")
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ndata: {source: files, path: all.csv, task: binary}\nmodel: {checkpoint: 'scratch:bert'}\n"
        "training: {max_steps: 2, device: cpu, precision: fp32}\nmetrics: {evaluate: [share_right.py]}\n"
    )
    return path


def test_a_path_is_relative_to_the_config_and_a_name_stays_a_name(config):
    assert load(config).metrics.evaluate == (str(config.parent / "share_right.py"),)
    assert load(config, ["metrics.evaluate=[accuracy]"]).metrics.evaluate == ("accuracy",)
    with pytest.raises(ConfigError, match=r"metrics\.evaluate"):
        load(config, ["metrics.evaluate=[7]"])


def test_train_and_eval_run_modules_only_when_allowed(config, tmp_path, capsys):
    output = tmp_path / "run"
    assert run(["train", str(config), "--output", str(output), "--quiet"]) == 2
    assert "modules run code. Look at it, then add --allow-code" in capsys.readouterr().err
    assert not output.exists()

    assert run(["train", str(config), "--output", str(output), "--quiet", "--allow-code"]) == 0
    assert "\nAlso right ." in capsys.readouterr().out
    report = json.loads((output / "report.json").read_text())
    assert report["metrics"]["test"]["right"] == report["metrics"]["test"]["accuracy"]
    assert report["intervals"]["test"]["right"] is None

    assert run(["eval", str(output), "--quiet"]) == 2
    assert "--allow-code" in capsys.readouterr().err
    assert run(["eval", str(output), "--quiet", "--allow-code", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == report["metrics"]["test"]


def test_a_wrong_module_leaves_no_run_behind(config, tmp_path, capsys):
    output = tmp_path / "run"
    arguments = ["train", str(config), "metrics.evaluate=[acuracy]", "--output", str(output), "--allow-code", "--quiet"]
    assert run(arguments) == 2
    assert "acuracy" in capsys.readouterr().err
    assert not output.exists()

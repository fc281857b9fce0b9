"""A run is scored in the arithmetic that it was trained in; how far that is from float32 stands in its report."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ftcls.environment import devices
from ftcls.inference import precision_check
from ftcls.inference.classifier import Classifier
from ftcls.inference.forward import Torch
from ftcls.pipeline import train as pipeline
from ftcls.pipeline.evaluate import evaluate
from ftcls.runs import report_schema
from ftcls.runs.directory import RunDir


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("precision")
    rows = "".join(f"a {'good' if n % 3 else 'bad'} film {n} {'x ' * (n % 7)},{n % 2}\n" for n in range(80))
    (folder / "all.csv").write_text(f"text,label\n{rows}")
    config = {
        "name": "mine",
        "data": {"source": "files", "path": str(folder / "all.csv"), "task": "binary"},
        "model": {"checkpoint": "scratch:bert", "max_length": 16},
        "training": {"max_steps": 4, "learning_rate": 1e-3, "device": "cpu", "precision": "bf16"},
        "report": {"ladder": ["tfidf", "stack"]},
    }
    return pipeline.train(config, output=folder / "run").files


def test_the_report_says_how_far_its_precision_is_from_float32(run):
    found = report_schema.read_report(run).precision_agreement
    assert (found.precision, found.texts) == ("bf16", 8)
    assert 0 < found.largest_difference < 0.05
    assert 0.5 <= found.same_labels <= 1


@pytest.mark.parametrize("place", ["{}", "{}:stack"])
def test_eval_repeats_the_report_to_the_last_digit(run, place):
    report = report_schema.read_report(run)
    expected = report.metrics["test"]
    if ":" in place:
        expected = next(rung for rung in report.ladder if rung.name == "stack").metrics["test"]
    found = evaluate(place.format(run.path))
    assert found.precision == "bf16"
    assert found.metrics == expected


def test_float32_on_request_is_near_and_named(run):
    found = evaluate(str(run.path), precision="fp32")
    assert found.precision == "fp32"
    assert found.metrics["loss"] != report_schema.read_report(run).metrics["test"]["loss"]
    assert found.metrics["loss"] == pytest.approx(report_schema.read_report(run).metrics["test"]["loss"], abs=0.01)


@pytest.fixture
def edited(run, tmp_path):
    """A copy of the run without its manifests, to be edited."""
    return RunDir(Path(shutil.copytree(run.path, tmp_path / "run", ignore=shutil.ignore_patterns("manifest.json"))))


def test_a_run_that_was_scored_in_float32_is_repeated_in_float32(edited):
    document = json.loads(edited.report.read_text())
    edited.report.write_text(json.dumps(document | {"precision_agreement": None}))
    assert evaluate(str(edited.path)).precision == "fp32"


def test_a_device_without_it_takes_float32_unless_the_config_asks(edited, monkeypatch, caplog):
    monkeypatch.setattr(devices, "_cpu_bf16", lambda: False)
    assert evaluate(str(edited.path)).precision == "bf16"  # asked for
    edited.config.write_text(edited.config.read_text().replace("precision: bf16", "precision: auto"))
    caplog.set_level("INFO", "ftcls")
    assert evaluate(str(edited.path)).precision == "fp32"
    assert "the run was scored in bf16, which this cpu has not: float32" in caplog.text


def test_in_float32_there_is_nothing_to_compare(run):
    classifier = Classifier.from_pretrained(run.path, device="cpu")
    encoded = classifier.encode(["a good film"] * 3)
    assert precision_check.agreement(classifier, encoded, logits=None, scored=3) is None
    rounded = replace(classifier, backend=Torch(classifier.model, "bf16"))
    assert precision_check.agreement(rounded, encoded.head(2), logits=None, scored=2).texts == 2


@pytest.mark.parametrize(("scored", "texts"), [(60, 50), (2_200, 110), (1_000_000, 500)])
def test_a_twentieth_of_what_is_scored_is_computed_in_float32_too(run, scored, texts):
    classifier = Classifier.from_pretrained(run.path, device="cpu")
    rounded = replace(classifier, backend=Torch(classifier.model, "bf16"))
    encoded = rounded.encode([f"a good film {number}" for number in range(600)])
    logits = rounded.logits(encoded)
    found = precision_check.agreement(rounded, encoded, logits=logits, scored=scored)
    assert (found.texts, found.same_labels) == (texts, 1.0)
    assert 0 < found.largest_difference < 0.05
    # What was computed before is taken as it is.
    other = precision_check.agreement(rounded, encoded, logits=logits + np.eye(logits.shape[1])[0] * 9, scored=scored)
    assert other.largest_difference > 0.4

"""A cross-validation as one command: folds, what they say together, the final model, and a run that was killed."""

import json
import os
import re
import signal
import time

import numpy as np
import pytest

import ftcls
import processes
from ftcls.cli.app import run as typed
from ftcls.config.load import load
from ftcls.environment import manifest
from ftcls.errors import ConfigError
from ftcls.runs import predictions, report_schema
from ftcls.runs.directory import RunDir
from ftcls.runs.report_schema import read_report
from ftcls.scoring import metrics

CONFIG = """\
name: crossed
data: {source: files, path: rows.csv, task: multiclass, split: {folds: 3}}
model: {checkpoint: "scratch:bert", max_length: 24}
training: {max_steps: 12, batch_size: 8, learning_rate: 2e-3, eval_strategy: steps, eval_steps: 4, save_strategy: steps,
  save_steps: 4, logging_steps: 2, device: cpu, precision: fp32}
decision: {temperature: tuned}
"""
TOPICS = {"sport": "match goal team coach", "money": "market stock bank price", "food": "bread soup oven sugar"}
COMMON = ["the", "a", "of", "and", "to", "in", "is", "was", "for", "with", "on", "at", "by", "from", "as", "it"]


def write_rows(path, n, *, wrong=()):
    """So many texts of three topics; those numbers have the label of the next one."""
    rng, labels = np.random.default_rng(0), list(TOPICS)
    lines = ["text,label"]
    for number in range(n):
        topic = number % 3
        words = [*rng.choice(COMMON, 6), *rng.choice(TOPICS[labels[topic]].split(), 4), f"n{number}"]
        lines.append(f"{' '.join(rng.permutation(words))},{labels[(topic + (number in wrong)) % 3]}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crossed")
    write_rows(folder / "rows.csv", 96, wrong={10, 50})
    (folder / "crossed.yaml").write_text(CONFIG, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(home):
    with processes.forked_trainings():
        ftcls.train(home / "crossed.yaml", output=home / "run", jobs=1)
    return RunDir(home / "run")


@pytest.fixture(scope="module")
def report(run):
    return read_report(run)


def test_every_row_is_predicted_once_by_the_model_that_did_not_see_its_fold(run):
    said = predictions.read(run.predictions / "out_of_fold.parquet")
    assert said.rows.tolist() == list(range(96))
    assert np.bincount(said.folds).tolist() == [0, 32, 32, 32]
    for number in (1, 2, 3):
        fold = predictions.read(run.fold(number).predictions / "test.parquet")
        inside = said.take(said.folds == number)
        assert inside.rows.tolist() == fold.rows.tolist()
        np.testing.assert_array_equal(inside.probabilities, fold.probabilities)
        np.testing.assert_array_equal(inside.predicted, fold.predicted)
    texts = predictions.read_rows(run.predictions / "out_of_fold.parquet").texts
    assert [int(re.search(r"\bn(\d+)\b", text)[1]) for text in texts] == said.rows.tolist()


def test_the_report_has_scores_intervals_ladder_and_folds(run, report):
    said = predictions.read(run.predictions / "out_of_fold.parquet")
    assert report.held_out == "out_of_fold"
    assert list(report.metrics) == ["out_of_fold"]
    assert report.metrics["out_of_fold"] == pytest.approx(metrics.score(said))
    assert {name: split.examples for name, split in report.data.splits.items()} == {"train": 96, "out_of_fold": 96}
    found = report.cross_validation
    assert [(each.examples, each.train_examples, each.validation_examples) for each in found.folds] == [(32, 58, 6)] * 3
    values = [each.metrics["accuracy"] for each in found.folds]
    assert found.spread["accuracy"].mean == pytest.approx(np.mean(values))
    assert found.spread["accuracy"].standard_deviation == pytest.approx(np.std(values, ddof=1))
    assert (found.spread["accuracy"].min, found.spread["accuracy"].max) == (min(values), max(values))
    assert all(by >= 1 for by in found.widening.values())
    rungs = {rung.name: rung for rung in report.ladder}
    assert list(rungs) == ["majority", "tfidf", "frozen", "fine_tuned", "stack"]
    assert rungs["frozen"].omitted == "the checkpoint is not pretrained"
    assert rungs["tfidf"].difference["f1_macro"].rows == 96
    baseline = predictions.read(run.predictions / "out_of_fold-baseline.parquet")
    assert rungs["tfidf"].metrics["out_of_fold"] == pytest.approx(metrics.score(baseline))
    assert report_schema.validate(json.loads(run.report.read_text(encoding="utf-8"))) == []


def test_the_final_model_learns_all_rows_for_the_median_of_the_best_steps(run, report):
    best = sorted(each.best_step for each in report.cross_validation.folds)
    assert report.training.steps == report.cross_validation.final_steps == best[1]
    assert report.cross_validation.final_examples == 96
    assert report.training.evaluations == ()
    assert report.training.best.value is None
    assert report.decision.temperature != 1
    assert ftcls.Classifier.from_pretrained(run.path).decision.temperature == report.decision.temperature
    assert load(run.config).training.max_steps == 12  # as it was written


def test_label_noise_is_judged_by_the_folds_on_every_row(report):
    found = next((check for check in report.data.checks if check.name == "label_noise"), None)
    assert found is not None
    assert "all rows were judged" in found.advice
    assert "the model trained on other rows" in found.advice


def test_eval_repeats_the_pooled_figures_and_scores_other_rows_by_the_final_model(run, report, home, capsys):
    assert typed(["eval", str(run.path), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["metrics"] == report.metrics["out_of_fold"]
    assert {name: tuple(each) for name, each in again["intervals"].items()} == report.intervals["out_of_fold"]
    simple = ftcls.evaluate(f"{run.path}:tfidf")
    assert simple.metrics == report.baseline.metrics["out_of_fold"]
    other = ftcls.evaluate(run.path, data=home / "rows.csv")
    final = ftcls.Classifier.from_pretrained(run.path, precision="fp32")
    texts = [line.rpartition(",")[0] for line in (home / "rows.csv").read_text(encoding="utf-8").splitlines()[1:]]
    gold = [line.rpartition(",")[2] for line in (home / "rows.csv").read_text(encoding="utf-8").splitlines()[1:]]
    assert other.metrics["accuracy"] == pytest.approx(np.mean(final.predict(texts) == np.array(gold)))
    with pytest.raises(ftcls.errors.DataError, match="--split test: there are train, out_of_fold"):
        ftcls.evaluate(run.path, split="test")


def test_what_takes_a_run_takes_this_one(run, report, home, capsys, tmp_path):
    assert typed(["predict", str(run.path), "--text", "the bread and the soup in the oven"]) == 0
    assert typed(["predict", f"{run.path}:stack", "--text", "the bread and the soup in the oven"]) == 0
    assert typed(["report", str(run.path), "--output", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert 'id="folds"' in page
    assert "out-of-fold rows" in page
    assert typed(["runs", "list", str(home)]) == 0
    assert typed(["runs", "verify", str(run.path)]) == 0
    capsys.readouterr()
    assert typed(["compare", str(run.path), f"{run.path}:tfidf", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rung = next(rung for rung in report.ladder if rung.name == "tfidf").difference["f1_macro"]
    assert found["split"] == "out_of_fold"
    assert abs(found["pairs"][0]["difference"]["value"]) == pytest.approx(abs(rung.value))
    assert found["pairs"][0]["mcnemar"] is None
    assert repr(ftcls.Run(run.path)).endswith("on out_of_fold")
    assert len(ftcls.Run(run.path).predictions()) == 96


def test_a_fold_that_was_damaged_is_named(run, home):
    file = run.fold(2).predictions / "test.parquet"
    content = file.read_bytes()
    report = run.report.read_bytes()
    try:
        run.report.unlink()  # so that the run goes on
        file.write_bytes(content[:-1])
        with pytest.raises(ftcls.errors.DataError, match=r"folds/2/predictions/test.parquet: is damaged"):
            ftcls.train(home / "crossed.yaml", output=run.path, resume=True)
    finally:
        file.write_bytes(content)
        run.report.write_bytes(report)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": "10m"}, r"--budget: times one training, and data\.split\.folds: 3 makes 4"),
        (
            {"jobs": 2, "overrides": {"data.split.fold": 1}},
            "--jobs: folds are trained side by side, and there",
        ),
        ({"overrides": {"data.split.folds": 97}}, r"data\.split\.folds: 97: there are 96 rows; write fewer folds"),
    ],
)
def test_what_cannot_be_done_is_one_message_and_leaves_nothing(home, tmp_path, arguments, message):
    with pytest.raises(ftcls.errors.FtclsError, match=message):
        ftcls.train(home / "crossed.yaml", output=tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_a_sweep_of_cross_validations_is_refused_and_one_of_folds_is_not(home):
    for axes, refused in (("{seed: [1, 2]}", True), ("{data.split.fold: [1, 2, 3]}", False)):
        (home / "sweep.yaml").write_text(f"name: s\nbase: crossed.yaml\naxes: {axes}\n", encoding="utf-8")
        if refused:
            with pytest.raises(ConfigError, match="a sweep chooses by the validation split, and a cross-validation"):
                ftcls.sweep(home / "sweep.yaml", output=home / "sweep")
        else:
            assert typed(["sweep", str(home / "sweep.yaml"), "--print"]) == 0


def test_a_student_of_a_cross_validation_is_refused_with_what_to_do(run):
    with pytest.raises(ConfigError, match=r"a cross-validation, whose final model has learnt .*run/folds/1"):
        ftcls.distill(run.path)


def test_a_dry_run_says_how_many_trainings_there_are(home, capsys):
    assert typed(["train", str(home / "crossed.yaml"), "--dry-run"]) == 0
    assert "3 such trainings without the rows of a fold, then one of all rows" in capsys.readouterr().out


def begin(folder):
    arguments = ("train", "crossed.yaml", "--output", "killed", "--resume")
    return processes.Command(arguments, cwd=folder, out=folder / "out.txt", env=os.environ | {"OMP_NUM_THREADS": "1"})


def kill_when(process, ready, *, seconds=900):
    """SIGKILL a run as soon as something is there."""
    until = time.monotonic() + seconds
    while not ready():
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < until, "it did not come so far"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


def same(first, second):
    """What a report says beside times and places."""
    found = []
    for run in (first, second):
        report = read_report(run)
        folds = [
            (each.fold, each.examples, each.best_step, each.steps, each.metrics)
            for each in report.cross_validation.folds
        ]
        section = report.cross_validation
        ladder = [(rung.name, rung.metrics, rung.intervals, rung.difference, rung.better) for rung in report.ladder]
        found.append(
            (report.metrics, report.intervals, folds, section.spread, section.widening, report.decision, ladder)
        )
    return found[0] == found[1]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("folds", [3, pytest.param(5, marks=pytest.mark.weekly)])
def test_folds_of_500_rows_killed_twice_give_the_table_of_an_undisturbed_run(tmp_path, folds):
    write_rows(tmp_path / "rows.csv", 500)
    text = CONFIG.replace("folds: 3", f"folds: {folds}").replace("max_steps: 12", "max_steps: 32")
    (tmp_path / "crossed.yaml").write_text(text, encoding="utf-8")
    killed = RunDir(tmp_path / "killed")
    # In the middle of the second fold, whose training is told by the kernel and saves itself.
    kill_when(begin(tmp_path), lambda: any(killed.fold(2).checkpoints.glob("step-*/manifest.json")))
    assert killed.fold(1).done
    assert not killed.fold(2).done
    first = {path: path.stat().st_mtime_ns for path in killed.fold(1).path.rglob("*") if path.is_file()}
    # In the final training, of which there is a checkpoint.
    kill_when(begin(tmp_path), lambda: any(killed.checkpoints.glob("step-*/manifest.json")))
    assert not killed.done
    assert begin(tmp_path).wait() == 0
    assert {path: path.stat().st_mtime_ns for path in first} == first  # not begun again
    undisturbed = tmp_path / "whole"
    with processes.forked_trainings():
        ftcls.train(tmp_path / "crossed.yaml", output=undisturbed, jobs=1)
    assert same(killed, RunDir(undisturbed))
    for name in ("out_of_fold", "out_of_fold-baseline", "out_of_fold-stack"):
        file = f"{name}.parquet"
        assert (killed.predictions / file).read_bytes() == (undisturbed / "predictions" / file).read_bytes(), name
    weights = [run / "model" / "model.safetensors" for run in (killed.path, undisturbed)]
    assert manifest.entry(weights[0]) == manifest.entry(weights[1])

import csv
import gzip
import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import synthetic
from ftcls.runs import predictions as prediction_files
from ftcls.runs import report_schema
from ftcls.runs.directory import RunDir

SCRIPT = Path(__file__).parents[2] / "verify" / "recompute.py"
TASKS = ["binary", "multiclass", "multilabel"]


def made_run(path, task, **options):
    report, predictions = synthetic.report(task, with_baseline=False, **options)
    run = RunDir(path / "run")
    for name, each in predictions.items():
        prediction_files.write(run.predictions / f"{name}.parquet", each)
    report_schema.write_report(run, report)
    return run, predictions["test"]


@pytest.fixture
def recompute(monkeypatch, capsys):
    """Run the script; its exit code and what it printed."""

    def run_script(run, *arguments):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(run.path), *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        return done.value.code, capsys.readouterr().out

    return run_script


@pytest.mark.parametrize("task", TASKS)
def test_every_figure_of_a_run_is_found_again(tmp_path, recompute, task):
    run, _ = made_run(tmp_path, task)
    code, out = recompute(run)
    assert code == 0, out
    assert "0 of them differ" in out


def test_labels_that_do_not_occur_are_found_again(tmp_path, recompute):
    run, _ = made_run(tmp_path, "multilabel", n=6, labels=tuple(f"label {index}" for index in range(30)))
    code, out = recompute(run)
    assert code == 0, out
    assert "undefined" in out


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("place", ["metrics", "per_label", "confusion"])
def test_a_figure_that_was_changed_is_caught(tmp_path, recompute, task, place):
    run, predictions = made_run(tmp_path, task)
    report = json.loads(run.report.read_text(encoding="utf-8"))
    if place == "metrics":
        report["metrics"]["test"]["f1_macro"] += 1e-9
    elif place == "per_label":
        report["per_label"]["test"][predictions.labels[1]]["support"] += 1
    else:
        row = report["confusion"]["test"][0]
        row[1] = [count + 1 for count in row[1]] if task == "multilabel" else row[1] + 1
    run.report.write_text(json.dumps(report), encoding="utf-8")
    code, out = recompute(run)
    assert code == 1
    assert "DIFFERS" in out


def test_predictions_that_do_not_follow_from_the_probabilities_are_caught(tmp_path, recompute):
    run, predictions = made_run(tmp_path, "binary")
    swapped = predictions.probabilities[:, ::-1].copy()
    path = run.predictions / "test.parquet"
    prediction_files.write(path, replace(predictions, probabilities=swapped))
    code, out = recompute(run)
    assert code == 1
    assert "the probabilities do not give" in out


def test_the_script_never_imports_ftcls(tmp_path):
    run, _ = made_run(tmp_path, "binary")
    code = (
        "import runpy, sys; sys.modules['ftcls'] = None; "  # None: any import of it fails
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    subprocess.run([sys.executable, "-c", code, str(SCRIPT), str(run.path)], check=True, stdout=subprocess.DEVNULL)


def ag_news(folder, gold, *, shift=0):
    """The folder as published, with the run's gold labels at their rows."""
    folder.mkdir()
    (folder / "classes.txt").write_text("\n".join(synthetic.LABELS["multiclass"]) + "\n", encoding="utf-8")
    with gzip.open(folder / "test.csv.gz", "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([(int(label) + shift) % 4 + 1, 'a "title"', "two\nlines"] for label in gold)
    return folder


def test_gold_labels_are_taken_from_the_raw_ag_news(tmp_path, recompute):
    run, predictions = made_run(tmp_path, "multiclass")
    assert recompute(run, "--data", ag_news(tmp_path / "right", predictions.gold))[0] == 0
    assert recompute(run, "--data", ag_news(tmp_path / "wrong", predictions.gold, shift=1))[0] == 1


def test_gold_labels_are_taken_from_ones_own_file_by_row(tmp_path, recompute):
    run, predictions = made_run(tmp_path, "binary")
    order = np.random.default_rng(0).permutation(500)[: len(predictions)]
    prediction_files.write(run.predictions / "test.parquet", replace(predictions, rows=order.astype(np.int64)))
    labels = ["unused"] * 500
    for row, gold in zip(order, predictions.gold, strict=True):
        labels[row] = predictions.labels[gold]
    path = tmp_path / "mine.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([("text", "answer"), *(("some, text", label) for label in labels)])
    code, out = recompute(run, "--data", path, "--label", "answer")
    assert code == 0, out


def test_gold_labels_of_a_multilabel_file_are_separated(tmp_path, recompute):
    run, predictions = made_run(tmp_path, "multilabel")
    lines = ["tags\ttext"]
    lines += ["|".join(np.array(predictions.labels)[row]) + "\ttext" for row in predictions.gold]
    path = tmp_path / "mine.tsv"
    path.write_text("\n".join(lines), encoding="utf-8")
    code, out = recompute(run, "--data", path, "--label", "tags", "--separator", "|")
    assert code == 0, out


def test_raw_data_of_another_set_is_refused(tmp_path, recompute):
    run, predictions = made_run(tmp_path, "binary")
    path = tmp_path / "mine.csv"
    path.write_text("label\n" + "maybe\n" * len(predictions), encoding="utf-8")
    code, _ = recompute(run, "--data", path)
    assert code == "Labels that the run does not know: maybe; it has no, yes"
    path.write_text("label\nno\n", encoding="utf-8")
    code, _ = recompute(run, "--data", path)
    assert code.endswith("mine.csv: 1 rows, but the run scored row 199: other data")


def test_a_figure_outside_its_interval_is_caught(tmp_path, recompute):
    run, predictions = made_run(tmp_path, "multiclass")
    report = json.loads(run.report.read_text(encoding="utf-8"))
    report["label_intervals"]["test"][predictions.labels[1]]["f1"] = [0.0, 0.001]
    run.report.write_text(json.dumps(report), encoding="utf-8")
    code, out = recompute(run)
    assert code == 1
    assert "1 of them outside" in out


def test_gold_labels_are_taken_from_the_raw_data_sets(data_folder):
    script = runpy.run_path(str(SCRIPT))
    sizes = {"go_emotions": 5427, "reuters21578": 3299, "ag_news": 7600, "imdb": 25_000}
    for name, size in sizes.items():
        assert len(script["raw_labels"](data_folder / name, "label", None, {"earn"})) == size

import csv
import json
import logging
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import transformers

import processes
from ftcls.config.load import load
from ftcls.config.schema import Data, Split, Subset
from ftcls.data.read import read
from ftcls.errors import DataError
from ftcls.inference.classifier import Classifier
from ftcls.pipeline import build_report, dry_run, evaluate, label_alignment
from ftcls.pipeline import train as pipeline
from ftcls.runs import history, predictions, report_schema
from ftcls.runs.directory import RunDir

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PHASES = ("scoring", "baseline", "checks", "intervals", "plots")
TINY = ("model.checkpoint=scratch:bert", "model.max_length=32", "training.max_steps=6", "training.batch_size=8")


@pytest.fixture(scope="module")
def experiment():
    """AG News in small: real reader, generated rows, a model from scratch, the same digits on every machine."""
    return dry_run.smoke(load(REPOSITORY / "configs" / "ag_news.yaml", ["training.precision=fp32"]))


@pytest.fixture(scope="module")
def run(experiment, tmp_path_factory):
    place = tmp_path_factory.mktemp("runs") / "smoke"
    return pipeline.train(experiment, output=place, command="ftcls train ag_news").files


def test_a_run_directory_holds_what_the_readme_says(run):
    there = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert {
        "config.yaml", "log.txt", "history.jsonl", "report.json",
        "checkpoints/best/model.safetensors", "checkpoints/best/manifest.json", "checkpoints/step-8/optimizer.pt",
        "model/model.safetensors", "model/config.json", "model/tokenizer.json", "model/decision.json",
        "predictions/validation.parquet", "predictions/test.parquet", "predictions/test-baseline.parquet",
        "predictions/test-majority.parquet",
        "report.html", "plots/loss.png", "plots/loss.svg", "plots/confusion.svg", "plots/length.png",
    } <= there  # fmt: skip
    assert not [name for name in there if Path(name).name.startswith(".")]


def test_a_smoke_run_takes_its_overrides_and_logs_every_phase_and_its_results(tmp_path):
    logger = logging.getLogger("ftcls")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    try:
        made = pipeline.train("ag_news", overrides=["training.max_steps=6"], smoke=True, output=tmp_path / "run")
    finally:
        logger.setLevel(before)
    assert made.report.training.steps == 6
    assert made.report.run.smoke
    assert made.report.next_steps == ()
    text = made.files.log.read_text(encoding="utf-8")
    places = [text.index(f" INFO ftcls.environment.progress: {name} ") for name in PHASES]
    assert places == sorted(places)
    assert "baseline   TF-IDF + linear SVM on " in text
    results = text[text.index("results\n") :]
    assert "A smoke run: it shows that every stage works" in results
    assert "f1_macro on the" in results
    assert "\x1b" not in results
    assert f"predict  ftcls predict {made.path}" in results


def test_the_report_keeps_to_its_schema_and_to_the_run(run, experiment):
    document = json.loads(run.report.read_text(encoding="utf-8"))
    assert report_schema.validate(document) == []
    assert document["status"] == "done"
    assert document["data"]["labels"] == ["World", "Sports", "Business", "Sci/Tech"]
    assert document["data"]["splits"]["test"]["examples"] == len(predictions.read(run.predictions / "test.parquet"))
    assert document["training"]["steps"] == experiment.training.max_steps
    assert document["training"]["best"]["value"] == max(
        line["eval_f1_macro"] for line in history.read(run.history) if "eval_f1_macro" in line
    )
    for split in ("validation", "test"):
        for name, value in document["metrics"][split].items():
            low, high = document["intervals"][split][name]
            assert low <= value <= high, name


def test_predictions_hold_the_texts_and_how_much_of_them_the_model_saw(run):
    report = report_schema.read_report(run)
    split = read(load(run.config).data, seed=42).splits["test"]
    rows = predictions.read_rows(run.predictions / "test.parquet")
    assert rows.texts == split.texts
    assert rows.lengths.max() == report.data.splits["test"].tokens.max
    assert rows.truncated.sum() == report.data.splits["test"].truncated
    np.testing.assert_array_equal(rows.truncated, rows.lengths > report.model.max_length)


def test_a_page_that_cannot_be_drawn_does_not_end_the_run(run, monkeypatch):
    said = []
    monkeypatch.setattr(pipeline.run_page, "write", lambda run, report: 1 / 0)
    monkeypatch.setattr(pipeline.log, "warning", lambda form, *values: said.append(form % values))
    pipeline._draw(run, report_schema.read_report(run))
    assert said == [f"{run.page} cannot be drawn: division by zero; `ftcls report {run.path}` tries again"]


def test_the_resolved_config_loads_again_to_the_same_experiment(run, experiment):
    assert load(run.config) == experiment


def test_eval_repeats_the_reports_figures_to_the_last_digit(run):
    for split in ("validation", "test"):
        found = evaluate.evaluate(run.path, split=split)
        report = report_schema.read_report(run)
        assert found.metrics == report.metrics[split]
        assert found.intervals == report.intervals[split]
        assert found.per_label == report.per_label[split]
        assert report_schema.read_evaluation(run.evals / f"ag_news-{split}.json") == found


def test_eval_scores_a_checkpoint_and_refuses_one_that_is_not_there(run):
    best = evaluate.evaluate(run.path, checkpoint="best")
    assert best.metrics == report_schema.read_report(run).metrics["test"]
    with pytest.raises(DataError, match=r"no model there; --checkpoint takes best, step-4, step-8"):
        evaluate.evaluate(run.path, checkpoint="step-5")


def test_eval_scores_a_file_of_ones_own_and_refuses_labels_it_does_not_know(run, tmp_path):
    split = read(load(run.config).data, seed=42).splits["test"]
    labels = report_schema.read_report(run).data.labels
    with (tmp_path / "mine.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows((t, labels[y]) for t, y in zip(split.texts, split.targets, strict=True))
    found = evaluate.evaluate(run.path, data=tmp_path / "mine.csv", output=tmp_path / "found.json")

    assert found.data.examples == len(split)
    assert found.metrics["accuracy"] == report_schema.read_report(run).metrics["test"]["accuracy"]
    assert report_schema.read_evaluation(tmp_path / "found.json") == found
    (tmp_path / "mine.csv").write_text("text,label\nhello,Weather\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"^1 row cannot be used:\n.*mine.csv:2.*Weather"):
        evaluate.evaluate(run.path, data=tmp_path / "mine.csv")


def test_a_file_of_ones_own_is_taken_whole_whatever_the_config_pools_or_draws(tmp_path):
    (tmp_path / "mine.csv").write_text("text,label\nhello,World\nhello,Sports\n", encoding="utf-8")
    section = Data(source="ag_news", split=Split(pooled=True), subset=Subset(test=1))
    found = label_alignment.elsewhere(section, tmp_path / "mine.csv", task="multiclass", labels=("World", "Sports"))
    elsewhere = read(found, seed=1)
    assert elsewhere.splits["test"].texts == ["hello", "hello"]


def test_plain_transformers_gives_the_same_labels_and_probabilities(run):
    stored = predictions.read(run.predictions / "test.parquet")
    texts = read(load(run.config).data, seed=42).splits["test"].texts
    classify = transformers.pipeline("text-classification", model=str(run.model), top_k=None)
    answers = classify(texts, truncation=True, batch_size=16)

    for row, answer in enumerate(answers):
        found = {entry["label"]: entry["score"] for entry in answer}
        assert max(found, key=found.get) == stored.labels[stored.predicted[row]]
        assert [found[label] for label in stored.labels] == pytest.approx(stored.probabilities[row], abs=1e-5)


def test_the_classifier_answers_raw_texts_as_the_run_did(run, experiment):
    raw = read(experiment.data.model_copy(update={"clean": ()}), seed=experiment.seed).splits["test"]
    stored = predictions.read(run.predictions / "test.parquet")
    classifier = Classifier.from_pretrained(run.path)

    assert classifier.labels == stored.labels
    found = classifier.predict_proba(raw.texts)
    assert found == pytest.approx(stored.probabilities, abs=1e-6)
    first = classifier.classify(raw.texts[:1])[0]
    assert first.labels == (stored.labels[stored.predicted[0]],)
    assert classifier.predict_proba([]).shape == (0, 4)


def test_anybody_can_compute_the_figures_again_without_ftcls(run, experiment):
    script = REPOSITORY / "verify" / "recompute.py"
    command = [sys.executable, str(script), str(run.path), "--data", str(experiment.data.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_same_config_gives_the_same_report_but_for_times_and_paths(run, experiment, tmp_path):
    again = pipeline.train(experiment, output=tmp_path / "again", command="ftcls train ag_news").files
    first, second = (report_schema.document(report_schema.read_report(r)) for r in (run, again))
    for document in (first, second):
        for key in ("started", "finished", "seconds"):
            document["run"].pop(key)
        for key in ("seconds", "examples_per_second", "tokens_per_second", "peak_memory_bytes", "estimate"):
            document["training"].pop(key)
        document["baseline"].pop("seconds")
        document["majority"].pop("seconds")
        document["speed"].pop("latency_ms")
        for rung in document["ladder"]:
            rung.pop("seconds")
            rung.pop("texts_per_second")
        for timed in (document["learning_curve"], *document["learning_curve"]["models"]):
            timed.pop("seconds")
    assert first == second
    assert (run.model / "model.safetensors").read_bytes() == (again.model / "model.safetensors").read_bytes()


def test_a_finished_run_is_not_trained_again(run, experiment, monkeypatch):
    monkeypatch.setattr(pipeline, "fit_model", lambda *args, **kwargs: pytest.fail("trained again"))
    assert pipeline.train(experiment, output=run.path, resume=True).path == run.path


def table(folder, name, header, rows):
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return folder / name


def train(folder, config, *overrides):
    (folder / "mine.yaml").write_text(config, encoding="utf-8")
    return pipeline.train(load(folder / "mine.yaml", [*TINY, *overrides]), output=folder / "run").files


def test_a_binary_file_of_ones_own_becomes_a_run(tmp_path):
    rng = np.random.default_rng(1)
    rows = [
        (f"{'good fine nice' if y else 'bad awful poor'} film {rng.integers(99)}", "yes" if y else "no")
        for y in rng.integers(0, 2, 120)
    ]
    table(tmp_path, "films.csv", ("text", "label"), rows)
    run = train(tmp_path, "name: films\ndata: {source: files, path: films.csv, task: binary}\nmodel: {checkpoint: x}\n")
    report = report_schema.read_report(run)

    assert report.data.labels == ("no", "yes")
    assert report.data.positive_label == "yes"
    assert {"precision", "recall", "f1", "roc_auc", "average_precision"} <= report.metrics["test"].keys()
    assert [split.examples for split in report.data.splits.values()] == [96, 12, 12]


def test_several_labels_a_row_go_all_the_way(tmp_path):
    rng = np.random.default_rng(2)
    names = ["red", "green", "blue, light", "10", "2"]
    rows = []
    for _ in range(150):
        chosen = [name for name in names if rng.random() < 0.3]
        rows.append((" ".join(chosen) + f" thing {rng.integers(50)}", "|".join(chosen)))
    table(tmp_path, "things.csv", ("text", "tags"), rows)
    run = train(
        tmp_path,
        "name: things\ndata: {source: files, path: things.csv, task: multilabel,"
        ' label: {column: tags, separator: "|"}}\nmodel: {checkpoint: x}\n',
    )
    report = report_schema.read_report(run)
    stored = predictions.read(run.predictions / "test.parquet")

    assert report.data.labels == ("2", "10", "blue, light", "green", "red")
    assert np.array(report.confusion["test"]).shape == (5, 2, 2)
    assert stored.gold.shape == (15, 5)
    assert evaluate.evaluate(run.path).metrics == report.metrics["test"]
    script = REPOSITORY / "verify" / "recompute.py"
    done = subprocess.run([sys.executable, str(script), str(run.path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sigmoid = transformers.pipeline("text-classification", model=str(run.model), top_k=None)
    answer = {entry["label"]: entry["score"] for entry in sigmoid(["red thing 7"], truncation=True)[0]}
    assert answer == pytest.approx(
        Classifier.from_pretrained(run.path).classify(["red thing 7"])[0].probabilities, abs=1e-5
    )


def test_odd_texts_are_good_input(tmp_path):
    odd = ["", "👩‍👩‍👧 🎉", "word " * 10_000, "\u0000\u200b", "نص عربي", "a"]
    rows = [(odd[i % len(odd)], "abc"[i % 3]) for i in range(90)]
    table(tmp_path, "odd.csv", ("text", "label"), rows)
    run = train(
        tmp_path,
        "name: odd\ndata: {source: files, path: odd.csv, task: multiclass, split: {group_equal_texts: false}}\n"
        "model: {checkpoint: x}\n",
    )
    assert report_schema.read_report(run).data.splits["train"].truncated > 0
    assert all(math.isfinite(p) for p in predictions.read(run.predictions / "test.parquet").probabilities.ravel())


def test_a_hundred_labels_and_few_rows_are_good_input(tmp_path):
    rows = [(f"text number {i}", f"label {i % 100}") for i in range(400)]
    table(tmp_path, "many.csv", ("text", "label"), rows)
    run = train(
        tmp_path, "name: many\ndata: {source: files, path: many.csv, task: multiclass}\nmodel: {checkpoint: x}\n"
    )
    report = report_schema.read_report(run)
    assert len(report.data.labels) == 100
    assert report.data.labels[:3] == ("label 0", "label 1", "label 2")


def test_two_rows_a_split_are_good_input(tmp_path):
    for name in ("train", "validation", "test"):
        table(tmp_path, f"{name}.csv", ("text", "label"), [(f"{name} one", "a"), (f"{name} two", "b")])
    run = train(
        tmp_path,
        "name: two\ndata:\n  source: files\n  task: binary\n"
        "  path: {train: train.csv, validation: validation.csv, test: test.csv}\nmodel: {checkpoint: x}\n",
    )
    assert report_schema.read_report(run).data.splits["test"].examples == 2


def test_bad_data_leaves_no_run_behind(tmp_path):
    table(tmp_path, "one.csv", ("text", "label"), [("a", "same"), ("b", "same")] * 20)
    with pytest.raises(DataError, match="label"):
        train(tmp_path, "name: one\ndata: {source: files, path: one.csv, task: multiclass}\nmodel: {checkpoint: x}\n")
    assert not (tmp_path / "run").exists()


def test_git_commit_is_none_outside_a_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert build_report.git_commit() is None


def test_the_command_prints_the_run_first_and_last(tmp_path):
    table(
        tmp_path,
        "films.csv",
        ("text", "label"),
        [(f"{'good' if i % 2 else 'bad'} {i}", "yn"[i % 2]) for i in range(80)],
    )
    (tmp_path / "films.yaml").write_text(
        "name: films\ndata: {source: files, path: films.csv, task: binary}\nmodel: {checkpoint: x}\n", encoding="utf-8"
    )

    trained = processes.run("train", "films.yaml", *TINY, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    lines = trained.stdout.splitlines()
    assert lines[0] == lines[-1] == str(tmp_path / "runs" / "films")
    assert "95 %  made in" in trained.stdout
    assert "Traceback" not in trained.stderr
    scored = processes.run("eval", "runs/films", "--json", cwd=tmp_path)
    assert (
        json.loads(scored.stdout)["metrics"]
        == report_schema.document(report_schema.read_report(RunDir(tmp_path / "runs/films")))["metrics"]["test"]
    )
    said = processes.run("predict", "runs/films", "--text", "good 7", "--json", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    json.loads(said.stdout)

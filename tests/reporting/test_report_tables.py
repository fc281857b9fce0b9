import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import f1_score

import synthetic
from ftcls.data.corpus import Check
from ftcls.reporting import run_tables
from ftcls.runs import report_schema
from ftcls.scoring import metrics
from ftcls.scoring.diagnosis import Diagnosis
from ftcls.scoring.next_steps import NextStep


def shown(renderable, **options):
    file = io.StringIO()
    Console(width=80, file=file, **options).print(renderable, crop=False)
    return file.getvalue()


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_the_summary_has_every_metric_in_eighty_columns_without_cutting_one(task):
    report, _ = synthetic.report(task)
    text = shown(run_tables.summary(report, verbose=True))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    below = text[text.index("\nmetric ") :].splitlines()
    same = "subset_accuracy" if task == "multilabel" else "f1_micro"
    assert f"\n{same} is the accuracy here, by definition" in text  # and not a row of its own
    for name in set(metrics.names(task)) - {same}:
        row = next(line.split() for line in below if line.startswith(f"{name} "))
        assert len(row) == 6, name  # name, two splits with intervals, baseline
    for label in report.data.labels:
        assert f"\n{label} " in text


def test_the_headline_has_the_score_its_interval_and_the_baseline():
    report, _ = synthetic.report("multiclass")
    lines = shown(run_tables.summary(report, verbose=True)).splitlines()
    low, high = report.intervals["test"]["f1_macro"]
    assert " ".join(lines[1:3]).startswith("The model is better than TF-IDF + linear SVM: f1_macro ")
    lines = lines[lines.index("f1_macro on the 200 test examples, with its 95 % interval") :]
    assert f"{report.metrics['test']['f1_macro']:.4f}".removeprefix("0") in lines[1]
    assert f"{low:.4f}-{high:.4f}".replace("0.", ".") in lines[1]
    assert lines[2].strip().startswith("TF-IDF + linear SVM")
    assert lines[3].split()[0] == "difference"
    assert "the model is better than the baseline (paired bootstrap, 200 rows)" in lines[4]


@pytest.mark.parametrize(
    ("value", "p_value", "words"),
    [
        (0.1, 0.001, "The model is better than TF-IDF + linear SVM: f1_macro"),
        (-0.1, 0.001, "The model is WORSE than TF-IDF + linear SVM: f1_macro"),
        (0.1, 0.2, "The model and TF-IDF + linear SVM do not differ by more than these rows can show: f1_macro"),
    ],
)
def test_the_first_sentence_says_what_the_run_comes_to(value, p_value, words):
    report, _ = synthetic.report("binary")
    difference = replace(report.baseline.difference["f1_macro"], value=value, p_value=p_value)
    changed = replace(report, baseline=replace(report.baseline, difference={"f1_macro": difference}))
    text = " ".join(shown(run_tables.summary(changed, verbose=False)).split())
    assert words in text
    assert f"on 200 test rows, {value:+.4f}".replace("0.", ".") in text
    without = replace(report, baseline=None)
    assert "test rows." in shown(run_tables.summary(without, verbose=False))


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_the_summary_is_one_screen_and_the_tables_are_for_who_asks(task, tmp_path):
    report, _ = synthetic.report(task)
    check = Check("missing_text", "warning", 3, ("train:1",), "Fill them in. " * 20)
    report = replace(report, data=replace(report.data, checks=(check,)))
    text = shown(run_tables.summary(report, run=tmp_path / "runs" / "made", verbose=False))
    assert len(text.splitlines()) <= 40
    assert "\nmetric " not in text
    assert "Labels on test" not in text
    assert "\nwarning missing_text: 3, see the page\n" in text
    assert "\npredict  ftcls predict " in text
    assert "\nmetric " in shown(run_tables.summary(report, verbose=True))


@pytest.mark.parametrize(
    ("value", "p_value", "verdict"),
    [
        (0.1, 0.001, "the model is better than the baseline"),
        (-0.1, 0.001, "the model is WORSE than the baseline"),
        (0.1, 0.2, "no difference that these rows can show"),
    ],
)
def test_the_verdict_follows_the_paired_test(value, p_value, verdict):
    report, _ = synthetic.report("binary")
    difference = replace(report.baseline.difference["f1_macro"], value=value, p_value=p_value, clusters=40)
    changed = replace(report, baseline=replace(report.baseline, difference={"f1_macro": difference}))
    assert f"{verdict} (paired bootstrap, 40 clusters)" in shown(run_tables.summary(changed, verbose=True))


def chosen(report, metric):
    """The report of a run whose best step was picked by that metric."""
    return replace(report, training=replace(report.training, best=replace(report.training.best, metric=metric)))


def test_the_verdict_is_about_the_chosen_metric_whatever_others_say():
    report, _ = synthetic.report("multilabel")
    one = report.baseline.difference["accuracy"]
    differences = {
        "accuracy": replace(one, value=-0.1, interval=(-0.2, -0.05), p_value=0.001),
        "f1_micro": replace(one, metric="f1_micro", value=0.1, interval=(0.05, 0.2), p_value=0.001),
    }
    changed = chosen(replace(report, baseline=replace(report.baseline, difference=differences)), "f1_micro")
    text = shown(run_tables.summary(changed, verbose=True))
    assert "f1_micro on the 200 test examples" in text
    assert "+.1000  +.0500 to +.2000, p = .001\n  the model is better than the baseline" in text
    assert "WORSE" not in text


def test_a_smoke_run_says_that_its_scores_mean_nothing_and_gives_no_verdict():
    report, _ = synthetic.report("binary")
    report = replace(report, diagnosis=Diagnosis(overfitted=True, from_step=9, spikes=(), sentence="Over-fitted."))
    assert "Over-fitted." in shown(run_tables.summary(report, verbose=True))
    text = shown(run_tables.summary(replace(report, run=replace(report.run, smoke=True)), verbose=True))
    assert text.splitlines()[1] == "A smoke run: it shows that every stage works, and its scores mean nothing."
    for word in ("difference", "better", "Over-fitted"):
        assert word not in text
    assert "TF-IDF + linear SVM" in text


def test_without_a_difference_in_the_chosen_metric_there_is_no_verdict():
    report, _ = synthetic.report("binary")
    text = shown(run_tables.summary(chosen(report, "roc_auc"), verbose=True))
    assert "roc_auc on the 200 test examples" in text
    assert "difference" not in text
    assert "baseline (" not in text


def test_a_summary_without_baseline_says_nothing_of_one():
    report, _ = synthetic.report("binary", with_baseline=False)
    assert "baseline" not in shown(run_tables.summary(report, verbose=True))


def test_the_summary_ends_in_lines_to_paste_that_are_not_broken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keys = {"training.learning_rate": 2e-5, "training.num_train_epochs": 8}
    steps = (
        NextStep("The validation loss still falls at the end: train twice as long. " * 2, keys),
        NextStep("More rows.", {}),
    )
    report = replace(synthetic.report("binary")[0], next_steps=steps)
    text = shown(run_tables.summary(report, run=tmp_path / "runs" / "made", verbose=True))
    assert text.endswith(
        "What to try next, the most promising first\n"
        "1. The validation loss still falls at the end: train twice as long. The\n"
        "   validation loss still falls at the end: train twice as long.\n"
        "   ftcls train runs/made/config.yaml training.learning_rate=2e-5 training.num_train_epochs=8 "
        "--output runs/made-2\n"
        "2. More rows.\n"
        "\n"
        "page     runs/made/report.html\n"
        'predict  ftcls predict runs/made --text "..."\n'
    )
    nothing = shown(run_tables.summary(replace(report, next_steps=()), run=tmp_path, verbose=True))
    assert "What to try next" not in nothing


def test_of_many_labels_the_worst_and_the_best_are_shown():
    report, _ = synthetic.report("multiclass", labels=tuple(f"[red]label {index}[/red]" for index in range(40)))
    text = shown(run_tables.summary(report, verbose=True))
    scores = report.per_label["test"]
    assert "The 8 worst and 7 best of 40 labels on test, by f1" in text
    found = [line.split("[/red]")[0] + "[/red]" for line in text.splitlines() if line.startswith("[red]")]
    ranked = sorted(scores, key=lambda name: scores[name].f1)
    assert found == [*ranked[:8], *ranked[-7:]]


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_f1_of_a_label_stands_beside_its_interval(task):
    report, _ = synthetic.report(task)
    label = report.data.labels[0]
    low, high = report.label_intervals["test"][label].f1
    row = next(
        line for line in shown(run_tables.summary(report, verbose=True)).splitlines() if line.startswith(f"{label} ")
    )
    assert f" {low:.2f}-{high:.2f} ".replace("0.", ".") in row
    older = replace(report, label_intervals=None)
    assert f"{low:.2f}-{high:.2f}".replace("0.", ".") not in shown(run_tables.summary(older, verbose=True)).replace(
        row, ""
    )


def test_steps_time_throughput_and_memory_are_shown():
    text = shown(run_tables.summary(synthetic.report("binary")[0], verbose=True))
    assert "500 steps, 2 epochs in 4 min 40 s: 14.3 examples/s, 743 tokens/s" in text
    assert "peak memory 840 MB" in text
    assert "best step 250: f1_macro" in text


def test_only_warnings_about_the_data_are_shown():
    report, _ = synthetic.report("binary")
    text = shown(run_tables.summary(report, verbose=True))
    assert "warning leak: 3\n  first text\n  second text\n  Look at them, or set data.split.pooled.\n" in text
    assert "label_names" not in text


def test_long_texts_with_line_breaks_and_markup_do_no_harm():
    report, _ = synthetic.report("binary")
    check = Check("duplicates", "warning", 1, ("[bold]two\nlines " + "word " * 10_000,), "Nothing.")
    text = shown(run_tables.summary(replace(report, data=replace(report.data, checks=(check,))), verbose=True))
    assert "  [bold]two lines word" in text
    assert len(text) < 5000


def test_the_end_of_a_long_path_stands_for_it():
    report, _ = synthetic.report("binary")
    changed = replace(report, model=replace(report.model, checkpoint="/a/long/path" * 20 + "/my-encoder"))
    text = shown(run_tables.summary(changed, verbose=True))
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("/my-encoder ") == 2


def test_what_is_undefined_is_a_dash_and_explained():
    report, made = synthetic.report("binary", with_baseline=False)
    scores = report_schema.scores(replace(made["test"], gold=np.zeros(200, int)), seed=0)
    changed = replace(
        report,
        metrics=report.metrics | {"test": scores.metrics},
        intervals=report.intervals | {"test": scores.intervals},
    )
    text = shown(run_tables.summary(changed, verbose=True))
    row = next(line.split() for line in text.splitlines() if line.startswith("roc_auc "))
    assert row[-2:] == ["-", "-"]
    assert "-: undefined, the gold labels of these rows are all alike" in text


def test_colours_are_only_for_terminals():
    summary = run_tables.summary(synthetic.report("binary")[0], verbose=True)
    assert "\x1b[" not in shown(summary)
    assert "\x1b[" in shown(summary, force_terminal=True, color_system="truecolor", no_color=False)


def test_an_evaluation_is_shown_with_its_data():
    text = shown(run_tables.evaluation(synthetic.evaluation(synthetic.predictions("multiclass"))))
    assert text.startswith("reviews test  200 examples, scored with model\n")
    assert "f1_macro" in text
    assert "Business, finance" in text


def test_labels_without_a_row_are_said_to_lower_macro_averages_and_are_neither_worst_nor_best():
    made = synthetic.predictions("multiclass", 400, labels=tuple(f"l{i:02}" for i in range(20)), skill=3.0)
    made = made.take(made.gold < 17)
    text = shown(run_tables.evaluation(synthetic.evaluation(made)))
    said = "3 of 20 labels have no row here and count as 0 in macro averages: l17, l18, l19"
    assert said in text.replace("\n", " ")
    assert "The 8 worst and 7 best of 17 labels on test, by f1; 3 have no row there" in text
    table = text[text.index("The 8 worst") :]
    assert not any(label in table for label in ("l17", "l18", "l19"))
    found = f1_score(made.gold, made.predicted, labels=range(20), average="macro", zero_division=0)
    assert metrics.score(made)["f1_macro"] == pytest.approx(found)
    few = made.take(made.gold < 3)
    text = shown(run_tables.evaluation(synthetic.evaluation(few)))
    said = "17 of 20 labels have no row here and count as 0 in macro averages: l03, l04, l05 and 14 more"
    assert said in text.replace("\n", " ")
    assert "3 labels on test, by f1; 17 have no row there" in text

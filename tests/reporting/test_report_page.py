import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from ftcls.cli import app
from ftcls.environment.figures_as_text import interval, number
from ftcls.errors import DataError
from ftcls.reporting import gallery, run_page
from ftcls.runs import predictions as prediction_files
from ftcls.runs import report_schema
from ftcls.scoring.next_steps import NextStep
from made_reports import HISTORY, HOSTILE, make, read

TASKS = ("binary", "multiclass", "multilabel")


class Reader(HTMLParser):
    """The elements of a page with their attributes, and its text outside of style and script."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.words, self._inside = [], [], []
        self.feed(source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("style", "script"):
            self._inside.append(tag)

    def handle_endtag(self, tag):
        if self._inside and tag == self._inside[-1]:
            self._inside.pop()

    def handle_data(self, data):
        if not self._inside:
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def shown(value):
    return number(value)


@pytest.mark.parametrize("task", TASKS)
def test_the_page_says_the_figures_of_the_report(tmp_path, task):
    run = make(tmp_path, task)
    report, text = report_schema.read_report(run), Reader(read(run)).text
    metric = report.training.best.metric
    low, high = report.intervals["test"][metric]
    assert f"{shown(report.metrics['test'][metric])} 95 % interval {shown(low)}-{shown(high)}" in text
    for split, values in report.metrics.items():
        for name, value in values.items():
            assert f"{shown(value)} {interval(report.intervals[split][name])}" in text, name
    for label, each in report.per_label["test"].items():
        assert f"{label} {shown(each.f1)}" in text
    assert "The model is better than the baseline (paired bootstrap over the same 200 rows)" in text
    assert shown(report.baseline.metrics["test"][metric]) in text
    assert "Look at them, or set data.split.pooled." in text


@pytest.mark.parametrize("task", TASKS)
def test_the_page_needs_nothing_but_itself(tmp_path, task):
    source = read(make(tmp_path, task))
    reader = Reader(source)
    assert reader.all("link") == []
    for _, attributes in reader.elements:
        for name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
    assert not re.search(r"@import|url\((?!#)", source)
    assert not any("style" in attributes for _, attributes in reader.elements)  # the policy would refuse it
    policy = next(each["content"] for each in reader.all("meta") if each.get("http-equiv"))
    assert policy.startswith("default-src 'none'")


def test_text_and_labels_of_the_data_are_escaped_everywhere(tmp_path):
    labels = ("<img src=x onerror=alert(1)>", "a & b", "]]></style><script>alert(2)</script>")
    for task in ("multiclass", "multilabel"):
        (tmp_path / task).mkdir()
        reader = Reader(read(make(tmp_path / task, task, labels=labels)))
        assert reader.all("img") == []
        # The page's own, and what it carries, which no browser runs.
        assert [script.get("type") for script in reader.all("script")] == ["text/plain", None]
        assert HOSTILE in reader.text
        assert labels[0] in reader.text


def test_a_label_that_looks_like_the_drawing_of_a_plot_stays_as_it_is(tmp_path):
    labels = ('id="1" #0072b2', "url(#a) --> b", "plain")
    reader = Reader(read(make(tmp_path, "multiclass", labels=labels)))
    drawn = reader.text[reader.text.index("Precision against recall") - 200 :]
    assert all(label in drawn for label in labels)


def test_every_reference_inside_the_page_has_its_target_and_no_id_stands_twice(tmp_path):
    reader = Reader(read(make(tmp_path, "multilabel")))
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = [a["href"] for _, a in reader.elements if (a.get("href") or "").startswith("#")]
    references += [f"#{a['aria-labelledby']}" for _, a in reader.elements if "aria-labelledby" in a]
    assert {reference[1:] for reference in references} <= set(ids)


def test_tables_and_plots_say_what_they_are_to_those_who_do_not_see_them(tmp_path):
    reader = Reader(read(make(tmp_path, "binary")))
    assert all(attributes.get("scope") in ("col", "row") for attributes in reader.all("th"))
    plots = [attributes for attributes in reader.all("div") if attributes.get("role") == "img"]
    drawn = [
        each for each in reader.all("svg") if "preserveaspectratio" not in each
    ]  # bars repeat a number beside them
    assert len([each for each in plots if "id" not in each]) == len(drawn)
    assert all(each["aria-hidden"] == "true" for each in reader.all("svg"))
    assert all(len(attributes["aria-label"]) > 20 for attributes in plots)


@pytest.mark.parametrize(
    ("task", "k"), [("multiclass", 28), ("multiclass", 90), ("multilabel", 28), ("multilabel", 90)]
)
def test_many_labels_give_a_heat_map_and_a_list_of_confusions(tmp_path, task, k):
    labels = tuple(f"label {index}" for index in range(k))
    run = make(tmp_path, task, labels=labels, n=300)
    source = read(run)
    assert len(source) < 1_500_000
    reader = Reader(source)
    assert "Each row is scaled" in reader.text or "each row scaled" in reader.text
    assert all(
        f"{label} {shown(s.f1)}" in reader.text for label, s in report_schema.read_report(run).per_label["test"].items()
    )
    named = k <= 40  # beyond that names would lie on each other: numbers stand for them
    assert ("label 1<" in (run.plots / "confusion.svg").read_text(encoding="utf-8")) == named
    assert (run.plots / "confusion.png").stat().st_size > 1000
    assert (run.plots / "frequency.svg").is_file()


def test_a_run_of_one_class_only_is_drawn(tmp_path):
    def alike(report, made):
        test = replace(made["test"], gold=np.zeros(200, int), predicted=np.zeros(200, int))
        scores = report_schema.scores(test, seed=0)
        return replace(
            report,
            metrics=report.metrics | {"test": scores.metrics},
            intervals=report.intervals | {"test": scores.intervals},
            per_label=report.per_label | {"test": scores.per_label},
            confusion=report.confusion | {"test": scores.confusion},
        ), made | {"test": test}

    run = make(tmp_path, "binary", change=alike, with_baseline=False)
    reader = Reader(read(run))
    assert "No label is taken for another." in reader.text
    assert not (run.plots / "precision_recall.svg").exists()
    assert "Most confident mistakes" not in reader.text


def test_the_verdict_is_about_the_chosen_metric(tmp_path):
    run = make(tmp_path, "multilabel")
    report = report_schema.read_report(run)
    worse = replace(report.baseline.difference["accuracy"], value=-0.1, interval=(-0.2, -0.05), p_value=0.001)
    better = replace(worse, metric="f1_macro", value=0.1, interval=(0.05, 0.2))
    for differences, said in (
        ({"accuracy": worse, "f1_macro": better}, "+.1000 +.0500 to +.2000, p = .001 The model is better"),
        ({"accuracy": worse}, None),
    ):
        changed = replace(report, baseline=replace(report.baseline, difference=differences))
        text = Reader(run_page.write(run, changed).path.read_text(encoding="utf-8")).text
        assert "worse than the baseline" not in text
        assert ("paired bootstrap" in text) == (said is not None)
        assert said is None or said in text


def test_the_page_of_a_smoke_run_gives_no_verdict(tmp_path):
    run = make(
        tmp_path, "binary", change=lambda report, made: (replace(report, run=replace(report.run, smoke=True)), made)
    )
    text = Reader(read(run)).text
    assert "A smoke run: it shows that every stage works, and its scores mean nothing." in text
    assert "paired bootstrap" not in text


def test_what_to_try_next_stands_on_the_page_as_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps = (NextStep("Train <longer>.", {"training.num_train_epochs": 8}), NextStep("More rows.", {}))
    run = make(tmp_path, "multiclass", change=lambda report, made: (replace(report, next_steps=steps), made))
    text = Reader(read(run)).text
    assert (
        "What to try next, the most promising first Train <longer>. "
        "ftcls train run/config.yaml training.num_train_epochs=8 --output run-2 More rows. "
        'Label a text ftcls predict run --text "..." in Python'
    ) in text
    assert "classifier = ftcls.Classifier.from_pretrained('run')" in text
    assert "classify = pipeline(\"text-classification\", model='run/model')" in text
    (tmp_path / "other").mkdir()
    assert "What to try next" not in Reader(read(make(tmp_path / "other", "multiclass"))).text


def test_the_command_prints_what_to_try_next_before_the_path(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    keys = {"training.num_train_epochs": 8, "training.learning_rate": 2e-5, "seed": 1}
    steps = (NextStep("Train longer.", {**keys, "data.subset.train": None, "model.max_length": 256}),)
    run = make(tmp_path, "binary", change=lambda report, made: (replace(report, next_steps=steps), made))
    assert app.run(["report", "run"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "What to try next, the most promising first",
        "1. Train longer.",
        "   ftcls train run/config.yaml training.num_train_epochs=8 training.learning_rate=2e-5 seed=1 "
        "data.subset.train=null model.max_length=256 --output run-2",
        str(run.page),
    ]


def test_what_has_nothing_to_say_is_left_out(tmp_path):
    run = make(tmp_path, "multiclass", history=(), texts=False, with_baseline=False)
    reader = Reader(read(run))
    assert not (run.plots / "loss.svg").exists()
    assert "Accuracy by length" not in reader.text
    assert "paired bootstrap" not in reader.text
    assert "Most confident mistakes" in reader.text  # rows and labels are known without the texts


def test_a_history_without_evaluations_and_of_one_step_is_drawn(tmp_path):
    run = make(tmp_path, "binary", history=HISTORY[:1])
    read(run)
    drawn = {path.stem for path in run.plots.iterdir()}
    assert {"loss", "learning_rate", "grad_norm"} <= drawn
    assert "metric" not in drawn


@pytest.mark.parametrize("task", TASKS)
def test_the_same_run_gives_the_same_page_and_plots(tmp_path, task):
    run = make(tmp_path, task)
    files = [run.page, *sorted(run.plots.iterdir())] if read(run) else []
    before = {path.name: path.read_bytes() for path in files}
    read(run)
    assert len(before) > 10
    assert {path.name: path.read_bytes() for path in files} == before


def test_predictions_that_disagree_with_the_report_are_named(tmp_path):
    run = make(tmp_path, "binary")
    path = run.predictions / "test.parquet"
    rows = prediction_files.read(path)
    assert run_page.report(run.path).disagreements == ()
    prediction_files.write(path, replace(rows, predicted=1 - rows.predicted))
    found = run_page.report(run.path)
    assert any(line.startswith("test: accuracy is .") for line in found.disagreements)
    text = Reader(run.page.read_text(encoding="utf-8")).text
    assert "Predictions and report.json disagree" in text
    assert found.disagreements[0] in text


def test_the_page_can_go_elsewhere(tmp_path):
    run = make(tmp_path, "binary")
    written = run_page.report(run.path, output=tmp_path / "elsewhere" / "page.html")
    assert written.path.is_file()
    assert not run.page.exists()


def test_a_run_that_is_not_finished_has_no_page(tmp_path):
    with pytest.raises(DataError, match=r"no report\.json, so this is no run or it is not finished"):
        run_page.report(tmp_path)


def test_the_command_prints_the_path_and_as_json_the_plots(tmp_path, capsys):
    run = make(tmp_path, "binary")
    assert app.run(["report", str(run.path)]) == 0
    assert capsys.readouterr().out.strip() == str(run.page)
    assert app.run(["report", str(run.path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["path"] == str(run.page)
    assert {f"{name}.png" for name in document["plots"]} == {path.name for path in run.plots.glob("*.png")}


def test_a_run_is_drawn_where_torch_cannot_be_imported(tmp_path):
    run = make(tmp_path, "multilabel")
    program = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'datasets', 'sklearn', 'tokenizers', 'accelerate'):\n"
        "    sys.modules[name] = None\n"  # importing it raises
        "from ftcls.cli import app\n"
        "sys.exit(app.run(sys.argv[1:]))"
    )
    subprocess.run([sys.executable, "-c", program, "report", str(run.path)], check=True, capture_output=True)
    assert run.page.is_file()


def test_a_label_without_a_row_is_no_point_of_f1_against_frequency(tmp_path):
    def without_two(report, made):
        test = made["test"].take(made["test"].gold < 4)
        scores = report_schema.scores(test, seed=0)
        changes = {"metrics": scores.metrics, "per_label": scores.per_label, "confusion": scores.confusion}
        report = replace(report, **{key: getattr(report, key) | {"test": each} for key, each in changes.items()})
        return report, made | {"test": test}

    run = make(tmp_path, "multiclass", labels=tuple("abcdef"), change=without_two)
    report = report_schema.read_report(run)
    file = run.predictions / "test.parquet"
    drawn = gallery.figures(report, [], prediction_files.read(file), prediction_files.read_rows(file))
    assert drawn["frequency"].names == ("a", "b", "c", "d")
    (points,) = drawn["frequency"].figure.axes[0].collections
    assert len(points.get_offsets()) == 4

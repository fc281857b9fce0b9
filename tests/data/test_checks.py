"""The findings of a whole corpus, and what a run reports of its leaks."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from ftcls.cli.app import run
from ftcls.data.corpus import Corpus, Split
from ftcls.pipeline import data_checks
from ftcls.runs import predictions

GOOD = "number {} was a lovely warm and clever film with {} songs"
BAD = "number {} was dull and cold and far too long by {} hours"


def corpus(texts, targets, labels=("no", "yes"), task="binary"):
    third = len(texts) // 3 or 1
    parts = {"train": slice(0, -2 * third), "validation": slice(-2 * third, -third), "test": slice(-third, None)}
    if len(texts) < 3:
        parts = {name: slice(None) for name in parts}
    splits = {name: Split(texts[at], targets[at], np.arange(len(texts))[at]) for name, at in parts.items()}
    return Corpus("files", task, labels, splits, "yes" if task == "binary" else None)


def found(made, *, lengths=None, unknown=None, truncation="head"):
    lengths = lengths or {name: np.full(len(split), 10) for name, split in made.splits.items()}
    all_of_them = data_checks.found(
        made,
        lengths=lengths,
        unknown=unknown or {},
        max_length=64,
        truncation=truncation,
        seed=0,
        work=data_checks.BRIEF,
    )
    return {check.name: check for check in all_of_them}


def clean(n=300):
    words = [f"word{i}" for i in range(400)]
    rng = np.random.default_rng(0)
    targets = np.arange(n) % 2
    texts = [" ".join([("bad", "good")[t], *rng.choice(words, 5)]) for t in targets]
    return texts, targets


def test_clean_data_has_no_finding():
    assert found(corpus(*clean())) == {}


def test_a_wrong_label_is_named_with_its_row_both_labels_and_text():
    texts, targets = clean()
    targets[7] = 0
    check = found(corpus(texts, targets))["label_noise"]
    assert (check.severity, check.count, check.rows) == ("info", 1, {"train": (7,)})
    assert check.examples[0].startswith("train:7: no (.")
    assert "rather yes: good word" in check.examples[0]
    assert "all rows were judged" in check.advice


def test_of_several_labels_the_change_is_named():
    texts, targets = clean()
    hot = np.eye(2, dtype=np.float32)[targets]
    hot[7] = [0, 0]
    check = found(corpus(texts, hot, task="multilabel"))["label_noise"]
    assert check.examples[0].startswith("train:7: no label (.")
    assert "rather also yes: good" in check.examples[0]


@pytest.mark.parametrize(("cut", "severity"), [(4, None), (6, "info"), (30, "warning")])
def test_truncation_is_a_finding_where_enough_texts_are_cut(cut, severity):
    made = corpus(*clean())
    lengths = {name: np.where(np.arange(100) < cut, 80, 20) for name in made.splits}
    check = found(made, lengths=lengths)
    assert (check["truncated_texts"].severity if "truncated_texts" in check else None) == severity
    if severity:
        assert check["truncated_texts"].count == 3 * cut
        assert f"test: {cut} ({cut:.1f}%)" in check["truncated_texts"].examples
        assert "64, whose end the model does not see. 80 would hold 95 % of them" in check["truncated_texts"].advice
        assert "head_tail keeps" in check["truncated_texts"].advice
        kept = found(made, lengths=lengths, truncation="head_tail")["truncated_texts"].advice
        assert "whose middle the model" in kept
        assert "head_tail" not in kept


@pytest.mark.parametrize(
    ("percent", "severity"), [(1, None), (2, "info"), (9, "info"), (10, "warning"), (40, "warning")]
)
def test_unknown_tokens_are_a_finding_where_there_are_enough(percent, severity):
    made = corpus(*clean())
    lengths = {name: np.full(100, 50) for name in made.splits}
    unknown = {name: np.zeros(100, dtype=np.int64) for name in made.splits}
    unknown["train"][10 : 10 + 2 * (percent - 1)] = 25
    unknown["train"][7] = 50  # every token of that text
    check = found(made, lengths=lengths, unknown=unknown).get("unknown_tokens")
    assert (check.severity if check else None) == severity
    if check:
        assert check.count == 2 * percent - 1
        assert check.examples[0].startswith("train:7: good")
        assert check.examples[0].endswith("(50 of 50 tokens)")
        assert check.rows["train"][:3] == (7, 10, 11)
        assert f"(train {percent}.0%, validation 0.0%, test 0.0%)" in check.advice


@pytest.mark.parametrize(
    ("texts", "targets", "k"),
    [
        (["a", "b"], np.array([0, 1]), 2),
        ([""] * 90, np.arange(90) % 2, 2),
        (["same"] * 90, np.zeros(90, np.int64), 2),
        (["👍"] * 90, np.arange(90) % 2, 2),
        (["word " * 10_000, *["short one"] * 89], np.arange(90) % 2, 2),
        ([f"text {i} of label {i % 100}" for i in range(300)], np.arange(300) % 100, 100),
    ],
)
def test_odd_data_is_no_error(texts, targets, k):
    names = tuple(f"label {i}" for i in range(k))
    made = corpus(texts, targets, ("no", "yes") if k == 2 else names, "binary" if k == 2 else "multiclass")
    assert all(check.advice for check in found(made).values())


def test_clusters_and_near_duplicates_are_judged_together():
    texts, targets = clean()
    made = corpus(texts, targets)
    with_clusters = {
        name: Split(split.texts, split.targets, split.rows, split.rows // 50) for name, split in made.splits.items()
    }
    assert "label_noise" not in found(Corpus("files", "binary", made.labels, with_clusters, "yes"))


def written(path, rows):
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run whose 40 test rows hold 5 training texts, and 3 but for a word."""
    folder = tmp_path_factory.mktemp("leaking")
    rows = [((BAD, GOOD)[i % 2].format(i, i * 7), ("neg", "pos")[i % 2]) for i in range(160)]
    longer = [(f"{text} and so on and on and on", label) for text, label in rows]
    written(folder / "train.csv", longer[:80])
    written(folder / "dev.csv", longer[80:110])
    near = [(f"{text} again", label) for text, label in longer[5:8]]
    written(folder / "test.csv", [*longer[:5], *near, *rows[110:142]])
    data = "{source: files, path: {train: train.csv, validation: dev.csv, test: test.csv}, task: binary}"
    training = "{max_steps: 2, batch_size: 8, eval_strategy: 'no', device: cpu, precision: fp32}"
    (folder / "mine.yaml").write_text(
        f"name: mine\ndata: {data}\nmodel: {{checkpoint: 'scratch:bert', max_length: 24}}\ntraining: {training}\n"
    )
    assert run(["train", str(folder / "mine.yaml"), "--output", str(folder / "run"), "--quiet"]) == 0
    return folder


def test_a_report_has_the_scores_of_the_test_rows_that_do_not_leak(trained):
    report = json.loads((trained / "run" / "report.json").read_text())
    scores = report["metrics_without_leaks"]
    assert (scores["examples"], scores["equal"], scores["near"]) == (32, 5, 3)
    rest = predictions.read(trained / "run" / "predictions" / "test.parquet").take(np.arange(40) >= 8)
    assert scores["metrics"]["accuracy"] == accuracy_score(rest.gold, rest.predicted)
    assert scores["metrics"]["f1_macro"] == pytest.approx(f1_score(rest.gold, rest.predicted, average="macro"))
    low, high = scores["intervals"]["accuracy"]
    assert low <= scores["metrics"]["accuracy"] <= high
    assert {"shared_between_splits", "near_shared_between_splits"} <= {
        check["name"] for check in report["data"]["checks"]
    }


def test_eval_repeats_them_and_says_so(trained, capsys):
    report = json.loads((trained / "run" / "report.json").read_text())
    assert run(["eval", str(trained / "run"), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics_without_leaks"] == report["metrics_without_leaks"]
    assert run(["eval", str(trained / "run"), "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "Without the 8 test rows whose text is in an earlier split" in shown
    assert "(5 equal, 3 nearly equal; 32 rows are left)" in shown


@pytest.mark.parametrize("more", [["--split", "train"], ["--split", "validation"], ["--data", "test.csv"]])
def test_where_nothing_leaks_or_it_is_not_known_there_are_none(trained, monkeypatch, capsys, more):
    monkeypatch.chdir(trained)
    assert run(["eval", "run", *more, "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics_without_leaks"] is None


def test_data_shows_what_leaks_and_judges_all_rows_if_it_is_told_to(trained, capsys):
    assert run(["data", str(trained / "mine.yaml"), "--thorough", "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Rows whose text is in an earlier split"))
    assert lines[start + 3].split() == ["test", "40", "5", "3", "20.0%"]

"""`ftcls compare`: what stands side by side, what is tested, and what is refused."""

import itertools
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text
from rich.console import Console
from scipy import stats

import synthetic
from ftcls.cli.app import run as ftcls
from ftcls.environment.figures_as_text import number
from ftcls.errors import ConfigError, DataError
from ftcls.reporting import compare_page
from ftcls.reporting.compare import compare
from ftcls.runs import predictions, report_schema
from ftcls.runs.directory import RunDir
from ftcls.scoring.differences import paired_difference
from ftcls.scoring.folds import fold_scores, lasting_variance
from ftcls.scoring.intervals import resampled
from ftcls.scoring.significance import mcnemar
from made_reports import made


def test_the_better_run_is_first_and_the_verdict_is_that_of_the_paired_test(tmp_path):
    good, bad = made(tmp_path, name="good", skill=2.0), made(tmp_path, name="bad", skill=0.5, checkpoint="tiny")
    found = compare([bad, good])
    assert [each.name for each in found.contenders] == ["good", "bad"]
    (pair,) = found.pairs
    one, other = (
        predictions.read(RunDir(tmp_path / name).predictions / "test.parquet") for name in ("good-1", "bad-1")
    )
    assert pair.difference == paired_difference(one, other, metric="f1_macro")
    assert pair.verdict == "good is better than bad"
    assert pair.mcnemar == mcnemar(one.gold == one.predicted, other.gold == other.predicted)
    assert pair.mcnemar_corrected_p_value == pair.mcnemar.p_value
    drawn = stats.bootstrap(
        (one.gold == one.predicted, other.gold == other.predicted),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        paired=True, method="percentile", n_resamples=2000, rng=np.random.default_rng(0),
    )  # fmt: skip
    accuracy = compare([good, bad], metric="accuracy").pairs[0].difference
    assert accuracy.interval == pytest.approx(tuple(drawn.confidence_interval), abs=0.01)


def test_each_contender_has_its_cost_and_every_metric_with_interval(tmp_path):
    found = compare([made(tmp_path, name="a"), made(tmp_path, name="b", checkpoint="x", speed=None)])
    one = next(each for each in found.contenders if each.name == "a")
    assert (one.parameters, one.size_bytes, one.latency_p50_ms, one.latency_p95_ms) == (
        22_700_000,
        90_900_000,
        4.0,
        9.0,
    )
    assert (one.training_seconds, one.examples_per_second, one.peak_memory_bytes) == (280.0, 14.3, 840_000_000)
    report = report_schema.read_report(RunDir(tmp_path / "a-1"))
    assert one.metrics == report.metrics["test"]
    assert one.intervals == report.intervals["test"]
    assert next(each for each in found.contenders if each.name == "b").latency_p50_ms is None


def test_no_difference_is_called_none(tmp_path):
    found = compare([made(tmp_path, name="a"), made(tmp_path, name="b", checkpoint="x", noise=3)])
    assert found.pairs[0].verdict.startswith("no difference between")


def test_p_values_of_many_pairs_are_corrected(tmp_path):
    places = [made(tmp_path, name=f"r{i}", checkpoint=f"c{i}", skill=1.2 + i / 10) for i in range(4)]
    found = compare(places)
    assert len(found.pairs) == 6
    assert all(pair.corrected_p_value >= pair.difference.p_value for pair in found.pairs)
    assert max(pair.corrected_p_value / pair.difference.p_value for pair in found.pairs) > 1


def test_the_baseline_of_a_run_is_a_contender(tmp_path):
    place = made(tmp_path, name="a", skill=2.0)
    found = compare([place, f"{place}:baseline"])
    assert [each.name for each in found.contenders] == ["a", "TF-IDF + linear SVM"]
    assert found.contenders[1].parameters is None
    assert found.contenders[1].training_seconds == 1.25
    with pytest.raises(DataError, match="kept for the test split"):
        compare([place, f"{place}:baseline"], split="validation")


def test_runs_that_differ_in_their_seed_are_one_model_over_rows_and_seeds(tmp_path):
    many = [made(tmp_path, name="a", seed=seed, noise=seed) for seed in (1, 2, 3)]
    alone = made(tmp_path, name="b", checkpoint="x", skill=0.4)
    found = compare([*many, alone])
    group = found.contenders[0]
    assert (group.name, group.seeds) == ("a x 3", (1, 2, 3))
    scores = [
        report_schema.read_report(RunDir(tmp_path / f"a-{seed}")).metrics["test"]["f1_macro"] for seed in (1, 2, 3)
    ]
    assert group.metrics["f1_macro"] == pytest.approx(np.mean(scores))
    assert group.spread["f1_macro"] == pytest.approx((np.std(scores, ddof=1), min(scores), max(scores)))
    single = report_schema.read_report(RunDir(tmp_path / "a-1")).intervals["test"]["f1_macro"]
    low, high = group.intervals["f1_macro"]
    assert low < min(scores) <= max(scores) < high
    assert high - low > 0.8 * (single[1] - single[0])
    assert found.pairs[0].mcnemar is None
    assert found.pairs[0].verdict == "a x 3 is better than b"


def uneven_folds(**options):
    """Predictions of five folds, in two of which the model is right by chance alone."""
    said = synthetic.predictions("multiclass", skill=3.0)
    folds = np.arange(len(said)) % 5 + 1
    wrong = np.isin(folds, (2, 4)) & (np.random.default_rng(0).random(len(said)) < 0.7)
    return {"folds": folds, "predicted": np.where(wrong, (said.gold + 1) % 4, said.predicted)} | options


def test_cross_validations_under_several_seeds_are_over_folds_too(tmp_path):
    places = [made(tmp_path, name="a", seed=seed, **uneven_folds()) for seed in (1, 2, 3)]
    other = made(tmp_path, name="b", checkpoint="x", skill=0.4, folds=np.arange(200) % 5 + 1)
    found = compare([*places, other], metric="accuracy")
    plain = [made(tmp_path, name="p", checkpoint="y", seed=seed, **uneven_folds(folds=None)) for seed in (1, 2, 3)]
    rows = compare([*plain, made(tmp_path, name="q", checkpoint="z", skill=0.4)], metric="accuracy")
    said = predictions.read(RunDir(tmp_path / "a-1").predictions / "test.parquet")
    drawn = resampled(said, "accuracy")
    scores = fold_scores(said, said.folds, ("accuracy",), seed=0)["accuracy"]
    # The seeds do not differ here, so that rows and trainings are all there is.
    by = np.sqrt(1 + lasting_variance(scores) / drawn.var())
    assert by > 1.3
    # Below the score, where the range of the metric does not end it.
    wide, narrow = (
        each.contenders[0].metrics["accuracy"] - each.contenders[0].intervals["accuracy"][0] for each in (found, rows)
    )
    assert wide / narrow == pytest.approx(by, rel=0.02)
    wide, narrow = (np.subtract(*each.pairs[0].difference.interval[::-1]) for each in (found, rows))
    assert wide > 1.1 * narrow


def gold_changed():
    gold = synthetic.predictions("multiclass").gold.copy()
    gold[7] = (gold[7] + 1) % 4
    return gold


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.arange(200) + 1}, "different rows"),
        ({"gold": gold_changed()}, "gold labels differ, first in row 7"),
        ({"labels": ("a", "b", "c", "d")}, "Cannot compare: one is multiclass over"),
    ],
)
def test_runs_of_other_rows_are_refused_and_how_they_differ_is_said(tmp_path, change, message):
    places = [made(tmp_path, name="a"), made(tmp_path, name="b", checkpoint="x", **change)]
    with pytest.raises(DataError, match=message):
        compare(places)


def test_a_seed_that_cut_other_rows_is_named_as_the_reason(tmp_path):
    places = [made(tmp_path, seed=1), made(tmp_path, seed=2, rows=np.arange(200) + 1)]
    with pytest.raises(DataError, match="They differ in their seed alone, which also cuts and draws the rows"):
        compare(places)


def test_a_run_without_the_split_of_the_first_is_refused_with_what_it_has(tmp_path):
    places = [made(tmp_path, name="a"), made(tmp_path, name="b", checkpoint="x")]
    with pytest.raises(DataError, match="a-1: has no scores of out_of_fold, it has those of validation, test; a cross"):
        compare(places, split="out_of_fold")


def test_too_few_or_the_same_is_refused(tmp_path):
    place = made(tmp_path)
    with pytest.raises(ConfigError, match="compare needs two"):
        compare([place])
    with pytest.raises(ConfigError, match="named twice"):
        compare([place, place])
    with pytest.raises(ConfigError, match="--metric f1: one of"):
        compare([place, f"{place}:baseline"], metric="f1")
    with pytest.raises(DataError, match=r"no report\.json"):
        compare([place, str(tmp_path / "nothing")])


def test_the_terminal_fits_eighty_columns_with_twenty_runs(tmp_path):
    places = [
        made(tmp_path, name=f"a-rather-long-name-of-a-run-{i}", checkpoint=f"c{i}", noise=i + 1) for i in range(20)
    ]
    console = Console(width=80, record=True)
    console.print(compare_page.summary(compare(places)))
    shown = console.export_text()
    assert max(map(len, shown.splitlines())) <= 80
    assert "171 other pairs are in --json and --output" in shown
    assert len(shown.splitlines()) < 110


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_the_command_writes_json_markdown_a_page_and_a_plot(tmp_path, capsys, task):
    places = [
        made(tmp_path, name="one", task=task),
        made(tmp_path, name="x", task=task, checkpoint="y"),
    ]
    assert ftcls(["compare", *places, "--output", str(tmp_path / "out"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"compare.json", "compare.md", "compare.html", "score-against-cost.png", "score-against-cost.svg"}
    assert json.loads((tmp_path / "out" / "compare.json").read_text()) == document
    text = (tmp_path / "out" / "compare.md").read_text()
    for name, value in document["contenders"][0]["metrics"].items():
        assert name in text
        assert number(value) in text
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert document["pairs"][0]["verdict"] in page


def test_names_that_are_not_told_apart_have_their_folder_and_never_a_path(tmp_path):
    one, other = (made(tmp_path / place, name="same", checkpoint=place) for place in ("x", "y"))
    (tmp_path / "y" / "same-1").rename(tmp_path / "y" / "second")
    other = str(tmp_path / "y" / "second")
    names = [each.name for each in compare([one, other, f"{one}:tfidf", f"{other}:tfidf"]).contenders]
    simple = "TF-IDF + linear SVM"
    assert sorted(names) == [f"{simple} (same-1)", f"{simple} (second)", "same-1", "second"]


def test_the_linear_baseline_stands_beside_the_models_untested(tmp_path):
    places = [made(tmp_path, name="a"), made(tmp_path, name="b", checkpoint="x")]
    found = compare(places)
    assert found.reference.name == "TF-IDF + linear SVM"
    assert found.reference.training_seconds == 1.25
    assert len(found.pairs) == 1
    assert compare([*places, f"{places[0]}:tfidf"]).reference is None
    assert compare(places, split="validation").reference is None
    page = compare_page.html(found, "<svg></svg>")
    assert page.index("the linear baseline, not tested") < page.index("Differences from")
    assert page.index('<h2 id="h-scores">') < page.index('<h2 id="h-differences">')
    head = re.search(r'aria-label="All scores">.*?</tr>', page, re.DOTALL)[0]
    assert re.findall(r"<th[^>]*>([^<]+)<", head)[:3] == ["model", "f1_macro", "loss"]


def test_the_frontier_joins_what_none_is_both_cheaper_and_better_than():
    points = [(3.0, 0.8), (1.0, 0.5), (2.0, 0.4), (4.0, 0.8), (1.0, 0.3), (9.0, 0.9)]
    assert compare_page.frontier(points, higher=True) == [(1.0, 0.5), (3.0, 0.8), (9.0, 0.9)]
    assert compare_page.frontier(points, higher=False) == [(1.0, 0.3)]


def test_names_in_the_plot_do_not_lie_on_each_other(tmp_path):
    places = [made(tmp_path, name=f"a-rather-long-name-{i}", checkpoint=f"c{i}", noise=i + 1) for i in range(8)]
    figure = compare_page.score_against_cost(compare(places))
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in figure.axes[0].texts]  # without the lines to the points
    assert len(boxes) == 8
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_names_are_escaped(tmp_path):
    found = compare([made(tmp_path, name="a"), made(tmp_path, name="b", checkpoint="x")])
    odd = replace(found, contenders=tuple(replace(each, name="<b>one|two") for each in found.contenders))
    assert "one\\|two" in compare_page.markdown(odd)
    assert "<b>one" not in compare_page.html(odd, "<svg></svg>")


def test_the_command_refuses_with_the_exit_code_of_the_reason(tmp_path, capsys):
    place = made(tmp_path)
    assert ftcls(["compare", place]) == 2
    assert ftcls(["compare", place, str(tmp_path / "none")]) == 3
    assert "no report.json" in capsys.readouterr().err


def test_rows_of_clusters_have_no_test_that_takes_them_for_independent(tmp_path):
    skills = {"good": 2.0, "bad": 0.5}
    clusters = np.arange(200) // 4
    runs = [made(tmp_path, name=each, skill=skills[each], checkpoint=each, clusters=clusters) for each in skills]
    (pair,) = compare(runs).pairs
    assert pair.difference.clusters == 50
    assert (pair.mcnemar, pair.mcnemar_corrected_p_value) == (None, None)


def test_seeds_that_differ_on_few_rows_show_no_more_than_these_rows(tmp_path):
    gold = synthetic.predictions("multiclass").gold
    other = gold.copy()
    other[:4] = (other[:4] + 1) % 3
    many = [made(tmp_path, name="a", seed=seed, predicted=gold) for seed in (1, 2)]
    alone = made(tmp_path, name="b", checkpoint="x", predicted=other)
    (pair,) = compare([*many, alone], metric="accuracy").pairs
    assert pair.difference.value == pytest.approx(0.02)
    assert pair.difference.p_value >= 0.125
    assert "no difference" in pair.verdict

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve
from statsmodels.stats.proportion import proportion_confint

import synthetic
from ftcls.reporting import error_analysis, findings, rungs
from ftcls.reporting.outcome import outcome
from ftcls.runs.report_schema import DecisionReport
from ftcls.scoring import calibration, metrics, slices, wilson
from ftcls.scoring.calibration import reliability


def test_the_curve_lies_on_the_curve_of_scikit_learn():
    made = synthetic.predictions("binary", 3000)
    (curve,) = error_analysis.curves(made, {"no": 0.5, "yes": 0.5}, most=5)
    precision, recall, _ = precision_recall_curve(made.gold, made.probabilities[:, 1])
    points = set(zip(recall.round(12), precision.round(12), strict=True))
    kept = list(zip(curve.recall[1:].round(12), curve.precision[1:].round(12), strict=True))
    assert curve.name == "yes"
    assert set(kept) <= points
    assert kept[-1][0] == 1
    assert len(kept) < 3000 / 4


@pytest.mark.parametrize("label", ["b", "all labels together"])
def test_the_curve_of_rows_with_weights_is_the_weighted_one_of_scikit_learn(label):
    rows = np.random.default_rng(3).choice([0.2, 1.0, 7.0], 400)
    made = replace(synthetic.predictions("multilabel", 400, labels=tuple("abcdef")), weights=rows)
    areas = {name: each.average_precision for name, each in metrics.per_label(made).items()}
    areas |= {"b": 0.0}  # so that it is one of those that are drawn
    curve = next(each for each in error_analysis.curves(made, areas, most=5) if each.name == label)
    gold, found = made.gold, made.probabilities
    if label == "b":
        gold, found = gold[:, 1], found[:, 1]
    each = np.repeat(rows, gold.size // 400)
    precision, recall, _ = precision_recall_curve(gold.ravel(), found.ravel(), sample_weight=each)
    points = set(zip(recall.round(9), precision.round(9), strict=True))
    assert set(zip(curve.recall[1:].round(9), curve.precision[1:].round(9), strict=True)) <= points
    area = (np.diff(curve.recall) * curve.precision[1:]).sum()
    right = average_precision_score(gold.ravel(), found.ravel(), sample_weight=each)
    assert area == pytest.approx(right, abs=0.01)
    if label != "b":
        assert right == pytest.approx(metrics.score(made)["average_precision_micro"])


def test_of_many_labels_all_together_and_the_extremes_have_a_curve():
    made = synthetic.predictions("multilabel", labels=tuple("abcdefgh"))
    areas = {label: index / 10 for index, label in enumerate("abcdefgh")} | {"d": None}
    assert [c.name for c in error_analysis.curves(made, areas, most=5)] == ["all labels together", "a", "b", "g", "h"]


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_the_calibration_error_is_the_weighted_gap_of_the_bins(task):
    made = synthetic.predictions(task)
    found = reliability(made.probabilities, made.gold, made.task)
    n = sum(b.count for b in found.bins)
    assert n == (made.probabilities.size if task == "multilabel" else len(made))
    assert found.error == pytest.approx(sum(b.count * abs(b.confidence - b.observed) for b in found.bins) / n)
    assert all(b.low <= b.confidence <= b.high for b in found.bins)


def test_a_model_that_is_always_right_and_sure_has_no_calibration_error():
    made = synthetic.predictions("binary")
    sure = replace(made, probabilities=np.eye(2)[made.gold], predicted=made.gold)
    assert reliability(sure.probabilities, sure.gold, sure.task).error == 0


def test_confusions_of_one_label_each_are_the_confusion_matrix():
    made = synthetic.predictions("multiclass")
    np.testing.assert_array_equal(error_analysis.confusions(made), metrics.confusion(made))
    first = error_analysis.pairs(made, most=3)[0]
    counts = metrics.confusion(made)
    np.fill_diagonal(counts, 0)
    assert first.count == counts.max()
    assert first.share == first.count / (made.gold == made.labels.index(first.gold)).sum()


def test_of_several_labels_a_pair_is_one_missed_and_another_wrongly_given():
    made = synthetic.predictions("multilabel", 4)
    gold = np.array([[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [1, 1, 0, 0, 0]], bool)
    given = np.array([[0, 1, 0, 0, 0], [0, 1, 0, 0, 0], [0, 1, 0, 0, 0], [0, 1, 0, 0, 0]], bool)
    (pair,) = error_analysis.pairs(replace(made, gold=gold, predicted=given), most=5)
    assert (pair.gold, pair.given, pair.count) == ("earn", "acq", 2)  # in the last row acq was rightly given
    assert pair.share == 2 / 3


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_mistakes_are_wrong_and_sorted(task):
    made = synthetic.predictions(task)
    found = error_analysis.surest_mistakes(made, most=10)
    assert [m.probability for m in found] == sorted((m.probability for m in found), reverse=True)
    assert all(set(m.predicted) - set(m.gold) for m in found)
    assert all((m.worst in set(m.predicted) - set(m.gold)) == (task == "multilabel") for m in found)
    costly = error_analysis.costliest(made, most=10)
    assert costly[0].loss == metrics.row_losses(made).max()
    assert [m.loss for m in costly] == sorted((m.loss for m in costly), reverse=True)


def test_gold_labels_that_were_missed_come_with_the_probability_they_got():
    made = synthetic.predictions("multilabel")
    found = error_analysis.surest_misses(made, most=10)
    assert len(found) == 10
    assert [m.probability for m in found] == sorted(m.probability for m in found)
    for m in found:
        assert m.worst in set(m.gold) - set(m.predicted)
        assert m.probability == made.probabilities[m.index, made.labels.index(m.worst)]
    assert error_analysis.surest_misses(synthetic.predictions("multiclass"), most=10) == ()


def test_groups_by_length_hold_every_row_once_with_wilsons_interval():
    made = synthetic.predictions("multiclass")
    groups = slices.by_length(made, np.arange(200) // 10)
    assert sum(group.count for group in groups) == 200
    assert len(groups) == 5
    right = (made.gold == made.predicted)[np.arange(200) // 10 <= 4].sum()
    assert groups[0].accuracy == right / groups[0].count
    expected = proportion_confint(right, groups[0].count, method="wilson")
    np.testing.assert_allclose((groups[0].low, groups[0].high), expected)


def test_texts_of_one_length_are_one_group():
    assert [g.name for g in slices.by_length(synthetic.predictions("binary"), np.full(200, 7))] == ["7"]


def test_truncation_is_compared_where_some_texts_were_cut():
    made = synthetic.predictions("binary")
    assert slices.by_truncation(made, np.zeros(200, bool)) == ()
    whole, cut = slices.by_truncation(made, np.arange(200) < 50)
    assert (whole.count, cut.count) == (150, 50)


def test_a_group_of_clusters_is_as_sure_as_its_clusters():
    made = synthetic.predictions("binary")
    whole, cut = slices.by_truncation(replace(made, clusters=np.arange(200) // 10), np.arange(200) < 50)
    hits = made.gold == made.predicted
    assert (cut.low, cut.high) == wilson.of_rows(hits[:50], np.arange(50) // 10)
    assert whole.accuracy == hits[50:].mean()
    # Five wholly alike clusters are five rows.
    alike = replace(made, gold=np.repeat([1, 0, 1, 1], 50), predicted=np.ones(200, int), clusters=np.arange(200) // 10)
    (_, group) = slices.by_truncation(alike, np.arange(200) < 50)
    assert (group.low, group.high) == pytest.approx(proportion_confint(5, 5, method="wilson"))


SURE = (calibration.Bin(0.9, 1.0, count=100, confidence=0.95, observed=0.5, weight=100.0),)
"""A model that is too sure of itself."""


def _findings(report, *, count=2, bins=SURE):
    return [
        each.sentence
        for each in findings.findings(
            report,
            pairs=[error_analysis.Pair("no", "yes", count=count, share=0.02)],
            calibration=calibration.Reliability(bins, error=0.45),
            lengths=(),
            truncation=(),
            candidates=0,
        )
    ]


def test_a_count_of_one_is_once():
    report, _ = synthetic.report("binary")
    assert any(line.endswith("“yes”: once, 2 % of its rows.") for line in _findings(report, count=1))
    assert any(line.endswith("“yes”: 2 times, 2 % of its rows.") for line in _findings(report))


def test_labels_that_are_all_alike_have_no_weakest():
    report, _ = synthetic.report("binary")
    assert any("is the weakest label" in line for line in _findings(report))
    alike = {label: replace(each, f1=0.8, recall=0.8) for label, each in report.per_label["test"].items()}
    assert not any("weakest" in line for line in _findings(replace(report, per_label={"test": alike})))


def test_a_temperature_that_was_tuned_is_not_advised():
    report, _ = synthetic.report("binary")
    decision = DecisionReport(thresholds=None, temperature=1.3, calibration_error=None)
    assert any("`decision.temperature: tuned` mends that" in line for line in _findings(report))
    lines = _findings(replace(report, decision=decision))
    assert any(line.endswith("with a temperature found on validation.") for line in lines)
    assert not any("tuned` mends" in line for line in lines)


def test_which_way_probabilities_are_off_goes_by_the_weights_of_the_rows():
    report, _ = synthetic.report("binary")
    bins = (
        calibration.Bin(0.6, 0.7, count=90, confidence=0.65, observed=0.5, weight=10.0),
        calibration.Bin(0.8, 0.9, count=10, confidence=0.85, observed=1.0, weight=90.0),
    )
    assert any(line.startswith("The model is too cautious") for line in _findings(report, bins=bins))


def test_texts_with_weights_are_counted_one_by_one():
    report, _ = synthetic.report("binary")
    alike = report.metrics["test"]
    weighted = replace(
        report, metrics=report.metrics | {"test": alike | {"accuracy": 0.5}}, metrics_unweighted={"test": alike}
    )
    rows = report.data.splits["test"].examples
    assert f"right on {round(alike['accuracy'] * rows)} of {rows} test texts" in outcome(weighted).headline


@pytest.mark.parametrize(
    ("metric", "scores", "lengths"),
    [
        ("f1_macro", [(0.5, (0.4, 0.6))], [(50, 40, 60)]),
        ("loss", [(1.0, (0.5, 2.0)), (2.0, None)], [(50, 25, 100), (100, 100, 100)]),
        ("mean_absolute_error", [(2.0, (1.5, 4.0))], [(50, 37.5, 100)]),
        ("mean_absolute_error", [(0.0, (0.0, 0.0))], [(0, 0, 0)]),
        ("quadratic_weighted_kappa", [(-0.2, (-0.4, 0.1)), (0.5, None)], [(0, 0, 10), (50, 50, 50)]),
    ],
)
def test_bars_stay_within_their_scale(metric, scores, lengths):
    assert [(each.length, each.low, each.high) for each in rungs.spans(scores, metric)] == lengths

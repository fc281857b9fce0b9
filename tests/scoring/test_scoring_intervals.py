from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from ftcls.errors import DataError
from ftcls.scoring import intervals as module
from ftcls.scoring import metrics, resampling
from ftcls.scoring.differences import paired_difference
from ftcls.scoring.intervals import intervals, score_of
from ftcls.scoring.metrics import Predictions, Statistics
from ftcls.scoring.wilson import wilson


def made(task, n, k, *, seed=0, skill=1.0, clusters=None, shares=None):
    """Predictions by chance, better with more `skill`; the gold labels depend on the seed alone."""
    rng = np.random.default_rng(seed)
    labels = tuple(f"label {index}" for index in range(k))
    if task == "multilabel":
        gold = rng.random((n, k)) < (0.3 if shares is None else np.asarray(shares))
        probabilities = 1 / (1 + np.exp(-rng.normal(size=(n, k)) * 1.5 - skill * (2 * gold - 1)))
        return Predictions(task, labels, gold, probabilities >= 0.5, probabilities, np.arange(n), clusters)
    gold = rng.choice(k, size=n, p=shares)
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), gold] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predicted = probabilities.argmax(axis=1)
    positive = 1 if task == "binary" else None
    return Predictions(task, labels, gold, predicted, probabilities, np.arange(n), clusters, positive)


def repeated(predictions, times):
    """The same predictions with every row as often as `times` says."""
    fields = ("gold", "predicted", "probabilities", "rows")
    return replace(predictions, **{name: np.repeat(getattr(predictions, name), times, axis=0) for name in fields})


TASKS = [("binary", 2), ("multiclass", 5), ("multilabel", 5)]


@pytest.mark.parametrize(("task", "k"), TASKS)
def test_a_weighted_row_counts_as_so_many_rows(task, k):
    predictions = made(task, 120, k)
    predictions = replace(predictions, probabilities=predictions.probabilities.round(1))  # many equal scores
    times = np.random.default_rng(1).integers(0, 4, 120)
    found = Statistics(predictions).at(times[None].astype(float), metrics.names(task))
    expected = metrics.score(repeated(predictions, times))
    assert {name: value[0] for name, value in found.items()} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("task", "k"), TASKS)
def test_every_metric_has_an_interval_around_it(task, k):
    predictions = made(task, 400, k)
    found, score = intervals(predictions, draws=500), metrics.score(predictions)
    assert tuple(found) == metrics.names(task)
    for name, (low, high) in found.items():
        assert low < score[name] < high, name
        assert 0.001 < high - low < 0.25, name


def test_the_interval_is_that_of_resampling_rows_one_by_one():
    predictions = made("multiclass", 300, 4)
    rng = np.random.default_rng(5)
    draws = [rng.integers(0, 300, 300) for _ in range(1000)]
    values = [f1_score(predictions.gold[rows], predictions.predicted[rows], average="macro") for rows in draws]
    assert intervals(predictions)["f1_macro"] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.006)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    predictions = made("binary", 200, 2)
    assert intervals(predictions, seed=3, draws=200) == intervals(predictions, seed=3, draws=200)
    assert intervals(predictions, seed=3, draws=200)["loss"] != intervals(predictions, seed=4, draws=200)["loss"]


@pytest.mark.parametrize(("task", "k"), TASKS)
def test_the_size_of_a_block_changes_nothing(task, k, monkeypatch):
    predictions = made(task, 100, k, clusters=np.arange(100) // 3)
    whole = intervals(predictions, draws=150)
    monkeypatch.setattr(resampling, "_WEIGHTS", 1)
    monkeypatch.setattr(resampling, "_BLOCK", 7)
    for name, interval in intervals(predictions, draws=150).items():
        assert interval == pytest.approx(whole[name], abs=1e-12), name


@pytest.mark.parametrize(("task", "k"), TASKS)
def test_copies_in_clusters_make_no_interval_narrower(task, k):
    predictions = made(task, 150, k)
    copies = repeated(predictions, np.full(150, 8))
    clustered = replace(copies, clusters=np.repeat(np.arange(150) * 7 - 3, 8))
    once, together, apart = (intervals(each, draws=800) for each in (predictions, clustered, copies))
    for name in metrics.names(task):
        width, clustered_width, wrong = (np.diff(each[name])[0] for each in (once, together, apart))
        assert clustered_width == pytest.approx(width, rel=0.1), name
        assert wrong < 0.5 * width, name


def test_labels_that_trade_places_between_clusters_leave_a_macro_average_its_width():
    rng = np.random.default_rng(3)
    n, k = 300, 5
    clusters = np.arange(n) // 10
    predicted = clusters % k  # a cluster is given one label as a whole: its rows are lost to all other labels
    gold = np.where(rng.random(n) < 0.65, predicted, rng.integers(0, k, n))
    made = Predictions("multiclass", tuple("abcde"), gold, predicted, np.eye(k)[predicted], np.arange(n), clusters)
    found = intervals(made, draws=400)
    for name in ("precision_macro", "recall_macro", "f1_macro"):
        value, (low, high) = score_of(made, name), found[name]
        assert low < value - 0.02
        assert high > value + 0.02


def test_wilson_is_scipys():
    for hits, n in ((0, 5), (5, 5), (3, 10), (6900, 7600)):
        expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
        assert wilson(hits / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_twenty_right_of_twenty_do_not_make_a_classifier_certain():
    predictions = made("multiclass", 20, 2, skill=100)
    found = intervals(predictions)
    assert found["accuracy"] == found["f1_micro"] == pytest.approx((0.8389, 1.0), abs=1e-4)


def test_labels_with_one_row_do_not_push_the_interval_below_the_score():
    shares = np.array([0.5] + [0.5 / 89] * 89)
    predictions = made("multiclass", 200, 90, skill=4, shares=shares)
    found, score = intervals(predictions), metrics.score(predictions)
    for name in ("f1_macro", "precision_macro", "recall_macro"):
        assert found[name][0] < score[name] < found[name][1]


def test_what_is_undefined_has_no_interval():
    one_class = replace(made("binary", 30, 2), gold=np.zeros(30, int))
    found = intervals(one_class, draws=100)
    assert found["roc_auc"] is None
    assert found["average_precision"] is None
    assert found["recall"] is None
    assert found["accuracy"] is not None


def test_draws_without_both_classes_are_left_out():
    predictions = made("binary", 12, 2, skill=3)
    gold = np.zeros(12, int)
    gold[4] = 1  # missing from more than a third of all draws
    found = intervals(replace(predictions, gold=gold))
    assert np.isfinite(found["roc_auc"]).all()


@pytest.mark.parametrize(("task", "k"), [*TASKS, ("multiclass", 1)])
def test_a_single_row_has_intervals_too(task, k):
    found = intervals(made(task, 1, k), draws=50)
    assert tuple(found) == metrics.names(task)


def test_work_on_areas_is_bounded_and_still_two_hundred_draws():
    assert module.area_draws(25_000, 1, 2000) == 2000
    assert module.area_draws(100_000, 100, 2000) == 200
    assert module.area_draws(100_000, 100, 50) == 50


def test_equal_predictions_differ_by_nothing():
    predictions = made("multiclass", 100, 3)
    found = paired_difference(predictions, predictions)
    assert (found.value, found.interval, found.p_value) == (0, (0, 0), 1)
    assert (found.metric, found.rows, found.clusters) == ("accuracy", 100, None)


def test_a_better_model_is_seen_and_the_sign_turns_with_the_order():
    good, poor = made("multiclass", 500, 3, skill=3), made("multiclass", 500, 3, skill=1)
    found, turned = paired_difference(good, poor, metric="f1_macro"), paired_difference(poor, good, metric="f1_macro")
    assert found.value == metrics.score(good)["f1_macro"] - metrics.score(poor)["f1_macro"]
    assert found.p_value == turned.p_value == pytest.approx(2 / 2001)
    assert 0 < found.interval[0] < found.value < found.interval[1]
    assert turned.interval == pytest.approx((-found.interval[1], -found.interval[0]))


def test_the_p_value_is_close_to_mcnemars():
    gold = np.zeros(400, int)
    first, second = np.zeros(400, int), np.zeros(400, int)
    first[:20] = 1
    second[20:55] = 1  # 20 errors of one, 35 of the other
    base = made("multiclass", 400, 2)
    found = paired_difference(replace(base, gold=gold, predicted=first), replace(base, gold=gold, predicted=second))
    assert found.value == pytest.approx(15 / 400)
    assert found.p_value == pytest.approx(stats.binomtest(20, 55).pvalue, abs=0.02)
    assert (found.p_value < 0.05) == (found.interval[0] > 0)


def test_pairing_is_worth_more_than_two_intervals():
    first = made("multiclass", 1000, 3)
    predicted = first.predicted.copy()
    predicted[:30] = first.gold[:30]
    found = paired_difference(replace(first, predicted=predicted), first)
    assert found.p_value < 0.01
    low, high = intervals(first)["accuracy"]
    assert low < metrics.score(replace(first, predicted=predicted))["accuracy"] < high


def test_clusters_are_resampled_whole_in_a_pair():
    first = made("binary", 60, 2, skill=1.2)
    second = replace(first, predicted=1 - first.predicted)
    clusters = np.repeat(np.arange(60), 5)
    copies = [replace(repeated(each, np.full(60, 5)), clusters=clusters) for each in (first, second)]
    found, once = paired_difference(*copies, metric="roc_auc"), paired_difference(first, second)
    assert (found.rows, found.clusters) == (300, 60)
    clustered = paired_difference(*copies)
    assert np.diff(clustered.interval) == pytest.approx(np.diff(once.interval), rel=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.arange(50) + 1}, r"different rows \(50 and 50\)"),
        ({"gold": np.array([*[0] * 49, 1])}, "the gold labels differ, first in row"),
        ({"labels": ("x", "y", "z")}, "one is multiclass over label 0, label 1, label 2, the other multiclass over x"),
        ({"clusters": np.arange(50)}, "clustered differently"),
    ],
)
def test_predictions_of_other_rows_are_not_compared(change, message):
    first = made("multiclass", 50, 3)
    with pytest.raises(DataError, match=message):
        paired_difference(first, replace(first, **change))


def test_a_metric_of_another_task_is_not_compared():
    first = made("multiclass", 50, 3)
    with pytest.raises(DataError, match="roc_auc: not a metric of a multiclass task; one of loss, accuracy"):
        paired_difference(first, first, metric="roc_auc")


def test_an_undefined_metric_is_not_compared():
    first = replace(made("binary", 30, 2), gold=np.zeros(30, int))
    with pytest.raises(DataError, match="roc_auc: undefined on these 30 rows"):
        paired_difference(first, first, metric="roc_auc")


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say():
    shares = np.array([0.4, 0.3, 0.2, 0.1])
    everything = made("multiclass", 400_000, 4, seed=99, shares=shares)
    truth = metrics.score(everything)
    rng = np.random.default_rng(7)
    hits = dict.fromkeys(("accuracy", "f1_macro", "loss"), 0)
    for repeat in range(1000):
        rows = rng.choice(len(everything), 400, replace=False)
        fields = ("gold", "predicted", "probabilities", "rows")
        sample = replace(everything, **{name: getattr(everything, name)[rows] for name in fields})
        found = intervals(sample, seed=repeat, draws=600)
        for name in hits:
            hits[name] += found[name][0] <= truth[name] <= found[name][1]
    assert all(930 <= count <= 970 for count in hits.values()), hits


def test_the_interval_of_mean_average_precision_holds_it_whatever_the_number_of_rare_labels():
    """The percentiles of drawn means do not: rows that are drawn twice lift average precision."""
    rare = made("multilabel", 600, 60, shares=[0.005] * 60, skill=0.5)
    value = metrics.score(rare)["average_precision_macro"]
    low, high = intervals(rare, draws=100)["average_precision_macro"]
    assert low < value < high < low + 0.1
    drawn = module.resampled(rare, "average_precision_macro", draws=100)
    assert np.quantile(drawn, 0.025) > value

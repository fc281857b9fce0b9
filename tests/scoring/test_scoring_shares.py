import numpy as np
import pytest
from scipy import stats

from ftcls.scoring import metrics, wilson
from ftcls.scoring.intervals import certainty, intervals
from ftcls.scoring.metrics import Predictions


def made(n, k, *, seed=0, clusters=None):
    """Several labels a row, the last of them in about two rows."""
    rng = np.random.default_rng(seed)
    gold = rng.random((n, k)) < np.append(np.full(k - 1, 0.2), 2 / n)
    probabilities = 1 / (1 + np.exp(-(rng.normal(size=(n, k)) + 3 * gold - 2)))
    labels = tuple(f"label {index}" for index in range(k))
    return Predictions("multilabel", labels, gold, probabilities >= 0.5, probabilities, np.arange(n), clusters)


def test_the_interval_of_f1_is_that_of_the_agreement_carried_over():
    hits = np.array([True] * 3 + [False] * 2)
    agreement = stats.binomtest(3, 5).proportion_ci(method="wilson")
    expected = [2 * end / (1 + end) for end in (agreement.low, agreement.high)]
    assert wilson.of_f1(hits, None) == pytest.approx(expected)
    assert wilson.of_f1(hits[:0], None) is None


def test_copies_within_a_cluster_count_once_and_independent_rows_in_full():
    hits = np.repeat(np.random.default_rng(0).random(200) < 0.7, 4)
    together = np.repeat(np.arange(200), 4)
    assert wilson.effective(hits, together) == pytest.approx(200, rel=0.01)
    assert wilson.effective(hits, np.arange(800)) == pytest.approx(800, rel=0.01)
    assert wilson.effective(np.ones(800, bool), together) == 200  # no spread to see: as if wholly alike


@pytest.mark.parametrize("clusters", [None, np.arange(300) // 3])
def test_every_figure_of_a_label_lies_inside_its_interval(clusters):
    predictions = made(300, 4, clusters=clusters)
    found, scores = certainty(predictions, draws=200), metrics.per_label(predictions)
    for label, each in found.labels.items():
        for name in ("precision", "recall", "f1", "average_precision"):
            interval = getattr(each, name)
            if interval is not None:
                assert interval[0] <= getattr(scores[label], name) <= interval[1], (label, name)
    assert found.metrics == intervals(predictions, draws=200)


def test_a_label_without_a_row_has_no_interval():
    predictions = made(50, 3)
    predictions.gold[:, 2] = predictions.predicted[:, 2] = False
    each = certainty(predictions, draws=50).labels["label 2"]
    assert (each.precision, each.recall, each.f1, each.average_precision) == (None, None, None, None)


def test_one_right_of_one_says_little_about_a_rare_label():
    predictions = made(100, 2)
    predictions.gold[:, 1] = predictions.predicted[:, 1] = np.arange(100) == 5
    low, high = certainty(predictions, draws=100).labels["label 1"].f1
    assert low < 0.4
    assert high == 1


def test_intervals_of_rare_labels_and_their_macro_average_hold_the_truth():
    population, rng = made(40_000, 6, seed=3), np.random.default_rng(1)
    population.gold[:, 4:] = rng.random((40_000, 2)) < 0.02  # three rows of a test set
    truth = metrics.score(population)["f1_macro"]
    of_label = metrics.per_label(population)["label 4"].f1
    macro = label = 0
    for _ in range(200):
        rows = rng.integers(0, 40_000, 150)
        fields = (population.gold[rows], population.predicted[rows], population.probabilities[rows])
        found = certainty(Predictions("multilabel", population.labels, *fields, rows), draws=100)
        macro += found.metrics["f1_macro"][0] <= truth <= found.metrics["f1_macro"][1]
        interval = found.labels["label 4"].f1
        label += interval is None or interval[0] <= of_label <= interval[1]
    # 95 % of 200, less and more three standard errors of such a share.
    assert macro >= 181
    assert label >= 181

"""What a paired difference says, and in which metrics it is taken."""

from dataclasses import replace

import numpy as np
import pytest

import synthetic
from ftcls.errors import DataError
from ftcls.scoring import intervals, metrics
from ftcls.scoring.differences import Difference, differences, paired_difference, units_apart, verdict


@pytest.mark.parametrize(
    ("metric", "value", "p_value", "said"),
    [
        ("f1_micro", 0.02, 0.04, "better"),
        ("f1_micro", -0.02, 0.04, "worse"),
        ("f1_micro", -0.02, 0.05, "open"),
        ("loss", -0.02, 0.04, "better"),
        ("hamming_loss", 0.02, 0.04, "worse"),
    ],
)
def test_a_verdict_goes_by_the_metric_and_its_p_value(metric, value, p_value, said):
    assert verdict(Difference(metric, value, (0.0, 0.0), p_value, rows=10, clusters=None)) == said


def test_differences_are_the_paired_ones_each_metric_once():
    first, second = (synthetic.predictions("multilabel", seed=1, skill=skill) for skill in (1.5, 0.8))
    found = differences(first, second, metrics=("f1_micro", "accuracy", "f1_micro"), seed=3)
    assert list(found) == ["f1_micro", "accuracy"]
    assert found["f1_micro"] == paired_difference(first, second, metric="f1_micro", seed=3)


def test_a_metric_without_a_value_on_these_rows_has_no_difference():
    made = synthetic.predictions("binary")
    alike = replace(made, gold=np.ones_like(made.gold))
    assert list(differences(alike, alike, metrics=("roc_auc", "accuracy"), seed=0)) == ["accuracy"]


def _binary(gold, predicted, **more):
    """Predictions whose probabilities follow the labels."""
    predicted = np.asarray(predicted)
    chances = np.where(predicted, 0.9, 0.1)
    return metrics.Predictions(
        task="binary",
        labels=("no", "yes"),
        gold=np.asarray(gold),
        predicted=predicted,
        probabilities=np.stack([1 - chances, chances], axis=1),
        rows=np.arange(len(predicted)),
        positive=1,
        **more,
    )


@pytest.mark.parametrize("metric", ["precision", "f1", "recall"])
def test_a_model_that_never_gives_the_positive_label_scores_0_in_every_draw(metric):
    gold = np.tile([0, 1], 100)
    silent, some = _binary(gold, np.zeros(200, np.int64)), _binary(gold, np.tile([0, 1, 1, 0], 50))
    assert not intervals.resampled(silent, metric, draws=50).any()
    found = paired_difference(some, silent, metric=metric)
    assert found.value == pytest.approx(intervals.score_of(some, metric))
    assert found.interval[0] > 0
    both = paired_difference(silent, silent, metric=metric)
    assert (both.value, both.interval, both.p_value) == (0.0, (0.0, 0.0), 1.0)


@pytest.mark.parametrize(("rows", "least"), [(1, 1.0), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_a_p_value_is_not_below_what_the_rows_that_differ_can_show(rows, least):
    gold = np.ones(300, np.int64)
    worse = gold.copy()
    worse[:rows] = 0
    found = paired_difference(_binary(gold, gold), _binary(gold, worse))
    assert found.p_value >= least
    assert (found.interval[0] <= 0) == (found.p_value >= 0.05)


def test_clusters_count_once_however_many_of_their_rows_differ():
    gold, clusters = np.ones(300, np.int64), np.repeat(np.arange(100), 3)
    worse = gold.copy()
    worse[:15] = 0  # five clusters, whole
    first, second = (_binary(gold, each, clusters=clusters) for each in (gold, worse))
    assert units_apart([first], [second], "accuracy") == 5
    found = paired_difference(first, second)
    assert found.p_value >= 0.0625
    assert found.interval[0] == 0


def test_labels_and_probabilities_tell_models_apart_in_their_own_metrics():
    first = synthetic.predictions("multiclass")
    second = replace(first, probabilities=first.probabilities[:, ::-1])
    assert units_apart([first], [second], "f1_macro") == 0
    assert units_apart([first], [second], "loss") == len(first)


def test_a_kappa_that_one_of_two_models_lacks_is_left_out():
    gold = np.ones(20, np.int64)
    right = metrics.Predictions(
        task="ordinal",
        labels=("1", "2", "3"),
        gold=gold,
        predicted=gold,
        probabilities=np.full((20, 3), 1 / 3),
        rows=np.arange(20),
    )
    other = replace(right, predicted=np.arange(20) % 3)
    for first, second in ((right, other), (other, right)):
        assert list(differences(first, second, metrics=(metrics.KAPPA, "accuracy"), seed=0)) == ["accuracy"]
    with pytest.raises(DataError, match="all one label"):
        intervals.score_of(right, metrics.KAPPA)

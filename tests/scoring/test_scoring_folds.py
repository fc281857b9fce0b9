"""Intervals of out-of-fold predictions: wider by what the folds differ beyond their rows."""

from dataclasses import replace

import numpy as np
import pytest

from ftcls.scoring.differences import paired_difference
from ftcls.scoring.folds import (
    FoldScores,
    extra_of_difference,
    extra_of_means,
    extra_variance,
    fold_scores,
    lasting_variance,
    widening,
)
from ftcls.scoring.intervals import certainty, intervals
from ftcls.scoring.metrics import Predictions, names, score


def made(skills, *, n=100, seed=0):
    """Binary predictions of folds of n rows, each right with its own probability."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 2, n * len(skills))
    folds = np.repeat(np.arange(1, len(skills) + 1), n)
    right = rng.random(len(gold)) < np.repeat(skills, n)
    predicted = np.where(right, gold, 1 - gold)
    probabilities = np.where(np.eye(2)[predicted] > 0, 0.8, 0.2)
    return Predictions(
        "binary", ("a", "b"), gold, predicted, probabilities, np.arange(len(gold)), positive=1, folds=folds
    )


def test_folds_that_differ_as_their_rows_explain_add_nothing():
    draws = np.random.default_rng(0).normal(0.8, 0.04, (4000, 5))
    assert extra_variance(FoldScores(np.full(5, 0.8), draws)) == 0.0
    assert widening(0.04**2 / 5, 0.0) == 1.0


def test_the_excess_of_the_folds_counts_with_the_factor_of_nadeau_and_bengio():
    values = np.array([0.7, 0.8, 0.9, 0.6, 1.0])
    draws = np.random.default_rng(0).normal(0.8, 0.05, (100_000, 5))
    expected = (1 / 5 + 1 / 4) * (values.var(ddof=1) - 0.05**2)
    assert extra_variance(FoldScores(values, draws)) == pytest.approx(expected, rel=0.01)
    assert widening(0.0005, expected) == pytest.approx((1 + expected / 0.0005) ** 0.5)


def test_a_fold_without_a_value_is_left_out():
    values = np.array([0.7, np.nan, 0.9])
    draws = np.stack([np.full(10, 0.7), np.full(10, np.nan), np.full(10, 0.9)], axis=1)
    assert extra_variance(FoldScores(values, draws)) == pytest.approx((1 / 2 + 1) * 0.02)


def test_the_scores_of_folds_are_those_of_their_rows():
    predictions = made([0.9, 0.6, 0.75])
    found = fold_scores(predictions, predictions.folds, names("binary"), seed=0)
    for index in range(3):
        alone = score(replace(predictions.take(predictions.folds == index + 1), folds=None))
        for name, value in alone.items():
            assert found[name].values[index] == pytest.approx(value), name


def test_intervals_of_models_that_differ_are_wider_and_those_of_equal_ones_are_not():
    for skills, wider in (([0.95, 0.6, 0.8, 0.7, 0.9], True), ([0.8] * 5, False)):
        predictions = made(skills, n=200)
        rows, both = intervals(replace(predictions, folds=None)), certainty(predictions)
        for name in ("accuracy", "f1_macro", "loss", "roc_auc"):
            by = both.widening[name]
            assert (by > 1.8) == wider, name
            width = np.diff(both.metrics[name])[0] / np.diff(rows[name])[0]
            assert width == pytest.approx(by, rel=1e-6), name


def test_a_widened_interval_keeps_to_the_range_of_its_metric():
    found = intervals(made([1.0, 0.1, 1.0, 1.0, 0.9]))
    for name, interval in found.items():
        assert 0 <= interval[0] <= interval[1], name
        assert name == "loss" or interval[1] <= 1, name


def test_a_paired_difference_is_widened_by_the_differences_of_the_folds_alone():
    first = made([0.95, 0.6, 0.8, 0.7, 0.9])
    # The same hard and easy folds, and a few more mistakes: as paired, the folds do not differ.
    wrong = np.arange(len(first)) % 20 == 0
    second = replace(first, predicted=np.where(wrong, 1 - first.gold, first.predicted))
    assert extra_of_difference(first, first, "accuracy", seed=0) == 0.0
    alone = paired_difference(replace(first, folds=None), replace(second, folds=None), metric="accuracy")
    paired = paired_difference(first, second, metric="accuracy")
    assert np.diff(paired.interval)[0] < 1.5 * np.diff(alone.interval)[0]
    # One of other folds brings the spread of its own.
    other = replace(second, folds=np.roll(second.folds, 37))
    assert np.diff(paired_difference(first, other, metric="accuracy").interval)[0] > 2 * np.diff(alone.interval)[0]


def test_a_mean_over_seeds_keeps_what_trainings_on_shared_rows_have_in_common():
    values = np.array([0.7, 0.8, 0.9, 0.6, 1.0])
    draws = np.random.default_rng(0).normal(0.8, 0.05, (100_000, 5))
    excess = values.var(ddof=1) - 0.05**2
    assert lasting_variance(FoldScores(values, draws)) == pytest.approx(excess / 4, rel=0.01)
    uneven = [made((0.95, 0.6, 0.9, 0.5, 0.99), seed=seed) for seed in range(3)]
    each = [fold_scores(one, one.folds, ("accuracy",), seed=0)["accuracy"] for one in uneven]
    assert extra_of_means([uneven], "accuracy", seed=0) == pytest.approx(np.mean([lasting_variance(x) for x in each]))
    assert extra_of_means([uneven[:1]], "accuracy", seed=0) == pytest.approx(extra_variance(each[0]))
    assert extra_of_means([[replace(one, folds=None) for one in uneven]], "accuracy", seed=0) == 0
    # Two models of the same folds under the same seeds: what is hard for both is in no difference.
    assert extra_of_means([uneven, uneven], "accuracy", seed=0) == 0
    # Of other folds each brings its own, the single one all of it.
    alone = [replace(uneven[0], folds=np.roll(uneven[0].folds, 37))]
    own = fold_scores(alone[0], alone[0].folds, ("accuracy",), seed=0)["accuracy"]
    expected = np.mean([lasting_variance(x) for x in each]) + extra_variance(own)
    assert extra_of_means([uneven, alone], "accuracy", seed=0) == pytest.approx(expected)

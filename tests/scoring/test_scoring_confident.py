"""Confident learning on probabilities small enough to judge by eye, and on planted errors."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from ftcls.scoring.confident_learning import multilabel_suspicion, suspicion


def test_a_row_is_suspect_where_another_label_is_as_sure_as_on_its_own_rows():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.05, 0.95]])
    found = suspicion(probabilities, np.array([0, 0, 1, 1, 0]))
    # Thresholds: label 0 .583, label 1 .8.
    assert found.candidate.tolist() == [False, False, False, False, True]
    assert found.ranked().tolist() == [4]
    assert found.suggested[4] == 1
    np.testing.assert_allclose(found.confidence, [0.9, 0.8, 0.9, 0.7, 0.05])


def test_a_label_that_the_model_is_never_sure_of_makes_no_suspects_of_the_others():
    # Label 1 reaches its threshold, .35, in row 0, but the given label is more probable still.
    found = suspicion(np.array([[0.6, 0.4], [0.7, 0.3], [0.65, 0.35]]), np.array([0, 0, 1]))
    assert found.candidate.tolist() == [False, False, True]


def test_a_label_without_rows_is_suggested_to_nobody():
    found = suspicion(np.array([[0.1, 0.2, 0.7], [0.2, 0.1, 0.7]]), np.array([0, 1]))
    assert found.suggested.tolist() == [1, 0]
    assert found.candidate.all()


@pytest.mark.parametrize("k", [2, 10, 100])
def test_planted_errors_are_ranked_far_above_chance(k):
    rng = np.random.default_rng(k)
    true = rng.integers(0, k, 4_000)
    logits = rng.normal(size=(4_000, k))
    logits[np.arange(4_000), true] += 5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    planted = rng.random(4_000) < 0.05
    given = np.where(planted, (true + rng.integers(1, k, 4_000)) % k, true)
    found = suspicion(probabilities, given)
    assert average_precision_score(planted, -found.confidence) > 0.8
    assert planted[found.ranked()].mean() > 0.7
    right = found.suggested[planted] == true[planted]
    assert right.mean() > 0.9


def test_of_several_labels_the_one_that_speaks_most_against_the_row_is_named():
    rng = np.random.default_rng(0)
    gold = rng.random((400, 3)) < 0.4
    probabilities = np.where(gold, 0.9, 0.1) + rng.normal(0, 0.02, (400, 3))
    gold[7, 2] = ~gold[7, 2]
    found = multilabel_suspicion(probabilities, gold)
    assert found.ranked().tolist() == [7]
    assert found.suggested[7] == 2
    assert found.confidence[7] == pytest.approx(0.1, abs=0.06)


def test_labels_that_the_model_does_not_know_are_not_judged():
    gold = np.zeros((100, 2))
    gold[:30, 0] = 1
    gold[:5, 1] = 1
    probabilities = np.column_stack([np.where(gold[:, 0] > 0, 0.9, 0.1), np.full(100, 0.05)])
    assert not multilabel_suspicion(probabilities, gold).candidate.any()


def test_rows_without_any_label_and_labels_without_rows_are_no_error():
    found = multilabel_suspicion(np.full((4, 3), 0.2), np.zeros((4, 3)))
    assert (found.candidate.any(), found.confidence.tolist()) == (False, [1.0] * 4)

import json

import numpy as np
import pytest
from scipy.special import expit, softmax

from ftcls.errors import DataError, TrainingError
from ftcls.scoring import decision
from ftcls.scoring.decision import Decision


def test_probabilities_are_the_softmax_in_float64():
    logits = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32) * 30
    found = decision.probabilities(logits, "multiclass", temperature=2.0)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, softmax(logits.astype(np.float64) / 2, axis=1), rtol=1e-14)


def test_probabilities_are_the_sigmoid_for_multilabel():
    logits = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32) * 30
    np.testing.assert_allclose(
        decision.probabilities(logits, "multilabel"), expit(logits.astype(np.float64)), rtol=1e-13
    )


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_huge_logits_neither_overflow_nor_warn(task):
    logits = np.array([[1e30, -1e30], [-1e30, 1e30]], dtype=np.float32)
    np.testing.assert_array_equal(decision.probabilities(logits, task), [[1, 0], [0, 1]])


def test_logits_that_are_not_finite_are_refused_by_row():
    logits = np.zeros((4, 2), dtype=np.float32)
    logits[2, 1] = np.nan
    with pytest.raises(TrainingError, match="in 1 of 4 rows, first in row 2"):
        decision.probabilities(logits, "binary")


def test_the_first_of_equal_labels_is_predicted():
    found = decision.predict(np.array([[0.4, 0.4, 0.2], [0.1, 0.2, 0.7]]), "multiclass", None)
    assert found.dtype == np.int64
    assert found.tolist() == [0, 2]


def test_a_label_is_given_from_its_threshold_on():
    found = decision.predict(np.array([[0.5, 0.5], [0.499, 0.7]]), "multilabel", (0.5, 0.6))
    assert found.dtype == np.bool_
    assert found.tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize("thresholds", [None, (0.5,)])
def test_multilabel_needs_a_threshold_for_every_label(thresholds):
    with pytest.raises(ValueError, match="one threshold for each of the 2 labels"):
        decision.predict(np.zeros((1, 2)), "multilabel", thresholds)


@pytest.mark.parametrize(
    ("saved", "labels"),
    [
        (Decision((0.1 + 0.2, 0.25, 1.0), 1.7), ("a, b", "😀", "c")),
        (Decision(None, 1.0), ("no", "yes")),
    ],
)
def test_a_saved_decision_is_read_back_equal(tmp_path, saved, labels):
    path = tmp_path / "model" / "decision.json"
    decision.save(saved, labels, path)
    assert decision.load(path, labels) == saved


def test_the_default_decision_has_thresholds_only_for_multilabel():
    assert decision.default("multilabel", 3) == Decision((0.5, 0.5, 0.5), 1.0)
    assert decision.default("binary", 2) == Decision(None, 1.0)


def test_a_decision_for_other_labels_is_refused(tmp_path):
    decision.save(Decision(None, 1.0), ("a", "b"), tmp_path / "d.json")
    with pytest.raises(DataError, match=r"d\.json: made for the labels a, b, but the model beside it has b, a"):
        decision.load(tmp_path / "d.json", ("b", "a"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 0}, "temperature: must be above 0, not 0"),
        ({"temperature": "warm"}, "could not convert string to float"),
        ({"temperature": None}, "cannot be read as a decision"),
        ({"thresholds": {"a": 0.5, "b": 1.5}}, "thresholds: must lie between 0 and 1, not 1.5"),
        ({"thresholds": {"a": 0.5}}, "'b' is missing"),
    ],
)
def test_a_decision_out_of_range_is_refused(tmp_path, change, message):
    path = tmp_path / "d.json"
    decision.save(Decision((0.5, 0.5), 1.0), ("a", "b"), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=message):
        decision.load(path, ("a", "b"))


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json"])
def test_a_file_that_is_no_decision_is_refused(tmp_path, text):
    path = tmp_path / "d.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"d\.json: .*Take model/ of one run as a whole"):
        decision.load(path, ("a", "b"))


def test_a_missing_decision_is_an_error_of_the_data(tmp_path):
    with pytest.raises(DataError, match="cannot be read as a decision"):
        decision.load(tmp_path / "none.json", ("a", "b"))

"""Tuned thresholds against every other choice, and temperature and calibration against their definitions."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax
from sklearn.metrics import f1_score, fbeta_score, log_loss, precision_score, recall_score

from ftcls.scoring import calibration, tuning
from ftcls.scoring.decision import predict, probabilities
from ftcls.scoring.thresholds import NEVER, tune

# Few values, so that equal probabilities are common, and the ends of the range.
VALUES = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.50000001, 0.7, 1.0])
PLAIN = {"objective": "f1_macro", "beta": 1.0, "min_precision": 0.9, "min_positives": 0, "shrinkage": 0.0}


@st.composite
def scored(draw, labels=2):
    n = draw(st.integers(1, 7))
    cells = n * labels
    found = np.array(draw(st.lists(VALUES, min_size=cells, max_size=cells))).reshape(n, labels)
    gold = np.array(draw(st.lists(st.booleans(), min_size=cells, max_size=cells))).reshape(n, labels)
    return found, gold


def candidates(column):
    """A threshold for every way to cut a column in two."""
    values = np.unique(column)
    return [0.0, *((values[:-1] + values[1:]) / 2), *([] if values[-1] == 1 else [(values[-1] + 1) / 2]), 0.5]


def macro(gold, given):
    return f1_score(gold, given, average="macro", zero_division=0)


def micro(gold, given):
    return f1_score(gold.ravel(), given.ravel(), zero_division=0)


@pytest.mark.parametrize(("objective", "score"), [("f1_macro", macro), ("f1_micro", micro)])
@settings(max_examples=60)
@given(data=scored())
def test_no_other_thresholds_score_higher(objective, score, data):
    found, gold = data
    chosen = tune(found, gold, **{**PLAIN, "objective": objective})
    reached = score(gold, predict(found, "multilabel", chosen.values))
    best = max(
        score(gold, predict(found, "multilabel", pair))
        for pair in itertools.product(candidates(found[:, 0]), candidates(found[:, 1]))
    )
    assert reached == pytest.approx(best, abs=1e-12)


@settings(max_examples=60)
@given(data=scored(labels=1), beta=st.sampled_from([0.5, 2.0]))
def test_no_other_threshold_has_a_higher_f_beta(data, beta):
    found, gold = data
    chosen = tune(found, gold, **{**PLAIN, "objective": "f_beta", "beta": beta})

    def score(threshold):
        return fbeta_score(gold[:, 0], found[:, 0] >= threshold, beta=beta, zero_division=0)

    assert score(chosen.values[0]) == pytest.approx(max(map(score, candidates(found[:, 0]))), abs=1e-12)


@settings(max_examples=60)
@given(data=scored(labels=1), floor=st.sampled_from([0.5, 0.75, 1.0]))
def test_precision_has_the_highest_recall_that_keeps_its_promise(data, floor):
    found, gold = data
    chosen = tune(found, gold, **{**PLAIN, "objective": "precision", "min_precision": floor})
    kept = [
        recall_score(gold[:, 0], found[:, 0] >= threshold, zero_division=0)
        for threshold in candidates(found[:, 0])
        if (found[:, 0] >= threshold).any()
        and precision_score(gold[:, 0], found[:, 0] >= threshold, zero_division=0) >= floor
    ]
    if not kept:
        assert chosen.unreachable == (0,)
        assert chosen.values == (NEVER,)
    else:
        given_ = found[:, 0] >= chosen.values[0]
        assert recall_score(gold[:, 0], given_, zero_division=0) == pytest.approx(max(kept))
        assert precision_score(gold[:, 0], given_, zero_division=0) >= floor - 1e-12


def test_one_half_stays_where_nothing_is_strictly_better():
    found = np.array([[0.9, 0.2], [0.8, 0.3], [0.1, 0.1]])
    gold = np.array([[True, False], [True, False], [False, False]])  # the second label never applies
    assert tune(found, gold, **PLAIN).values == (0.5, 0.5)


def test_neighbouring_floats_are_told_apart():
    low = 0.3
    high = np.nextafter(low, 1)
    chosen = tune(np.array([[low], [high]]), np.array([[False], [True]]), **PLAIN)
    assert low < chosen.values[0] <= high


def test_labels_with_few_positives_share_a_threshold():
    rng = np.random.default_rng(0)
    gold = np.zeros((200, 4), dtype=bool)
    gold[:60, 0], gold[:3, 1], gold[:4, 2] = True, True, True
    found = np.where(gold, rng.uniform(0.2, 0.4, gold.shape), rng.uniform(0, 0.15, gold.shape))
    chosen = tune(found, gold, **{**PLAIN, "min_positives": 5})
    assert chosen.shared == (1, 2, 3)
    assert chosen.values[1] == chosen.values[2] == chosen.values[3]
    assert 0.15 < chosen.values[1] < 0.4
    alone = tune(found[:, 1:2], gold[:, 1:2], **{**PLAIN, "min_positives": 5})
    assert alone.values == (0.5,)  # three rows say nothing


def drawn(n, rates, seed):
    """Probabilities that are true, of labels with these rates, and what came of them."""
    rng = np.random.default_rng(seed)
    centre = np.log(rates) - np.log1p(-np.array(rates))
    found = expit(centre + 2 * rng.normal(size=(n, len(rates))))
    return found, rng.random(found.shape) < found


def test_shrunken_thresholds_are_better_on_rows_they_were_not_tuned_on():
    rates = [0.01] * 12 + [0.05] * 4
    fresh, gold = drawn(6_000, rates, seed=99)
    gains = {"f1_macro": [], "f1_micro": []}
    for objective, score in (("f1_macro", macro), ("f1_micro", micro)):
        for seed in range(3):
            tuned = [
                tune(*drawn(400, rates, seed), **{**PLAIN, "objective": objective, "shrinkage": s}) for s in (0.0, 10.0)
            ]
            before, after = (score(gold, predict(fresh, "multilabel", each.values)) for each in tuned)
            gains[objective].append(after - before)
    assert all(np.mean(each) > 0.01 for each in gains.values())


def test_the_more_rows_a_label_has_the_less_it_is_drawn_to_the_others():
    rng = np.random.default_rng(0)
    # Most labels are best cut at .7; one at .2, which has 30 rows; the last never applies.
    middle = np.array([0.7] * 5 + [0.2] * 2)
    gold = np.zeros((1_000, 7), dtype=bool)
    for label, count in enumerate([200] * 5 + [30, 0]):
        gold[rng.permutation(1_000)[:count], label] = True
    found = middle + np.where(gold, 1, -1) * rng.uniform(0, 0.2, gold.shape)
    own = tune(found, gold, **PLAIN).values
    assert own[:6] == pytest.approx(middle[:6], abs=0.01)

    chosen = tune(found, gold, **{**PLAIN, "shrinkage": 10.0})
    common = chosen.values[6]
    assert chosen.shared == (6,)
    assert common == pytest.approx(0.7, abs=0.02)
    assert chosen.values[:5] == pytest.approx([0.7] * 5, abs=0.01)
    kept = (logit(chosen.values[5]) - logit(common)) / (logit(own[5]) - logit(common))
    assert kept == pytest.approx(30 / 40, abs=0.05)
    assert chosen == tune(found, gold, **{**PLAIN, "shrinkage": 10.0})


@pytest.mark.parametrize("more", [{"objective": "precision"}, {}])
def test_a_promise_and_a_single_label_are_not_drawn_anywhere(more):
    found, gold = drawn(300, [0.1, 0.02] if more else [0.1], seed=3)
    assert tune(found, gold, **{**PLAIN, **more, "shrinkage": 10.0}) == tune(found, gold, **{**PLAIN, **more})


@pytest.mark.parametrize("objective", ["f1_macro", "f1_micro", "f_beta"])
def test_labels_that_never_apply_have_one_half(objective):
    found, gold = drawn(20, [0.1, 0.2], seed=1)
    assert tune(found, gold & False, **{**PLAIN, "objective": objective, "shrinkage": 10.0}).values == (0.5, 0.5)


def logits(n=400, k=5, seed=0):
    return np.random.default_rng(seed).normal(size=(n, k)).astype(np.float32) * 2


def test_the_temperature_has_the_lowest_log_loss():
    found = logits()
    rng = np.random.default_rng(1)
    gold = np.array([rng.choice(5, p=row) for row in softmax(found / 3.0, axis=1)])
    chosen = calibration.temperature(found, gold, "multiclass")
    losses = {t: log_loss(gold, softmax(found / t, axis=1)) for t in np.geomspace(0.2, 20, 400)}
    assert chosen == pytest.approx(min(losses, key=losses.get), rel=0.02)
    assert 2.3 < chosen < 3.9
    several = np.random.default_rng(2).random(found.shape) < expit(found / 3.0)
    assert calibration.temperature(found, several, "multilabel") == pytest.approx(3.0, rel=0.15)


def test_scale_and_shift_make_probabilities_true_again():
    true = logits(n=2_000)
    gold = np.random.default_rng(4).random(true.shape) < expit(true)
    scale, shift = calibration.scale_and_shift(2.5 * true + 3, gold)
    assert scale == pytest.approx(1 / 2.5, rel=0.05)
    assert shift == pytest.approx(-3 / 2.5, abs=0.1)
    found = probabilities(2.5 * true + 3, "multilabel", 1 / scale, shift)
    assert calibration.reliability(found, gold, "multilabel").error < 0.02
    assert calibration.reliability(expit(2.5 * true + 3), gold, "multilabel").error > 0.1


def test_scale_and_shift_stay_finite_where_every_answer_is_right():
    scale, shift = calibration.scale_and_shift(np.array([[9.0, -9.0], [-9.0, 9.0]]), np.array([[1, 0], [0, 1]]))
    assert (scale, shift) == (pytest.approx(1, abs=0.1), pytest.approx(0, abs=0.1))


def test_several_labels_are_tuned_with_a_shift_and_one_label_without():
    off, gold = logits(n=600), np.random.default_rng(4).random((600, 5)) < expit(logits(n=600))
    settings = {**PLAIN, "labels": tuple("abcde"), "positive": None, "temperature": True}
    several = tuning.tune(off + 2, gold, **{**settings, "task": "multilabel"})
    assert several.decision.shift == pytest.approx(-2, abs=0.3)
    assert several.error_after < several.error_before / 3
    one = tuning.tune(off + 2, gold.argmax(axis=1), **{**settings, "task": "multiclass", "objective": None})
    assert one.decision.shift == 0


def test_a_temperature_has_bounds_where_every_answer_is_right():
    found = np.array([[3.0, -3.0], [-3.0, 3.0]])
    assert calibration.temperature(found, np.array([0, 1]), "binary") == pytest.approx(0.05, rel=0.01)


def test_the_calibration_error_is_its_definition():
    found = np.array([[0.9, 0.1], [0.92, 0.08], [0.6, 0.4], [0.35, 0.65]])
    gold = np.array([0, 1, 0, 1])
    # Bins of one fifteenth: .9 and .92 together, .6 and .65 together.
    expected = 0.5 * abs(0.91 - 0.5) + 0.5 * abs(0.625 - 1.0)
    assert calibration.reliability(found, gold, "binary").error == pytest.approx(expected)
    several = np.array([[1, 0], [1, 0], [1, 0], [0, 1]])
    assert calibration.reliability(np.eye(2)[[0, 0, 0, 1]], several, "multilabel").error == 0
    assert calibration.reliability(np.array([[1.0, 0.0]]), np.array([0]), "binary").bins[0].count == 1


def test_a_binary_operating_point_is_that_of_the_positive_label():
    rng = np.random.default_rng(0)
    gold = (rng.random(300) < 0.15).astype(np.int64)
    found = np.stack([np.zeros(300), rng.normal(gold * 1.5 - 2.5, 1)], axis=1)
    settings_ = {**PLAIN, "task": "binary", "labels": ("no", "yes"), "temperature": False}
    for positive in (1, 0):
        made = tuning.tune(
            found[:, :: 1 if positive else -1], gold if positive else 1 - gold, positive=positive, **settings_
        )
        scores = probabilities(found[:, :: 1 if positive else -1], "binary")
        said = predict(scores, "binary", made.decision.thresholds) == positive
        plain = scores.argmax(axis=1) == positive
        assert f1_score(gold, said) > f1_score(gold, plain)
        np.testing.assert_array_equal(said, scores[:, positive] > made.decision.thresholds[positive])


def test_a_multiclass_task_has_no_thresholds():
    several = {**PLAIN, "labels": tuple("abcde"), "positive": None, "temperature": False}
    with pytest.raises(ValueError, match="binary and multilabel"):
        tuning.tune(logits(), np.zeros(400, np.int64), **{**several, "task": "multiclass"})

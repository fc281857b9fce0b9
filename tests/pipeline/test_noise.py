"""Planted label errors are found by a model that did not see them; odd data is no error."""

import numpy as np
import pytest

from ftcls.pipeline.label_noise import FEWEST, judge

SUBJECTS = {
    0: ["goal", "team", "match", "coach", "season", "player", "league", "win", "score", "injury"],
    1: ["bank", "profit", "shares", "market", "dollar", "growth", "trade", "price", "quarter", "loss"],
    2: ["software", "network", "users", "computer", "web", "search", "internet", "phone", "chip", "data"],
}


def texts(targets, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(SUBJECTS[int(target)], 8)) for target in targets]


def judged(rows, targets, **more):
    arguments = {"task": "multiclass", "k": 3, "groups": np.arange(len(rows)), "seed": 0} | more
    return judge(rows, targets, **arguments)


@pytest.fixture(scope="module")
def planted():
    """Texts of three subjects; the labels of 15 rows are wrong."""
    true = np.arange(300) % 3
    given = true.copy()
    given[::20] = (true[::20] + 1) % 3
    return texts(true), true, given


def test_wrong_labels_come_first_with_the_right_one_suggested(planted):
    rows, true, given = planted
    found = judged(rows, given)
    ranked = found.suspicion.ranked()
    assert set(np.argsort(found.suspicion.confidence)[:15].tolist()) == set(range(0, 300, 20))
    assert len(ranked) >= 12
    assert set(ranked.tolist()) <= set(range(0, 300, 20))
    np.testing.assert_array_equal(found.suspicion.suggested[ranked], true[ranked])


def test_the_same_seed_gives_the_same_figures_and_another_one_others(planted):
    rows, _, given = planted
    first, same, other = (judged(rows, given, seed=seed).suspicion.confidence for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_rows_of_one_group_do_not_vouch_for_each_other(planted):
    # Each wrong text stands there five times: apart they make the model believe the wrong label.
    rows, _, given = planted
    wrong = [row for row in range(0, 300, 20) for _ in range(4)]
    rows, given = [*rows, *(rows[row] for row in wrong)], np.concatenate([given, given[wrong]])
    together = judged(rows, given, groups=np.concatenate([np.arange(300), wrong]))
    assert together.suspicion.candidate[300:].all()


def test_a_missing_and_a_superfluous_label_are_named():
    true = np.arange(300) % 3
    targets = np.eye(3, dtype=np.float32)[true]
    targets[0] = 0
    targets[1] = [1, 1, 0]
    found = judged(texts(true), targets, task="multilabel")
    assert found.suspicion.ranked().tolist() in ([0, 1], [1, 0])
    assert found.suspicion.suggested[:2].tolist() == [0, 0]


def test_less_work_judges_fewer_rows(planted):
    rows, _, given = planted
    found = judged(rows, given, work=3 * sum(map(len, rows)) // 2)
    assert 130 <= len(found.rows) <= 170
    assert (np.diff(found.rows) > 0).all()
    assert len(found.suspicion.confidence) == len(found.rows)


@pytest.mark.parametrize(
    ("rows", "targets", "more"),
    [
        (["a", "b"], [0, 1], {}),
        (["the same label"] * 100, [0] * 100, {}),
        (["one group", "only"] * 50, [0, 1] * 50, {"groups": np.zeros(100, np.int64)}),
        (["too little work", "for this"] * 50, [0, 1] * 50, {"work": 10}),
        ([f"text {i}" for i in range(100)], list(range(100)), {"k": 100}),
        ([], [], {}),
    ],
)
def test_where_nothing_can_be_learnt_nothing_is_judged(rows, targets, more):
    assert judged(rows, np.array(targets, dtype=np.int64), **more) is None


def test_rare_labels_alone_are_not_judged():
    targets = np.zeros((100, 2), np.float32)
    targets[: FEWEST - 1, 0] = 1
    assert judged([f"text {i}" for i in range(100)], targets, task="multilabel", k=2) is None


@pytest.mark.parametrize("rows", [[""] * 100, ["👍", "👎"] * 50, [f"x{i}" for i in range(100)]])
def test_empty_texts_emoji_and_a_hundred_labels_are_no_error(rows):
    found = judged(rows * 6, np.arange(600) % 100, k=100, groups=np.arange(600))
    assert len(found.rows) == 600
    assert np.isfinite(found.suspicion.confidence).all()

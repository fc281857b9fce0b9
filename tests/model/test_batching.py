import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftcls.model.batching import MicroBatch, StepSampler, balanced_shares, drawn, earlier_copies, narrow, plan

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=50).map(lambda found: np.array(found, dtype=np.int64))


@st.composite
def steps(draw):
    """Lengths of a split, some of its rows in any order, and how they are to be cut."""
    lengths = draw(LENGTHS)
    rows = draw(st.permutations(range(len(lengths))))[: draw(st.integers(1, len(lengths)))]
    settings = {
        "token_budget": draw(st.integers(1, 200)),
        "processes": draw(st.integers(1, 5)),
        "max_rows": draw(st.none() | st.integers(1, 8)),
    }
    return np.array(rows, dtype=np.int64), lengths, settings


def content(batches):
    return [(batch.rows.tolist(), batch.step_examples, batch.step_tokens, batch.weight) for batch in batches]


@given(steps())
def test_every_row_is_in_exactly_one_micro_batch_that_counts(step):
    rows, lengths, settings = step
    batches = plan(rows, lengths, **settings)
    counted = np.concatenate([batch.rows for batch in batches if batch.weight])
    assert sorted(counted) == sorted(rows)


@given(steps())
def test_padded_micro_batches_keep_the_budget_unless_they_are_one_row(step):
    rows, lengths, settings = step
    for batch in plan(rows, lengths, **settings):
        assert len(batch.rows) >= 1
        assert len(batch.rows) == 1 or len(batch.rows) * lengths[batch.rows].max() <= settings["token_budget"]
        assert settings["max_rows"] is None or len(batch.rows) <= settings["max_rows"]


@given(steps())
def test_all_processes_get_as_many_micro_batches_and_copies_weigh_nothing(step):
    rows, lengths, settings = step
    batches = plan(rows, lengths, **settings)
    assert len(batches) % settings["processes"] == 0
    copies = [batch for batch in batches if batch.weight != 1.0]
    assert [batch.weight for batch in copies] == [0.0] * len(copies)
    assert len(copies) < settings["processes"]
    if copies:  # only where nothing was left to split
        assert all(len(batch.rows) == 1 for batch in batches)


@given(steps())
def test_every_micro_batch_knows_the_whole_step(step):
    rows, lengths, settings = step
    for batch in plan(rows, lengths, **settings):
        assert (batch.step_examples, batch.step_tokens) == (len(rows), lengths[rows].sum())


@given(steps())
def test_the_longest_rows_come_first_and_padding_stands_beside_rows_of_like_length(step):
    rows, lengths, settings = step
    counted = np.concatenate([batch.rows for batch in plan(rows, lengths, **settings) if batch.weight])
    assert (np.diff(lengths[counted]) <= 0).all()


@given(steps())
def test_the_same_rows_give_the_same_plan(step):
    rows, lengths, settings = step
    assert content(plan(rows, lengths, **settings)) == content(plan(rows.copy(), lengths.copy(), **settings))


def test_no_rows_are_no_micro_batches():
    assert plan(np.zeros(0, np.int64), np.zeros(0, np.int64), token_budget=10, processes=3) == []


def test_a_step_without_much_padding_is_not_cut_more_than_the_processes_need():
    lengths = np.full(8, 10)
    assert [len(b.rows) for b in plan(np.arange(8), lengths, token_budget=80)] == [8]
    assert [len(b.rows) for b in plan(np.arange(8), lengths, token_budget=80, processes=2)] == [4, 4]
    assert [len(b.rows) for b in plan(np.arange(8), lengths, token_budget=40, processes=3)] == [2, 2, 4]


@given(steps(), st.integers(1, 200))
def test_a_narrower_budget_keeps_the_rows_the_step_and_the_weight(step, budget):
    rows, lengths, settings = step
    for batch in plan(rows, lengths, **settings):
        parts = narrow(batch, lengths, budget)
        assert sorted(np.concatenate([part.rows for part in parts])) == sorted(batch.rows)
        assert all(len(part.rows) == 1 or len(part.rows) * lengths[part.rows].max() <= budget for part in parts)
        assert {(part.step_examples, part.step_tokens, part.weight) for part in parts} == {
            (batch.step_examples, batch.step_tokens, batch.weight)
        }


@st.composite
def samplers(draw):
    return draw(LENGTHS), {
        "batch_size": draw(st.integers(1, 60)),
        "token_budget": draw(st.integers(1, 200)),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }


def epoch(sampler, number) -> list[list[MicroBatch]]:
    sampler.set_epoch(number)
    return list(sampler)


def step_rows(step):
    return sorted(int(row) for batch in step if batch.weight for row in batch.rows)


@given(samplers(), st.integers(1, 4))
def test_the_processes_of_a_run_share_every_step_between_them(sampler, processes):
    lengths, settings = sampler
    alone = epoch(StepSampler(lengths, **settings), 1)
    shares = [epoch(StepSampler(lengths, rank=r, processes=processes, **settings), 1) for r in range(processes)]

    assert len({len(share) for share in shares}) == 1
    for whole, parts in zip(alone, zip(*shares, strict=True), strict=True):
        assert step_rows(itertools.chain(*parts)) == step_rows(whole)  # the same examples, whoever computes them
        assert len({len(part) for part in parts}) == 1
        assert {batch.step_examples for part in parts for batch in part} == {len(step_rows(whole))}


@given(samplers())
def test_an_epoch_has_every_row_once_in_full_steps_and_a_last_one(sampler):
    lengths, settings = sampler
    made = StepSampler(lengths, **settings)
    found = epoch(made, 0)
    sizes = [len(step_rows(step)) for step in found]
    assert sorted(row for step in found for row in step_rows(step)) == list(range(len(lengths)))
    assert all(size == settings["batch_size"] for size in sizes[:-1])
    assert 1 <= sizes[-1] <= settings["batch_size"]
    assert len(found) == len(made)


def test_a_batch_larger_than_the_split_is_one_step():
    made = StepSampler(np.full(5, 3), batch_size=100, token_budget=1_000, seed=1)
    assert len(made) == 1
    assert [step_rows(step) for step in made] == [[0, 1, 2, 3, 4]]


@given(samplers(), st.integers(0, 5))
def test_the_order_comes_from_seed_and_epoch_and_nothing_else(sampler, number):
    lengths, settings = sampler
    fresh, used = StepSampler(lengths, **settings), StepSampler(lengths, **settings)
    for earlier in range(number):
        epoch(used, earlier)
    np.random.default_rng().random()
    assert [content(step) for step in epoch(fresh, number)] == [content(step) for step in epoch(used, number)]


@pytest.mark.parametrize("changed", [{"seed": 2}, {"number": 1}])
def test_another_seed_or_epoch_is_another_order(changed):
    def order(seed=1, number=0):
        made = StepSampler(np.full(100, 5), batch_size=10, token_budget=1_000, seed=seed)
        return [step_rows(step) for step in epoch(made, number)]

    assert order() == order()
    assert order() != order(**changed)
    assert len({row for step in order(**changed) for row in step}) == 100


def test_the_token_budget_does_not_change_which_examples_make_a_step():
    lengths = np.arange(1, 41)
    steps_of = [
        [step_rows(step) for step in StepSampler(lengths, batch_size=8, token_budget=budget, seed=3)]
        for budget in (20, 10_000)
    ]
    assert steps_of[0] == steps_of[1]


def test_balanced_shares_give_every_label_the_same_number_of_draws():
    targets = np.repeat([0, 1, 2], [90, 9, 1])
    shares = balanced_shares(targets, 4)  # of the fourth label there is no row
    assert shares.mean() == pytest.approx(1.0)
    assert [shares[targets == label].sum() for label in range(3)] == pytest.approx([100 / 3] * 3)
    counts = np.bincount(targets[drawn(shares, np.random.default_rng(0))], minlength=3)
    assert np.abs(counts - 100 / 3).max() <= 5


def test_balanced_shares_of_several_labels_go_by_the_rarest_one_of_a_row():
    targets = np.array([[1, 1, 0]] * 4 + [[1, 0, 0]] * 60 + [[0, 0, 0]] * 16, dtype=np.float32)
    shares = balanced_shares(targets, 3)
    assert shares.mean() == pytest.approx(1.0)
    # Label 1 has 4 rows, label 0 has 64, and 16 rows have none.
    np.testing.assert_allclose(shares / shares[4], np.sqrt(64 / np.repeat([4, 64, 16], [4, 60, 16])))


@given(st.lists(st.floats(0.01, 20), min_size=1, max_size=60), st.integers(0, 5))
def test_a_row_is_drawn_as_often_as_its_share_says(raw, seed):
    shares = np.array(raw) / np.mean(raw)
    rows = drawn(shares, np.random.default_rng(seed))
    counts = np.bincount(rows, minlength=len(shares))
    assert len(rows) == len(shares)
    assert (counts >= np.floor(shares - 1e-9)).all()
    assert (counts <= np.ceil(shares + 1e-9)).all()


@given(st.lists(st.integers(0, 5), max_size=30))
def test_earlier_copies_counts_the_same_number_before(rows):
    found = earlier_copies(np.array(rows, dtype=np.int64))
    assert found.tolist() == [rows[:index].count(row) for index, row in enumerate(rows)]


def test_a_balanced_epoch_is_as_long_and_the_same_on_every_process():
    lengths = np.arange(1, 41)
    shares = balanced_shares(np.repeat([0, 1], [36, 4]), 2)
    settings = {"batch_size": 7, "token_budget": 100, "seed": 1, "shares": shares}
    alone = StepSampler(lengths, **settings)
    pair = [StepSampler(lengths, **settings, rank=rank, processes=2) for rank in (0, 1)]
    for sampler in (alone, *pair):
        sampler.set_epoch(3)
    assert len(alone) == len(list(alone)) == 6
    for step, *parts in zip(alone, *pair, strict=True):
        batches = [batch for part in parts for batch in part if batch.weight]
        found = [sorted(zip(b.rows, b.copies, strict=True)) for b in (_joined(step), _joined(batches))]
        assert found[0] == found[1]
        assert {batch.epoch for batch in step} == {3}
    copies = np.concatenate([batch.copies for step in alone for batch in step])
    assert copies.max() >= 4  # forty draws, half of them of four rows


def _joined(batches):
    rows, copies = (np.concatenate([getattr(batch, name) for batch in batches]) for name in ("rows", "copies"))
    return MicroBatch(rows, step_examples=len(rows), step_tokens=0, copies=copies)


def test_copies_stay_with_their_rows_when_a_step_is_cut_smaller():
    rows = np.array([4, 2, 4, 4, 0])
    (whole,) = plan(rows, np.arange(5) + 1, token_budget=1000, copies=earlier_copies(rows))
    parts = narrow(whole, np.arange(5) + 1, 6)
    assert len(parts) > 1
    assert sorted(zip(_joined(parts).rows, _joined(parts).copies, strict=True)) == [
        (0, 0),
        (2, 0),
        (4, 0),
        (4, 1),
        (4, 2),
    ]

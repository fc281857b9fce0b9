import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftcls.batching import MicroBatch, StepSampler, narrow, plan

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

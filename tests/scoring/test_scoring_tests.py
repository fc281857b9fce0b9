"""The tests between models against scipy and statsmodels, and the intervals over seeds against simulated truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference
from statsmodels.stats.multitest import multipletests

from ftcls.scoring.significance import holm, mcnemar, over_seeds


@pytest.mark.parametrize(
    ("first", "second"), [(0, 0), (3, 9), (12, 12), (24, 0), (20, 5), (60, 25), (30, 30), (31, 30)]
)
def test_mcnemar_is_that_of_statsmodels(first, second):
    right = np.array([(1, 0)] * first + [(0, 1)] * second + [(1, 1)] * 50 + [(0, 0)] * 7, dtype=bool)
    found = mcnemar(right[:, 0], right[:, 1])
    assert (found.first_only, found.second_only) == (first, second)
    assert found.exact == (first + second < 25)
    table = [[50, first], [second, 7]]
    expected = 1.0 if first + second == 0 else reference(table, exact=found.exact, correction=True).pvalue
    # statsmodels takes the correction where both are equal too, and so has a statistic above zero.
    assert found.p_value == pytest.approx(1.0 if first == second else expected, rel=1e-9)


@settings(max_examples=25)  # statsmodels collects garbage each time
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("spread", [0.002, 0.01, 0.05])
def test_intervals_over_rows_and_seeds_hold_the_truth(seeds, spread):
    """1,000 experiments: the rows of a test set differ by .008, the seeds by less, as much or more."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        rows = rng.normal(0, 0.008)
        values = 0.8 + rows + rng.normal(0, spread, seeds)
        found = over_seeds([(1, values)], values.mean() + rng.normal(0, 0.008, 400))
        held += found.interval[0] <= 0.8 <= found.interval[1]
    assert 0.935 <= held / 1000 <= 0.995


def test_the_p_value_is_below_five_percent_where_the_interval_leaves_zero_out():
    rng = np.random.default_rng(3)
    for _ in range(300):
        shift = rng.normal(0, 0.02)
        groups = [(1, 0.8 + shift + rng.normal(0, 0.01, 3)), (-1, 0.8 + rng.normal(0, 0.01, 2))]
        found = over_seeds(groups, rng.normal(0, 0.005, 400))
        assert (found.p_value < 0.05) == (found.interval[0] > 0 or found.interval[1] < 0)
        assert 0 <= found.p_value <= 1


def test_without_seeds_the_p_value_is_the_normal_one():
    draws = np.random.default_rng(4).normal(0, 0.01, 4000)
    found = over_seeds([(1, [0.82]), (-1, [0.8])], draws)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(0.02 / draws.std(ddof=1)), rel=1e-6)


def test_a_difference_over_seeds_finds_false_differences_in_five_percent_at_most():
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(1000):
        groups = [0.8 + rng.normal(0, 0.01, 3) for _ in range(2)]
        shared = rng.normal(0, 0.003)
        sums = groups[0].mean() - groups[1].mean() + shared + rng.normal(0, 0.003, 400)
        found += over_seeds([(1, groups[0] + shared), (-1, groups[1])], sums).p_value < 0.05
    assert found / 1000 <= 0.065


def test_one_run_a_group_leaves_the_rows_alone():
    draws = np.random.default_rng(2).normal(0.8, 0.01, 4000)
    found = over_seeds([(1, [0.8])], draws)
    assert found.interval == pytest.approx((0.8 - 1.96 * 0.01, 0.8 + 1.96 * 0.01), abs=0.001)
    assert over_seeds([(1, [0.5]), (-1, [0.5])], np.zeros(10)).p_value == 1

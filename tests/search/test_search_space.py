"""From axes to combinations."""

import numpy as np
import pytest

from ftcls.config import sweep
from ftcls.errors import ConfigError
from ftcls.search import space
from sweeping import GRID, write

RANDOM = """\
name: rates
base: base.yaml
search: {method: random, trials: 40, seed: 3}
axes:
  training.learning_rate: {low: 1e-6, high: 1e-3, log: true}
  training.batch_size: {low: 8, high: 64}
  training.weight_decay: {low: 0.0, high: 0.1}
  data.clean: [[], [lower_case, spaces]]
"""


def of(folder, text):
    return space.space(sweep.read(write(folder, text)))


def labels(combinations):
    return [[choice.label for choice in choices] for choices in combinations]


def test_a_grid_is_every_combination_and_one_seed_is_finished_before_the_next(tmp_path):
    found = labels(space.grid(of(tmp_path, GRID).axes))
    assert found[0] == ["1e-5", "800", "1"]
    assert [seed for *_, seed in found] == ["1"] * 4 + ["2"] * 4
    assert len({tuple(each) for each in found}) == 8


def test_keys_of_a_free_axis_stay_together(tmp_path):
    whole = of(tmp_path, GRID)
    made = [whole.experiment(choices) for choices in space.grid(whole.axes)]
    together = {(each.data.subset.train, each.training.num_train_epochs) for each in made}
    assert together == {(800, 4.0), (1600, 2.0)}


def test_an_axis_may_name_its_settings(tmp_path):
    axis = "  size:\n    few: {data.subset.train: {balanced: 8}}\n    many: {data.subset.train: 9}\n"
    text = "name: x\nbase: base.yaml\naxes:\n" + axis
    assert labels(space.grid(of(tmp_path, text).axes)) == [["few"], ["many"]]


def test_labels_are_short_and_no_two_alike(tmp_path):
    axes = "  data.labels: [[Sports, World], [Sports, World, Business]]\n  data.subset.train: [{balanced: 4}, 5]\n"
    axes += "  data.clean: [[spaces], [unicode]]\n"
    first, second, third = of(tmp_path, f"name: x\nbase: base.yaml\naxes:\n{axes}").axes
    assert [choice.label for choice in first.choices] == ["2", "3"]
    assert [choice.label for choice in second.choices] == ["4", "5"]
    assert [choice.label for choice in third.choices] == ["[spaces]", "[unicode]"]


def test_every_value_is_checked_where_it_was_written(tmp_path):
    text = GRID.replace("2e-5]", "fast]").replace("training.num_train_epochs: 2", "training.nr_train_epochs: 2")
    message = r"(?s):4:34: training.learning_rate: found the text 'fast'.*:7:33: training.nr_train_epochs: unknown key"
    with pytest.raises(ConfigError, match=message):
        of(tmp_path, text)


def test_the_metric_is_one_of_the_tasks(tmp_path):
    with pytest.raises(ConfigError, match=r"search.metric: 'roc_auc' is no metric of a multiclass task"):
        of(tmp_path, GRID + "search: {metric: roc_auc}\n")
    assert of(tmp_path, GRID + "search: {metric: accuracy}\n").metric == "accuracy"
    assert of(tmp_path, GRID).metric == "f1_macro"


def test_random_draws_are_spread_as_the_range_says_and_none_comes_twice(tmp_path):
    found = labels(space.random(of(tmp_path, RANDOM).axes, 200, seed=1))
    assert len({tuple(each) for each in found}) == 200
    rates = np.log10([float(each[0]) for each in found])
    assert abs(np.median(rates) + 4.5) < 0.3
    sizes = {int(each[1]) for each in found}
    assert min(sizes) >= 8
    assert max(sizes) <= 64
    assert {each[3] for each in found} == {"[]", "[lower_case, spaces]"} or {each[3] for each in found} == {"0", "2"}


def test_more_random_trials_contain_the_fewer(tmp_path):
    axes = of(tmp_path, RANDOM).axes
    assert labels(space.random(axes, 9, seed=5))[:4] == labels(space.random(axes, 4, seed=5))
    assert labels(space.random(axes, 4, seed=6)) != labels(space.random(axes, 4, seed=5))


def test_random_ends_where_there_is_nothing_new_to_draw(tmp_path):
    axes = of(tmp_path, GRID).axes
    assert len(labels(space.random(axes, 50, seed=0))) == 8


def test_numbers_drawn_stay_inside_and_short():
    bounds = sweep.Range(low=1e-6, high=0.00123456)
    assert space.rounded(0.00123456, bounds) == 0.00123456 or space.rounded(0.00123456, bounds) <= bounds.high
    assert space.rounded(0.000123456, bounds) == 0.0001235
    assert space.rounded(3.6, sweep.Range(low=1, high=9)) == 4

"""What stands in the results of a sweep."""

import json

import numpy as np
import pandas as pd
import pytest

import synthetic
from ftcls.config.load import load
from ftcls.scoring.intervals import resampled
from ftcls.scoring.significance import over_seeds
from ftcls.search import sweep as sweeping
from ftcls.search import tables
from ftcls.search.results import mean_draws, ranked
from sweeping import GRID, Instant, finish, planned


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    plan = planned(tmp_path_factory.mktemp("sweep"))
    for trial in plan.trials:
        skill = 2.5 if trial.choices["training.learning_rate"] == "2e-5" else 1.0
        finish(trial, skill=skill + 0.1 * trial.seed)
    return sweeping.run(plan, Instant(plan.trials))


def test_a_row_stands_for_each_trial_with_every_metric_and_its_interval(outcome):
    table = pd.read_parquet(outcome.folder / "results.parquet")
    assert len(table) == 8
    assert set(table["seed"]) == {1, 2}
    assert set(table["size"]) == {"800", "1600"}
    assert table["training.learning_rate"].dtype == float
    assert (table["test.f1_macro.low"] < table["test.f1_macro"]).all()
    assert (table["test.f1_macro"] < table["test.f1_macro.high"]).all()
    run = json.loads((outcome.folder / table["run"][0] / "report.json").read_text())
    assert table["test.accuracy"][0] == run["metrics"]["test"]["accuracy"]
    same = pd.read_csv(outcome.folder / "results.csv")
    assert list(same.columns) == list(table.columns)
    assert np.allclose(same["test.loss"], table["test.loss"])


def test_a_cell_is_the_mean_over_seeds_with_an_interval_over_rows_and_seeds(outcome):
    document = json.loads((outcome.folder / "results.json").read_text())
    assert document["schema_version"] == 1
    cell = next(
        each for each in document["cells"] if each["choices"] == {"training.learning_rate": "2e-5", "size": "800"}
    )
    assert cell["seeds"] == [1, 2]
    rows = [row for row in document["trials"] if row["trial"] in cell["trials"]]
    values = [row["metrics"]["test"]["f1_macro"] for row in rows]
    assert cell["scores"]["test"]["f1_macro"]["value"] == pytest.approx(np.mean(values))
    said = [synthetic.predictions("multiclass", seed=1, skill=2.5 + 0.1 * seed) for seed in (1, 2)]
    draws = np.mean([resampled(each, "f1_macro") for each in said], axis=0)
    low, high = over_seeds([(1, values)], draws).interval
    assert high > 1  # two seeds that differ: the t interval leaves the range of the score, and is cut there
    assert cell["scores"]["test"]["f1_macro"]["interval"] == pytest.approx([low, 1.0])


def test_where_seeds_have_rows_of_their_own_the_interval_is_the_widest_that_can_be():
    first = synthetic.predictions("multiclass", seed=1)
    second = synthetic.predictions("multiclass", seed=2)
    other = type(first)(**{**first.__dict__, "rows": first.rows + 7})
    together, apart = mean_draws([first, first], "accuracy"), mean_draws([first, other], "accuracy")
    assert np.std(apart) == pytest.approx(np.std(together))
    assert np.std(mean_draws([first, second], "accuracy")) > 0.9 * np.std(resampled(first, "accuracy"))


def test_the_best_is_chosen_on_validation_by_the_mean_over_seeds(outcome):
    found = outcome.results
    scores = [cell.scores["validation"]["f1_macro"].value for cell in found.cells]
    assert found.best.scores["validation"]["f1_macro"].value == max(scores)
    assert ranked(found)[0].scores["validation"]["f1_macro"].value == max(scores)
    best = load(outcome.folder / "best.yaml")
    assert best.training.learning_rate == float(found.best.choices["training.learning_rate"])
    assert "the mean over 2 seeds" in (outcome.folder / "best.yaml").read_text()


def test_a_loss_is_better_where_it_is_smaller(tmp_path):
    plan = planned(tmp_path, GRID + "search: {metric: loss}\n")
    found = sweeping.run(plan, Instant(plan.trials)).results
    scores = [cell.scores["validation"]["loss"].value for cell in found.cells]
    assert found.best.scores["validation"]["loss"].value == min(scores)


def test_a_cell_that_lacks_a_seed_is_not_the_best(tmp_path):
    plan = planned(tmp_path)
    lucky = next(trial for trial in plan.trials if trial.seed == 2)
    outcome = sweeping.run(plan, Instant(plan.trials, codes={lucky.name: 1}))
    assert len(outcome.results.best.seeds) == 2
    assert sorted(len(cell.seeds) for cell in outcome.results.cells) == [1, 2, 2, 2]


def test_a_cell_that_lacks_a_seed_stands_behind_those_that_it_was_not_chosen_among(tmp_path):
    plan = planned(tmp_path, GRID + "search: {metric: loss}\n")
    alone = plan.trials[0].choices
    for trial in plan.trials:
        lucky = all(trial.choices[axis] == alone[axis] for axis in alone if axis != "seed")
        if not (lucky and trial.seed == 2):
            finish(trial, skill=4.0 if lucky else 1.0 + 0.1 * len(trial.choices["size"]))
    lacking = next(trial for trial in plan.trials if not trial.run.done)
    outcome = sweeping.run(plan, Instant(plan.trials, codes={lacking.name: 5}))
    order = ranked(outcome.results)
    losses = [cell.scores["validation"]["loss"].value for cell in order]
    assert order[0] is outcome.results.best
    assert [len(cell.seeds) for cell in order] == [2, 2, 2, 1]
    assert losses[-1] == min(losses)
    assert losses[:3] == sorted(losses[:3])
    shown = tables.summary(outcome.results, most=5).renderables
    assert "settings that lack seeds stand behind the others" in shown[3].plain


def test_nothing_done_is_no_reason_to_fail(tmp_path):
    plan = planned(tmp_path)
    outcome = sweeping.run(plan, Instant(plan.trials, codes=dict.fromkeys([trial.name for trial in plan.trials], 4)))
    assert (outcome.results.cells, outcome.results.best) == ((), None)
    assert not (outcome.folder / "best.yaml").exists()
    assert "8 failed" in tables.summary(outcome.results, most=3).renderables[0].plain


def test_the_table_says_how_many_it_leaves_out(outcome):
    assert "and 3 more settings" in tables.summary(outcome.results, most=1).renderables[3].plain


def test_a_column_has_one_type_whatever_an_axis_holds(tmp_path):
    mixed = "  training.early_stopping_patience: [null, 5]\n  data.clean: [[], [spaces]]\n"
    plan = planned(tmp_path, f"name: x\nbase: base.yaml\naxes:\n{mixed}")
    outcome = sweeping.run(plan, Instant(plan.trials))
    table = pd.read_parquet(outcome.folder / "results.parquet")
    assert set(table["training.early_stopping_patience"]) == {"null", "5"}
    assert len(set(table["data.clean"])) == 2

"""Heatmaps, learning curves and the page of a sweep."""

import html
import json
import re

import numpy as np
import pytest
from matplotlib.colors import to_hex

from ftcls.config.sweep import Heatmap
from ftcls.environment.figures_as_text import number, with_interval
from ftcls.reporting import plots
from ftcls.search import page, results
from ftcls.search import sweep as sweeping
from ftcls.search.heatmaps import drawings
from ftcls.search.importance import _epsilon_squared, importances
from ftcls.search.parallel import parallel
from ftcls.search.results import SPLITS
from sweeping import GRID, Instant, finish, planned

CUBE = """\
name: cube
base: base.yaml
axes:
  labels: [{data.labels: [World, Sports]}, {data.labels: [World, Sports, Business]}]
  size: [{data.subset.train: 800}, {data.subset.train: 1600}]
  model.checkpoint: ["scratch:bert", "<b>large</b> $x_1$"]
  seed: [1, 2]
"""


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    plan = planned(tmp_path_factory.mktemp("cube"), CUBE)
    for trial in plan.trials[1:]:
        finish(trial, skill=1.0 + 0.5 * (trial.choices["size"] == "1600"), examples=int(trial.choices["size"]))
    return plan, sweeping.run(plan, Instant(plan.trials, codes={plan.trials[0].name: 5}))


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_a_heatmap_has_a_panel_for_each_third_and_the_interval_in_each_cell(cube):
    plan, outcome = cube
    made = drawings(outcome.results, plan.space.axes, Heatmap())
    figure = made["heatmap-f1_macro"].figure
    first, second, bar = figure.axes
    assert [axes.get_title() for axes in (first, second)] == ["scratch:bert", "<b>large</b> $x_1$"]
    assert [text.get_text() for text in first.get_xticklabels()] == ["800", "1600"]
    assert [text.get_text() for text in first.get_yticklabels()] == ["2", "3"]
    cell = next(each for each in outcome.results.cells if each.choices["model.checkpoint"].startswith("<b>"))
    chose, score = (cell.scores[split]["f1_macro"] for split in ("validation", "test"))
    assert number(chose.value, 3) in texts(second)
    assert f"test {number(score.value, 3)}" in texts(second)
    assert f"{number(score.interval[0], 3)}-{number(score.interval[1], 3)}" in texts(second)
    assert len(texts(first)) == len(texts(second)) == 12
    assert bar.get_ylabel() == "f1_macro on validation"
    assert made["heatmap-f1_macro"].caption.startswith("f1_macro on validation. Mean of 1 or 2 seeds;")


def test_all_panels_have_one_colour_scale(cube):
    plan, outcome = cube
    figure = drawings(outcome.results, plan.space.axes, Heatmap())["heatmap-f1_macro"].figure
    limits = {axes.collections[0].get_clim() for axes in figure.axes[:2]}
    assert len(limits) == 1
    values = [cell.scores["validation"]["f1_macro"].value for cell in outcome.results.cells]
    low, high = limits.pop()
    assert low < min(values)
    assert high > max(values)


def test_the_axes_of_a_heatmap_can_be_chosen_and_what_is_left_makes_more_of_them(cube):
    plan, outcome = cube
    wanted = Heatmap(x="model.checkpoint", y="size", panel="labels", split="test")
    figure = drawings(outcome.results, plan.space.axes, wanted)["heatmap-f1_macro"].figure
    assert [axes.get_title() for axes in figure.axes[:2]] == ["2", "3"]
    assert figure.axes[-1].get_ylabel() == "f1_macro on test"
    four = CUBE.replace("  seed: [1, 2]\n", "  training.weight_decay: [0.0, 0.1]\n  seed: [1]\n")
    bigger = planned(outcome.folder.parent / "four", four)
    names = drawings(sweeping.run(bigger, Instant(bigger.trials)).results, bigger.space.axes, Heatmap())
    assert sorted(names) == ["heatmap-f1_macro-0.0", "heatmap-f1_macro-0.1"]


def test_text_can_be_read_on_every_shade(cube):
    plan, outcome = cube
    axes = drawings(outcome.results, plan.space.axes, Heatmap())["heatmap-f1_macro"].figure.axes[1]
    mesh = axes.collections[0]
    shades = plots.SHADES(mesh.norm(mesh.get_array()))
    for text in axes.texts:
        column, row = round(text.get_position()[0]), round(text.get_position()[1])
        shade = shades.reshape(2, 2, 4)[row, column, :3]
        ink = np.array([int(to_hex(text.get_color())[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        light, dark = sorted((luminance(shade), luminance(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 3


def luminance(colour):
    """WCAG 2.1, relative luminance."""
    linear = np.where(colour <= 0.03928, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_a_learning_curve_has_a_line_for_each_model(cube):
    plan, outcome = cube
    figure = drawings(outcome.results, plan.space.axes, Heatmap())["learning-curve-f1_macro"].figure
    panels = figure.axes
    assert [axes.get_title() for axes in panels] == ["labels 2", "labels 3"]
    assert panels[0].get_legend_handles_labels()[1] == ["scratch:bert", "<b>large</b> $x_1$"]
    assert [text.get_text() for text in panels[0].get_xticklabels()] == ["800", "1,600"]


def test_a_single_axis_lies_from_left_to_right(tmp_path):
    plan = planned(tmp_path, "name: x\nbase: base.yaml\naxes: {training.learning_rate: [1e-5, 2e-5, 3e-5]}\n")
    made = drawings(sweeping.run(plan, Instant(plan.trials)).results, plan.space.axes, Heatmap())
    assert [text.get_text() for text in made["heatmap-f1_macro"].figure.axes[0].get_xticklabels()] == [
        "1e-5", "2e-5", "3e-5",
    ]  # fmt: skip
    assert "learning-curve-f1_macro" not in made


def test_ranges_have_no_heatmap(tmp_path):
    text = "name: x\nbase: base.yaml\nsearch: {method: random, trials: 2}\naxes:\n"
    plan = planned(
        tmp_path, text + "  training.learning_rate: {low: 1e-5, high: 1e-4}\n  training.batch_size: [8, 16]\n"
    )
    found = sweeping.run(plan, Instant(plan.trials)).results
    assert drawings(found, plan.space.axes, Heatmap()) == {}


def test_the_page_is_one_file_whose_texts_are_escaped(cube):
    _, outcome = cube
    text = (outcome.folder / page.FILE).read_text(encoding="utf-8")
    assert "<b>large" not in text
    assert "&lt;b&gt;large&lt;/b&gt;" in text
    assert not re.search(r"(src|href)=\"(https?:|//)", text)
    assert "prefers-color-scheme: dark" in text
    assert text.count('<figure class="wide">') == 3  # parallel coordinates, a heatmap, learning curves
    assert text.index("by validation, which chose") < text.index("What matters") < text.index("Scores over the axes")
    assert "labels 2, size 800, checkpoint bert, seed 1</a>" in text
    for trial in outcome.results.trials:
        link = f"logs/{trial.trial}.txt" if trial.state == "failed" else f"{trial.run}/report.html"
        assert f'href="{link}"' in text
    assert {path.suffix for path in outcome.folder.glob("heatmap-f1_macro.*")} == {".png", ".svg"}


def test_the_axis_that_matters_is_first_and_what_matters_not_explains_nothing(cube):
    plan, outcome = cube
    found = importances(outcome.results, plan.space.axes)
    assert (found[0].axis, found[0].share > 0.5) == ("size", True)
    assert all(each.share < 0.2 for each in found[1:])
    assert {each.axis for each in found} == {"labels", "size", "model.checkpoint", "seed"}


def test_importance_is_epsilon_squared():
    values, group = np.array([1.0, 2.0, 2.0, 5.0, 6.0, 9.0]), np.array([0, 0, 0, 1, 1, 1])
    within = sum(((values[group == g] - values[group == g].mean()) ** 2).sum() for g in (0, 1))
    total = ((values - values.mean()) ** 2).sum()
    expected = 1 - (within / 4) / (total / 5)  # Kelley's, one less the ratio of the unbiased variances
    assert _epsilon_squared(values, group) == pytest.approx(expected)
    assert _epsilon_squared(np.array([1.0, 2.0, 1.0, 2.0]), np.array([0, 0, 1, 1])) == 0


def test_every_setting_is_a_line_that_says_what_it_is(cube):
    plan, outcome = cube
    figure, words = parallel(outcome.results, plan.space.axes)
    cells = outcome.results.cells
    lines = figure.axes[0].lines
    assert len(lines) == len(words) == len(cells)
    best = cells.index(outcome.results.best)
    widths = [line.get_linewidth() for line in lines]
    assert widths.index(max(widths)) == best
    test = cells[best].scores["test"]["f1_macro"].value
    assert words[best].startswith(f"labels {cells[best].choices['labels']}, size 1600, checkpoint ")
    assert words[best].endswith(f", test {number(test)}")
    ends = [line.get_ydata()[-1] for line in lines]  # test, the higher the better
    assert np.argsort(ends).tolist() == np.argsort([c.scores["test"]["f1_macro"].value for c in cells]).tolist()


def test_a_cell_says_its_setting_and_both_scores_to_who_points_at_it(cube):
    plan, outcome = cube
    made = drawings(outcome.results, plan.space.axes, Heatmap())["heatmap-f1_macro"]
    cell = next(
        each
        for each in outcome.results.cells
        if each.choices == {"labels": "2", "size": "1600", "model.checkpoint": "scratch:bert"}
    )
    validation, test = (with_interval(s.value, s.interval) for s in (cell.scores[n]["f1_macro"] for n in SPLITS))
    said = f"checkpoint scratch:bert, size 1600, labels 2: f1_macro on validation {validation}, test {test}"
    assert said in [spot.words for spot in made.cells]
    assert len(made.cells) == len(outcome.results.cells)
    # On the page each stands where its cell is drawn: in a panel the second column on the right, the second row below.
    text = (outcome.folder / page.FILE).read_text(encoding="utf-8")
    drawn = [json.loads(html.unescape(each)) for each in re.findall(r'data-points="([^"]*)"', text)]
    points = {
        words.partition(":b")[2].partition(": ")[0]: (left, top) for left, top, words in drawn[1] if ":bert" in words
    }
    assert points["ert, size 800, labels 2"][0] + 30 < points["ert, size 1600, labels 2"][0]
    assert points["ert, size 1600, labels 2"][1] + 30 < points["ert, size 1600, labels 3"][1]


def test_figures_that_are_no_longer_drawn_are_gone(tmp_path):
    plan = planned(tmp_path, GRID)
    sweeping.run(plan, Instant(plan.trials))
    assert (plan.folder / "heatmap-f1_macro.png").is_file()
    other = planned(tmp_path, GRID + "heatmap: {metric: accuracy}\n")
    sweeping.run(other, Instant(other.trials))
    assert not (plan.folder / "heatmap-f1_macro.png").exists()
    assert (plan.folder / "heatmap-accuracy.svg").is_file()


def test_a_sweep_with_nothing_done_has_a_page(tmp_path):
    plan = planned(tmp_path, "name: x\nbase: base.yaml\naxes: {seed: [1]}\n")
    outcome = sweeping.run(plan, Instant(plan.trials, codes={plan.trials[0].name: -9}))
    assert "failed (-9)" in (outcome.folder / page.FILE).read_text(encoding="utf-8")
    assert results.ranked(outcome.results) == []

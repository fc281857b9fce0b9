"""The figures of a sweep: scores over two axes, and scores against training rows."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ftcls.config.sweep import Heatmap
from ftcls.environment.figures_as_text import interval, number, setting, with_interval
from ftcls.reporting import plots
from ftcls.search.results import Cell, Results, Score
from ftcls.search.space import SEED, Axis

_COLUMNS: Final = 3
"""Most panels side by side."""
_INKS: Final = ("#ffffff", "#111111")
"""Text on a cell is in the one of these that stands out more."""
_MOST_LINES: Final = 10
"""More curves in one panel cannot be told apart."""

Choices = Mapping[str, str]
_Scores = tuple[Score, Score]
"""Of the split that colours a cell, and of the other one."""


@dataclass(frozen=True)
class Spot:
    """A place in one of a figure's axes, in units of its data, and what it says where somebody points at it."""

    axes: Any
    place: tuple[float, float]
    words: str


@dataclass(frozen=True)
class Drawing:
    """A figure and what a reader who cannot see it is told."""

    figure: Figure
    caption: str
    lines: tuple[str, ...] = ()
    """What each line of the figure says where somebody points at it."""
    cells: tuple[Spot, ...] = ()
    """What each cell of a heat map says there."""


@dataclass(frozen=True)
class _Layout:
    """Which axis goes where; the axes that are left make figures of their own."""

    x: Axis
    y: Axis | None
    panel: Axis | None
    left: tuple[Axis, ...]
    """Those with a single choice, too: they make no difference."""


def drawings(found: Results, axes: Sequence[Axis], wanted: Heatmap) -> dict[str, Drawing]:
    """Every figure of a sweep by file name; none where nothing is done, or nothing but ranges is varied."""
    listed = [axis for axis in axes if axis.name != SEED and axis.range is None]
    if not found.cells or not listed:
        return {}
    metric = wanted.metric or found.metric
    split = wanted.split or "validation"
    made = _heatmaps(found, _layout(listed, wanted), metric, split) if len(listed) == len(_others(axes)) else {}
    size = _size_axis(found.cells, listed)
    if size is not None:
        made |= _learning_curves(found, size, listed, metric, wanted)
    return made


def _others(axes: Sequence[Axis]) -> list[Axis]:
    return [axis for axis in axes if axis.name != SEED]


def _layout(listed: Sequence[Axis], wanted: Heatmap) -> _Layout:
    left = {axis.name: axis for axis in listed if len(axis.choices) > 1} or {listed[0].name: listed[0]}

    def taken(name: str | None) -> Axis | None:
        return None if name is None else left.pop(name, None)

    x, y, panel = taken(wanted.x), taken(wanted.y), taken(wanted.panel)
    rest = iter(list(left.values()))
    y = y or (next(rest, None) if x is None or left else None)
    x = x or next(rest, None)
    if x is None:  # a single axis lies from left to right
        x, y = y, None
    panel = panel or next(rest, None)
    used = {axis.name for axis in (x, y, panel) if axis is not None}
    if x is None:
        raise ValueError("a layout needs an axis")
    return _Layout(x, y, panel, tuple(axis for axis in listed if axis.name not in used))


def _heatmaps(found: Results, layout: _Layout, metric: str, split: str) -> dict[str, Drawing]:
    other = "test" if split == "validation" else "validation"
    scores = {
        tuple(cell.choices.items()): (cell.scores[split][metric], cell.scores[other][metric]) for cell in found.cells
    }
    values = [score.value for score, _ in scores.values() if score.value is not None]
    if not values:
        return {}
    limits = _limits(values)
    made = {}
    for fixed in _combinations(layout.left):
        inside = {key: score for key, score in scores.items() if fixed.items() <= dict(key).items()}
        if inside:
            varied = [axis.name for axis in layout.left if len(axis.choices) > 1]
            name = "-".join(["heatmap", metric, *(_slug(fixed[axis]) for axis in varied)])
            figure, cells = _heatmap(inside, layout, fixed, f"{metric} on {split}", other, limits)
            made[name] = Drawing(figure, _caption(found, layout, fixed, f"{metric} on {split}", other), cells=cells)
    return made


def _heatmap(
    scores: Mapping[tuple[tuple[str, str], ...], _Scores],
    layout: _Layout,
    fixed: Choices,
    label: str,
    other: str,
    limits: tuple[float, float],
) -> tuple[Figure, tuple[Spot, ...]]:
    by_choices = {frozenset(key): score for key, score in scores.items()}
    panels = [choice.label for choice in layout.panel.choices] if layout.panel else [None]
    columns = [choice.label for choice in layout.x.choices]
    rows = [choice.label for choice in layout.y.choices] if layout.y else [None]
    down, across = _arranged(len(panels))
    size = (1.6 + across * max(1.9, 0.5 + 0.95 * len(columns)), 0.9 + down * max(1.3, 0.6 + 0.62 * len(rows)))
    with matplotlib.rc_context(plots.STYLE | {"axes.grid": False}):
        figure = plots.sheet(size)
        grid = np.atleast_2d(figure.subplots(down, across, squeeze=False, sharex=True, sharey=True))
        image: Any = None
        cells: list[Spot] = []
        for index, axes in enumerate(grid.flat):
            if index >= len(panels):
                axes.set_visible(False)
                continue
            known = dict(fixed)
            if layout.panel is not None and panels[index] is not None:
                known[layout.panel.name] = str(panels[index])
                axes.set_title(_short(str(panels[index])))
            image, shown = _panel(axes, (label, other), by_choices, known, layout, rows, columns, limits)
            cells += shown
            axes.tick_params(length=0, labelbottom=index + across >= len(panels))
        figure.supxlabel(_title(layout.x), fontsize=9)
        if layout.y is not None:
            figure.supylabel(_title(layout.y), fontsize=9)
        figure.colorbar(image, ax=grid.ravel().tolist(), label=label, shrink=0.85)
    return figure, tuple(cells)


def _panel(
    axes: Any,
    names: tuple[str, str],
    scores: Mapping[frozenset[tuple[str, str]], _Scores],
    known: dict[str, str],
    layout: _Layout,
    rows: Sequence[str | None],
    columns: Sequence[str],
    limits: tuple[float, float],
) -> tuple[Any, list[Spot]]:
    """The image of a panel and what its cells say; `names` are of the score that colours them, and of the other one."""
    cells = []
    values = np.full((len(rows), len(columns)), np.nan)
    low, high = limits
    for (i, row), (j, column) in itertools.product(enumerate(rows), enumerate(columns)):
        place = known | {layout.x.name: column} | ({layout.y.name: row} if layout.y is not None and row else {})
        both = scores.get(frozenset(place.items()))
        if both is None or both[0].value is None:
            continue
        score, beside = both
        if score.value is None:
            continue
        values[i, j] = score.value
        colour = _ink((score.value - low) / (high - low))
        axes.text(j, i - 0.2, _figure(score.value), ha="center", va="center", color=colour, fontsize=9)
        for down, text in zip((0.1, 0.32), _beside(beside, names[1]), strict=False):
            axes.text(j, i + down, text, ha="center", va="center", color=colour, fontsize=6.5)
        cells.append(Spot(axes, (j, i), _words(place, names, both)))
    edges = np.arange(len(columns) + 1) - 0.5, np.arange(len(rows) + 1) - 0.5
    image = axes.pcolormesh(
        *edges, values, cmap=plots.SHADES, vmin=low, vmax=high, edgecolors=plots.PAPER, linewidth=1
    )  # fmt: skip
    axes.set_xticks(range(len(columns)), [_short(column) for column in columns])
    axes.set_yticks(range(len(rows)), [_short(row) if row else "" for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)  # the first choice at the top
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image, cells


def _words(place: Choices, names: tuple[str, str], scores: _Scores) -> str:
    """A cell's setting and both its scores, for who points at it."""
    setting_words = ", ".join(f"{_plain(name)} {setting(label)}" for name, label in place.items())
    said = [
        f"{name} {with_interval(score.value, score.interval)}"
        for name, score in zip(names, scores, strict=True)
        if score.value is not None
    ]
    return f"{setting_words}: {', '.join(said)}"


def _beside(score: Score, split: str) -> list[str]:
    """The other split's score and interval, in small print."""
    if score.value is None:
        return []
    ends = "" if score.interval is None else interval(score.interval, _digits(score.interval[1]))
    return [f"{split} {_figure(score.value)}", ends]


def _learning_curves(
    found: Results, size: Axis, listed: Sequence[Axis], metric: str, wanted: Heatmap
) -> dict[str, Drawing]:
    """Score against training rows: a curve for each choice of one axis, a panel for each combination of the others."""
    split = wanted.split or "test"
    others = [axis for axis in listed if axis.name != size.name]
    several = [axis for axis in others if len(axis.choices) > 1]
    named = [axis for axis in several if axis.name == wanted.panel]
    lines = named[0] if named else (several[-1] if several else None)
    panels = list(_combinations([axis for axis in others if axis is not lines]))
    labels = [choice.label for choice in lines.choices] if lines is not None else [""]
    if len(labels) > _MOST_LINES:
        return {}
    down, across = _arranged(len(panels))
    with matplotlib.rc_context(plots.STYLE):
        figure = plots.sheet((1.2 + 3.2 * across, 0.9 + 2.3 * down))
        grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        for index, axes in enumerate(grid.flat):
            if index >= len(panels):
                axes.set_visible(False)
                continue
            for at, label in enumerate(labels):
                known = panels[index] | ({lines.name: label} if lines is not None else {})
                cells = [cell for cell in found.cells if known.items() <= cell.choices.items()]
                # Each curve a little aside: intervals at equal rows would cover each other.
                aside = 1 + 0.02 * (at - (len(labels) - 1) / 2)
                _curve(axes, cells, metric, split, number=at, label=label, aside=aside)
            axes.set_xscale("log")
            ticks = sorted({cell.train_examples for cell in found.cells})
            axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
            axes.minorticks_off()
            axes.tick_params(labelbottom=index + across >= len(panels))  # nothing may be below it
            axes.set_title(", ".join(f"{_plain(name)} {_short(value)}" for name, value in panels[index].items()))
        figure.supxlabel("training rows", fontsize=9)
        figure.supylabel(f"{metric} on {split}", fontsize=9)
        if lines is not None:
            handles, names = grid.flat[0].get_legend_handles_labels()
            figure.legend(handles, names, loc="outside upper center", ncols=min(2 * across, len(labels)))
    caption = f"{metric} on {split} against training rows, with 95 % intervals; the numbers are in the table."
    return {f"learning-curve-{metric}": Drawing(figure, caption)}


def _curve(axes: Any, cells: Sequence[Cell], metric: str, split: str, *, number: int, label: str, aside: float) -> None:
    points = [
        (cell.train_examples, score.value, score.interval or (score.value, score.value))
        for cell in sorted(cells, key=lambda cell: cell.train_examples)
        if (score := cell.scores[split][metric]).value is not None
    ]
    if not points:
        return
    rows, values, intervals = zip(*points, strict=True)
    ends = [[max(0.0, v - low) for v, (low, _) in zip(values, intervals, strict=True)],
            [max(0.0, high - v) for v, (_, high) in zip(values, intervals, strict=True)]]  # fmt: skip
    axes.errorbar(
        [row * aside for row in rows],
        values,
        yerr=ends,
        color=plots.SERIES[number % len(plots.SERIES)],
        linestyle=plots.STYLES[number % len(plots.STYLES)],
        marker="o",
        markersize=3.5,
        linewidth=1.4,
        capsize=2,
        elinewidth=0.8,
        label=_short(label) if label else None,
    )


def _size_axis(cells: Sequence[Cell], listed: Sequence[Axis]) -> Axis | None:
    """The axis along which, all else equal, the number of training rows changes."""
    for axis in listed:
        groups: dict[tuple[tuple[str, str], ...], set[float]] = {}
        for cell in cells:
            others = tuple((name, label) for name, label in cell.choices.items() if name != axis.name)
            groups.setdefault(others, set()).add(cell.train_examples)
        if max(map(len, groups.values())) > 1:
            return axis
    return None


def _combinations(axes: Sequence[Axis]) -> list[dict[str, str]]:
    labels = [[(axis.name, choice.label) for choice in axis.choices] for axis in axes]
    return [dict(combination) for combination in itertools.product(*labels)]


def _arranged(panels: int) -> tuple[int, int]:
    """Rows and columns of panels, as even as they can be."""
    down = -(-panels // _COLUMNS)
    return down, -(-panels // down)


def _ink(share: float) -> str:
    """The colour of text on a share of the colour scale, by the contrast of WCAG 2 (relative luminance)."""
    channels = np.array(plots.SHADES(share)[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    white, black = 1.05 / (luminance + 0.05), (luminance + 0.05) / (0.0056 + 0.05)
    return _INKS[int(black > white)]


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Both ends of the colour scale, the same in every panel and figure of the sweep."""
    low, high = min(values), max(values)
    margin = max((high - low) * 0.05, 1e-3)
    return low - margin, high + margin


def _caption(found: Results, layout: _Layout, fixed: Choices, label: str, other: str) -> str:
    seeds = sorted({len(cell.seeds) for cell in found.cells})
    mean = f"Mean of {' or '.join(map(str, seeds))} seeds" if seeds != [1] else "One seed"
    where = "".join(f", {_plain(name)} {setting(value)}" for name, value in fixed.items())
    below = f"below each value that on {other} with its 95 % interval"
    return f"{label}{where}. {mean}; {below}. The numbers are in the table."


def _title(axis: Axis) -> str:
    lists = all(isinstance(choice.value, list) for choice in axis.choices)
    inner = [value for choice in axis.choices if isinstance(choice.value, dict) for value in choice.value.values()]
    counted = lists or (inner and isinstance(inner[0], list) and axis.choices[0].label.isdigit())
    return f"{_plain(axis.name)} (number)" if counted else _plain(axis.name)


def _plain(name: str) -> str:
    return name.split(".")[-1].replace("_", " ")


def _short(label: str) -> str:
    return plots.short(setting(label))


def _slug(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", label)[:40].strip("-._") or "other"


def _figure(value: float) -> str:
    return number(value, _digits(value))


def _digits(value: float) -> int:
    """So many as a cell has room for."""
    return 3 if abs(value) < 10 else 1

"""Every setting of a sweep as a line over its axes, to its scores: parallel coordinates."""

from collections.abc import Sequence
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ftcls.environment.figures_as_text import number, setting, significant
from ftcls.reporting import plots
from ftcls.search.results import SPLITS, Cell, Results
from ftcls.search.space import SEED, Axis

_WIDE: Final = 50.0
"""Ratio of the largest to the smallest value from which on an axis is logarithmic."""
_COLOURS: Final = LinearSegmentedColormap.from_list(
    "scores", matplotlib.colormaps["viridis"](np.linspace(0.12, 0.85, 64))
)
"""Without the ends that a light or a dark page would swallow."""
_TICKS: Final = 4


def parallel(found: Results, axes: Sequence[Axis]) -> tuple[Figure, tuple[str, ...]] | None:
    """The figure, and what each line says; None where fewer than two settings are done or fewer than two axes vary."""
    varied = [axis for axis in axes if axis.name != SEED and _varies(axis, found.cells)]
    scored = [cell for cell in found.cells if cell.scores["validation"][found.metric].value is not None]
    if len(varied) < 2 or len(scored) < 2:
        return None
    columns = [_column(axis, scored, found) for axis in varied]
    splits = [[cell.scores[split][found.metric].value or 0.0 for cell in scored] for split in SPLITS]
    low, high = min(map(min, splits)), max(map(max, splits))
    margin = max(0.02 * (high - low), 1e-3)
    heights = [
        *(column[0] for column in columns),
        *(_scaled(np.array(each), low - margin, high + margin) for each in splits),
    ]
    with matplotlib.rc_context(plots.STYLE | {"axes.grid": False}):
        figure = plots.sheet((8.4, 3.6))
        drawn = figure.add_subplot()
        best = int(np.argmax(splits[0])) if found.best is None else scored.index(found.best)
        colours = _COLOURS(_scaled(np.array(splits[0]), min(splits[0]), max(splits[0])))
        for index in range(len(scored)):
            line = [float(column[index]) for column in heights]
            width, alpha = (2.6, 1.0) if index == best else (1.1, 0.75)
            drawn.plot(range(len(line)), line, color=colours[index], linewidth=width, alpha=alpha)
        names = [_plain(axis.name) for axis in varied] + [f"{found.metric}\n{split}" for split in SPLITS]
        _frame(drawn, names)
        for place, (_, ticks) in enumerate(columns):
            _mark(drawn, place, ticks)
        for place in range(len(columns), len(heights)):
            values = np.linspace(low, high, _TICKS)
            spots = _scaled(values, low - margin, high + margin)
            _mark(drawn, place, [(float(y), number(value, 3)) for y, value in zip(spots, values, strict=True)])
    return figure, tuple(_said(cell, found.metric) for cell in scored)


def _said(cell: Cell, metric: str) -> str:
    scores = ", ".join(
        f"{split} {number(score.value)}" for split in SPLITS if (score := cell.scores[split][metric]).value is not None
    )
    return f"{', '.join(f'{_plain(axis)} {setting(label)}' for axis, label in cell.choices.items())}: {scores}"


def _varies(axis: Axis, cells: Sequence[Cell]) -> bool:
    return len({cell.choices[axis.name] for cell in cells}) > 1


def _column(axis: Axis, cells: Sequence[Cell], found: Results) -> tuple[NDArray[np.float64], list[tuple[float, str]]]:
    """The height of each setting on an axis, from 0 to 1, and the axis's ticks."""
    labels = [cell.choices[axis.name] for cell in cells]
    values = {row.choices[axis.name]: row.values[axis.name] for row in found.trials}
    numbers = [values[label] for label in labels]
    if axis.range is None or not all(_is_number(each) for each in numbers):
        order = [choice.label for choice in axis.choices if choice.label in labels] or sorted(set(labels))
        heights = np.linspace(0.04, 0.96, len(order)) if len(order) > 1 else np.array([0.5])
        spots = dict(zip(order, heights.tolist(), strict=True))
        return np.array([spots[label] for label in labels]), [
            (y, plots.short(setting(label))) for label, y in spots.items()
        ]
    known = np.array(numbers, dtype=np.float64)
    logarithmic = axis.range.log or (known.min() > 0 and known.max() / known.min() >= _WIDE)
    seen = np.log(known) if logarithmic else known
    ends = np.linspace(seen.min(), seen.max(), _TICKS)
    shown = np.exp(ends) if logarithmic else ends
    ticks = [(float(y), significant(value, 2)) for y, value in zip(_scaled(ends, *ends[[0, -1]]), shown, strict=True)]
    return _scaled(seen, float(seen.min()), float(seen.max())), ticks


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _scaled(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    return np.full(len(values), 0.5) if high <= low else (values - low) / (high - low)


def _frame(axes: Any, names: Sequence[str]) -> None:
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.set_yticks([])
    axes.set_xlim(-0.35, len(names) - 0.65)
    axes.set_ylim(-0.04, 1.04)


def _mark(axes: Any, place: int, ticks: Sequence[tuple[float, str]]) -> None:
    axes.vlines(place, 0, 1, color=plots.INK, linewidth=0.9, zorder=3)
    for y, text in ticks:
        axes.text(
            place + 0.03, y, text, fontsize=7.5, va="center", zorder=4,
            bbox={"facecolor": plots.PAPER, "edgecolor": "none", "pad": 0.8, "alpha": 0.75},
        )  # fmt: skip


def _plain(name: str) -> str:
    return name.split(".")[-1].replace("_", " ")

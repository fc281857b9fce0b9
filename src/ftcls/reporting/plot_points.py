"""The values that a drawn figure shows, and where its SVG has them: what a page says where one points."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter
from numpy.typing import NDArray

from ftcls.environment.figures_as_text import number, significant

_SVG_DPI: Final = 72
"""Units of an SVG to the inch."""
_HOVERED: Final = 200
"""Points of a line that say their value."""
_SHARES: Final = ("recall", "probability")
"""Names of horizontal axes from 0 to 1."""


@dataclass(frozen=True)
class Point:
    """A value of a drawn figure, where its SVG has it."""

    left: float
    top: float
    """In units of the SVG's viewBox."""
    words: str


def points(figure: Figure, names: Sequence[str] = (), lines: Sequence[str] = ()) -> list[Point]:
    """The values that a figure shows, for who points at them; after it was drawn by `plots.svg`.

    Args:
        figure: drawn.
        names: of the points of a scatter plot, in their order.
        lines: what each line says, wherever it bends, in place of its values.
    """
    if lines:
        return [
            point_at(axes, (place[0], place[1]), words)
            for axes in figure.axes
            for line, words in zip(axes.lines, lines, strict=True)
            for place in np.asarray(line.get_xydata(), dtype=np.float64)
        ]
    found = [point for axes in figure.axes for line in axes.lines for point in _line_points(axes, line)]
    for axes in figure.axes:
        for scatter in axes.collections if names else ():
            places = np.asarray(scatter.get_offsets(), dtype=np.float64)
            found += [_point(axes, place, name) for place, name in zip(places, names, strict=True)]
    return found


def _line_points(axes: Any, line: Any) -> list[Point]:
    of_data = line.get_transform().contains_branch_seperately(axes.transData) == (True, True)
    if not of_data or line.get_marker() in ("_", "|"):  # the marked step, the caps of intervals
        return []
    x, y = np.asarray(line.get_xdata(), dtype=np.float64), np.asarray(line.get_ydata(), dtype=np.float64)
    places = np.stack([x, y], axis=1)[:: max(1, len(x) // _HOVERED)]
    label = str(line.get_label())
    return [_point(axes, place, "" if label.startswith("_") else label) for place in places]


def _point(axes: Any, place: NDArray[np.float64], name: str) -> Point:
    below = axes.get_xlabel() or axes.figure.axes[-1].get_xlabel()
    named = isinstance(axes.xaxis.get_major_formatter(), FixedFormatter)
    if named:
        x = axes.get_xticklabels()[round(place[0])].get_text()
    else:
        x = number(place[0]) if below in _SHARES else f"{place[0]:,.6g}"
    y = significant(place[1]) if axes.get_ylabel() == "learning rate" else number(place[1])
    words = f"{below} {x}, {axes.get_ylabel()} {y}"
    return point_at(axes, (place[0], place[1]), f"{name}: {words}" if name else words)


def point_at(axes: Any, place: tuple[float, float], words: str) -> Point:
    """What stands at a place of a drawn figure, in the units of its data."""
    figure = axes.figure
    left, up = axes.transData.transform(place) * _SVG_DPI / figure.dpi
    return Point(round(float(left), 1), round(float(figure.get_figheight() * _SVG_DPI - up), 1), words)

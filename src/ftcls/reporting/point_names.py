"""Names beside the points of a plot, none on another."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ftcls.reporting import plots

_NAME_SIZE: Final = 8
_MARK: Final = 12.0
"""Pixels of a point that a name keeps off."""
_NEAR: Final = 20
"""Points from a mark to its name beyond which a line joins them."""
_EDGE: Final = {"left": 0.0, "right": 1.0}
"""Where a line meets a name."""
_OFFSETS: Final = tuple(
    (x, y) for far in (9, 22, 36, 52) for x in (far, -far) for y in (0, 9, -9, 18, -18, 30, -30, 44, -44)
)
"""Where a name may stand, in points from its mark, the nearest first."""


def name_points(axes: Any, points: Sequence[tuple[float, float]], names: Sequence[str], colours: Sequence[str]) -> None:
    """Names beside points, none on another name or point; one that finds no room far off is left to the legend below.

    After the scales and margins of the axes are set.
    """
    figure = axes.figure
    figure.draw_without_rendering()
    taken = [_box(axes.transData.transform(point), _MARK, _MARK) for point in points]
    frame = axes.get_window_extent()
    left_out = []
    for point, name, colour in sorted(zip(points, names, colours, strict=True), key=lambda each: -each[0][1]):
        place, words = axes.transData.transform(point), plots.short(name)
        size = (0.62 * _NAME_SIZE * len(words) * figure.dpi / 72, 1.35 * _NAME_SIZE * figure.dpi / 72)
        for offset in _OFFSETS:
            shift = np.array(offset) * figure.dpi / 72
            middle = place + shift + np.array([np.sign(offset[0]) * size[0] / 2, 0])
            box = _box(middle, *size)
            inside = frame.x0 <= box[0] and box[2] <= frame.x1 and frame.y0 <= box[1] and box[3] <= frame.y1
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                far = abs(offset[0]) + abs(offset[1]) > _NEAR
                align = "left" if offset[0] > 0 else "right"
                line = {"arrowstyle": "-", "color": colour, "linewidth": 0.6, "relpos": (_EDGE[align], 0.5)}
                look = {"color": colour, "fontsize": _NAME_SIZE, "ha": align, "va": "center"}
                text = axes.annotate(
                    words, point, xytext=offset, textcoords="offset points", arrowprops=line if far else None, **look
                )
                text.set_in_layout(False)
                break
        else:
            left_out.append(name)
    if left_out:
        figure.legend(loc="outside lower center", ncols=2)


def _box(middle: NDArray[np.float64], width: float, height: float) -> tuple[float, float, float, float]:
    x, y = float(middle[0]), float(middle[1])
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]

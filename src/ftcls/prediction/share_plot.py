"""The plot of label shares by group."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ftcls.prediction.group_shares import NO_LABEL, Share
from ftcls.reporting import plots

MOST_LABELS: Final = len(plots.SERIES)
"""Curves that can be told apart."""
_NAMED: Final = 40
"""Most groups whose names fit below the axis."""


def figure(shares: Sequence[Share]) -> Figure:
    """Shares of one column's groups, a line per label with its intervals; of many labels the most frequent."""
    groups = list(dict.fromkeys(each.group for each in shares))
    shown = frequent(shares)
    mark = "o-" if all(group[:1].isdigit() for group in groups) else "o"  # weeks and years follow one another
    with matplotlib.rc_context(plots.STYLE):
        drawn = plots.sheet((max(5.2, min(11.0, 1.6 + 0.35 * len(groups))), 3.6))
        axes = drawn.add_subplot()
        for index, label in enumerate(shown):
            of_label = [each for each in shares if each.label == label]
            middle = np.array([each.share for each in of_label])
            spread = np.array([(each.share - each.low, each.high - each.share) for each in of_label]).T.clip(0)
            # Side by side, so that no interval hides another.
            place = np.arange(len(groups)) + 0.12 * (index - (len(shown) - 1) / 2)
            name = "(no label)" if label == NO_LABEL else label
            axes.errorbar(
                place, middle, yerr=spread, color=plots.SERIES[index], fmt=mark, markersize=3.5, linewidth=1, capsize=2,
                label=plots.short(name),
            )  # fmt: skip
        every = max(1, -(-len(groups) // _NAMED))
        names = [plots.short(group) for group in groups[::every]]
        axes.set_xticks(range(0, len(groups), every), names, rotation=90 if len(groups) > 6 else 0)
        axes.set(xlabel=plots.short(shares[0].column), ylabel="share of the rows", xlim=(-0.5, len(groups) - 0.5))
        axes.set_ylim(bottom=0)
        drawn.legend(loc="outside lower center", ncols=min(3, len(shown)))
    return drawn


def frequent(shares: Sequence[Share]) -> list[str]:
    """The labels with the most rows over all groups, at most `MOST_LABELS`, in the order of the model."""
    labels = list(dict.fromkeys(each.label for each in shares))
    counts = {label: sum(each.count for each in shares if each.label == label) for label in labels}
    most = sorted(labels, key=lambda label: -counts[label])[:MOST_LABELS]
    return [label for label in labels if label in most]


def save(shares: Sequence[Share], folder: Path, name: str) -> None:
    """Write the plot as ``NAME.png`` and ``NAME.svg``."""
    plots.save({name: figure(shares)}, folder)

"""The plots of a run, as PNG and SVG files and as SVG inside the report page.

Figures are matplotlib's own objects, without pyplot and its state. An SVG depends on its figure alone: no date, and
ids that are hashed with a fixed salt. The colours are those of Okabe and Ito (2008), which people who are colour-blind
can tell apart; curves differ in their line style too.
"""

import io
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from ftcls.environment.files import replacing
from ftcls.errors import printable
from ftcls.reporting import fonts
from ftcls.reporting.error_analysis import Curve
from ftcls.scoring.calibration import BINS, Reliability
from ftcls.scoring.slices import Slice

log = logging.getLogger(__name__)

# On the page these become CSS variables, so that a plot follows the page from light to dark.
INK: Final = "#1c2530"
GRID: Final = "#d9dee4"
PAPER: Final = "#fffffe"
SERIES: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b07d00")
STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
SHADES = LinearSegmentedColormap.from_list("shades", ["#f4f7fa", "#7fb3d5", "#0072b2", "#06263d"])
STYLE: Final[dict[str, Any]] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.facecolor": PAPER,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": PAPER,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "text.color": INK,
    "text.parse_math": False,  # a label may hold dollar signs
    "xtick.color": INK,
    "ytick.color": INK,
}
_NUMBERED: Final = 5
"""Most names that a warning lists."""
_SIZE = (5.2, 3.1)
_DPI = 160
_LONGEST_NAME = 24
_STEEP = 50
"""From this ratio of the largest bin to the smallest on, bars of equal scale would not show the smallest."""
_LABELLED = 40
"""Most labels whose names fit along a heat map."""

_Points = Sequence[tuple[float, float]]


def losses(training: _Points, validation: _Points, best: int) -> Figure:
    """Training and validation loss by step, the best step marked."""
    figure, axes = _empty("step", "loss")
    with matplotlib.rc_context(STYLE):
        _line(axes, training, 0, "training")
        _line(axes, validation, 1, "validation", marker="o")
        _best(axes, best)
        axes.legend()
    return figure


def metric(name: str, points: _Points, best: int) -> Figure:
    """The metric that the best step was chosen by."""
    figure, axes = _empty("step", f"{name} on validation")
    with matplotlib.rc_context(STYLE):
        _line(axes, points, 0, name, marker="o")
        _best(axes, best)
        axes.legend()
    return figure


def trace(name: str, points: _Points, best: int) -> Figure:
    """One figure of the optimizer by step, such as the learning rate."""
    figure, axes = _empty("step", name)
    with matplotlib.rc_context(STYLE):
        _line(axes, points, 0, name)
        _best(axes, best)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return figure


def precision_recall(curves: Sequence[Curve]) -> Figure:
    """Precision against recall."""
    figure, axes = _empty("recall", "precision")
    with matplotlib.rc_context(STYLE):
        for index, curve in enumerate(curves):
            colour, style = SERIES[index % len(SERIES)], STYLES[index % len(STYLES)]
            axes.step(
                curve.recall, curve.precision, where="pre", color=colour, linestyle=style, label=short(curve.name)
            )
        _unit(axes)
        figure.legend(loc="outside lower center", ncols=min(3, len(curves)))
    return figure


def reliability(found: Reliability) -> Figure:
    """What came true of what was said with each probability, over how much was said with it."""
    with matplotlib.rc_context(STYLE):
        figure = _figure((_SIZE[0], 3.8))
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        above.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1, label="perfectly calibrated")
        confidence, observed = [b.confidence for b in found.bins], [b.observed for b in found.bins]
        above.plot(confidence, observed, color=SERIES[0], marker="o", markersize=4, label="this model")
        _unit(above)
        above.set_ylabel("share that is right")
        above.legend(loc="upper left")
        below.bar(
            [b.low for b in found.bins], [b.count for b in found.bins], width=1 / BINS, align="edge", color=SERIES[0],
            edgecolor=PAPER,
        )  # fmt: skip
        counts = [b.count for b in found.bins]
        if max(counts) > _STEEP * min(counts):
            below.set_yscale("log")
            below.set_ylim(bottom=0.7)
            plain(below.yaxis)
        else:
            below.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
        below.set(xlabel="probability", ylabel="how many")
    return figure


def frequency(counts: NDArray[np.int64], f1: NDArray[np.float64]) -> Figure:
    """F1 of every label against how often it occurs in the training rows."""
    figure, axes = _empty("training rows with the label", "F1 on held-out rows")
    with matplotlib.rc_context(STYLE):
        axes.scatter(counts, f1, s=18, color=SERIES[0], alpha=0.75, linewidths=0)
        # A logarithm where there is one; a label without training rows stands at 0.
        axes.set_xscale("symlog", linthresh=1) if counts.min() < 1 else axes.set_xscale("log")
        axes.set_xlim(left=counts.min() - 0.2 if counts.min() < 1 else counts.min() / 1.3)
        axes.set_xlim(right=max(1, counts.max()) * 1.3)
        plain(axes.xaxis)
        axes.set_ylim(-0.03, 1.03)
    return figure


def learning_curves(metric: str, curves: Sequence[tuple[str, _Points]]) -> Figure:
    """A score by training rows, each doubling as wide as the one before; by the names of the models."""
    figure, axes = _empty("training rows", f"{metric} on validation")
    with matplotlib.rc_context(STYLE):
        for index, (name, points) in enumerate(curves):
            _line(axes, points, index, name, marker="o")
        rows = sorted({rows for _, points in curves for rows, _ in points})
        axes.set_xscale("log")
        axes.set_xticks(rows, [f"{each:,.0f}" for each in rows])
        axes.minorticks_off()
        axes.legend()
    return figure


def by_group(groups: Sequence[Slice], xlabel: str) -> Figure:
    """Accuracy of groups of rows, with intervals."""
    figure, axes = _empty(xlabel, "accuracy")
    with matplotlib.rc_context(STYLE):
        middle = np.array([group.accuracy for group in groups])
        spread = np.array([(g.accuracy - g.low, g.high - g.accuracy) for g in groups]).T.clip(0)
        axes.errorbar(range(len(groups)), middle, yerr=spread, fmt="o", color=SERIES[0], capsize=4)
        axes.set_xticks(range(len(groups)), [group.name for group in groups])
        axes.set_xlim(-0.5, len(groups) - 0.5)
    return figure


def confusion(counts: NDArray[np.int64], labels: Sequence[str], xlabel: str) -> Figure:
    """Rows by gold label [k, k], each as shares of its row's sum; the names stand beside it where they fit."""
    k = len(labels)
    side = 3.0 if k <= 4 else min(9.0, 2.4 + 0.19 * k)
    with matplotlib.rc_context(STYLE | {"axes.grid": False, "font.size": 8 if k > 12 else 9}):
        figure = _figure((side + 1.2, side + 0.4))
        axes = figure.add_subplot()
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        image = axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1, interpolation="nearest")
        if k <= _LABELLED:
            names = [short(label) for label in labels]
            axes.set_xticks(range(k), names, rotation=90 if k > 4 else 0)
            axes.set_yticks(range(k), names)
        else:
            ranks = [1, *range(10, k + 1, 10)]
            axes.set_xticks([rank - 1 for rank in ranks], map(str, ranks))
            axes.set_yticks([rank - 1 for rank in ranks], map(str, ranks))
        by = "" if k <= _LABELLED else ", number in the order of the labels"
        axes.set(xlabel=f"{xlabel}{by}", ylabel=f"gold{by}")
        if k <= 12:
            for (i, j), count in np.ndenumerate(counts):
                dark = shares[i, j] > 0.4
                axes.text(j, i, f"{count:,}", ha="center", va="center", color="#ffffff" if dark else "#111111")
        figure.colorbar(image, ax=axes, shrink=0.7, label="share of the row")
    return figure


def save(figures: Mapping[str, Figure], folder: Path) -> dict[str, str]:
    """Write every figure as NAME.png and NAME.svg; returns the SVG documents."""
    documents = {}
    numbered: dict[str, None] = {}
    for name, figure in figures.items():
        with (
            replacing(folder / f"{name}.png") as staged,
            matplotlib.rc_context(STYLE),
            fonts.drawable(figure) as without_glyphs,
        ):
            FigureCanvasAgg(figure)
            if not without_glyphs:  # else the SVG has other, longer texts to make room for
                _lay_out(figure)
            figure.savefig(staged, format="png", dpi=_DPI, metadata={"Software": None})
        numbered |= dict.fromkeys(without_glyphs)
        with replacing(folder / f"{name}.svg") as staged:
            documents[name] = svg(figure)
            staged.write_text(documents[name], encoding="utf-8")
    if numbered:
        shown = ", ".join(list(numbered)[:_NUMBERED])
        log.warning(
            "%s: no font here has the characters of %s%s; PNGs number them, SVGs and the page have the names",
            *(folder, shown, "" if len(numbered) <= _NUMBERED else " and others"),
        )
    return documents


def svg(figure: Figure) -> str:
    """The figure as an SVG document; equal figures give equal text."""
    file = io.StringIO()
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "ftcls"}), fonts.quiet():
        _lay_out(figure)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def _lay_out(figure: Figure) -> None:
    """Give everything its place, once: else each file is drawn twice, and measured anew both times."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine(None)


def inline(name: str, document: str) -> str:
    """An SVG document made by `svg`, as it stands inside a page: ids of its own, colours of the page, no styles.

    A page's security policy names its one style sheet by its digest, and a `style` attribute would need one of its own.
    """
    text = document[document.index("<svg") :]
    # Comments repeat every text, and a style element would hold for the whole page, not for its plot.
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(
        r"<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>", r'<svg \1 aria-hidden="true" focusable="false">', text, count=1
    )
    return re.sub(r"<[^<>]*>", lambda tag: _of_the_page(name, tag[0]), text)  # texts between tags stay as they are


def _of_the_page(name: str, tag: str) -> str:
    tag = re.sub(r"\bid=\"", f'id="{name}-', tag).replace("xlink:href", "href")
    tag = tag.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    tag = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", tag)
    tag = re.sub(r' style="([^"]*)"', lambda style: _as_attributes(style[1]), tag)
    return re.sub("|".join(_VARIABLES), lambda colour: _VARIABLES[colour[0]], tag)


def _as_attributes(style: str) -> str:
    """The same properties as presentation attributes; the font is that of the page."""
    pairs = [each.partition(":")[::2] for each in style.split(";") if ":" in each]
    return "".join(f' {key.strip()}="{value.strip()}"' for key, value in pairs if key.strip() != "font-family")


_VARIABLES = {INK: "currentColor", GRID: "var(--grid)", PAPER: "var(--paper)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, 1)
}


def _empty(xlabel: str, ylabel: str) -> tuple[Figure, Any]:
    with matplotlib.rc_context(STYLE):
        figure = _figure(_SIZE)
        axes = figure.add_subplot()
        axes.set(xlabel=xlabel, ylabel=ylabel)
        if xlabel == "step":
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    return figure, axes


def sheet(size: tuple[float, float] = _SIZE) -> Figure:
    """An empty figure of the usual size."""
    return _figure(size)


def _figure(size: tuple[float, float]) -> Figure:
    return Figure(figsize=size, layout="constrained")


def _line(axes: Any, points: _Points, index: int, label: str, marker: str | None = None) -> None:
    if points:
        steps, values = zip(*points, strict=True)
        alone = marker or ("o" if len(points) == 1 else None)
        axes.plot(
            steps, values, color=SERIES[index], linestyle=STYLES[index], linewidth=1.4, marker=alone, markersize=3.5,
            label=label,
        )  # fmt: skip


def _best(axes: Any, step: int) -> None:
    axes.axvline(step, color=INK, linewidth=0.8, linestyle=":", label=f"best step, {step:,}")


def _unit(axes: Any) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.02, 1.03))


def plain(axis: Any) -> None:
    """Ticks of a logarithmic axis in plain digits: powers would be set as mathematics, which is switched off."""
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:g}")
    )
    axis.set_minor_formatter(NullFormatter())


def short(name: str) -> str:
    """A name in one line that fits beside an axis, what cannot be seen of it escaped."""
    line = printable(" ".join(name.split()))
    return line if len(line) <= _LONGEST_NAME else f"{line[: _LONGEST_NAME - 1]}…"

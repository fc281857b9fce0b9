"""A comparison as people read it: terminal, Markdown, one HTML file, and a plot of score against cost."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import matplotlib
from matplotlib.figure import Figure
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ftcls.environment import disk, json_files
from ftcls.environment.figures_as_text import (
    interval,
    number,
    p_equals,
    p_value,
    signed,
    signed_interval,
    signed_with_interval,
    with_interval,
)
from ftcls.environment.files import write_json, write_text
from ftcls.reporting import html_page, plot_points, plots, point_names
from ftcls.reporting.comparison import Comparison, Contender, Pair
from ftcls.reporting.markdown import table as markdown_table
from ftcls.reporting.outcome import METRICS
from ftcls.reporting.rungs import spans
from ftcls.scoring.differences import SURE
from ftcls.scoring.metrics import higher_is_better

FILES: Final = ("compare.json", "compare.md", "compare.html", "score-against-cost.png", "score-against-cost.svg")
"""What is written of a comparison."""
_TEMPLATES: Final = html_page.templates(Path(__file__).parent)
_PAIRS = 15
"""Most pairs in the terminal; beyond that those with the best alone."""

_COSTS: Final[dict[str, Callable[[Contender], str]]] = {
    "parameters": lambda c: _count(c.parameters),
    "size": lambda c: _bytes(c.size_bytes),
    "training": lambda c: _seconds(c.training_seconds),
    "examples/s": lambda c: _rate(c.examples_per_second, 1),
    "peak memory": lambda c: _bytes(c.peak_memory_bytes),
    "texts/s": lambda c: _rate(c.texts_per_second, 0),
    "latency p50": lambda c: _milliseconds(c.latency_p50_ms),
    "latency p95": lambda c: _milliseconds(c.latency_p95_ms),
}


_AXES: Final[tuple[tuple[str, Callable[[Contender], float | None]], ...]] = (
    ("milliseconds a text, many at a time", lambda c: 1000 / c.texts_per_second if c.texts_per_second else None),
    ("milliseconds for one text (p50)", lambda c: c.latency_p50_ms),
    ("parameters", lambda c: c.parameters),
    ("seconds of training", lambda c: c.training_seconds),
)
"""Costs that a score can be drawn against."""


def summary(found: Comparison) -> RenderableType:
    """The comparison for a terminal of 80 columns."""
    scores = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    scores.add_column("model", overflow="fold", max_width=34)
    for head in (found.metric, "95 %", "size", "training", "p50"):
        scores.add_column(head, justify="right", no_wrap=True)
    for each in found.contenders:
        cells = [number(each.metrics[found.metric]), interval(each.intervals[found.metric])]
        cells += [_bytes(each.size_bytes), _seconds(each.training_seconds), _milliseconds(each.latency_p50_ms)]
        scores.add_row(Text(each.name), *cells)
    best = found.contenders[0].name
    shown = found.pairs if len(found.pairs) <= _PAIRS else [p for p in found.pairs if best in (p.first, p.second)]
    lines: list[RenderableType] = [Text(_title(found), style="bold"), Text(), scores, Text()]
    for pair in shown:
        style = "" if pair.corrected_p_value < SURE else "dim"
        lines += [Text(pair.verdict, style=style), Text(f"  {_figures(pair)}", style="dim")]
    if len(shown) < len(found.pairs):
        lines.append(Text(f"{len(found.pairs) - len(shown)} other pairs are in --json and --output", style="dim"))
    return Group(*lines)


def write(found: Comparison, folder: Path) -> None:
    """Write `FILES` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "compare.json", json_files.finite(asdict(found)))
    write_text(folder / "compare.md", markdown(found))
    figure = score_against_cost(found)
    drawn = plots.save({"score-against-cost": figure}, folder)
    write_text(folder / "compare.html", html(found, drawn["score-against-cost"], plot_points.points(figure)))


def markdown(found: Comparison) -> str:
    """Tables for a pull request."""
    tables = _tables(found)
    parts = [f"# {_title(found)}"]
    parts += [markdown_table(head, rows) for head, rows in tables]
    return "\n\n".join([*parts, _notes(found)]) + "\n"


def html(found: Comparison, plot: str, points: Sequence[plot_points.Point] = ()) -> str:
    """One file that opens from disk; texts are escaped."""
    scored = _scored(found)
    drawn = spans([(each.metrics[found.metric], each.intervals[found.metric]) for each in scored], found.metric)
    scores, costs, pairs = _tables(found)
    best = found.contenders[0].name
    return _TEMPLATES.get_template("compare.html").render(
        title=_title(found),
        metric=found.metric,
        meaning=METRICS[found.metric] if found.metric in METRICS else "",
        **html_page.parts(style=html_page.file("page.css"), script=html_page.file("page.js")),
        rows=[
            {
                "name": each.name,
                "span": span,
                "value": number(each.metrics[found.metric]),
                "interval": interval(each.intervals[found.metric]),
                "first": each is found.contenders[0],
                "reference": each is found.reference,
                "seeds": len(each.seeds),
                "costs": [_bytes(each.size_bytes), _seconds(each.training_seconds), _speed(each)],
                "verdict": _against(found, each),
            }
            for each, span in zip(scored, drawn, strict=True)
        ],
        scores=scores,
        costs=costs,
        pairs=(pairs[0], [row for row, pair in zip(pairs[1], found.pairs, strict=True) if best in _both(pair)]),
        others=(pairs[0], [row for row, pair in zip(pairs[1], found.pairs, strict=True) if best not in _both(pair)]),
        best=best,
        notes=_notes(found),
        images={
            "score-against-cost": {
                "svg": plots.inline("score-against-cost", plot),
                "points": [[each.left, each.top, each.words] for each in points],
                "description": "Score against cost; the numbers are in the tables.",
            }
        },
    )


def _scored(found: Comparison) -> list[Contender]:
    """The models and the baseline beside them, best first; those without a score last."""
    every = [*found.contenders, *([] if found.reference is None else [found.reference])]
    sign = -1 if higher_is_better(found.metric) else 1

    def place(each: Contender) -> tuple[bool, float]:
        value = each.metrics[found.metric]
        return value is None, sign * (value or 0.0)

    return sorted(every, key=place)


def _enough(found: Comparison) -> int:
    return max(2, -(-len(_scored(found)) // 2))


def _both(pair: Pair) -> tuple[str, str]:
    return pair.first, pair.second


def _against(found: Comparison, each: Contender) -> str:
    """What the test says of the best model and this one."""
    best = found.contenders[0].name
    if each.name == best:
        return "highest score" if higher_is_better(found.metric) else "lowest score"
    pair = next((pair for pair in found.pairs if _both(pair) == (best, each.name)), None)
    if pair is None:
        return "the linear baseline, not tested"
    return f"{'worse' if pair.corrected_p_value < SURE else 'not shown to differ'}, {p_equals(pair.corrected_p_value)}"


def score_against_cost(found: Comparison) -> Figure:
    """The metric with its interval against a cost on a log scale; the models that none beats at their cost are joined.

    The cost is the first that half of the models have: milliseconds a text in use, one text alone, parameters, seconds
    of training, which leave out what a mixture builds on.
    """
    scored = _scored(found)
    label, cost = max(_AXES, key=lambda each: min(_enough(found), sum(each[1](c) is not None for c in scored)))
    placed = [
        (each, x, y, each.intervals[found.metric])
        for each in scored
        if (x := cost(each)) is not None and (y := each.metrics[found.metric]) is not None
    ]
    colours = [
        plots.INK if each is found.reference else plots.SERIES[index % len(plots.SERIES)]
        for index, (each, *_) in enumerate(placed)
    ]
    with matplotlib.rc_context(plots.STYLE):
        figure = plots.sheet((5.6, 3.8))
        axes = figure.subplots()
        for index, (each, x, y, interval) in enumerate(placed):
            colour = colours[index]
            below, above = (0.0, 0.0) if interval is None else (max(0.0, y - interval[0]), max(0.0, interval[1] - y))
            axes.errorbar(
                [x], [y], yerr=[[below], [above]], fmt="s" if each is found.reference else "o", color=colour,
                capsize=3, markersize=5, label=each.name,
            )  # fmt: skip
        ahead = frontier([(x, y) for _, x, y, _ in placed], higher=higher_is_better(found.metric))
        if len(ahead) > 1:
            axes.plot(*zip(*ahead, strict=True), color=plots.INK, linestyle=":", linewidth=1, zorder=0)
        axes.set_xscale("log")
        plots.plain(axes.xaxis)
        axes.margins(x=0.25, y=0.18)
        axes.set(xlabel=label, ylabel=f"{found.metric} on {found.split}")
        point_names.name_points(axes, [(x, y) for _, x, y, _ in placed], [each.name for each, *_ in placed], colours)
    return figure


def frontier(points: Sequence[tuple[float, float]], *, higher: bool) -> list[tuple[float, float]]:
    """The points, cost and score, that no other is both cheaper and better than, the cheapest first."""
    found: list[tuple[float, float]] = []
    for cost, score in sorted(points, key=lambda point: (point[0], -point[1] if higher else point[1])):
        if not found or (score > found[-1][1] if higher else score < found[-1][1]):
            found.append((cost, score))
    return found


def _title(found: Comparison) -> str:
    rows = f"{found.rows:,} {found.split} rows"
    return f"{len(found.contenders)} models by {found.metric} on the same {rows}"


def _tables(found: Comparison) -> list[tuple[list[str], list[list[str]]]]:
    every = dict.fromkeys(name for each in found.contenders for name in each.metrics)
    names = [found.metric, *(name for name in every if name != found.metric)]
    scores = [[each.name, *(_with_interval(each, name) for name in names)] for each in found.contenders]
    costs = [[each.name, *(cost(each) for cost in _COSTS.values())] for each in found.contenders]
    pairs = [
        [
            pair.verdict,
            signed(pair.difference.value),
            signed_interval(pair.difference.interval),
            p_value(pair.difference.p_value),
            p_value(pair.corrected_p_value),
            "-" if pair.mcnemar is None else f"{pair.mcnemar.first_only:,} / {pair.mcnemar.second_only:,}",
            p_value(pair.mcnemar_corrected_p_value),
        ]
        for pair in found.pairs
    ]
    head = [
        "verdict",
        f"difference in {found.metric}",
        "95 %",
        "p",
        "p, corrected",
        "right alone",
        "McNemar p, corrected",
    ]
    return [(["model", *names], scores), (["model", *_COSTS], costs), (head, pairs)]


def _with_interval(each: Contender, name: str) -> str:
    if name not in each.metrics:
        return "-"
    text = with_interval(each.metrics[name], each.intervals[name] if name in each.intervals else None)
    if name in each.spread:
        text += f" sd {number(each.spread[name][0])}"
    return text


def _notes(found: Comparison) -> str:
    units = f"{found.rows:,} rows" if found.clusters is None else f"{found.clusters:,} clusters of {found.rows:,} rows"
    pairs = "pair" if len(found.pairs) == 1 else "pairs"
    return (
        f"Differences are paired: the bootstrap draws the same of {units} for both. p-values are corrected for "
        f"{len(found.pairs)} {pairs} by Holm's method. Right alone: rows that only one of the two gets right, "
        "first / second. Runs that differ only in their seed are one model; its interval is "
        "over rows and seeds, and sd is over seeds. An interval of a single run says nothing of another seed."
    )


def _figures(pair: Pair) -> str:
    text = (
        f"{signed_with_interval(pair.difference.value, pair.difference.interval)}, {p_equals(pair.corrected_p_value)}"
    )
    if pair.mcnemar is not None and pair.mcnemar_corrected_p_value is not None:
        text += f"; McNemar {p_equals(pair.mcnemar_corrected_p_value)}"
    return text


def _rate(value: float | None, digits: int) -> str:
    """Texts or examples in a second."""
    return "-" if value is None else f"{value:z,.{digits}f}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value / 1e6:,.1f} M" if value >= 1e6 else f"{value:,}"


def _bytes(value: float | None) -> str:
    return "-" if value is None else disk.size(value)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} s" if value < 100 else f"{value:,.0f} s"


def _speed(each: Contender) -> str:
    return _rate(each.texts_per_second, 0)


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} ms"

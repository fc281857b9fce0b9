"""A sweep's figures as files, and its page: one HTML file that opens from disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ftcls.config.sweep import Heatmap
from ftcls.config.train_command import train_command
from ftcls.environment.figures_as_text import interval, number, setting
from ftcls.environment.files import write_text
from ftcls.reporting import commands, html_page, plot_points, plots
from ftcls.reporting.outcome import METRICS
from ftcls.reporting.rungs import spans
from ftcls.search.heatmaps import Drawing, drawings
from ftcls.search.importance import importances
from ftcls.search.parallel import parallel
from ftcls.search.results import SPLITS, Cell, Results, Row, Score, ranked
from ftcls.search.space import Axis

_TEMPLATES: Final = html_page.templates(Path(__file__).parent)
FILE: Final = "index.html"
_PARALLEL: Final = "parallel-coordinates"
_PREFIXES: Final = ("heatmap-", "learning-curve-", _PARALLEL)
"""Beginnings of the names of figures."""


def write(found: Results, axes: Sequence[Axis], heatmap: Heatmap, folder: Path) -> Path:
    """Write heatmap-*.png and .svg, learning-curve-*, parallel-coordinates.*, and index.html.

    Figures that are no longer drawn go.
    """
    made = _figures(found, axes, heatmap)
    documents = plots.save({name: each.figure for name, each in made.items()}, folder)
    for old in [path for prefix in _PREFIXES for path in folder.glob(f"{prefix}*.*")]:
        if old.stem not in made:
            old.unlink()
    write_text(folder / FILE, html(found, axes, made, documents, folder))
    return folder / FILE


def _figures(found: Results, axes: Sequence[Axis], heatmap: Heatmap) -> dict[str, Drawing]:
    lines = parallel(found, axes)
    words = f"Every setting as a line over the axes to its {found.metric}, coloured by validation, the best one thick."
    drawn = {} if lines is None else {_PARALLEL: Drawing(lines[0], words, lines[1])}
    return drawn | drawings(found, axes, heatmap)


def html(
    found: Results, axes: Sequence[Axis], made: dict[str, Drawing], documents: dict[str, str], folder: Path
) -> str:
    """The page; texts are escaped."""
    states = [row.state for row in found.trials]
    order = ranked(found)
    drawn = {
        split: spans([_both(cell.scores[split][found.metric]) for cell in order], found.metric) for split in SPLITS
    }
    lines = [
        _line(cell, found.metric) | {"drawn": {split: drawn[split][index] for split in SPLITS}}
        for index, cell in enumerate(order)
    ]
    return _TEMPLATES.get_template("page.html").render(
        found=found,
        meaning=METRICS[found.metric] if found.metric in METRICS else "",
        counts={state: states.count(state) for state in dict.fromkeys(states)},
        best=next((line for cell, line in zip(order, lines, strict=True) if cell is found.best), None),
        order=lines,
        several=any(len(cell.seeds) > 1 for cell in order),
        axes=[axis for axis in found.axes if found.cells and axis in found.cells[0].choices],
        importance=importances(found, axes),
        trials=[_trial(row, found.metric) for row in found.trials],
        splits=SPLITS,
        command_line=train_command(Path(commands.place(folder / "best.yaml"))),
        plots={
            name: {
                "svg": plots.inline(name, documents[name]),
                "description": each.caption,
                "points": [[p.left, p.top, p.words] for p in _points(each)],
            }
            for name, each in made.items()
        },
        parallel=_PARALLEL,
        **html_page.parts(style=html_page.file("page.css"), script=html_page.file("page.js")),
    )


def _points(drawn: Drawing) -> list[plot_points.Point]:
    """What a figure says where somebody points at it: in its cells, or along its lines."""
    if drawn.cells:
        return [plot_points.point_at(each.axes, each.place, each.words) for each in drawn.cells]
    return plot_points.points(drawn.figure, lines=drawn.lines)


def _both(score: Score) -> tuple[float | None, tuple[float, float] | None]:
    return score.value, score.interval


def _line(cell: Cell, metric: str) -> dict[str, Any]:
    """A cell as the page shows it."""
    scores = {split: cell.scores[split][metric] for split in SPLITS}
    return {
        "parts": _parts(cell.choices),
        "choices": {axis: setting(label) for axis, label in cell.choices.items()},
        "seeds": len(cell.seeds),
        "rows": f"{cell.train_examples:,.0f}",
        "values": {split: number(score.value) for split, score in scores.items()},
        "intervals": {split: interval(score.interval) for split, score in scores.items()},
    }


def _trial(row: Row, metric: str) -> dict[str, Any]:
    """A trial as the page shows it."""
    metrics, intervals = row.metrics or {}, row.intervals or {}
    scores = {split: Score(metrics[split][metric], intervals[split][metric]) for split in SPLITS if metrics}
    return {
        "name": ", ".join(_parts(row.choices)),
        "folder": row.trial,
        "state": row.state if row.exit_code is None else f"{row.state} ({row.exit_code})",
        "page": f"{row.run}/report.html" if row.state == "done" else f"logs/{row.trial}.txt",
        "values": {split: number(score.value) for split, score in scores.items()},
        "intervals": {split: interval(score.interval) for split, score in scores.items()},
        "seconds": "-" if row.seconds is None else f"{row.seconds:,.0f}",
    }


def _parts(choices: dict[str, str]) -> list[str]:
    """A setting in a few words: the last part of each key and its value, of a checkpoint its name."""
    return [f"{axis.split('.')[-1].replace('_', ' ')} {_short(label)}" for axis, label in choices.items()]


def _short(label: str) -> str:
    return plots.short(setting(label).removesuffix("/model").split("/")[-1].split(":")[-1] or label)

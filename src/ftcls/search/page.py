"""A sweep's figures as files, and its page: one HTML file that opens from disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftcls.config.sweep import Heatmap
from ftcls.environment.files import write_text
from ftcls.reporting import html_page, plots, run_page
from ftcls.search import tables
from ftcls.search.heatmaps import Drawing, drawings
from ftcls.search.results import SPLITS, Cell, Results, Row, Score, ranked
from ftcls.search.space import Axis

_HERE = Path(__file__).parent
_STYLES = (Path(run_page.__file__).with_name("page.css"), _HERE / "page.css")
_SCRIPT = Path(run_page.__file__).with_name("page.js")
FILE = "index.html"


def write(found: Results, axes: Sequence[Axis], heatmap: Heatmap, folder: Path) -> Path:
    """Write heatmap-*.png and .svg, learning-curve-*, and index.html; figures that are no longer drawn go."""
    made = drawings(found, axes, heatmap)
    documents = plots.save({name: each.figure for name, each in made.items()}, folder)
    for old in [*folder.glob("heatmap-*.*"), *folder.glob("learning-curve-*.*")]:
        if old.stem not in made:
            old.unlink()
    write_text(folder / FILE, html(found, made, documents))
    return folder / FILE


def html(found: Results, made: dict[str, Drawing], documents: dict[str, str]) -> str:
    """The page; texts are escaped."""
    template = html_page.templates(_HERE).get_template("page.html")
    states = [row.state for row in found.trials]
    return template.render(
        found=found,
        counts={state: states.count(state) for state in dict.fromkeys(states)},
        order=[_line(cell, found.metric) for cell in ranked(found)],
        axes=[axis for axis in found.axes if found.cells and axis in found.cells[0].choices],
        trials=[_trial(row, found.metric) for row in found.trials],
        splits=SPLITS,
        figures={name: (plots.inline(name, documents[name]), made[name].caption) for name in made},
        **html_page.parts(
            style="\n".join(path.read_text(encoding="utf-8") for path in _STYLES),
            script=_SCRIPT.read_text(encoding="utf-8"),
        ),
    )


def _line(cell: Cell, metric: str) -> dict[str, Any]:
    """A cell as the page shows it."""
    scores = {split: cell.scores[split][metric] for split in SPLITS}
    return {
        "choices": cell.choices,
        "seeds": len(cell.seeds),
        "rows": f"{cell.train_examples:,.0f}",
        "values": {split: tables.value(score) for split, score in scores.items()},
        "intervals": {split: tables.interval(score) for split, score in scores.items()},
    }


def _trial(row: Row, metric: str) -> dict[str, Any]:
    """A trial as the page shows it."""
    metrics, intervals = row.metrics or {}, row.intervals or {}
    scores = {split: Score(metrics[split][metric], intervals[split][metric]) for split in SPLITS if metrics}
    return {
        "name": row.trial,
        "state": row.state if row.exit_code is None else f"{row.state} ({row.exit_code})",
        "choices": row.choices,
        "page": f"{row.run}/report.html" if row.state == "done" else f"logs/{row.trial}.txt",
        "values": {split: tables.value(score) for split, score in scores.items()},
        "intervals": {split: tables.interval(score) for split, score in scores.items()},
        "seconds": "-" if row.seconds is None else f"{row.seconds:,.0f}",
    }

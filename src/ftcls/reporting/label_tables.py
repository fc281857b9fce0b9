"""Scores of the labels, for a terminal."""

import textwrap
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ftcls.environment.figures_as_text import interval, number
from ftcls.errors import on_one_line
from ftcls.runs.report_schema import LabelCertainty, PerLabel

_LABELS: Final = 15
"""Most of them in a table."""
_NAMED: Final = 3


def labels(scores: PerLabel, intervals: LabelCertainty | None, split: str) -> list[RenderableType]:
    """The scores of every label of a split; of many the worst and the best."""
    names, title = list(scores), f"Labels on {split}"
    ranked = sorted((name for name in names if scores[name].support), key=lambda name: scores[name].f1)
    if len(names) > _LABELS and ranked:
        names, title = _ends(ranked, f"{len(ranked)} labels on {split}", of=len(names))
    tuned = any(each.threshold is not None for each in scores.values())
    # With thresholds and intervals, one space between columns and shorter names just fit 80 columns.
    gap, width = (1, 19) if tuned and intervals else (2, 22)
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    table.add_column("label", overflow="ellipsis", no_wrap=True, max_width=width)
    sure = ["95 %"] if intervals else []
    for column in ("precision", "recall", "f1", *sure, "avg prec", *(["threshold"] if tuned else []), "support"):
        table.add_column(column, justify="right", no_wrap=True, style="dim" if column == "95 %" else "")
    for name in names:
        each = scores[name]
        cells = [number(each.precision), number(each.recall), number(each.f1)]
        cells += [interval(intervals[name].f1, digits=2)] if intervals else []
        cells += [number(each.average_precision), *([number(each.threshold)] if tuned else []), f"{each.support:,}"]
        table.add_row(Text(_line(name)), *map(Text, cells))
    return [Text(title, style="bold"), table]


def _ends(ranked: list[str], labels: str, *, of: int) -> tuple[list[str], str]:
    """The worst labels and the best of so many that have a row, and what a table of them is called."""
    without = f"; {of - len(ranked)} have no row there" if of > len(ranked) else ""
    if len(ranked) <= _LABELS:
        return ranked, f"{labels}, by f1{without}"
    best = _LABELS // 2
    title = f"The {_LABELS - best} worst and {best} best of {labels}, by f1{without}"
    return [*ranked[: _LABELS - best], *ranked[-best:]], title


def unseen(scores: PerLabel) -> list[Text]:
    """That labels without a row lower the macro averages, which scikit-learn's do too where it is told all labels."""
    missing = [_line(name) for name, each in scores.items() if not each.support]
    if not missing:
        return []
    more = f" and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
    said = f"{len(missing):,} of {len(scores):,} labels have no row here and count as 0 in macro averages: "
    return [Text(each, style="dim") for each in textwrap.wrap(f"{said}{', '.join(missing[:_NAMED])}{more}", 78)]


def _line(name: str) -> str:
    """On one line and without what steers a terminal."""
    return on_one_line(" ".join(name.split()))

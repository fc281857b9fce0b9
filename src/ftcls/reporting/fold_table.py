"""The folds of a cross-validation on the terminal."""

import textwrap
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ftcls.environment.figures_as_text import duration, number
from ftcls.runs.report_schema import Report

_MOST: Final = 10
"""Folds shown one by one."""
_WIDTH: Final = 78


def folds(report: Report) -> list[RenderableType]:
    """The folds in the chosen metric, how they vary, and the final model; empty where there are none."""
    found = report.cross_validation
    if found is None:
        return []
    metric = report.training.best.metric
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("fold", "rows", metric, "best step", "steps", "trained in"):
        table.add_column(head, justify="right", no_wrap=True)
    for each in found.folds[:_MOST]:
        cells = (str(each.fold), f"{each.examples:,}", number(each.metrics[metric]), f"{each.best_step:,}")
        table.add_row(*cells, f"{each.steps:,}", duration(each.seconds))
    lines = [f"The other {len(found.folds) - _MOST} folds are on the page."] if len(found.folds) > _MOST else []
    if metric in found.spread:
        spread = found.spread[metric]
        lines.append(
            f"Over the folds {metric} is {number(spread.mean)} on average, standard deviation "
            f"{number(spread.standard_deviation)}, {number(spread.min)} to {number(spread.max)}."
        )
    lines.append(
        f"The final model learnt all {found.final_examples:,} rows for {found.final_steps:,} steps, the median of the "
        "folds' best ones."
    )
    return [table, *(Text(part) for text in lines for part in textwrap.wrap(text, _WIDTH)), Text()]

"""What is said beside the scores of a run: without rows that leak, and by which weights."""

from typing import Final

from rich.text import Text

from ftcls.reporting.figures_as_text import interval, number
from ftcls.runs.report_schema import Evaluation, Metrics, Report
from ftcls.scoring.without_leaks import WithoutLeaks

_NAME_WIDTH: Final = 17


def weights(report: Report) -> list[Text]:
    """The column of the rows' weights, and the chosen metric as if all rows counted the same; empty without weights."""
    held_out, column = report.held_out, report.data.weight
    rows = report.data.splits[held_out]
    alike = (report.metrics_unweighted or {}).get(held_out)
    if column is None:
        return []
    if rows.weights is None or alike is None:
        return [Text(), Text(f"Training rows count by {column}; {report.held_out_words} rows all count the same.")]
    said = f"as {rows.weights.effective_rows:,.0f} rows of equal weight"
    return [Text(), *_alike(column, said, alike, report.training.best.metric)]


def weights_of_evaluation(evaluation: Evaluation) -> list[Text]:
    """The same of an evaluation."""
    column, alike = evaluation.data.weight, evaluation.metrics_unweighted
    return [] if column is None or alike is None else [Text(), *_alike(column, "", alike, "f1_macro")]


def _alike(column: str, said: str, alike: Metrics, metric: str) -> list[Text]:
    lines = [Text(f"Rows count by {column}{f', {said}' if said else ''}; if all counted the same", style="bold")]
    for name in dict.fromkeys((metric, "accuracy")):
        lines.append(Text(f"  {name:<{_NAME_WIDTH}} {number(alike[name])}"))
    return lines


def without_leaks(found: WithoutLeaks | None, split: str, metric: str) -> list[Text]:
    """The scores of the rows that are new, and how many are not."""
    if found is None:
        return []
    count = found.equal + found.near
    lines = [
        Text(),
        Text(f"Without the {count:,} {split} rows whose text is in an earlier split", style="bold"),
        Text(f"({found.equal:,} equal, {found.near:,} nearly equal; {found.examples:,} rows are left)"),
    ]
    for name in dict.fromkeys((metric, "accuracy")):
        lines.append(Text(f"  {name:<{_NAME_WIDTH}} {number(found.metrics[name])}  {interval(found.intervals[name])}"))
    return lines

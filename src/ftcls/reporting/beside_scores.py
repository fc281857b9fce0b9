"""What is said beside the scores of a run: without rows that leak, and by which weights."""

from typing import Final

from rich.text import Text

from ftcls.data.summary import Votes
from ftcls.environment.figures_as_text import interval, number
from ftcls.runs.report_schema import Evaluation, Metrics, Report
from ftcls.scoring.soft_scores import SoftScores
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


def soft_labels(report: Report) -> list[Text]:
    """How near the run is to what annotators said, and how far they agree; empty where labels are certain."""
    found = (report.soft_scores or {}).get(report.held_out)
    votes = report.data.splits[report.held_out].votes
    if found is None:
        return []
    learnt = "learnt as they are" if report.data.soft else "learnt by their majority"
    return [
        Text(),
        *_soft(found, f"Labels of {report.held_out_words} rows are not certain, {learnt}"),
        *_agreement(votes),
    ]


def soft_labels_of_evaluation(evaluation: Evaluation) -> list[Text]:
    """The same of an evaluation, without the agreement."""
    found = evaluation.soft_scores
    return [] if found is None else [Text(), *_soft(found, "The labels are not certain")]


def _soft(found: SoftScores, title: str) -> list[Text]:
    return [
        Text(title, style="bold"),
        Text(f"  {'brier':<{_NAME_WIDTH}} {number(found.brier)}  {interval(found.brier_interval)}"),
        Text(f"  the loss is against them, and at least {number(found.entropy)}; against the most probable labels"),
        Text(f"  alone it is {number(found.loss_of_labels)}; the other metrics are against those"),
    ]


def _agreement(votes: Votes | None) -> list[Text]:
    if votes is None:
        return []
    single = votes.votes_per_row[1] if 1 in votes.votes_per_row else 0
    counts = f"{votes.ties:,} rows with a tie, {single:,} with one vote"
    return [Text(f"  annotators: Krippendorff's alpha {number(votes.alpha)}, {counts}")]


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

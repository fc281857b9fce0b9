"""Which plots a run has, each with the sentence that says it to those who do not see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ftcls.environment.figures_as_text import number, significant
from ftcls.reporting import error_analysis, plots
from ftcls.runs.predictions import Rows
from ftcls.runs.report_schema import Report
from ftcls.scoring import slices
from ftcls.scoring.calibration import reliability
from ftcls.scoring.metrics import Predictions

_CURVES = 5
"""Most precision-recall curves in one plot."""
_FEWEST = 3
"""Fewest labels that make a plot of F1 against frequency worth looking at."""


@dataclass(frozen=True)
class Drawing:
    """A plot and its description."""

    figure: Figure
    description: str
    names: tuple[str, ...] = ()
    """Of the points of a scatter plot."""


def figures(found: Report, lines: Sequence[dict[str, Any]], test: Predictions, rows: Rows) -> dict[str, Drawing]:
    """The plots of a run by name, in the order of the page; those with nothing to show are left out.

    Args:
        found: the report.
        lines: history.jsonl, one dict per logged step.
        test: the predictions of the test split.
        rows: what is known about its texts.
    """
    return {**_training(found, lines), **_scores(found, test), **_lengths(test, rows), **_more_rows(found)}


def _training(found: Report, lines: Sequence[dict[str, Any]]) -> dict[str, Drawing]:
    best = found.training.best
    training, validation = _points(lines, "loss"), _points(lines, "eval_loss")
    drawings = {}
    if training or validation:
        words = f"Training loss{' and validation loss' if validation else ''} by step; best step {best.step:,}."
        drawings["loss"] = Drawing(plots.losses(training, validation, best.step), words)
    chosen = _points(lines, f"eval_{best.metric}")
    if chosen and best.metric != "loss":
        words = (
            f"{best.metric} on validation by step, {number(chosen[0][1])} at first, {number(chosen[-1][1])} at last."
        )
        drawings["metric"] = Drawing(plots.metric(best.metric, chosen, best.step), words)
    for key, name in {"learning_rate": "learning rate", "grad_norm": "gradient norm"}.items():
        points = _points(lines, key)
        if points:
            highest = max(points, key=lambda point: point[1])
            words = f"{name.capitalize()} by step, highest {significant(highest[1], 3)} at step {highest[0]:,}."
            drawings[key] = Drawing(plots.trace(name, points, best.step), words)
    return drawings


def _scores(found: Report, test: Predictions) -> dict[str, Drawing]:
    scores, labels = found.per_label[found.held_out], test.labels
    drawings = {}
    counts = error_analysis.confusions(test)
    if counts.any():
        xlabel = "given instead" if test.task == "multilabel" else "predicted"
        order = _by_frequency(found, labels)
        words = "Confusion matrix: gold labels in rows, given labels in columns; the numbers are in the tables."
        names = [labels[i] for i in order]
        drawings["confusion"] = Drawing(plots.confusion(counts[np.ix_(order, order)], names, xlabel), words)
    measured = tuple(label for label in labels if scores[label].support)
    if len(measured) >= _FEWEST and "train" in found.data.splits:
        train = found.data.splits["train"].label_counts
        often = np.array([train[label] for label in measured])
        f1 = np.array([scores[label].f1 for label in measured])
        words = "F1 of every label against its number of training rows; the numbers are in the table of labels."
        drawings["frequency"] = Drawing(plots.frequency(often, f1), words, measured)
    curves = error_analysis.curves(test, {label: scores[label].average_precision for label in labels}, most=_CURVES)
    if curves:
        words = f"Precision against recall of {', '.join(curve.name for curve in curves)}."
        drawings["precision_recall"] = Drawing(plots.precision_recall(curves), words)
    calibration = reliability(test.probabilities, test.gold, test.task, test.weights)
    words = f"Share that is right by probability; expected calibration error {number(calibration.error)}."
    drawings["reliability"] = Drawing(plots.reliability(calibration), words)
    return drawings


def _lengths(test: Predictions, rows: Rows) -> dict[str, Drawing]:
    groups = () if rows.lengths is None else slices.by_length(test, rows.lengths)
    if len(groups) < 2:
        return {}
    words = "; ".join(f"{group.name} tokens: {number(group.accuracy, 3)}" for group in groups)
    return {
        "length": Drawing(plots.by_group(groups, "tokens in the text"), f"Accuracy by length of the text: {words}.")
    }


def _more_rows(found: Report) -> dict[str, Drawing]:
    curves = [] if found.learning_curve is None else [each for each in found.learning_curve.models if each.points]
    if found.learning_curve is None or not curves:
        return {}
    metric = found.learning_curve.metric
    words = "; ".join(
        f"{each.title} {number(each.points[0].score)} to {number(each.points[-1].score)}" for each in curves
    )
    ends = curves[0].points[0].rows, curves[0].points[-1].rows
    drawn = [(each.title, [(point.rows, point.score) for point in each.points]) for each in curves]
    return {
        "learning_curve": Drawing(
            plots.learning_curves(metric, drawn),
            f"{metric} on validation from {ends[0]:,} to {ends[1]:,} training rows: {words}.",
        )
    }


def _by_frequency(found: Report, labels: Sequence[str]) -> list[int]:
    """Labels by their gold rows, most frequent first: what matters stands in one corner. Two or three stay as named."""
    support = [found.per_label[found.held_out][label].support for label in labels]
    return sorted(range(len(labels)), key=lambda i: -support[i]) if len(labels) > _FEWEST else list(range(len(labels)))


def _points(lines: Sequence[dict[str, Any]], key: str) -> list[tuple[float, float]]:
    return [(line["step"], line[key]) for line in lines if key in line and line[key] is not None]

"""What a run comes to, in words: one sentence for people, with its verdict against the linear baseline."""

from dataclasses import dataclass
from typing import Final

from ftcls.environment.figures_as_text import number, signed_with_interval, with_interval
from ftcls.runs.report_schema import Report
from ftcls.scoring.differences import Difference, Verdict, verdict

SMOKE: Final = "A smoke run: it shows that every stage works, and its scores mean nothing."
VERDICTS: Final[dict[Verdict, tuple[str, str]]] = {
    "better": ("the model is better than the baseline", "green"),
    "worse": ("the model is WORSE than the baseline", "red"),
    "open": ("no difference that these rows can show", "yellow"),
}
"""In words, and the colour that underlines them."""
METRICS: Final = {
    "loss": "what the probabilities given to the gold labels cost, 0 at best",
    "accuracy": "the share of texts that get the right label",
    "f1_macro": "precision and recall in one number for each label, and the mean of these: rare labels count as much",
    "f1_micro": "precision and recall in one number, over all decisions together",
    "f1_weighted": "precision and recall in one number for each label, and their mean by how frequent the label is",
    "f1": "precision and recall of the positive label in one number",
    "precision": "the share of texts given the positive label that have it",
    "recall": "the share of texts with the positive label that are found",
    "precision_macro": "the share of texts given a label that have it, the mean over the labels",
    "recall_macro": "the share of texts with a label that are found, the mean over the labels",
    "f1_samples": "precision and recall of each text's set of labels in one number, the mean over the texts",
    "subset_accuracy": "the share of texts whose whole set of labels is right",
    "quadratic_weighted_kappa": "agreement beyond chance, where a miss by two steps counts as four by one; 1 at best",
    "mean_absolute_error": "how many steps an answer is away from the gold label, on average; 0 at best",
    "accuracy_within_one": "the share of texts that get the right label, or one next to it",
    "hamming_loss": "the share of decisions that are wrong, 0 at best",
    "roc_auc": "how often a text with the positive label is found more probable than one without",
    "average_precision": "the mean precision over all thresholds, for the positive label",
    "average_precision_micro": "the mean precision over all thresholds, all decisions together",
    "average_precision_macro": "the mean precision over all thresholds, the mean over the labels",
}
"""What each metric is, for who does not know its name."""


@dataclass(frozen=True)
class Outcome:
    """A run against the linear baseline, in the chosen metric."""

    headline: str
    """For somebody who reads one line."""
    sentence: str
    """With the figures."""
    verdict: Verdict | None
    """None: nothing to compare with, or a smoke run."""
    difference: Difference | None


def outcome(report: Report) -> Outcome:
    """What the held-out rows say of the run's chosen metric, and of the baseline on the same rows."""
    metric, held_out, held = report.training.best.metric, report.held_out, report.held_out_words
    rows = report.data.splits[held_out].examples
    score = f"{metric} {with_interval(report.metrics[held_out][metric], report.intervals[held_out][metric])}"
    baseline, right = report.baseline, _right(report)
    if report.run.smoke:
        return Outcome(SMOKE, SMOKE, None, None)
    difference = None if baseline is None else baseline.difference.get(metric)
    if baseline is None or difference is None:
        return Outcome(f"Right on {right}.", f"{score} on {rows:,} {held} rows.", None, None)
    found = verdict(difference)
    headline = {
        "better": f"Better than {baseline.name}, and right on {right}.",
        "worse": f"Worse than {baseline.name}; right on {right}.",
        "open": f"Not shown to be better than {baseline.name}; right on {right}.",
    }
    words = {
        "better": f"The model is better than {baseline.name}",
        "worse": f"The model is WORSE than {baseline.name}",
        "open": f"The model and {baseline.name} do not differ by more than these rows can show",
    }
    sentence = (
        f"{words[found]}: {score} against {number(baseline.metrics[held_out][metric])} on {rows:,} {held} rows, "
        f"{signed_with_interval(difference.value, difference.interval)}."
    )
    return Outcome(headline[found], sentence, found, difference)


def _right(report: Report) -> str:
    held_out = report.held_out
    rows = report.data.splits[held_out].examples
    # Texts are counted, whatever their weights are.
    alike = (report.metrics_unweighted or {}).get(held_out, report.metrics[held_out])
    count = round((alike["accuracy"] or 0.0) * rows)
    sets = " with their whole set of labels" if report.data.task == "multilabel" else ""
    return f"{count:,} of {rows:,} {report.held_out_words} texts{sets}"

"""What a run's figures show, in sentences: the weakest labels, who is taken for whom, whether probabilities hold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ftcls.environment.figures_as_text import interval, number
from ftcls.reporting import more_rows
from ftcls.reporting.error_analysis import Pair
from ftcls.runs.report_schema import Report
from ftcls.scoring.calibration import Reliability
from ftcls.scoring.slices import Slice

_WELL_CALIBRATED: Final = 0.03
"""Expected calibration error below which a probability can be taken at its word."""
_NAMED: Final = 3
_FEW: Final = 20
"""Test rows below which the score of a label says little."""


@dataclass(frozen=True)
class Finding:
    """One sentence, and the section of the page that shows it."""

    kind: Literal["good", "bad", "plain"]
    sentence: str
    section: str


def findings(
    report: Report,
    *,
    pairs: Sequence[Pair],
    calibration: Reliability,
    lengths: Sequence[Slice],
    truncation: Sequence[Slice],
    candidates: int,
) -> list[Finding]:
    """What is worth knowing, in the order of the page; of a smoke run nothing.

    Args:
        report: of the run.
        pairs: labels that are taken for each other, most often first.
        calibration: of the test split.
        lengths: accuracy of groups of texts by length.
        truncation: accuracy of whole and of truncated texts.
        candidates: rows whose gold label is probably wrong.
    """
    if report.run.smoke:
        return []
    found = [
        *_labels(report),
        *_confusion(report, pairs),
        *_calibration(calibration, tuned=report.decision is not None and report.decision.temperature != 1),
        *_groups(lengths, "tokens"),
        *_truncated(truncation),
        *_training(report),
    ]
    if candidates:
        scored = "validation and test" if report.cross_validation is None else "all rows"
        words = f"{candidates:,} gold labels of {scored} look wrong to the model: read the first of them."
        found.append(Finding("plain", words, "relabel"))
    more = more_rows.sentence(report)
    if more is not None:
        found.append(Finding("plain", more, "more-rows"))
    warnings = [check for check in report.data.checks if check.severity == "warning"]
    if warnings:
        named = ", ".join(f"{check.name.replace('_', ' ')} ({check.count:,})" for check in warnings)
        found.append(Finding("bad", f"The data has warnings: {named}.", "data"))
    return found


def _labels(report: Report) -> Iterator[Finding]:
    scores, intervals = report.per_label[report.held_out], (report.label_intervals or {}).get(report.held_out)
    known = [label for label, each in scores.items() if each.support]
    silent = [label for label in known if scores[label].recall == 0]
    if len(known) > 1 and len(silent) < len(known):
        weakest = min((label for label in known if label not in silent), key=lambda label: scores[label].f1)
        best = max(known, key=lambda label: scores[label].f1)
        if scores[weakest].f1 < scores[best].f1:
            sure = intervals[weakest].f1 if intervals else None
            words = f"{_quoted(weakest)} is the weakest label, F1 {number(scores[weakest].f1)}"
            words += f" ({interval(sure)})" if sure else ""
            rows = scores[weakest].support
            words += f" on {rows:,} {report.held_out_words} rows{', too few to be sure' if rows < _FEW else ''}; "
            yield Finding("plain", f"{words}{_quoted(best)} is the best, F1 {number(scores[best].f1)}.", "labels")
    if silent:
        more = f" and {len(silent) - _NAMED} more" if len(silent) > _NAMED else ""
        names = ", ".join(map(_quoted, silent[:_NAMED]))
        yield Finding("bad", f"Never found, though {_rows(report)} of them: {names}{more}.", "labels")


def _rows(report: Report) -> str:
    return "test has rows" if report.cross_validation is None else "there are rows"


def _confusion(report: Report, pairs: Sequence[Pair]) -> Iterator[Finding]:
    if not pairs:
        return
    pair = pairs[0]
    share = f"{100 * pair.share:.0f} % of its rows"
    times = "once" if pair.count == 1 else f"{pair.count:,} times"
    words = f"Most often {_quoted(pair.gold)} is taken for {_quoted(pair.given)}: {times}, {share}."
    if report.data.task == "multilabel":
        words = (
            f"Most often {_quoted(pair.gold)} is missed where {_quoted(pair.given)} is wrongly given: {times}, {share}."
        )
    yield Finding("plain", words, "confusion")


def _calibration(found: Reliability, *, tuned: bool) -> Iterator[Finding]:
    gap = sum((each.confidence - each.observed) * each.weight for each in found.bins)
    if found.error < _WELL_CALIBRATED:
        words = f"Probabilities can be taken at their word (calibration error {number(found.error, 3)})."
        yield Finding("good", words, "probabilities")
        return
    way = "too sure of itself" if gap > 0 else "too cautious"
    words = f"The model is {way}: probabilities are off by {100 * found.error:.1f} points on average"
    mended = ", with a temperature found on validation." if tuned else "; `decision.temperature: tuned` mends that."
    yield Finding("bad", f"{words}{mended}", "probabilities")


def _groups(groups: Sequence[Slice], unit: str) -> Iterator[Finding]:
    if len(groups) < 2:
        return
    worst, best = min(groups, key=lambda g: g.accuracy), max(groups, key=lambda g: g.accuracy)
    if worst.high >= best.low:
        return
    words = (
        f"Texts of {worst.name} {unit} are harder: accuracy {number(worst.accuracy, 3)}, "
        f"{number(best.accuracy, 3)} at {best.name}."
    )
    yield Finding("plain", words, "length")


def _truncated(groups: Sequence[Slice]) -> Iterator[Finding]:
    if groups and groups[1].high < groups[0].low:
        words = (
            f"Truncated texts are harder: accuracy {number(groups[1].accuracy, 3)} against "
            f"{number(groups[0].accuracy, 3)} of whole ones; try a larger `model.max_length`."
        )
        yield Finding("bad", words, "length")


def _training(report: Report) -> Iterator[Finding]:
    if report.diagnosis is not None:
        yield Finding("bad" if report.diagnosis.overfitted else "plain", report.diagnosis.sentence, "training")


def _quoted(label: str) -> str:
    return f"“{' '.join(label.split())}”"

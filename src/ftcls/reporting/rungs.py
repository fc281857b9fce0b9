"""The rungs of the ladder as bars: each score with its interval, on one scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ftcls.runs.report_schema import Metrics, Report, Rung
from ftcls.scoring.differences import Difference, verdict
from ftcls.scoring.metrics import in_range
from ftcls.scoring.wilson import Interval

_WIDTH = 100.0


@dataclass(frozen=True)
class Span:
    """A score and its interval on a scale of 0 to 100."""

    length: float
    low: float
    high: float


def spans(scores: Sequence[tuple[float | None, Interval | None]], metric: str) -> list[Span]:
    """Scores on one scale from 0: to 1, or where a metric has no upper end to the highest end of an interval."""
    ends = [value if interval is None else interval[1] for value, interval in scores if value is not None]
    highest = max(ends, default=1.0)
    bounded = math.isfinite(in_range(metric, (0.0, math.inf))[1])
    scale = _WIDTH / (1.0 if bounded or highest <= 0 else highest)
    found = []
    for score, interval in scores:
        value = score or 0.0
        # A kappa below 0, worse than chance, has no length.
        length, low, high = (round(scale * max(each, 0.0), 2) for each in (value, *(interval or (value, value))))
        found.append(Span(length, low, high))
    return found


@dataclass(frozen=True)
class Bar:
    """One model and its score."""

    title: str
    value: float | None
    interval: Interval | None
    own: bool
    """Whether it is the model of the run."""
    span: Span
    difference: Difference | None
    """The run's model minus this one."""
    verdict: str
    """Of that difference: better, worse, open, or empty."""
    seconds: float | None
    texts_per_second: float | None
    note: str
    """Why there is none, or what is to be said of it."""


def bars(report: Report) -> list[Bar]:
    """The models of a run from the simplest up, in the chosen metric, on one scale from 0."""
    metric = report.training.best.metric
    alone = len(report.ladder) == 0
    rows = _plain(report, metric) if alone else [_rung(rung, metric, report) for rung in report.ladder]
    drawn = spans([(row.value, row.interval) for row in rows], metric)
    return [_bar(row, span) for row, span in zip(rows, drawn, strict=True)]


@dataclass(frozen=True)
class _Row:
    title: str
    value: float | None
    interval: Interval | None
    own: bool
    difference: Difference | None = None
    seconds: float | None = None
    texts_per_second: float | None = None
    note: str = ""


def _rung(rung: Rung, metric: str, report: Report) -> _Row:
    if rung.omitted:
        return _Row(rung.title, None, None, False, note=rung.omitted)
    return _Row(
        title=rung.title,
        value=rung.metrics[report.held_out][metric],
        interval=rung.intervals[report.held_out][metric],
        own=rung.name == "fine_tuned",
        difference=rung.difference[metric] if metric in rung.difference else None,
        seconds=rung.seconds,
        texts_per_second=rung.texts_per_second,
        note=f"better than its best part, on {report.decided_on} rows" if rung.better else "",
    )


def _plain(report: Report, metric: str) -> list[_Row]:
    """Of a run without a ladder: the most frequent label, the linear baseline, the model."""
    found = [
        _Row(
            simple.name,
            _of(simple.metrics[report.held_out], metric),
            simple.intervals[report.held_out][metric] if metric in simple.intervals[report.held_out] else None,
            False,
            simple.difference[metric] if metric in simple.difference else None,
            simple.seconds,
        )
        for simple in (report.majority, report.baseline)
        if simple is not None
    ]
    own = _Row("fine-tuned", report.metrics[report.held_out][metric], report.intervals[report.held_out][metric], True)
    return [*(row for row in found if row.value is not None), own]


def _of(metrics: Metrics, name: str) -> float | None:
    return metrics[name] if name in metrics else None


def _bar(row: _Row, span: Span) -> Bar:
    return Bar(
        title=row.title,
        value=row.value,
        interval=row.interval,
        own=row.own,
        span=span,
        difference=None if row.own else row.difference,
        verdict="" if row.own or row.difference is None else verdict(row.difference),
        seconds=row.seconds,
        texts_per_second=row.texts_per_second,
        note=row.note,
    )

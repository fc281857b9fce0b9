"""The rungs of the ladder as bars: each score with its interval, on one scale."""

from dataclasses import dataclass

from ftcls.runs.report_schema import Metrics, Report, Rung
from ftcls.scoring.differences import verdict
from ftcls.scoring.intervals import Difference
from ftcls.scoring.wilson import Interval

_WIDTH = 100.0


@dataclass(frozen=True)
class Bar:
    """One model, and where its score lies on a scale of 0 to 100."""

    title: str
    value: float | None
    interval: Interval | None
    own: bool
    """Whether it is the model of the run."""
    length: float
    low: float
    high: float
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
    rows = _plain(report, metric) if alone else [_rung(rung, metric) for rung in report.ladder]
    highest = max((each.high or each.value or 0.0 for each in rows if each.value is not None), default=1.0)
    scale = _WIDTH / (highest if metric == "loss" and highest > 0 else 1.0)
    return [_scaled(each, scale) for each in rows]


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

    @property
    def high(self) -> float | None:
        return None if self.interval is None else self.interval[1]


def _rung(rung: Rung, metric: str) -> _Row:
    if rung.omitted:
        return _Row(rung.title, None, None, False, note=rung.omitted)
    return _Row(
        title=rung.title,
        value=rung.metrics["test"][metric],
        interval=rung.intervals["test"][metric],
        own=rung.name == "fine_tuned",
        difference=rung.difference[metric] if metric in rung.difference else None,
        seconds=rung.seconds,
        texts_per_second=rung.texts_per_second,
        note="better than its best part, on validation rows" if rung.better else "",
    )


def _plain(report: Report, metric: str) -> list[_Row]:
    """Of a run without a ladder: the most frequent label, the linear baseline, the model."""
    found = [
        _Row(
            simple.name,
            _of(simple.metrics["test"], metric),
            simple.intervals["test"][metric] if metric in simple.intervals["test"] else None,
            False,
            simple.difference[metric] if metric in simple.difference else None,
            simple.seconds,
        )
        for simple in (report.majority, report.baseline)
        if simple is not None
    ]
    own = _Row("fine-tuned", report.metrics["test"][metric], report.intervals["test"][metric], True)
    return [*(row for row in found if row.value is not None), own]


def _of(metrics: Metrics, name: str) -> float | None:
    return metrics[name] if name in metrics else None


def _scaled(row: _Row, scale: float) -> Bar:
    value = row.value or 0.0
    low, high = row.interval or (value, value)
    return Bar(
        title=row.title,
        value=row.value,
        interval=row.interval,
        own=row.own,
        length=round(scale * value, 2),
        low=round(scale * low, 2),
        high=round(scale * high, 2),
        difference=None if row.own else row.difference,
        verdict="" if row.own or row.difference is None else verdict(row.difference),
        seconds=row.seconds,
        texts_per_second=row.texts_per_second,
        note=row.note,
    )

"""Whether the predictions of a run still give the figures that stand in its report.json."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ftcls.environment.figures_as_text import number
from ftcls.runs.report_schema import Report
from ftcls.scoring import metrics
from ftcls.scoring.metrics import Predictions

_TOLERANCE = 1e-9
"""Sums in another order, by another version of numpy, differ by less."""


def disagreements(found: Report, split: str, predictions: Predictions) -> tuple[str, ...]:
    """Every figure of a split that its predictions do not give, one sentence each; intervals are not looked at."""
    if predictions.labels != found.data.labels:
        return (f"{split}: the predictions are about other labels than report.json.",)
    return tuple(_differing(found, split, predictions))


def _differing(found: Report, split: str, predictions: Predictions) -> Iterator[str]:
    score, written = metrics.score(predictions), found.metrics[split]
    for name, value in score.items():
        if name in written and not _equal(value, written[name]):
            yield f"{split}: {name} is {_said(written[name])} in report.json, {_said(value)} from the predictions."
    expected = found.per_label[split]
    wrong = [
        label
        for label, each in metrics.per_label(predictions).items()
        if any(not _equal(v, getattr(expected[label], n)) for n, v in asdict(each).items() if n != "threshold")
    ]
    if wrong:
        yield f"{split}: other scores for {', '.join(wrong[:5])}{' …' if len(wrong) > 5 else ''}."
    if metrics.confusion(predictions).tolist() != _lists(found.confusion[split]):
        yield f"{split}: another confusion matrix."


def _equal(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)


def _said(value: float | None) -> str:
    return "undefined" if value is None else number(value, 6)


def _lists(value: Any) -> Any:
    return [_lists(each) for each in value] if isinstance(value, tuple | list) else value

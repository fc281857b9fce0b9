"""What more training rows would bring, in words: what the last doubling brought to simple models."""

import textwrap
from typing import Final

from rich.text import Text

from ftcls.environment.figures_as_text import signed, signed_interval
from ftcls.runs.learning_curve_section import LearningCurve, ModelCurve
from ftcls.runs.report_schema import Report
from ftcls.scoring.differences import Difference, verdict

_STEADY: Final = 1_000
"""Training rows from which on a doubling mostly brings less than the one before: studies/doublings.py."""


_DOUBLING: Final = (1.9, 2.1)
"""Ratios of rows that are called twice: clusters stay together, so that halves are not exact."""
_WIDTH: Final = 78


def lines(report: Report) -> list[Text]:
    """The sentence as it stands on the terminal; none where there is none."""
    found = sentence(report)
    return [] if found is None else [*map(Text, textwrap.wrap(found, _WIDTH))]


def sentence(report: Report) -> str | None:
    """What the last doubling brought, and how far that can be continued; None without a curve, and of a smoke run."""
    curve = report.learning_curve
    if curve is None or report.run.smoke:
        return None
    known = [(each, each.last_doubling) for each in curve.models if each.last_doubling is not None]
    if not known:
        return None
    before, after = (point.rows for point in known[0][0].points[-2:])
    every = report.data.splits["train"].examples
    more = "Twice the" if _DOUBLING[0] <= after / before <= _DOUBLING[1] else "More"
    brought = ", ".join(_brought(curve, each, last) for each, last in known)
    words = (
        f"{more} training rows ({before:,} to {after:,}{f' of {every:,}' if after < every else ''}) brought {brought}, "
        f"on {curve.validation_rows:,} validation rows"
    )
    return f"{words}; {_outlook([last for _, last in known], after)}."


def _brought(curve: LearningCurve, model: ModelCurve, last: Difference) -> str:
    return f"{model.title} {signed(last.value)} {curve.metric} ({signed_interval(last.interval)})"


def _outlook(doublings: list[Difference], rows: int) -> str:
    if not any(verdict(each) == "better" for each in doublings):
        return "no gain that these rows can show"
    if rows < _STEADY:
        return "as many again may bring more or less: below 1,000 rows that cannot be told"
    return "as many again bring less than that about two times of three"

"""What report.json says of more rows: how simple models score that learnt a quarter, half and all of them."""

from dataclasses import dataclass

from ftcls.scoring.differences import Difference


@dataclass(frozen=True)
class CurvePoint:
    """A model of some of the training rows."""

    rows: int
    """That it learnt."""
    score: float
    """The chosen metric on validation."""


@dataclass(frozen=True)
class ModelCurve:
    """One simple model, learnt anew from more and more rows, each time the earlier ones among them."""

    name: str
    """That of its rung: ``tfidf`` or ``frozen``."""
    title: str
    points: tuple[CurvePoint, ...] = ()
    last_doubling: Difference | None = None
    """The last point minus the one before, paired on the same validation rows."""
    seconds: float = 0.0
    omitted: str | None = None
    """Why there is none."""


@dataclass(frozen=True)
class LearningCurve:
    """What more training rows brought to simple models; not to the fine-tuned one, which learns all rows once."""

    metric: str
    validation_rows: int
    """That all points are scored on."""
    models: tuple[ModelCurve, ...] = ()
    seconds: float = 0.0
    """Of all of them."""
    omitted: str | None = None
    """Why there is none."""

"""What report.json says of a cross-validation."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fold:
    """One fold, and the model that predicted it."""

    fold: int
    """From 1; its run is ``folds/<fold>``."""
    examples: int
    """Rows that it predicted."""
    train_examples: int
    validation_examples: int
    best_step: int
    steps: int
    seconds: float
    """Of its training."""
    stopped_early: bool
    metrics: dict[str, float | None]
    """Of its own rows."""


@dataclass(frozen=True)
class Spread:
    """A metric over the folds."""

    mean: float
    standard_deviation: float
    min: float
    max: float


@dataclass(frozen=True)
class CrossValidation:
    """Folds, how much they differ, and what the final model was made of."""

    folds: tuple[Fold, ...]
    spread: dict[str, Spread]
    """By metric; one that is undefined in a fold is left out."""
    widening: dict[str, float]
    """By what the distances of an interval's ends from the score were multiplied for the trainings' sake, by metric."""
    final_examples: int
    """Rows that the final model learnt."""
    final_steps: int
    """The median of the folds' best steps."""

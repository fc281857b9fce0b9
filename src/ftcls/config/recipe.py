"""How long and how fast to train where nothing else is known than the rows, the task and the size of the model."""

import math
from dataclasses import dataclass
from typing import Literal

Task = Literal["binary", "multiclass", "multilabel"]


@dataclass(frozen=True)
class Recipe:
    """Training keys that suit a number of rows."""

    num_train_epochs: int
    batch_size: int
    learning_rate: str
    """As it is written in YAML."""
    head_learning_rate: str | None
    """None: that of the rest."""
    warmup_steps: float
    """Share of all steps."""
    early_stopping_patience: int | None
    """Evaluations, one an epoch; None: too few epochs to stop early."""


@dataclass(frozen=True)
class _Bounds:
    """How many examples a training should see, in whole epochs within bounds."""

    examples: int
    fewest: int
    most: int


# Steps and not epochs decide. With MiniLM at 1e-4, on validation rows: AG News and IMDb with 2,000 rows are best after
# three epochs (.891, .874) and lose by eight and six (.885, .869); 500 rows of AG News took ten (.869); several labels
# go on gaining (docs/training.md, "A schedule that fits the rows").
_ONE_LABEL = _Bounds(examples=8_000, fewest=3, most=10)
_SEVERAL_LABELS = _Bounds(examples=10_000, fewest=4, most=10)
# From here on 32 examples a step lose nothing and take half the optimizer's time.
_MANY_ROWS = 8_000
_FEWEST_EPOCHS_TO_STOP_IN = 4


def recommended(rows: int, *, task: Task, small: bool) -> Recipe:
    """The recipe for so many training rows.

    Args:
        rows: training rows.
        task: of the data.
        small: an encoder of some 40 million parameters or fewer; else of base size.
    """
    bounds = _SEVERAL_LABELS if task == "multilabel" else _ONE_LABEL
    epochs = min(max(math.ceil(bounds.examples / max(rows, 1)), bounds.fewest), bounds.most)
    return Recipe(
        num_train_epochs=epochs,
        batch_size=32 if rows >= _MANY_ROWS else 16,
        # Small encoders want more; what large ones want is what their authors found (Devlin et al. 2019, A.3).
        learning_rate="1e-4" if small else "2e-5",
        # A new output layer has further to go: .03 to .04 of macro-F1 on the 28 labels of GoEmotions.
        head_learning_rate="1e-3" if small else None,
        warmup_steps=0.1,
        early_stopping_patience=3 if epochs >= _FEWEST_EPOCHS_TO_STOP_IN else None,
    )

"""How long and how fast to train where nothing else is known than the rows, the task and the size of the model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ftcls.config.schema import Experiment
from ftcls.config.section import Task

SMALL: Final = 40_000_000
"""Parameters up to which an encoder counts as small."""


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


_OPEN: Final = ("num_train_epochs", "learning_rate", "head_learning_rate")
"""Keys of training that a config may leave to the recipe."""


def recommended(rows: int, *, task: Task, small: bool, adapter: bool = False) -> Recipe:
    """The recipe for so many training rows.

    Args:
        rows: training rows.
        task: of the data.
        small: an encoder of `SMALL` parameters or fewer; else of base size.
        adapter: whether low-rank updates are trained in place of all weights.
    """
    bounds = _SEVERAL_LABELS if task == "multilabel" else _ONE_LABEL
    epochs = min(max(math.ceil(bounds.examples / max(rows, 1)), bounds.fewest), bounds.most)
    return Recipe(
        num_train_epochs=epochs,
        batch_size=32 if rows >= _MANY_ROWS else 16,
        # Small encoders want more; what large ones want is what their authors found (Devlin et al. 2019, A.3).
        # Low-rank updates start at zero and want several times as much (Hu et al. 2021, D: 2e-4 to 5e-4).
        learning_rate="3e-4" if adapter else "1e-4" if small else "2e-5",
        # A new output layer has further to go: .03 to .04 of macro-F1 on the 28 labels of GoEmotions.
        head_learning_rate="1e-3" if small and not adapter else None,
        warmup_steps=0.1,
        early_stopping_patience=3 if epochs >= _FEWEST_EPOCHS_TO_STOP_IN else None,
    )


def complete(experiment: Experiment, *, rows: int, task: Task, parameters: int) -> Experiment:
    """The experiment with a number in place of each key of its schedule that was left open.

    Args:
        experiment: as its config has it.
        rows: training rows.
        task: of the data.
        parameters: of the model.
    """
    training = experiment.training
    recipe = recommended(rows, task=task, small=parameters <= SMALL, adapter=experiment.adapter.kind != "none")
    chosen: dict[str, Any] = {}
    if training.num_train_epochs is None and training.max_steps is None:
        chosen["num_train_epochs"] = float(recipe.num_train_epochs)
    if training.learning_rate is None:
        chosen["learning_rate"] = float(recipe.learning_rate)
        if training.head_learning_rate is None and recipe.head_learning_rate is not None:
            chosen["head_learning_rate"] = float(recipe.head_learning_rate)
    if not chosen:
        return experiment
    return experiment.model_copy(update={"training": training.model_copy(update=chosen)})


def complete_from(experiment: Experiment, settings: Mapping[str, Any]) -> Experiment:
    """The experiment with what an earlier one chose in place of the keys of its schedule that it leaves open.

    Args:
        experiment: as its config has it.
        settings: section ``training`` of the earlier one, with nothing left open.
    """
    training = experiment.training
    names = [name for name in _OPEN if getattr(training, name) is None]
    if training.max_steps is not None:
        names = [name for name in names if name != "num_train_epochs"]
    if training.learning_rate is not None:  # then null is the rate of the rest
        names = [name for name in names if name != "head_learning_rate"]
    chosen = {name: settings.get(name) for name in names}
    return experiment.model_copy(update={"training": training.model_copy(update=chosen)})

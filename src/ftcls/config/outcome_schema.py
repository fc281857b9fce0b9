"""The part of the schema that says what is made of a trained model's probabilities: scores, labels, a report."""

from typing import Annotated, Literal

from pydantic import Field

from ftcls.config.loss_schema import FUNCTION
from ftcls.config.section import NonNegative, Section

Tracker = Literal["tensorboard", "wandb", "mlflow"]


class Metrics(Section):
    """Which score decides."""

    best: str = "f1_macro"
    """The validation metric that picks the best step; any name of report.json's metrics."""
    evaluate: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """More metrics in the report: modules of the `evaluate` library, files or names in its cache; with --allow-code."""
    functions: dict[str, Annotated[str, Field(pattern=FUNCTION)]] = Field(default={})
    """More metrics in the report by their names: functions of one's own, ``FILE.py:NAME`` or ``MODULE:NAME``, of the
    gold and the predicted labels (their indices [n]; multilabel: 0 and 1 [n, k]), if they take more also of the
    probabilities [n, k] and the names of the labels; with --allow-code. `ftcls.train(..., metrics=)` writes it."""


class Decision(Section):
    """How probabilities become labels; tuned on the validation split, kept in the model's decision.json."""

    thresholds: Literal["fixed", "tuned"] = "fixed"
    """`fixed`: multilabel one half for each label, else the most probable label; `tuned`: what is best on validation
    (binary, multilabel)."""
    objective: Literal["f1_macro", "f1_micro", "f_beta", "precision"] = "f1_macro"
    """What tuned thresholds maximize: the F1 of each label by itself, the F1 of all decisions together, the F-beta of
    each label, or its recall at a precision of at least min_precision. binary: of the positive label."""
    beta: Annotated[float, Field(gt=0)] = 1.0
    """How many times as much recall counts as precision, of objective: f_beta."""
    min_precision: Annotated[float, Field(gt=0, le=1)] = 0.9
    """The precision to keep, of objective: precision."""
    min_positives: NonNegative = 5
    """Labels with fewer validation rows share one threshold, found on their rows together; of objective: precision,
    and of shrinkage: 0."""
    shrinkage: Annotated[float, Field(ge=0)] = 5.0
    """Validation rows of a label at which its own threshold and the one for all labels count the same; 0: each has the
    best on validation. multilabel, not of objective: precision."""
    temperature: Literal["fixed", "tuned"] = "fixed"
    """`tuned`: logits are divided by what makes probabilities most truthful on validation, multilabel also
    shifted."""


LadderRung = Literal["majority", "tfidf", "frozen", "stack"]


class Report(Section):
    """What is reported beside the model, and where else the run is logged."""

    ladder: tuple[LadderRung, ...] = ("majority", "tfidf", "frozen", "stack")
    """Simpler models on the same rows: the most frequent label, a linear model of TF-IDF, the pretrained encoder with a
    logistic regression, and a mixture of these with the fine-tuned model. `RUN:NAME` predicts with one."""

    learning_curve: Literal["auto", "always", "never"] = "auto"
    """What more rows brought to simple models: TF-IDF, and the frozen encoder where the ladder has it, learn a quarter
    and half of the training rows too. `auto`: where that takes ten seconds or 3 % of the training's time at most."""

    trackers: tuple[Tracker, ...] = ()
    """Experiment trackers; each is an extra, none can stop a run."""

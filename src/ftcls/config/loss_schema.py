"""The part of the schema that says what a wrong answer costs."""

from typing import Annotated, Final, Literal

from pydantic import Field

from ftcls.config.section import Section, Task

LossKind = Literal["cross_entropy", "focal", "asymmetric", "distribution_balanced", "squared_emd"]


FUNCTION: Final = r"^[^:].*:[^:]+$"
"""How a config names a function: its file or module, and its name there."""


class Loss(Section):
    """The loss of one example; a step's loss is the mean over its examples."""

    kind: LossKind | None = None
    """Cross-entropy, the focal loss, the asymmetric or the distribution-balanced loss (multilabel), or cross-entropy
    with the squared earth mover's distance between labels in order (ordinal). multilabel: the binary form, as a mean
    over the labels. null: squared_emd for task ordinal, cross_entropy for any other."""

    function: Annotated[str, Field(pattern=FUNCTION)] | None = None
    """A loss of one's own in place of kind: ``FILE.py:NAME`` or ``MODULE:NAME``, a function of the logits [b, k] and
    the targets (index of the class, int64 [b]; multilabel: 0 and 1, float32 [b, k]) that gives the loss of each text
    [b], as tensors; with --allow-code. `ftcls.train(..., objective=)` writes it."""

    def kind_for(self, task: Task) -> LossKind:
        """The kind for a task."""
        return self.kind or ("squared_emd" if task == "ordinal" else "cross_entropy")

    def scale_of_negatives(self) -> float:
        """``negative_scale`` with its default by kind."""
        usual = 2.0 if self.kind == "distribution_balanced" else 1.0
        return usual if self.negative_scale is None else self.negative_scale

    class_weights: Literal["balanced", "effective_number"] | dict[str, Annotated[float, Field(gt=0)]] | None = None
    """Weight per label name; `balanced`: inverse frequency; `effective_number`: gentler, by `beta`. Scaled to mean 1
    over the training rows."""
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """How many rows of a label add something, of class_weights: effective_number: about 1 / (1 - beta)."""
    pos_weight: Literal["balanced", "square_root"] | dict[str, Annotated[float, Field(gt=0)]] | None = None
    """How much more a label counts where it applies: by label name, `balanced` (negatives over positives), or the
    square root of that (multilabel)."""
    logit_adjustment: Annotated[float, Field(ge=0)] = 0.0
    """While training, the logits get so many times the log prior of their label: predictions then lean on frequent
    labels less. 0: none, 1: as if all labels were equally frequent."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target spread evenly over all labels; multilabel: over applies and does not apply."""
    gamma: Annotated[float, Field(ge=0)] = 2.0
    """How strongly the focal and the distribution-balanced loss turn away from easy examples."""
    gamma_positive: Annotated[float, Field(ge=0)] = 0.0
    """The asymmetric loss's gamma where a label applies."""
    gamma_negative: Annotated[float, Field(ge=0)] = 4.0
    """The asymmetric loss's gamma where a label does not apply."""
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Probability up to which a label that does not apply costs nothing, of the asymmetric loss."""
    negative_scale: Annotated[float, Field(ge=1)] | None = None
    """Negative-tolerant regularization: the logit of a label that does not apply counts so many times, its loss as many
    times less (multilabel; of every kind but asymmetric). null: 2 for distribution_balanced, 1, none, for others."""

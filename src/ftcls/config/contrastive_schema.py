"""The part of the schema about pairs of texts, from which an encoder learns before there is a classifier."""

from typing import Annotated, Final

from pydantic import Field

from ftcls.config.section import NonNegative, Positive, Section, Share

LABEL: Final = "{label}"
"""Where the name of a label stands in a template."""


class Contrastive(Section):
    """A start for few labels (SetFit, Tunstall et al. 2022).

    The encoder learns to put texts of one label near each other and others apart, and a logistic regression on its
    vectors becomes the output layer that the training goes on from.
    """

    num_train_epochs: Positive = 10
    """Passes over the training texts; in each step every text stands beside one of its label and some of others."""
    max_steps: Positive | None = 500
    """Most optimizer steps, whatever the passes come to; null: all of them."""
    batch_size: Annotated[int, Field(ge=4)] = 16
    """Texts of a step; all pairs of them are compared."""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Peak learning rate of AdamW, after whose warm-up it falls to zero in a straight line; null: that of training."""
    warmup_steps: NonNegative | Share = 0.1
    """Steps of linear warm-up; below 1: a share of all steps."""
    label_names: str | None = None
    """A sentence such as `This text is about {label}`: with the name of each label it is one text more of that label,
    where the names are words. For encoders of sentences; null: names say nothing."""

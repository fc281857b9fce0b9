"""A model between its checkpoint and its training."""

from dataclasses import dataclass

from transformers import PreTrainedModel


@dataclass(frozen=True)
class Classifiable:
    """A sequence classifier ready to train."""

    model: PreTrainedModel
    new_parameters: tuple[str, ...]
    """Names of the parameters that the checkpoint did not bring: they start at random."""
    untrained: PreTrainedModel | None = None
    """The weights as they were drawn, where there is no checkpoint that holds them; may be the model itself."""

"""Whether a model is trained without padding, and by what."""

import logging

from transformers import PreTrainedModel

from ftcls.environment.devices import DTYPES, Machine
from ftcls.model import encoder_layers, packed_encoder
from ftcls.model.packed_encoder import PackedClassifier
from ftcls.model.tokenize import Encoded

log = logging.getLogger(__name__)


def packed_classifier(
    model: PreTrainedModel, train: Encoded, *, machine: Machine, seed: int, recomputes: bool
) -> PackedClassifier | None:
    """What computes the training steps without padding; None: the model itself does, and the log says why.

    Args:
        model: to be trained.
        train: the training texts.
        machine: its device and precision.
        seed: of the dropout.
        recomputes: whether activations are computed again in the backward pass, which the model's own layers do.
    """
    texts = [train.row(row) for row in range(min(len(train), len(packed_encoder.COMPARED_TOKENS)))]
    if machine.processes > 1:
        reason: str | None = f"{machine.processes} processes average the gradients of the model as it is"
    elif recomputes:
        reason = "training.activation_checkpointing"
    else:
        reason = encoder_layers.difference(model) or packed_encoder.differs(model.to(machine.device), texts)
    if reason is not None:
        log.info("steps      padded: %s", reason)
        return None
    log.info("steps      packed: the tokens of all texts end to end, without padding")
    return PackedClassifier(model, dtype=DTYPES[machine.precision], seed=seed).train()

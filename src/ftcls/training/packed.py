"""Whether a model is trained without padding, and by what."""

import logging
from dataclasses import replace
from typing import Final

from transformers import PreTrainedModel

from ftcls.environment.devices import DTYPES, Machine
from ftcls.model import encoder_layers, packed_encoder
from ftcls.model.packed_encoder import PackedClassifier
from ftcls.model.padding import Batch
from ftcls.model.tokenize import Encoded
from ftcls.training import losses
from ftcls.training.cuda_graphs import CudaGraphs
from ftcls.training.losses import Objective

log = logging.getLogger(__name__)

COMPARED_TOKENS: Final = (22, 15, 14, 3)
"""Tokens of the texts on which what is packed is compared with what is padded, beside special tokens."""


def packed_classifier(
    model: PreTrainedModel, train: Encoded, *, machine: Machine, seed: int, recomputes: bool, what: str = "steps"
) -> PackedClassifier | None:
    """What computes the training steps without padding; None: the model itself does, and the log says why.

    Args:
        model: to be trained.
        train: the training texts.
        machine: its device and precision.
        seed: of the dropout.
        recomputes: whether activations are computed again in the backward pass, which the model's own layers do.
        what: is computed, for the log.
    """
    few = _few(train, model.config.pad_token_id)
    if machine.processes > 1:
        reason: str | None = f"{machine.processes} processes average the gradients of the model as it is"
    elif recomputes:
        reason = "training.activation_checkpointing"
    else:
        reason = encoder_layers.difference(model) or packed_encoder.differs(model.to(machine.device), few)
    if reason is not None:
        log.info("%-10s padded: %s", what, reason)
        return None
    log.info("%-10s packed: the tokens of all texts end to end, without padding", what)
    return PackedClassifier(model, dtype=DTYPES[machine.precision], seed=seed).train()


def cuda_graphs(
    packed: PackedClassifier | None, objective: Objective, train: Encoded, machine: Machine
) -> CudaGraphs | None:
    """What records the passes of the steps as CUDA graphs; None: they are computed one kernel after the other.

    Args:
        packed: what computes the steps, if they are packed.
        objective: the loss of each example.
        train: the training texts.
        machine: its device and precision; fp16 scales its losses from step to step. Windows make passes of any size.
    """
    if packed is None or not packed.by_starts or machine.precision != "bf16" or train.windows is not None:
        return None
    on_device = losses.on_device(objective, packed.device)
    return CudaGraphs(packed, on_device, longest=int(train.lengths.max()))


def _few(train: Encoded, pad_id: int) -> Batch:
    """The beginnings of the first texts; of pairs the beginnings of both."""
    chosen = [train.bodies(row) for row in range(min(len(train), len(COMPARED_TOKENS)))]
    cut = [
        [body[: count // len(bodies)] for body in bodies]
        for bodies, count in zip(chosen, COMPARED_TOKENS, strict=False)
    ]
    return replace(train, windows=None).changed(cut, pad_id)

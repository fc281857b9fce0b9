"""A checkpoint that is a classifier already: its output layer follows the names of its labels."""

import logging
import re
from collections.abc import Mapping

import torch
from torch import nn
from transformers import PreTrainedModel

log = logging.getLogger(__name__)

_UNNAMED = re.compile(r"LABEL_\d+")
"""What transformers calls labels that nobody named."""


def follow_names(model: PreTrainedModel, known: Mapping[int, str], *, checkpoint: str) -> tuple[str, ...]:
    """Put the rows of a kept output layer into the order of the model's labels; start it anew where the names differ.

    Args:
        model: just loaded, with all k rows of its output layer from the checkpoint; its configuration has the labels
            that it is to have.
        known: index to name in the checkpoint.
        checkpoint: for the log.

    Returns:
        The parameters that start anew.
    """
    wanted, had = [model.config.id2label[i] for i in range(model.config.num_labels)], [known[i] for i in sorted(known)]
    if wanted == had or len(wanted) != len(had):
        return ()
    layer = _output_layer(model, len(wanted))
    if layer is None:
        return ()
    name, module = layer
    parameters = [f"{name}.{each}" for each, _ in module.named_parameters(recurse=False)]
    if all(_UNNAMED.fullmatch(label) for label in had):
        log.warning("%s names no labels: its output layer is kept, row by row as %s", checkpoint, ", ".join(wanted))
        return ()
    with torch.no_grad():
        if set(wanted) == set(had):
            order = torch.tensor([had.index(label) for label in wanted])
            for parameter in module.parameters(recurse=False):
                parameter.copy_(parameter[order.to(parameter.device)])
            log.info("the output layer of %s is put into the order %s", checkpoint, ", ".join(wanted))
            return ()
        module.weight.normal_(std=float(getattr(model.config, "initializer_range", 0.02)))
        if getattr(module, "bias", None) is not None:
            module.bias.zero_()
    log.warning("%s has other labels (%s): a new output layer is trained", checkpoint, ", ".join(had))
    return tuple(parameters)


def _output_layer(model: PreTrainedModel, labels: int) -> tuple[str, nn.Linear] | None:
    """The last linear layer outside the pretrained part, which has a row for each label."""
    found = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and module.out_features == labels
        and not name.startswith(f"{model.base_model_prefix}.")
    ]
    return found[-1] if found else None

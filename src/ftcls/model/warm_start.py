"""A checkpoint that is a classifier already: its output layer follows the names of its labels."""

import copy
import logging
import re
from collections.abc import Collection, Mapping

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from ftcls.errors import UnavailableError
from ftcls.model import sharding
from ftcls.model.pretrained import without_weights

log = logging.getLogger(__name__)

_UNNAMED = re.compile(r"LABEL_\d+")
"""What transformers calls labels that nobody named."""


def follow_names(
    model: PreTrainedModel, known: Mapping[int, str], *, fresh: Collection[str], checkpoint: str
) -> tuple[str, ...]:
    """Put the rows of a kept output layer into the order of the model's labels; start it anew where the names differ.

    Args:
        model: just loaded; its configuration has the labels that it is to have.
        known: index to name in the checkpoint.
        fresh: parameters that the checkpoint did not bring.
        checkpoint: for messages.

    Returns:
        The parameters that start anew.

    Raises:
        UnavailableError: the rows would have to change, and no output layer with a row for each label can be found.
    """
    wanted, had = [model.config.id2label[i] for i in range(model.config.num_labels)], [known[i] for i in sorted(known)]
    if wanted == had or len(wanted) != len(had):
        return ()
    places = output_parameters(model.config)
    if places and places.keys() <= set(fresh):
        return ()
    if not places or not places.keys().isdisjoint(fresh):
        raise UnavailableError(
            f"model.checkpoint: {checkpoint}: its labels are {', '.join(had)}, those of the data {', '.join(wanted)}, "
            f"and {type(model).__name__} has no output layer of one row for each label that could follow them. Write "
            f"data.labels in the checkpoint's order, or start from the model that it was trained from"
        )
    parameters = {name: model.get_parameter(name) for name in places}
    if all(_UNNAMED.fullmatch(label) for label in had):
        log.warning("%s names no labels: its output layer is kept, row by row as %s", checkpoint, ", ".join(wanted))
        return ()
    if set(wanted) == set(had):
        order = torch.tensor([had.index(label) for label in wanted])
        for name, parameter in parameters.items():
            whole = sharding.whole(parameter)
            sharding.fill(parameter, whole.index_select(places[name], order.to(whole.device)))
        log.info("the output layer of %s is put into the order %s", checkpoint, ", ".join(wanted))
        return ()
    for parameter in parameters.values():
        _start(parameter, std=float(getattr(model.config, "initializer_range", 0.02)))
    log.warning("%s has other labels (%s): a new output layer is trained", checkpoint, ", ".join(had))
    return tuple(parameters)


def output_parameters(config: PretrainedConfig) -> dict[str, int]:
    """The parameters with one entry for each label, and along which dimension.

    Found by what grows with one label more, whatever an architecture calls its layers; empty where something grows
    otherwise.
    """
    more = copy.deepcopy(config)
    more.num_labels = config.num_labels + 1
    before, after = _shapes(config), _shapes(more)
    found: dict[str, int] = {}
    for name in {**before, **after}:  # in one order, because processes that share a model gather it name by name
        if before.get(name) == after.get(name):
            continue
        dimension = _grown(before.get(name), after.get(name), config.num_labels)
        if dimension is None:
            return {}
        found[name] = dimension
    return found


def _shapes(config: PretrainedConfig) -> dict[str, tuple[int, ...]]:
    model = without_weights(config)
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def _grown(before: tuple[int, ...] | None, after: tuple[int, ...] | None, labels: int) -> int | None:
    """The one dimension that went from k to k + 1."""
    if before is None or after is None or len(before) != len(after):
        return None
    changed = [at for at, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    sizes = [(before[at], after[at]) for at in changed]
    return changed[0] if sizes == [(labels, labels + 1)] else None


def _start(parameter: nn.Parameter, *, std: float) -> None:
    """As transformers starts a new head: weights normal, biases zero."""
    value = torch.zeros(parameter.shape, dtype=parameter.dtype, device=parameter.device)
    if value.ndim > 1:
        value.normal_(std=std)
    sharding.fill(parameter, value)

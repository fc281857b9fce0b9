"""The last layer of a classifier, which makes logits of one vector: found in whatever model, and set."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel

from ftcls.model import adapters, sharding
from ftcls.model.warm_start import output_parameters


def output_layer(model: PreTrainedModel) -> nn.Linear | None:
    """The linear layer with one row for each label, and a bias; that which computes, of a model with an adapter.

    None: the model has no such layer.
    """
    places = output_parameters(model.config)
    modules = {name.rpartition(".")[0] for name in places}
    if len(modules) != 1 or {name.rpartition(".")[2] for name in places} != {"weight", "bias"}:
        return None
    (wanted,) = modules
    found = [module for name, module in model.named_modules() if adapters.plain_name(name) == wanted]
    layers = [module for module in found if isinstance(module, nn.Linear)]
    return layers[-1] if layers else None


def set_output(layer: nn.Linear, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> None:
    """Put weights [k, d] and biases [k] into it."""
    for name, value in (("weight", weight), ("bias", bias)):
        parameter = layer.get_parameter(name)
        sharding.fill(parameter, torch.from_numpy(value).to(parameter))

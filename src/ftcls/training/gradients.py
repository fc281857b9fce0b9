"""Gradients that several processes computed, each of its own examples, as their mean."""

from collections.abc import Iterable

import torch
from torch import distributed, nn


def average(parameters: Iterable[nn.Parameter]) -> None:
    """Make the gradient of each parameter its mean over the processes of a torchrun, all of which call this.

    What one process has no gradient of counts as zero there; what none has one of stays without, so that the optimizer
    leaves it alone as it does in one process.

    Args:
        parameters: of the model, in the same order in all processes.
    """
    trained = [each for each in parameters if each.requires_grad]
    having = torch.tensor([float(each.grad is not None) for each in trained], device=trained[0].device)
    distributed.all_reduce(having)
    processes = distributed.get_world_size()
    for parameter, count in zip(trained, having.tolist(), strict=True):
        if count:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            distributed.all_reduce(gradient)
            parameter.grad = gradient.div_(processes)

"""One model spread over several processes (FSDP2): each holds a share of every layer, and gathers a layer to compute.

The sharding is transformers' own, done while the checkpoint is read, so that no process ever holds the whole.
"""

from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import DistributedConfig, PretrainedConfig

from ftcls.model.pretrained import without_weights


def options(config: PretrainedConfig, processes: int) -> dict[str, Any]:
    """What ``from_pretrained`` is given so that every process reads its share alone; nothing for one process."""
    if processes == 1:
        return {}
    model = without_weights(config)
    # Gathered one at a time; what belongs to no stack is gathered for the whole step.
    plan = {
        f"{name}.*": "free_full_weight" for name, module in model.named_modules() if isinstance(module, nn.ModuleList)
    }
    return {"distributed_config": DistributedConfig(fsdp_size=processes, fsdp_plan=plan)}


def whole(parameter: nn.Parameter) -> torch.Tensor:
    """All numbers of a parameter of which this process may hold a share; every process asks for them at once."""
    gathered: torch.Tensor = parameter.data.full_tensor() if isinstance(parameter.data, DTensor) else parameter.data
    return gathered


def fill(parameter: nn.Parameter, value: torch.Tensor) -> None:
    """Put numbers of the parameter's whole shape into it, or this process's share of them."""
    if isinstance(parameter.data, DTensor):
        value = distribute_tensor(value, parameter.data.device_mesh, parameter.data.placements)
    with torch.no_grad():
        parameter.copy_(value)

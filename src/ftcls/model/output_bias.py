"""Where a new head for several labels begins: at the best constant answer, not at one half.

A label among many applies to few rows. From a bias of 0 the quickest way down for the loss is to say no to everything,
and an optimizer with steps of fixed size takes it through the features: they saturate, all texts look alike, and the
model may not recover. Starting where no constant is better (for cross-entropy the log odds of each label, as in Lin et
al. 2017, section 4.1) leaves nothing to gain that way. Measured on 8,000 rows of GoEmotions with MiniLM at 1e-4: after
250 steps of 16 a micro average precision of .44 on validation; from a bias of 0 it was .18.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.distributed.tensor import DTensor, distribute_tensor

from ftcls.model.classifiable import Classifiable


def start_at(built: Classifiable, logits: NDArray[np.float64]) -> bool:
    """Set the bias of a new output layer; whether there was one to set.

    Args:
        built: a model that was just loaded.
        logits: [k], what it is to say of every text at first.
    """
    parameters = dict(built.model.named_parameters())
    biases = [
        name
        for name in parameters
        if name in built.new_parameters and name.endswith("bias") and parameters[name].shape == logits.shape
    ]
    if not biases:  # a decoder's head has none; or the head is not new
        return False
    with torch.no_grad():
        # The output layer is the last one: a layer before it may happen to be as wide.
        bias = parameters[biases[-1]]
        value = torch.from_numpy(logits).to(bias.dtype)
        if isinstance(bias.data, DTensor):  # this process has a share of it
            value = distribute_tensor(value.to(bias.device), bias.device_mesh, bias.placements)
        bias.copy_(value)
    return True

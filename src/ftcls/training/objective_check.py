"""Does a loss of one's own fit how steps are computed? Asked once, on a few texts, before a training begins."""

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ftcls.errors import ConfigError
from ftcls.training.losses import Objective

_TEXTS: Final = 4
_TOLERANCE: Final = 1e-4
"""Of the largest loss: float32 sums in another order differ by 1e-6."""


def check(objective: Objective, targets: NDArray[Any], k: int, *, name: str) -> None:
    """See that a loss gives one finite number for each text, with a gradient, whatever texts are beside it.

    A step is cut into passes by length, on several processes by process: a loss that is a mean over its batch, or
    depends on it otherwise, would change with the cut.

    Args:
        objective: the loss.
        targets: of the training rows, int64 [n] or float32 [n, k].
        k: labels.
        name: for messages.

    Raises:
        ConfigError: it does not.
    """
    few = torch.from_numpy(np.ascontiguousarray(targets[:_TEXTS]))
    logits = torch.randn(len(few), k, generator=torch.Generator().manual_seed(0)).requires_grad_()
    together = _losses(objective, logits, few, name)
    if not together.requires_grad:
        raise ConfigError(f"{name}: no gradient goes through it; compute it of the logits with torch alone")
    alone = torch.cat([_losses(objective, logits[[i]], few[[i]], name) for i in range(len(few))])
    allowed = _TOLERANCE * float(together.detach().abs().max()) + 1e-6
    if float((together - alone).detach().abs().max()) > allowed:
        raise ConfigError(
            f"{name}: the loss of a text depends on the texts beside it: a step is cut into passes, so it has to be "
            "computed of each text by itself"
        )


def _losses(objective: Objective, logits: torch.Tensor, targets: torch.Tensor, name: str) -> torch.Tensor:
    count, k = logits.shape
    what = f"logits [{count}, {k}] and targets [{', '.join(map(str, targets.shape))}]"
    try:
        found = objective(logits, targets)
    except Exception as error:
        raise ConfigError(f"{name}: fails on {what}: {type(error).__name__}: {error}") from error
    if not isinstance(found, torch.Tensor):
        raise ConfigError(f"{name}: gives {type(found).__name__} for {what}; the loss of each text is wanted, a tensor")
    if tuple(found.shape) != (count,):
        mean = ": leave out the mean (reduction='none')" if found.dim() == 0 else ""
        raise ConfigError(
            f"{name}: gives a tensor of shape {list(found.shape)} for {what}; the loss of each text is wanted, "
            f"[{count}]{mean}"
        )
    if not bool(torch.isfinite(found).all()):
        raise ConfigError(f"{name}: is not finite for {what}")
    return found

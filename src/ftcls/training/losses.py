"""Per-example losses: pure functions of logits and targets.

Each returns float32 [b], one loss per example; the trainer sums them and divides by the number of examples in the
optimizer step. All are computed in float32 whatever the precision of the forward pass.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Objective = Callable[[Tensor, Tensor], Tensor]
"""(logits [b, k], targets) -> loss of each example [b]."""


def categorical(
    logits: Tensor, targets: Tensor, *, gamma: float, label_smoothing: float, class_weights: Tensor | None
) -> Tensor:
    """Cross-entropy over k classes, or with ``gamma`` > 0 the focal loss (Lin et al. 2017, eq. 4, one term per class).

    Args:
        logits: float [b, k].
        targets: int64 [b].
        gamma: each class's term is scaled by (1 - p)^gamma; 0 is plain cross-entropy.
        label_smoothing: this share of the target is spread evenly over all k classes.
        class_weights: float32 [k]; an example's loss is scaled by the weight of its class.

    Returns:
        float32 [b].
    """
    log_p = functional.log_softmax(logits.float(), dim=-1)
    k = log_p.shape[-1]
    goal = functional.one_hot(targets, k).to(log_p.dtype) * (1 - label_smoothing) + label_smoothing / k
    terms = -goal * log_p
    if gamma:
        # Below eps 1 - p is rounding, and at 0 a power below 1 has an infinite slope.
        terms = terms * (1 - log_p.exp()).clamp_min(torch.finfo(log_p.dtype).eps) ** gamma
    loss = terms.sum(-1)
    return loss if class_weights is None else loss * class_weights.to(loss.device)[targets]


def binary(
    logits: Tensor, targets: Tensor, *, gamma: float, label_smoothing: float, class_weights: Tensor | None
) -> Tensor:
    """Binary cross-entropy, or its focal form, of k independent labels: the mean over the labels.

    Args:
        logits: float [b, k].
        targets: float32 [b, k] of 0 and 1.
        gamma: each term is scaled by (1 - probability of the truth)^gamma; 0 is plain binary cross-entropy.
        label_smoothing: targets are drawn this share of the way towards 0.5.
        class_weights: float32 [k]; scales each label's term.

    Returns:
        float32 [b].
    """
    logits = logits.float()
    goal = targets.float() * (1 - label_smoothing) + label_smoothing / 2
    log_p, log_q = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    if gamma:
        # The power inside exp: a probability that underflows to 0 has an infinite slope under a power below 1.
        terms = -goal * (gamma * log_q).exp() * log_p - (1 - goal) * (gamma * log_p).exp() * log_q
    else:
        terms = -goal * log_p - (1 - goal) * log_q
    if class_weights is not None:
        terms = terms * class_weights.to(terms.device)
    return terms.mean(-1)


def weights(
    choice: Literal["balanced"] | dict[str, float] | None,
    targets: NDArray[np.int64] | NDArray[np.float32],
    labels: Sequence[str],
) -> Tensor | None:
    """Weight of each label, float32 [k], scaled to mean 1 over the training rows (multilabel: over the labels).

    ``balanced`` is inverse frequency; a label without a training row counts as if it had one. Labels that a mapping
    does not name weigh 1 before the scaling.
    """
    if choice is None:
        return None
    k = len(labels)
    multilabel = targets.ndim == 2
    counts = targets.sum(0) if multilabel else np.bincount(targets, minlength=k)
    if choice == "balanced":
        raw = 1.0 / np.maximum(counts, 1.0)
    else:
        raw = np.array([choice[label] if label in choice else 1.0 for label in labels])
    mean = raw.mean() if multilabel else (raw * counts).sum() / counts.sum()
    return torch.tensor(raw / mean, dtype=torch.float32)


def build(
    kind: Literal["cross_entropy", "focal"],
    *,
    multilabel: bool,
    gamma: float,
    label_smoothing: float,
    class_weights: Tensor | None,
) -> Objective:
    """The objective that the trainer minimizes."""
    return partial(
        binary if multilabel else categorical,
        gamma=gamma if kind == "focal" else 0.0,
        label_smoothing=label_smoothing,
        class_weights=class_weights,
    )

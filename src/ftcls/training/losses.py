"""Per-example losses: pure functions of logits and targets.

Each returns float32 [b], one loss per example; the trainer sums them and divides by the number of examples in the
optimizer step. All are computed in float32 whatever the precision of the forward pass (float64 stays what it is).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Objective = Callable[[Tensor, Tensor], Tensor]
"""(logits [b, k], targets) -> loss of each example [b]."""

_FARTHEST = 15.0
"""Largest logit that a constant answer may have: odds of three million to one."""
_POINTS = 3_001
"""Logits that are tried, .01 apart."""


def categorical(
    logits: Tensor,
    targets: Tensor,
    *,
    gamma: float,
    ordered: bool = False,
    label_smoothing: float,
    class_weights: Tensor | None,
    adjustment: Tensor | None,
) -> Tensor:
    """Cross-entropy over k classes, or with ``gamma`` > 0 the focal loss (Lin et al. 2017, eq. 4, one term per class).

    Args:
        logits: float [b, k].
        targets: int64 [b], or the probability of each class, float32 [b, k].
        gamma: each class's term is scaled by (1 - p)^gamma; 0 is plain cross-entropy.
        ordered: the classes are in order: the squared earth mover's distance between p and the target is added, the sum
            over the classes of their squared difference in the probability of being at most that class (Hou, Yu and
            Samaras 2016, eq. 4). Probability that is one class off costs less than probability that is three off.
        label_smoothing: this share of the target is spread evenly over all k classes.
        class_weights: float32 [k]; an example's loss is scaled by the weight of its class, or by the mean weight of
            its classes.
        adjustment: float32 [k]; added to the logits (`logit_adjustment`).

    Returns:
        float32 [b].
    """
    log_p = functional.log_softmax(_adjusted(logits, adjustment), dim=-1)
    k = log_p.shape[-1]
    shares = (functional.one_hot(targets, k) if targets.dim() == 1 else targets).to(log_p.dtype)
    goal = shares * (1 - label_smoothing) + label_smoothing / k
    terms = -goal * log_p
    if gamma:
        # Below eps 1 - p is rounding, and at 0 a power below 1 has an infinite slope.
        terms = terms * (1 - log_p.exp()).clamp_min(torch.finfo(log_p.dtype).eps) ** gamma
    loss = terms.sum(-1)
    if ordered:
        loss = loss + (log_p.exp() - goal).cumsum(-1).square().sum(-1)
    return loss if class_weights is None else loss * (shares @ class_weights.to(loss))


def binary(
    logits: Tensor,
    targets: Tensor,
    *,
    gamma_positive: float,
    gamma_negative: float,
    margin: float,
    negative_scale: float,
    label_smoothing: float,
    class_weights: Tensor | None,
    pos_weight: Tensor | None,
    adjustment: Tensor | None,
) -> Tensor:
    """Binary cross-entropy of k independent labels, or its focal or asymmetric form: the mean over the labels.

    A label that applies costs -(1 - p)^gamma_positive log p; one that does not, -q^gamma_negative log(1 - q) with
    q = max(p - margin, 0), so that below the margin it costs nothing (Ridnik et al. 2021, eq. 7). Equal gammas without
    a margin are the focal loss (Lin et al. 2017), gammas of 0 plain binary cross-entropy.

    With ``negative_scale`` the logit of a label that does not apply counts so many times and its loss as many times
    less: it is forgiven as soon as it is a little below zero, and costs more only well above (negative-tolerant
    regularization, Wu et al. 2020, eq. 8, whose class bias is a small `logit_adjustment`). With the focal form and
    `weights` by the effective number this is the class-balanced loss of Huang et al. 2021 (CB-NTR, their beta .9).

    Args:
        logits: float [b, k].
        targets: float32 [b, k] of 0 and 1.
        gamma_positive: exponent for labels that apply.
        gamma_negative: exponent for labels that do not.
        margin: probability up to which a label that does not apply costs nothing.
        negative_scale: at least 1; 1 is none.
        label_smoothing: targets are drawn this share of the way towards 0.5.
        class_weights: float32 [k]; scales each label's term.
        pos_weight: float32 [k]; scales each label's term where the label applies.
        adjustment: float32 [k]; added to the logits (`logit_adjustment`).

    Returns:
        float32 [b].
    """
    logits = _adjusted(logits, adjustment)
    goal = targets.to(logits.dtype) * (1 - label_smoothing) + label_smoothing / 2
    log_p, log_q = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    positive = -goal * log_p
    if gamma_positive:
        # The power inside exp: a probability that underflows to 0 has an infinite slope under a power below 1.
        positive = positive * (gamma_positive * log_q).exp()
    if pos_weight is not None:
        positive = positive * pos_weight.to(positive)
    if negative_scale != 1:
        log_p, log_q = functional.logsigmoid(negative_scale * logits), functional.logsigmoid(-negative_scale * logits)
    if margin:
        shifted = (log_p.exp() - margin).clamp_min(0)
        negative = -(1 - goal) * torch.log1p(-shifted)
        if gamma_negative:
            negative = negative * shifted.clamp_min(torch.finfo(shifted.dtype).eps) ** gamma_negative
    else:
        negative = -(1 - goal) * log_q
        if gamma_negative:
            negative = negative * (gamma_negative * log_p).exp()
    terms = positive + negative / negative_scale
    return (terms if class_weights is None else terms * class_weights.to(terms)).mean(-1)


# The constants that Huang et al. (2021) used for Reuters-21578, in the notation of Wu et al. (2020).
_ALPHA, _BETA, _MU = 0.1, 10.0, 0.9
KAPPA = 0.05
"""How much of the log odds of a label the distribution-balanced loss adds to its logits."""


def distribution_balanced(
    logits: Tensor,
    targets: Tensor,
    *,
    gamma: float,
    negative_scale: float,
    rarity: Tensor | None,
    adjustment: Tensor | None,
) -> Tensor:
    """The distribution-balanced loss of k independent labels with its focal factor: the mean over the labels.

    Rows are drawn for their rarest label, and their other labels come along. So each label of a row weighs by the share
    of its own rarity in that of the row's labels, through a sigmoid: a frequent label on a row with a rare one counts
    little, a rare label that does not apply counts fully. And a label that does not apply is easily forgiven: its
    logit counts ``negative_scale`` times, its loss as many times less (negative-tolerant regularization).

    Wu et al. 2020, equations 3 to 9; for text Huang et al. 2021, whose constants for Reuters-21578 these are.

    Args:
        logits: float [b, k].
        targets: float32 [b, k] of 0 and 1.
        gamma: exponent of the focal factor (1 - p)^gamma, p the probability of what is true.
        negative_scale: at least 1; 2 for text, 5 and 2 for the image sets of Wu et al.
        rarity: 1 over the training rows of each label, float32 [k]; None: all weigh the same.
        adjustment: float32 [k]; added to the logits: `logit_adjustment` by `KAPPA` and more.

    Returns:
        float32 [b].
    """
    logits = _adjusted(logits, adjustment)
    applies = targets.to(logits.dtype)
    log_true = torch.where(applies > 0, functional.logsigmoid(logits), functional.logsigmoid(-negative_scale * logits))
    terms = -log_true * (1 - log_true.exp()).clamp_min(torch.finfo(logits.dtype).eps) ** gamma
    terms = terms * torch.where(applies > 0, 1.0, 1 / negative_scale)
    if rarity is not None:
        of_row = (applies * rarity.to(applies)).sum(-1, keepdim=True)
        share = rarity.to(applies) / of_row  # infinite where no label applies: the weight is then the largest
        terms = terms * (torch.sigmoid(_BETA * (share - _MU)) + _ALPHA)
    return terms.mean(-1)


def _adjusted(logits: Tensor, adjustment: Tensor | None) -> Tensor:
    """In float32, unless they are more precise."""
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return logits if adjustment is None else logits + adjustment.to(logits)


def on_device(objective: Objective, device: torch.device) -> Objective:
    """The same with its weights there, so that no step has to move them."""
    if not isinstance(objective, partial):
        return objective
    moved = {name: each.to(device) if isinstance(each, Tensor) else each for name, each in objective.keywords.items()}
    return partial(objective.func, *objective.args, **moved)


def without_rarity(objective: Objective) -> Objective:
    """The same with every label of a row weighing the same, so that its terms depend on one label each."""
    if not isinstance(objective, partial) or objective.keywords.get("rarity") is None:
        return objective
    return partial(objective.func, *objective.args, **{**objective.keywords, "rarity": None})


Rows = NDArray[np.float64] | None
"""How much each of n training rows counts, [n] of mean 1; None: all the same."""


def counts(targets: NDArray[np.int64] | NDArray[np.float32], k: int, each: Rows = None) -> NDArray[np.float64]:
    """Training rows of each of k labels, [k]; where they have weights, what these add up to."""
    if targets.ndim == 1:
        return np.bincount(targets, each, minlength=k).astype(np.float64)
    found: NDArray[np.float64] = targets.sum(0, dtype=np.float64) if each is None else each @ targets
    return found


def weights(
    choice: Literal["balanced", "effective_number"] | Mapping[str, float] | None,
    targets: NDArray[np.int64] | NDArray[np.float32],
    labels: Sequence[str],
    *,
    beta: float,
    each: Rows = None,
) -> Tensor | None:
    """Weight of each label, float32 [k], scaled to mean 1 over the training rows (multilabel: over the labels).

    ``balanced`` is inverse frequency; ``effective_number`` is (1 - beta) / (1 - beta^count), which falls from 1 to
    1 - beta and hardly any more beyond 1 / (1 - beta) rows (Cui et al. 2019, eq. 1). A label without a training row
    counts as if it had one. Labels that a mapping does not name weigh 1 before the scaling.
    """
    if choice is None:
        return None
    rows = counts(targets, len(labels), each)
    if choice == "balanced":
        raw = 1.0 / np.maximum(rows, 1.0)
    elif choice == "effective_number":
        raw = (1 - beta) / (1 - beta ** np.maximum(rows, 1.0))
    else:
        raw = _by_name(choice, labels)
    mean = raw.mean() if targets.ndim == 2 else (raw * rows).sum() / rows.sum()
    return torch.tensor(raw / mean, dtype=torch.float32)


def pos_weights(
    choice: Literal["balanced", "square_root"] | Mapping[str, float] | None,
    targets: NDArray[np.int64] | NDArray[np.float32],
    labels: Sequence[str],
    each: Rows = None,
) -> Tensor | None:
    """How much more a label counts where it applies, float32 [k].

    ``balanced`` is negatives over positives, so that both sides of a label weigh the same; ``square_root`` is its
    square root, for labels so rare that the ratio would be in the thousands. A label without a positive row counts as
    if it had one, one without a negative row likewise. Labels that a mapping does not name weigh 1.
    """
    if choice is None:
        return None
    if choice in ("balanced", "square_root"):
        positives = counts(targets, len(labels), each)
        raw = np.maximum(len(targets) - positives, 1.0) / np.maximum(positives, 1.0)
        raw = np.sqrt(raw) if choice == "square_root" else raw
    else:
        raw = _by_name(choice, labels)  # type: ignore[arg-type]
    return torch.tensor(raw, dtype=torch.float32)


def logit_adjustment(
    tau: float, targets: NDArray[np.int64] | NDArray[np.float32], labels: Sequence[str], each: Rows = None
) -> Tensor | None:
    """What training adds to the logits, float32 [k]: tau times the log prior of each label (Menon et al. 2021, eq. 10).

    The model then learns what the prior does not say already, and predicts as if all labels were equally frequent.
    multilabel: tau times the log odds of each label, the same for a sigmoid. Half a row is added to every count, so
    that a label without a training row has a prior.
    """
    if not tau:
        return None
    rows = counts(targets, len(labels), each) + 0.5
    prior = np.log(rows / (len(targets) + 1 - rows)) if targets.ndim == 2 else np.log(rows / rows.sum())
    return torch.tensor(tau * prior, dtype=torch.float32)


def best_constant(
    objective: Objective,
    targets: NDArray[np.int64] | NDArray[np.float32],
    shares: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """The logits [k] at which independent labels cost least, if every training row gets the same.

    For cross-entropy they are the log odds of each label; weights, focal and asymmetric losses, smoothing and logit
    adjustment move them. Half a row is added to either side of a label, so that one without a row has odds.

    Args:
        objective: of several labels (`binary`); its terms of one label must not depend on other labels.
        targets: [n, k] of 0 and 1, the training rows.
        shares: how much each row counts in an epoch, by how often it is drawn and by its weight, [n]; None: once.
    """
    _, k = targets.shape
    rows = targets if shares is None else targets * shares[:, None]
    positives = rows.sum(0, dtype=np.float64) + 0.5
    negatives = (len(targets) if shares is None else shares.sum()) + 1 - positives
    grid = torch.linspace(-_FARTHEST, _FARTHEST, _POINTS, dtype=torch.float64)
    slopes = torch.zeros(_POINTS, k, dtype=torch.float64)
    for value, weights in ((1.0, positives), (0.0, negatives)):
        logits = grid[:, None].repeat(1, k).requires_grad_()
        # The objective is a mean over labels; the slope in each logit is that of its own label alone.
        (slope,) = torch.autograd.grad(objective(logits, torch.full_like(logits, value)).sum(), logits)
        slopes += slope * torch.from_numpy(weights)
    # A focal loss has flat stretches at both ends, so the lowest point is searched for and not a slope of 0.
    lowest = torch.cumulative_trapezoid(slopes, grid, dim=0).argmin(0) + 1
    found: NDArray[np.float64] = grid[lowest].numpy()
    return found


def _by_name(choice: Mapping[str, float], labels: Sequence[str]) -> NDArray[np.float64]:
    return np.array([choice[label] if label in choice else 1.0 for label in labels])


def rarities(targets: NDArray[np.int64] | NDArray[np.float32], each: Rows = None) -> Tensor:
    """1 over the training rows of each label, float32 [k]; a label without a row counts as if it had one.

    Args:
        targets: [n, k] of 0 and 1.
        each: how much each row counts.
    """
    return torch.tensor(1.0 / np.maximum(counts(targets, targets.shape[1], each), 1.0), dtype=torch.float32)


def build(
    kind: Literal["cross_entropy", "focal", "asymmetric", "distribution_balanced", "squared_emd"],
    *,
    multilabel: bool,
    gamma: float,
    gamma_positive: float,
    gamma_negative: float,
    margin: float,
    negative_scale: float,
    label_smoothing: float,
    class_weights: Tensor | None,
    pos_weight: Tensor | None,
    adjustment: Tensor | None,
    rarity: Tensor | None = None,
) -> Objective:
    """The objective that the trainer minimizes; see `categorical` and `binary` for what the settings mean.

    ``rarity`` is of the distribution-balanced loss (`distribution_balanced`), ``gamma`` of that and of the focal one,
    ``gamma_positive``, ``gamma_negative`` and ``margin`` of the asymmetric one; these, ``pos_weight`` and a
    ``negative_scale`` other than 1 are for several labels per row only, but for the focal one. ``squared_emd`` is for
    one label of an order.
    """
    focal = gamma if kind == "focal" else 0.0
    if not multilabel:
        if kind in ("asymmetric", "distribution_balanced") or pos_weight is not None or negative_scale != 1:
            raise ValueError(f"{kind}, pos_weight or negative_scale: for multilabel tasks")
        return partial(
            categorical,
            gamma=focal,
            ordered=kind == "squared_emd",
            label_smoothing=label_smoothing,
            class_weights=class_weights,
            adjustment=adjustment,
        )
    if kind == "distribution_balanced":
        return partial(
            distribution_balanced, gamma=gamma, negative_scale=negative_scale, rarity=rarity, adjustment=adjustment
        )
    asymmetric = kind == "asymmetric"
    return partial(
        binary,
        gamma_positive=gamma_positive if asymmetric else focal,
        gamma_negative=gamma_negative if asymmetric else focal,
        margin=margin if asymmetric else 0.0,
        negative_scale=negative_scale,
        label_smoothing=label_smoothing,
        class_weights=class_weights,
        pos_weight=pos_weight,
        adjustment=adjustment,
    )

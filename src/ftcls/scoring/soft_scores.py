"""How near probabilities are to labels that are not certain: beside the loss, the Brier score."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ftcls.scoring import resampling
from ftcls.scoring.metrics import Predictions, row_losses
from ftcls.scoring.wilson import Interval

_DRAWS = 2000


@dataclass(frozen=True)
class SoftScores:
    """Against how probable each label is by those who gave it; `loss` among the metrics is against that too."""

    brier: float
    """Mean squared difference of the probabilities, summed over the labels of which a row has one; of several labels
    the mean over them (Brier 1950)."""
    brier_interval: Interval
    """95 %, by a bootstrap over rows or clusters."""
    entropy: float
    """The least that the loss can be, in nats: that of who says just what the annotators say."""
    loss_of_labels: float
    """The loss against the most probable labels alone, in nats."""


def soft_scores(predictions: Predictions, *, seed: int) -> SoftScores | None:
    """The scores; None where the labels are certain."""
    if predictions.soft is None:
        return None
    apart = (predictions.probabilities - predictions.soft) ** 2
    rows = apart.mean(axis=1) if predictions.task == "multilabel" else apart.sum(axis=1)
    drawn = [rows @ block.T / block.sum(axis=1) for block in resampling.weights(predictions, seed=seed, draws=_DRAWS)]
    low, high = np.quantile(np.concatenate(drawn), (0.025, 0.975))
    own = replace(predictions, probabilities=predictions.soft.astype(np.float64))
    return SoftScores(
        brier=_mean(rows, predictions),
        brier_interval=(float(low), float(high)),
        entropy=_mean(row_losses(own), predictions),
        loss_of_labels=_mean(row_losses(replace(predictions, soft=None)), predictions),
    )


def _mean(values: NDArray[np.float64], predictions: Predictions) -> float:
    return float(np.average(values, weights=predictions.weights))

"""What the differences between two models on the same rows say, in one metric or several."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ftcls.scoring.intervals import Difference, paired_difference
from ftcls.scoring.metrics import Predictions, higher_is_better, score

SURE: Final = 0.05
"""p-value below which a difference is called one."""
COMPARED: Final = ("accuracy", "f1_macro")
"""What models are compared by beside the chosen metric: the share of right answers, and the mean over labels."""

Verdict = Literal["better", "worse", "open"]
"""What a difference says of the first: better, worse, or nothing that these rows can show."""


def verdict(difference: Difference) -> Verdict:
    """Whether the first of two models is shown to be the better one, whichever way the metric goes."""
    if difference.p_value >= SURE:
        return "open"
    return "better" if (difference.value > 0) == higher_is_better(difference.metric) else "worse"


def same_labels(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Share of n texts that two models give the same labels, [n], or [n, k] for several."""
    return float(np.asarray(first == second).reshape(len(first), -1).all(axis=1).mean())


def differences(first: Predictions, second: Predictions, *, metrics: Sequence[str], seed: int) -> dict[str, Difference]:
    """The paired difference of every metric, by name; one that has no value on these rows is left out.

    Raises:
        DataError: the two are not of the same rows, or a metric is none of the task.
    """
    # Whether an area under a curve has a value depends on the gold labels alone, so it is alike for both.
    undefined = {name for name, value in score(first).items() if value is None}
    names = dict.fromkeys(name for name in metrics if name not in undefined)
    return {name: paired_difference(first, second, metric=name, seed=seed) for name in names}

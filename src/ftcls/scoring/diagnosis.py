"""What the curves of a training say: whether and from where it over-fitted, spikes, plateaus, the learning rate.

Works on the lines of history.jsonl and on those of any Trainer's trainer_state.json; numpy only.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ftcls.scoring.overfitting import Verdict, judge, smoothed

Shape = Literal["constant", "linear", "cosine", "other"]

SPIKE: Final = 2.5
"""A gradient norm this many times the usual one nearby may be a spike."""
_SPIKE_DEVIATIONS: Final = 1.5
"""And it has to lie this many (median-based) deviations of the logarithm above: where norms differ by factors from step
to step, as with small batches, a factor of 2.5 is nothing special."""
_WINDOW: Final = 10
"""Logged steps on either side that say what is usual."""
_PLATEAU_SHARE: Final = 0.2
"""A plateau takes at least this share of the steps."""
_PLATEAU_FALL: Final = 0.05
"""Within it the smoothed loss falls by less than this share of the whole fall."""
_LARGEST: Final = 1e300
"""Of what is logged: sums and differences of a few such values are still numbers."""
_USUAL: Final = ("accuracy", "f1_macro", "macro_f1", "f1", "f1_micro", "micro_f1", "matthews_correlation")
_NO_SCORE: Final = re.compile(
    r"(.*_)?(loss|runtime|samples_per_second|steps_per_second|time|num_\w+|error|perplexity|ece|brier|r?mse|mae|[cw]er)"
)
"""What stands beside the metrics of an evaluation, and metrics that are better when smaller."""


@dataclass(frozen=True)
class Spike:
    """A gradient norm far above what is usual around it."""

    step: int
    norm: float
    usual: float
    """Median of the logged steps around it."""


@dataclass(frozen=True)
class Plateau:
    """Steps in which the training loss hardly fell."""

    from_step: int
    to_step: int
    loss: float


@dataclass(frozen=True)
class LearningRate:
    """The course of the learning rate as logged."""

    peak: float
    peak_step: int
    last: float
    shape: Shape
    """Of what follows the peak."""


@dataclass(frozen=True)
class Diagnosis:
    """What the curves say."""

    overfitted: bool
    from_step: int | None
    """The first evaluation from which on validation loss stayed above its lowest."""
    spikes: tuple[Spike, ...]
    sentence: str
    lowest_validation_loss_step: int | None = None
    plateaus: tuple[Plateau, ...] = ()
    learning_rate: LearningRate | None = None
    verdict: Verdict = "unknown"
    metric: str | None = None
    """The validation metric that the sentence holds against the loss."""


def diagnose(
    lines: Sequence[Mapping[str, Any]],
    *,
    metric: str | None = None,
    chance: float | None = None,
    error: float | None = None,
) -> Diagnosis:
    """Read the curves.

    Args:
        lines: one mapping per logged step with step, and loss, learning_rate, grad_norm, eval_loss, eval_<metric> as
            far as they were logged; numbers that are not finite count as not logged, but for the losses.
        metric: the validation metric to hold against the loss; None, or one that cannot be (a loss, or not logged): a
            usual one, such as accuracy.
        chance: loss of the best answer that looks at no text, in nats; None: not known.
        error: standard error of the validation loss; None: not known.
    """
    training = _series(lines, "loss")
    evaluations = _series(lines, "eval_loss")
    watched = _watched(lines, metric)
    judged = judge(
        training,
        evaluations,
        scores=dict(_series(lines, f"eval_{watched}")),
        metric=watched,
        broken=_not_finite(lines),
        chance=chance,
        error=error,
    )
    return Diagnosis(
        overfitted=judged.verdict == "overfitted",
        from_step=judged.from_step,
        spikes=spikes(_series(lines, "grad_norm")),
        sentence=judged.sentence,
        lowest_validation_loss_step=min(evaluations, key=lambda point: point[1])[0] if evaluations else None,
        plateaus=plateaus(training),
        learning_rate=learning_rate(_series(lines, "learning_rate")),
        verdict=judged.verdict,
        metric=watched,
    )


def constant_loss(targets: NDArray[Any], rows: NDArray[np.float64] | None = None, *, exclusive: bool = False) -> float:
    """Loss in nats of the best answer that is the same for every row: the entropy of the labels.

    Args:
        targets: [n] label numbers, or [n, k] of 0 and 1, or how probable each label is.
        rows: [n] how much each counts; None: all the same.
        exclusive: of [n, k]: a row has one label; else it is the mean over the k labels.
    """
    if targets.ndim == 1:
        found = np.bincount(targets.astype(np.int64), rows)
        return _entropy(found / found.sum())
    given: NDArray[np.float64] = np.average(targets.astype(np.float64), axis=0, weights=rows)
    if exclusive:
        return _entropy(given)
    return (_entropy(given) + _entropy(1 - given)) / int(targets.shape[1])


def _entropy(shares: NDArray[np.float64]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


def _series(lines: Sequence[Mapping[str, Any]], key: str) -> list[tuple[int, float]]:
    return [
        (int(line["step"]), float(np.clip(line[key], -_LARGEST, _LARGEST)))
        for line in lines
        if key in line and line[key] is not None and np.isfinite(line[key])
    ]


def _watched(lines: Sequence[Mapping[str, Any]], wanted: str | None) -> str | None:
    """A metric of the evaluations that is better when larger: the wanted one, a usual one, or the first of all."""
    logged = dict.fromkeys(
        key.removeprefix("eval_")
        for line in lines
        for key, value in line.items()
        if key.startswith("eval_") and isinstance(value, int | float)
    )
    names = [name for name in logged if not _NO_SCORE.fullmatch(name)]
    return next((name for name in (wanted, *_USUAL, *names) if name in names), None)


def _not_finite(lines: Sequence[Mapping[str, Any]]) -> str | None:
    """What is not finite and where; a Trainer that filters NaN out of its losses logs 0 for a model of NaN."""
    for line in lines:
        where = f"at step {int(line['step']):,}"
        if "loss" in line and (line["loss"] is None or not np.isfinite(line["loss"])):
            return f"the loss is not a finite number {where}"
        if "eval_loss" in line and line["eval_loss"] is not None and not np.isfinite(line["eval_loss"]):
            return f"the validation loss is not a finite number {where}"
        norm = line["grad_norm"] if "grad_norm" in line else None
        if norm is not None and not np.isfinite(norm) and "loss" in line and line["loss"] == 0:
            return f"the loss is 0 and the gradient norm not a finite number {where}, so the weights are lost"
    return None


def spikes(norms: Sequence[tuple[int, float]]) -> tuple[Spike, ...]:
    """Gradient norms far above the median of the logged steps around them.

    On a log scale, because norms differ by factors: at least 2.5 times the median, and 1.5 of the deviations that the
    median absolute deviation stands for above it.
    """
    found = []
    logs = np.log(np.maximum([norm for _, norm in norms], np.finfo(np.float64).tiny))
    for index, (step, norm) in enumerate(norms):
        around = np.delete(logs[max(0, index - _WINDOW) : index + _WINDOW + 1], min(index, _WINDOW))
        if len(around) < 4:
            continue
        usual = float(np.median(around))
        deviation = 1.4826 * float(np.median(np.abs(around - usual)))
        if logs[index] - usual > max(np.log(SPIKE), _SPIKE_DEVIATIONS * deviation):
            found.append(Spike(step, norm, float(np.exp(usual))))
    return tuple(found)


def plateaus(losses: Sequence[tuple[int, float]]) -> tuple[Plateau, ...]:
    """The longest stretches in which the training loss hardly fell, none overlapping.

    They are read off the never rising curve that is nearest to the losses, which is flat where they go up and down
    without falling: noise then ends no plateau, and a noisy decline is none.
    """
    if len(losses) < 10:
        return ()
    curve = never_rising(smoothed([loss for _, loss in losses]))
    fall = float(curve[0] - curve[-1])
    if fall <= 0:
        return ()
    ends = np.searchsorted(-curve, _PLATEAU_FALL * fall - curve, side="right") - 1
    steps = [step for step, _ in losses]
    least, found = _PLATEAU_SHARE * (steps[-1] - steps[0]), list[tuple[int, int]]()
    for start in sorted(range(len(steps)), key=lambda place: steps[place] - steps[int(ends[place])]):
        end = int(ends[start])
        apart = all(end <= first or start >= last for first, last in found)
        if steps[end] - steps[start] >= least and end - start >= 3 and apart:
            found.append((start, end))
    level = {(start, end): float(np.median([loss for _, loss in losses[start : end + 1]])) for start, end in found}
    return tuple(Plateau(steps[start], steps[end], level[start, end]) for start, end in sorted(found))


def never_rising(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The never rising curve [m] nearest to the values by least squares: pool adjacent violators (Ayer et al. 1955)."""
    means: list[float] = []
    sizes: list[int] = []
    for value in values.tolist():
        means.append(value)
        sizes.append(1)
        while len(means) > 1 and means[-2] <= means[-1]:
            mean, size = means.pop(), sizes.pop()
            means[-1] = (means[-1] * sizes[-1] + mean * size) / (sizes[-1] + size)
            sizes[-1] += size
    return np.repeat(np.array(means), sizes)


def learning_rate(rates: Sequence[tuple[int, float]]) -> LearningRate | None:
    """Peak, end and shape of the logged learning rate; None where none was logged."""
    if not rates:
        return None
    values = np.array([rate for _, rate in rates])
    steps = np.array([step for step, _ in rates], dtype=np.float64)
    peak = int(values.argmax())
    return LearningRate(
        peak=float(values[peak]),
        peak_step=int(steps[peak]),
        last=float(values[-1]),
        shape=_shape(steps[peak:], values[peak:]),
    )


def _shape(steps: NDArray[np.float64], values: NDArray[np.float64]) -> Shape:
    if values[0] <= 0:  # no schedule's
        return "constant" if (values == values[0]).all() else "other"
    with np.errstate(over="ignore"):
        shares = np.clip(values / values[0], -1, 1)
    if np.ptp(shares) <= 1e-6:
        return "constant"
    if len(shares) < 4:
        return "other"
    line = np.polynomial.Polynomial.fit(steps, shares, 1)(steps)
    if np.abs(line - shares).max() <= 1e-3:
        return "linear"
    # Half a cosine from the peak: 2 share - 1 = cos(x) with x proportional to the steps since.
    angles = np.arccos(2 * np.maximum(shares, 0) - 1)
    slope = angles[-1] / (steps[-1] - steps[0])
    return "cosine" if np.abs(angles - slope * (steps - steps[0])).max() <= 0.05 else "other"

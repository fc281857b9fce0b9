"""What the curves of a training say: whether and from where it over-fitted, spikes, plateaus, the learning rate.

Works on the lines of history.jsonl and on those of any Trainer's trainer_state.json; numpy only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

Shape = Literal["constant", "linear", "cosine", "other"]

RISE: Final = 0.05
"""Share by which validation loss has to stand above its lowest to be called risen: evaluations of a few hundred rows
wobble by some hundredths."""
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
_LEARNT: Final = 0.02
"""The smoothed training loss has to fall by this share for anything to have been learnt."""
_SAME_METRIC: Final = 0.01


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


def diagnose(lines: Sequence[Mapping[str, Any]], *, metric: str | None = None) -> Diagnosis:
    """Read the curves.

    Args:
        lines: one mapping per logged step with step, and loss, learning_rate, grad_norm, eval_loss, eval_<metric> as
            far as they were logged; numbers that are not finite count as not logged, but for the loss.
        metric: the validation metric to hold against the loss.
    """
    training = _series(lines, "loss")
    evaluations = _series(lines, "eval_loss")
    scores = dict(_series(lines, f"eval_{metric}")) if metric and metric != "loss" else {}
    broken = _first_not_finite(lines)
    from_step = None if broken is not None else _risen(training, evaluations)
    lowest = min(evaluations, key=lambda point: point[1])[0] if evaluations else None
    return Diagnosis(
        overfitted=from_step is not None,
        from_step=from_step,
        spikes=spikes(_series(lines, "grad_norm")),
        sentence=_sentence(training, evaluations, scores, from_step, broken=broken, metric=metric),
        lowest_validation_loss_step=lowest,
        plateaus=plateaus(training),
        learning_rate=learning_rate(_series(lines, "learning_rate")),
    )


Points = list[tuple[int, float]]


def _series(lines: Sequence[Mapping[str, Any]], key: str) -> Points:
    return [
        (int(line["step"]), float(line[key]))
        for line in lines
        if key in line and line[key] is not None and np.isfinite(line[key])
    ]


def _first_not_finite(lines: Sequence[Mapping[str, Any]]) -> int | None:
    for line in lines:
        if "loss" in line and (line["loss"] is None or not np.isfinite(line["loss"])):
            return int(line["step"])
    return None


def _risen(training: Points, evaluations: Points) -> int | None:
    """Where validation loss leaves its lowest for good, while training loss goes on falling."""
    if len(evaluations) < 2:
        return None
    losses = np.array([loss for _, loss in evaluations])
    lowest = int(losses.argmin())
    above = losses > losses[lowest] + RISE * abs(losses[lowest])
    if not above[-1]:
        return None
    start = len(above) - int(np.argmin(above[::-1]))  # after the last evaluation that was not above
    if training:
        before = [loss for step, loss in training if step <= evaluations[lowest][0]]
        after = [loss for step, loss in training if step > evaluations[lowest][0]]
        if not before or not after or np.mean(after) >= np.mean(before):
            return None
    return evaluations[start][0]


def _sentence(
    training: Points,
    evaluations: Points,
    scores: Mapping[int, float],
    from_step: int | None,
    *,
    broken: int | None,
    metric: str | None,
) -> str:
    if broken is not None:
        return f"Training broke down: the loss is not a finite number at step {broken:,}."
    if not training and not evaluations:
        return "Nothing was logged, so nothing can be told."
    smooth = _smooth([loss for _, loss in training])
    course = f"training loss went from {smooth[0]:.4f} to {smooth[-1]:.4f}" if len(smooth) > 1 else ""
    if course and smooth[-1] > smooth[0] * (1 + RISE) and smooth[-1] > 2 * smooth.min():
        return f"Training diverged: {course}, {smooth.min():.4f} at its lowest."
    if course and smooth[-1] > smooth[0] * (1 - _LEARNT):
        return f"Nothing was learnt: {course}."
    if len(evaluations) < 2:
        count = "one evaluation" if evaluations else "no evaluation"
        rest = f"; {course}" if course else ""
        return f"Whether it over-fitted cannot be told: {count} was logged{rest}."
    if from_step is None:
        return _not_overfitted(evaluations)
    return _overfitted(evaluations, scores, from_step, course=course, metric=metric)


def _not_overfitted(evaluations: Points) -> str:
    step, loss = min(evaluations, key=lambda point: point[1])
    last_step, last = evaluations[-1]
    if step == last_step:
        # A fifth of a rise: less than this is the wobble of one evaluation.
        falling = evaluations[-2][1] - last > RISE / 5 * last
        more = "; it was still falling, so more steps may help" if falling else ""
        return f"Not over-fitted: validation loss was lowest at the last evaluation, {last:.4f} at step {step:,}{more}."
    if last > loss * (1 + RISE):
        rise = f"from {loss:.4f} at step {step:,} to {last:.4f}"
        return f"Not over-fitted: validation loss rose {rise}, but training loss did not fall meanwhile."
    return f"Not over-fitted: validation loss stayed near its lowest, {loss:.4f} at step {step:,}, to the end."


def _overfitted(
    evaluations: Points, scores: Mapping[int, float], from_step: int, *, course: str, metric: str | None
) -> str:
    step, loss = min(evaluations, key=lambda point: point[1])
    last_step, last = evaluations[-1]
    rise = f"validation loss rose from {loss:.4f} at step {step:,} to {last:.4f}"
    sentence = f"Over-fitted from step {from_step:,}: {rise}" + (f" while {course}" if course else "")
    if step not in scores or last_step not in scores:
        return f"{sentence}."
    then, now = scores[step], scores[last_step]
    if now < then - _SAME_METRIC:
        return f"{sentence}, and {metric} fell from {then:.4f} to {now:.4f}."
    held = "rose" if now > then + _SAME_METRIC else "held"
    return f"{sentence}; {metric} {held} ({then:.4f}, then {now:.4f}): it grew over-confident rather than worse."


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
    """The longest stretches in which the smoothed training loss hardly fell."""
    if len(losses) < 10:
        return ()
    smooth = _smooth([loss for _, loss in losses])
    fall = smooth.max() - smooth.min()
    least = max(3, int(_PLATEAU_SHARE * len(smooth)))
    found, start = [], 0
    while start < len(smooth) - least:
        end = start
        while end + 1 < len(smooth) and abs(smooth[end + 1] - smooth[start]) <= _PLATEAU_FALL * fall:
            end += 1
        if fall > 0 and end - start >= least:
            found.append(Plateau(losses[start][0], losses[end][0], float(smooth[start : end + 1].mean())))
            start = end
        start += 1
    return tuple(found)


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
    if np.ptp(values) <= 1e-6 * values[0]:
        return "constant"
    if len(values) < 4:
        return "other"
    line = np.polynomial.Polynomial.fit(steps, values, 1)(steps)
    if np.abs(line - values).max() <= 1e-3 * values[0]:
        return "linear"
    # Half a cosine from the peak: 2 v / peak - 1 = cos(x) with x proportional to the steps since.
    angles = np.arccos(np.clip(2 * values / values[0] - 1, -1, 1))
    slope = angles[-1] / (steps[-1] - steps[0])
    return "cosine" if np.abs(angles - slope * (steps - steps[0])).max() <= 0.05 else "other"


def _smooth(values: Sequence[float]) -> NDArray[np.float64]:
    """Running median of a tenth of the values, at least three: a single odd batch does not count."""
    half = max(1, len(values) // 20)
    return np.array([np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])

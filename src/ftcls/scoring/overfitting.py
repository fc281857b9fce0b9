"""How a training ended: over-fitted, too early, nowhere. One sentence, from its losses.

Over-fitting is read off the validation loss; a training loss near zero is what training aims at. The evaluations of a
training wobble, so a rise counts when it exceeds their noise and lasts to the end. Of simulated histories with 8 to 37
evaluations and a noise of 1 to 4 % between them, at most 5 % are called risen where the loss is flat, and 80 % or more
where it rises by 30 %; a fixed 5 % above the lowest alone would call up to three quarters of the flat ones risen, the
more the more evaluations there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ftcls.environment.figures_as_text import number

Points = Sequence[tuple[int, float]]
"""Step and value, in order of the steps."""
Verdict = Literal["overfitted", "not_overfitted", "undertrained", "unstable", "nothing_learnt", "diverged", "unknown"]

RISE: Final = 0.05
"""Share by which validation loss has to stand above its lowest to be called risen: less changes no decision."""
_DEVIATIONS: Final = 2.5
"""And by so many deviations of the noise, where there are enough evaluations to see it."""
_SHOW_NOISE: Final = 8
"""Fewest evaluations that do: below, the bend of the curve itself would be taken for noise."""
_PAIR: Final = 5
"""From so many evaluations on, the last two have to stand above the lowest, or the last one ..."""
_LONE: Final = 3
"""... by so many times the margin."""
_LEARNT: Final = 0.02
"""The smoothed training loss has to fall by this share for anything to have been learnt."""
_NEAR: Final = 0.03
"""How near to ln k the loss of a model of k labels is that knows nothing."""
_LABELS: Final = range(2, 11)
"""Numbers of labels whose logarithms are far enough apart for that."""
_LOST: Final = 0.5
"""Share of what the training loss had gained that is lost again by a training that diverges."""
_LEAST_LOST: Final = 0.1
"""And at least this share of the loss at the start."""
_LATE: Final = 0.2
_FALLING: Final = 0.02
"""Share by which validation loss falls in the last fifth of a training that ends too early."""
_SAME_METRIC: Final = 0.01


@dataclass(frozen=True)
class Judgement:
    """How a training ended."""

    verdict: Verdict
    from_step: int | None
    """overfitted, unstable: the first evaluation from which on validation loss stayed above its lowest."""
    sentence: str


@dataclass(frozen=True)
class Course:
    """The validation loss, as far as its noise lets it be seen."""

    lowest_step: int
    lowest: float
    end: float
    wobble: float
    """Standard deviation of the evaluations' noise; 0 where they are too few to show it."""
    from_step: int | None
    """The first evaluation from which on it stayed above the lowest; None: it did not."""


def judge(
    training: Points,
    evaluations: Points,
    *,
    scores: Mapping[int, float],
    metric: str | None,
    broken: str | None = None,
    chance: float | None = None,
    error: float | None = None,
) -> Judgement:
    """Judge a training by its losses.

    Args:
        training: the logged training losses.
        evaluations: the validation losses.
        scores: the metric of the validation split by step; a larger one is better.
        metric: its name.
        broken: what is not finite and where, if anything is.
        chance: loss of the best answer that looks at no text, in nats; None: not known.
        error: standard error of the validation loss; a rise has to exceed it. All evaluations are of the same rows, so
            that the noise between two of them is less. None: not known.
    """
    if broken is not None:
        return Judgement("diverged", None, f"Training broke down: {broken}.")
    if not training and not evaluations:
        return Judgement("unknown", None, "Nothing was logged, so nothing can be told.")
    smooth = smoothed([loss for _, loss in training])
    course = f"training loss went from {number(smooth[0])} to {number(smooth[-1])}" if len(smooth) > 1 else ""
    found = _diverged(training, smooth, course) or _nothing_learnt(smooth, evaluations, course, chance)
    if found is not None:
        return found
    if len(evaluations) < 2:
        count = "one evaluation" if evaluations else "no evaluation"
        rest = f"; {course}" if course else ""
        return Judgement("unknown", None, f"Whether it over-fitted cannot be told: {count} was logged{rest}.")
    seen = follow(evaluations, error=error)
    if seen.from_step is None:
        return _not_risen(evaluations, seen)
    return _risen(training, seen, seen.from_step, scores=scores, metric=metric, course=course)


def follow(evaluations: Points, *, error: float | None = None) -> Course:
    """Where the validation loss was lowest, and whether it rose from there for good.

    From eight evaluations on the curve is smoothed by medians of three, and its noise taken from second differences,
    which a straight line does not change.
    """
    steps = [step for step, _ in evaluations]
    raw = np.array([loss for _, loss in evaluations])
    many = len(raw) >= _SHOW_NOISE
    values, wobble = (medians_of_three(raw), noise(raw)) if many else (raw, 0.0)
    place = int(values.argmin())
    lowest = float(values[place])
    margin = max(RISE * abs(lowest), _DEVIATIONS * wobble, error or 0.0)
    end = float(values[-1])
    if many:
        end = min(end, float(np.median(raw[-3:])))
    elif len(raw) >= _PAIR and end - lowest <= _LONE * margin:
        end = min(end, float(raw[-2]))
    above = values > lowest + margin
    from_step = None
    if end > lowest + margin and above[-1]:
        from_step = steps[len(above) - int(np.argmin(above[::-1]))]  # after the last evaluation that was not above
    return Course(steps[place], lowest, end, wobble, from_step)


def _diverged(training: Points, smooth: NDArray[np.float64], course: str) -> Judgement | None:
    """The training loss lost more than half of what it had gained."""
    if len(smooth) < 2:
        return None
    place = int(smooth.argmin())
    gained, lost = float(smooth[0] - smooth[place]), float(smooth[-1] - smooth[place])
    doubt = _DEVIATIONS * noise(np.array([loss for _, loss in training]))
    if lost <= max(_LOST * gained, _LEAST_LOST * abs(float(smooth[0])), doubt):
        return None
    at = f"{number(smooth[place])} at its lowest, step {training[place][0]:,}"
    return Judgement("diverged", None, f"Training diverged: {course}, {at}; a lower learning rate may help.")


def _nothing_learnt(
    smooth: NDArray[np.float64], evaluations: Points, course: str, chance: float | None
) -> Judgement | None:
    """Neither loss fell below that of a constant answer."""
    if not course or smooth[-1] <= smooth[0] * (1 - _LEARNT):
        return None
    level = _nearest_logarithm(float(smooth[0])) if chance is None else chance
    # A loss that starts low and stays may be that of a model that had learnt all before the first line was logged.
    if level is None or any(loss < level * (1 - _LEARNT) for _, loss in evaluations):
        return None
    if not evaluations and smooth[-1] < level * (1 - _NEAR):
        return None
    # Validation loss is the plain one, as that of the answer is; training may have been by another.
    reached = f", validation loss {number(min(loss for _, loss in evaluations))} at its lowest" if evaluations else ""
    words = f"Nothing was learnt: {course}{reached}; an answer that looks at no text has {number(level)}."
    return Judgement("nothing_learnt", None, words)


def _nearest_logarithm(loss: float) -> float | None:
    nearest = min(np.log(_LABELS).tolist(), key=lambda each: abs(each - loss))
    return float(nearest) if abs(loss / nearest - 1) <= _NEAR else None


def _not_risen(evaluations: Points, seen: Course) -> Judgement:
    (first_step, _), (last_step, last) = evaluations[0], evaluations[-1]
    if seen.lowest_step == last_step:
        before = [loss for step, loss in evaluations if step <= last_step - _LATE * (last_step - first_step)]
        where = f"was lowest at the last evaluation, {number(seen.lowest)} at step {last_step:,}"
        if min(before) - seen.lowest > max(_FALLING * abs(seen.lowest), seen.wobble):
            words = f"Undertrained: validation loss {where}, and still falling; more steps may help."
            return Judgement("undertrained", None, words)
    elif last > seen.lowest * (1 + RISE):
        where = (
            f"ended at {number(last)}, {number(seen.lowest)} at its lowest, step {seen.lowest_step:,}: it may be noise"
        )
    else:
        where = f"stayed near its lowest, {number(seen.lowest)} at step {seen.lowest_step:,}, to the end"
    return Judgement("not_overfitted", None, f"Not over-fitted: validation loss {where}.")


def _risen(
    training: Points, seen: Course, from_step: int, *, scores: Mapping[int, float], metric: str | None, course: str
) -> Judgement:
    rise = f"validation loss rose from {number(seen.lowest)} at step {seen.lowest_step:,} to {number(seen.end)}"
    before = [loss for step, loss in training if step <= seen.lowest_step]
    after = [loss for step, loss in training if step > seen.lowest_step]
    if training and (not before or not after):
        words = "no training loss was logged before and after that to tell whether it fell"
        return Judgement("unknown", None, f"Whether it over-fitted cannot be told: {rise}, but {words}.")
    if training and np.mean(after) >= np.mean(before):
        return Judgement("unstable", from_step, f"Unstable: {rise}, but training loss did not fall meanwhile.")
    sentence = f"Over-fitted from step {from_step:,}: {rise}" + (f" while {course}" if course else "")
    return Judgement("overfitted", from_step, sentence + _metric_since(seen.lowest_step, scores, metric))


def _metric_since(step: int, scores: Mapping[int, float], metric: str | None) -> str:
    """What became of the metric since the lowest validation loss; ends the sentence."""
    if step not in scores or max(scores) == step:
        return "."
    then, now = scores[step], scores[max(scores)]
    if now < then - _SAME_METRIC:
        return f", and {metric} fell from {number(then)} to {number(now)}."
    held = "rose" if now > then + _SAME_METRIC else "held"
    return f"; {metric} {held} ({number(then)}, then {number(now)}): it grew over-confident rather than worse."


def smoothed(values: Sequence[float]) -> NDArray[np.float64]:
    """Running median of a tenth of the values, three to 101 of them: a single odd batch does not count."""
    half = min(50, max(1, len(values) // 20))
    return np.array([np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])


def medians_of_three(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Running medians of three values or more [m], the ends by Tukey's rule (Exploratory Data Analysis, 1977).

    A lone value up or down leaves no trace; a curve that rises or falls throughout stays as it is.
    """
    inner = np.median(np.stack([values[:-2], values[1:-1], values[2:]]), axis=0)
    ends = [
        float(np.median([end, near, 3 * near - 2 * next_]))
        for end, near, next_ in (
            (values[0], inner[0], inner[min(1, len(inner) - 1)]),
            (values[-1], inner[-1], inner[max(0, len(inner) - 2)]),
        )
    ]
    return np.concatenate([ends[:1], inner, ends[1:]])


def noise(values: NDArray[np.float64]) -> float:
    """Standard deviation of the noise around a smooth curve [m], 0 where too few values show it.

    By the median absolute second difference, which independent noise widens by sqrt(6).
    """
    if len(values) < _PAIR:
        return 0.0
    differences = np.diff(values, 2)
    return float(1.4826 * np.median(np.abs(differences - np.median(differences))) / np.sqrt(6))

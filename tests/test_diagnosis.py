"""The verdict on a training, from curves whose verdict is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftcls.diagnosis import diagnose, learning_rate, plateaus, spikes

STEPS = range(10, 401, 10)


def history(loss, validation=(), *, scores=None, metric="f1_macro"):
    """Training loss by a function of the step every ten steps; validation losses at evenly spread steps."""
    lines = {step: {"step": step, "loss": loss(step)} for step in STEPS}
    every = 400 // len(validation) if validation else 0
    for index, value in enumerate(validation):
        line = lines[every * (index + 1)]
        line["eval_loss"] = value
        if scores:
            line[f"eval_{metric}"] = scores[index]
    return [lines[step] for step in sorted(lines)]


def falling(step):
    return 0.7 * math.exp(-step / 100) + 0.02


def test_validation_loss_that_rises_while_training_loss_falls_is_overfitting():
    found = diagnose(history(falling, [0.40, 0.30, 0.33, 0.45]))
    assert found.overfitted
    assert (found.lowest_validation_loss_step, found.from_step) == (200, 300)
    assert found.sentence.startswith(
        "Over-fitted from step 300: validation loss rose from 0.3000 at step 200 to 0.4500"
    )


def test_a_single_high_evaluation_in_between_is_none():
    found = diagnose(history(falling, [0.40, 0.30, 0.45, 0.30]))
    assert not found.overfitted
    assert "stayed near its lowest, 0.3000 at step 200, to the end" in found.sentence


def test_from_step_is_where_it_left_its_lowest_for_good():
    found = diagnose(history(falling, [0.30, 0.40, 0.30, 0.36, 0.37]))
    assert (found.lowest_validation_loss_step, found.from_step) == (80, 320)


def test_both_losses_rising_is_no_overfitting():
    found = diagnose(history(lambda step: 0.3 if step <= 100 else 0.31, [0.30, 0.40, 0.45, 0.5]))
    assert not found.overfitted


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([0.8, 0.85, 0.85, 0.855], "f1_macro held (0.8500, then 0.8550): it grew over-confident rather than worse."),
        ([0.8, 0.85, 0.87, 0.9], "f1_macro rose (0.8500, then 0.9000): it grew over-confident"),
        ([0.8, 0.85, 0.82, 0.8], "and f1_macro fell from 0.8500 to 0.8000."),
    ],
)
def test_the_metric_says_whether_it_grew_worse_or_only_overconfident(scores, words):
    found = diagnose(history(falling, [0.40, 0.30, 0.35, 0.45], scores=scores), metric="f1_macro")
    assert found.sentence.endswith(words) or words in found.sentence


def test_a_loss_that_still_falls_asks_for_more_steps():
    falls, flat = ([0.6, 0.5, 0.4, 0.3], [0.5, 0.4, 0.301, 0.3])
    assert "it was still falling, so more steps may help" in diagnose(history(falling, falls)).sentence
    assert diagnose(history(falling, flat)).sentence == (
        "Not over-fitted: validation loss was lowest at the last evaluation, 0.3000 at step 400."
    )


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "Nothing was logged"),
        (history(falling), "cannot be told: no evaluation was logged; training loss went from"),
        (history(falling, [0.3]), "cannot be told: one evaluation was logged"),
        (history(lambda step: 0.693 - step / 1e6, [0.69, 0.7, 0.69, 0.7]), "Nothing was learnt"),
        (history(lambda step: 0.3 if step < 200 else 4.0, [0.3, 0.4, 3.0, 4.0]), "Training diverged"),
        (history(lambda step: float("nan") if step == 200 else 0.5), "not a finite number at step 200"),
    ],
)
def test_other_endings_are_said(lines, words):
    found = diagnose(lines)
    assert words in found.sentence
    assert not found.overfitted


def test_a_spike_stands_out_from_its_surroundings():
    rng = np.random.default_rng(0)
    norms = [(step, float(value)) for step, value in zip(STEPS, rng.lognormal(1, 0.25, 40), strict=True)]
    norms[6] = (70, 15.03)
    (found,) = spikes(norms)
    assert (found.step, found.norm) == (70, 15.03)
    assert found.usual == pytest.approx(math.e, rel=0.3)


def test_of_restless_norms_only_the_most_extreme_are_spikes_and_few_say_nothing():
    restless = np.random.default_rng(1).lognormal(1, 1.0, 400)
    found = spikes([(i, float(v)) for i, v in enumerate(restless)])
    assert len(found) / 400 < 0.75 * (restless > 2.5 * np.e).mean()
    assert spikes([(1, 1.0), (2, 1.0), (3, 50.0)]) == ()
    assert spikes([]) == ()


def test_a_plateau_is_a_long_stretch_without_progress():
    def stairs(step):
        return 0.7 - 0.002 * min(step, 100) - 0.004 * max(0, min(step - 250, 100))

    (found, *_) = plateaus([(step, stairs(step)) for step in STEPS])
    assert found.from_step in range(90, 121)
    assert found.to_step in range(230, 271)
    assert found.loss == pytest.approx(0.5, abs=0.02)
    assert plateaus([(step, 0.7 - step / 1000) for step in STEPS]) == ()


@pytest.mark.parametrize(
    ("rate", "shape", "peak_step"),
    [
        (lambda step: 2e-5, "constant", 10),
        (lambda step: 2e-5 * (1 - step / 410), "linear", 10),
        (lambda step: 2e-5 * (min(1, step / 50) if step <= 50 else (410 - step) / 360), "linear", 50),
        (lambda step: 2e-5 * 0.5 * (1 + math.cos(math.pi * (step - 10) / 400)), "cosine", 10),
        (lambda step: 2e-5 / step**0.5, "other", 10),
    ],
)
def test_the_course_of_the_learning_rate_is_recognised(rate, shape, peak_step):
    found = learning_rate([(step, rate(step)) for step in STEPS])
    assert (found.shape, found.peak_step) == (shape, peak_step)
    assert learning_rate([]) is None


VALUE = st.none() | st.floats(allow_nan=True, allow_infinity=True)
LINE = st.fixed_dictionaries({}, optional=dict.fromkeys(("loss", "eval_loss", "grad_norm", "learning_rate"), VALUE))


@given(st.lists(LINE))
def test_whatever_was_logged_there_is_one_sentence(entries):
    found = diagnose([{"step": index + 1, **entry} for index, entry in enumerate(entries)])
    assert found.sentence.endswith(".")
    assert "\n" not in found.sentence

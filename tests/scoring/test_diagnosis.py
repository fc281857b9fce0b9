"""The verdict on a training, from curves whose verdict is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftcls.scoring.diagnosis import constant_loss, diagnose, learning_rate, never_rising, plateaus, spikes

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
    assert found.sentence.startswith("Over-fitted from step 300: validation loss rose from .3000 at step 200 to .4500")


def test_a_single_high_evaluation_in_between_is_none():
    found = diagnose(history(falling, [0.40, 0.30, 0.45, 0.30]))
    assert not found.overfitted
    assert "stayed near its lowest, .3000 at step 200, to the end" in found.sentence


def test_from_step_is_where_it_left_its_lowest_for_good():
    found = diagnose(history(falling, [0.30, 0.40, 0.30, 0.36, 0.37]))
    assert (found.lowest_validation_loss_step, found.from_step) == (80, 320)


def test_both_losses_rising_is_no_overfitting():
    found = diagnose(history(lambda step: 0.3 if step <= 100 else 0.31, [0.30, 0.40, 0.45, 0.5]))
    assert not found.overfitted


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([0.8, 0.85, 0.85, 0.855], "f1_macro held (.8500, then .8550): it grew over-confident rather than worse."),
        ([0.8, 0.85, 0.87, 0.9], "f1_macro rose (.8500, then .9000): it grew over-confident"),
        ([0.8, 0.85, 0.82, 0.8], "and f1_macro fell from .8500 to .8000."),
    ],
)
def test_the_metric_says_whether_it_grew_worse_or_only_overconfident(scores, words):
    found = diagnose(history(falling, [0.40, 0.30, 0.35, 0.45], scores=scores), metric="f1_macro")
    assert found.sentence.endswith(words) or words in found.sentence


def test_a_loss_that_still_falls_asks_for_more_steps():
    falls, flat = ([0.6, 0.5, 0.4, 0.3], [0.5, 0.4, 0.301, 0.3])
    assert diagnose(history(falling, falls)).sentence == (
        "Undertrained: validation loss was lowest at the last evaluation, .3000 at step 400, and still falling; "
        "more steps may help."
    )
    assert diagnose(history(falling, flat)).sentence == (
        "Not over-fitted: validation loss was lowest at the last evaluation, .3000 at step 400."
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


def wobbling(values, noise, seed):
    """The values, each off by the noise, a share of it."""
    return list(np.asarray(values) * np.exp(noise * np.random.default_rng(seed).normal(size=len(values))))


@pytest.mark.parametrize(("evaluations", "noise"), [(8, 0.04), (10, 0.03), (20, 0.03), (40, 0.04)])
def test_evaluations_that_only_wobble_are_no_overfitting(evaluations, noise):
    found = [diagnose(history(falling, wobbling([0.3] * evaluations, noise, seed))) for seed in range(40)]
    assert sum(each.overfitted for each in found) <= 4
    naive = [wobbling([0.3] * evaluations, noise, seed) for seed in range(40)]
    assert sum(values[-1] > 1.05 * min(values) for values in naive) > 8  # what is held off here


@pytest.mark.parametrize(("evaluations", "noise"), [(8, 0.01), (10, 0.02), (20, 0.03), (40, 0.04)])
def test_a_rise_is_seen_through_the_noise(evaluations, noise):
    rising = 0.3 * (1 + 0.4 * np.maximum(0, np.linspace(-0.8, 1, evaluations)))
    found = [diagnose(history(falling, wobbling(rising, noise, seed))) for seed in range(40)]
    assert sum(each.overfitted for each in found) >= 36


def test_a_lone_last_evaluation_that_is_high_counts_only_when_it_is_far_up():
    assert not diagnose(history(falling, [0.4, 0.3, 0.3, 0.3, 0.33])).overfitted
    assert diagnose(history(falling, [0.4, 0.3, 0.3, 0.3, 0.5])).overfitted


def test_a_rise_within_the_standard_error_of_the_validation_loss_is_none():
    lines = history(falling, [0.40, 0.30, 0.31, 0.33])
    assert diagnose(lines, error=0.02).verdict == "overfitted"
    found = diagnose(lines, error=0.04)
    assert found.verdict == "not_overfitted"
    assert found.sentence == (
        "Not over-fitted: validation loss ended at .3300, .3000 at its lowest, step 200: it may be noise."
    )


def test_a_training_that_falls_back_to_where_it_began_diverged_and_did_learn():
    found = diagnose(history(lambda s: 0.69 - s / 1000 if s <= 200 else 0.68, [0.6, 0.5, 0.69, 0.69]))
    assert (found.verdict, found.overfitted, found.from_step) == ("diverged", False, None)
    assert "Training diverged: training loss went from .6700 to .6800, .5100 at its lowest, step 180;" in found.sentence


def test_all_learnt_before_the_first_line_is_not_nothing():
    lines = [{"step": s, "loss": 0.2 - s / 1e5, "eval_loss": 0.31} for s in (125, 250, 375)]
    assert diagnose(lines).verdict == "not_overfitted"
    assert diagnose(lines, chance=math.log(2)).verdict == "not_overfitted"


def test_chance_is_that_of_the_labels():
    lines = history(lambda step: 0.325, [0.325, 0.326])
    assert diagnose(lines).verdict == "not_overfitted"
    found = diagnose(lines, chance=constant_loss(np.repeat([0, 1], [90, 10])))
    assert found.verdict == "nothing_learnt"
    assert found.sentence == (
        "Nothing was learnt: training loss went from .3250 to .3250, validation loss .3250 at its lowest; "
        "an answer that looks at no text has .3251."
    )
    assert constant_loss(np.arange(100) % 4) == pytest.approx(math.log(4))
    assert constant_loss(np.array([[1, 0], [0, 0]], np.float32)) == pytest.approx(math.log(2) / 2)
    assert constant_loss(np.zeros(5, np.int64)) == 0


def test_training_loss_that_is_not_logged_around_the_rise_leaves_it_open():
    lines = [{"step": s, "eval_loss": v} for s, v in ((125, 0.3), (250, 0.4), (375, 0.5))]
    assert diagnose([*lines, {"step": 375, "loss": 0.1}]).verdict == "unknown"
    assert diagnose(lines).verdict == "overfitted"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"eval_loss": float("nan")}, "the validation loss is not a finite number at step 405"),
        ({"loss": 0.0, "grad_norm": float("nan")}, "the loss is 0 and the gradient norm not a finite number"),
    ],
)
def test_what_is_not_finite_is_named(line, words):
    found = diagnose([*history(falling, [0.4, 0.3]), {"step": 405, **line}])
    assert words in found.sentence
    assert found.verdict == "diverged"


@pytest.mark.parametrize(("wanted", "seen"), [("f1_macro", "f1_macro"), ("loss", "accuracy"), (None, "accuracy")])
def test_a_metric_is_watched_even_where_the_best_step_is_chosen_by_loss(wanted, seen):
    lines = history(falling, [0.4, 0.3, 0.35, 0.45], scores=[0.8, 0.85, 0.85, 0.85])
    for line in lines:
        if "eval_loss" in line:
            line |= {"eval_accuracy": 0.9, "eval_runtime": 3.1, "eval_hamming_loss": 0.2}
    found = diagnose(lines, metric=wanted)
    assert found.metric == seen
    assert f"{seen} held" in found.sentence


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


@pytest.mark.parametrize("seed", range(5))
def test_noise_neither_ends_a_plateau_nor_makes_one(seed):
    steps = np.array(STEPS)
    flat_end = wobbling(0.7 - 0.0025 * np.minimum(steps, 200), 0.05, seed)
    (found,) = plateaus(list(zip(STEPS, flat_end, strict=True)))
    assert found.from_step <= 230
    assert found.to_step == 400
    decline = wobbling(0.7 - 0.0015 * steps, 0.05, seed)
    assert plateaus(list(zip(STEPS, decline, strict=True))) == ()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_the_never_rising_curve_never_rises_and_keeps_the_mean(values):
    curve = never_rising(np.array(values))
    assert np.all(np.diff(curve) <= 1e-6)
    assert curve.mean() == pytest.approx(np.mean(values), abs=1e-6)


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


@pytest.mark.parametrize(
    ("rates", "shape"),
    [
        ([0.0] * 5, "constant"),
        ([0.0, 0.0, 0.0, -1.0], "other"),
        ([-1.0] * 4, "constant"),
        ([1e-300] + [-1e300] * 4, "other"),
    ],
)
def test_rates_that_no_schedule_has_are_taken_too(rates, shape):
    assert learning_rate(list(enumerate(rates, start=1))).shape == shape


def test_losses_at_the_end_of_what_a_number_can_be_are_one_sentence():
    largest = np.finfo(np.float64).max
    for losses in ([largest] * 2, [largest, -largest] * 5, [1.0, largest] * 6):
        lines = [{"step": step, "loss": loss, "eval_loss": loss} for step, loss in enumerate(losses, start=1)]
        assert diagnose(lines).sentence.endswith(".")


VALUE = st.none() | st.floats(allow_nan=True, allow_infinity=True)
LINE = st.fixed_dictionaries({}, optional=dict.fromkeys(("loss", "eval_loss", "grad_norm", "learning_rate"), VALUE))


@given(st.lists(LINE))
def test_whatever_was_logged_there_is_one_sentence(entries):
    found = diagnose([{"step": index + 1, **entry} for index, entry in enumerate(entries)])
    assert found.sentence.endswith(".")
    assert "\n" not in found.sentence

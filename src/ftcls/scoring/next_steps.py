"""What to try next, from the facts of a finished run: a sentence and the config keys to set, the best first.

Values are computed from what the run was told. Labels that are never given, and how a score moved, are read off
validation, truncation off the training rows: what may be chosen on. Two facts come from test, whether the model is
ahead of the baseline and whether validation promised more than test held; they say that something is to be done, never
which value a key should have.

The order is by `_Step.gain`, a rough guess at the share of what is missing to a perfect score. Behind it stand the
figures of docs/training.md (schedules) and docs/rare-labels.md (thresholds, losses); where nothing was measured it is a
judgement.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from ftcls.environment.figures_as_text import number, significant
from ftcls.scoring.decision import Task
from ftcls.scoring.differences import Verdict as AgainstBaseline
from ftcls.scoring.metrics import higher_is_better
from ftcls.scoring.overfitting import Verdict
from ftcls.scoring.wilson import Interval

Value = bool | int | float | str | None
"""What a config key is set to."""

MOST: Final = 5
"""Steps named: more than that is no ranking."""
LONGEST: Final = 512
"""Tokens; longer texts are beyond most encoders."""
_FEW_STEPS: Final = 500
"""Below, a training that learnt nothing may just have been too short."""
_RISING: Final = 0.01
"""By so much the score has to move between two evaluations for it to be more than chance."""
_STILL_HIGH: Final = 0.5
"""Share of its peak that a learning rate has not fallen below where it has hardly decayed."""
_CUT: Final = 0.05
"""Share of truncated training rows from which on a longer text is worth its time."""
_UNEVEN: Final = 3.0
"""How many times as frequent the most frequent label is, for weights to be worth a try."""
_RARE: Final = 20
_FEW_A_LABEL: Final = 100
"""Rows of the median label."""
_SMALL_VALIDATION: Final = 1000
_NAMED: Final = 3
_TOKENS: Final = 16
"""max_length goes up in steps of these, which suits the hardware."""


@dataclass(frozen=True)
class NextStep:
    """One thing to try."""

    sentence: str
    keys: dict[str, Value]
    """Config keys by their path, and what to set them to; empty where no key does it, such as more rows."""


@dataclass(frozen=True)
class Settings:
    """The config keys that a next step may change, as the run had them."""

    num_train_epochs: float
    max_steps: int | None
    learning_rate: float
    head_learning_rate: float | None
    warmup_steps: float
    lr_scheduler_type: Literal["linear", "cosine", "constant"]
    eval_strategy: Literal["no", "steps", "epoch"]
    max_length: int
    """In force, in tokens."""
    truncation: Literal["head", "tail", "head_tail"]
    thresholds: Literal["fixed", "tuned"]
    temperature: Literal["fixed", "tuned"]
    weighted: bool
    """Whether loss or sampling already lean towards rare labels."""
    subset: bool
    """Whether fewer training rows are drawn than there are."""
    adapter: bool


@dataclass(frozen=True)
class Usual:
    """The schedule that `ftcls config init` writes for so many rows and an encoder of this size."""

    num_train_epochs: int
    learning_rate: float
    head_learning_rate: float | None


@dataclass(frozen=True)
class Evaluation:
    """One look at validation."""

    step: int
    score: float | None
    """The chosen metric; None where it was undefined."""


@dataclass(frozen=True)
class Facts:
    """What is known of a finished run."""

    task: Task
    metric: str
    """The chosen one, `metrics.best`."""
    verdict: Verdict
    """Of the curves."""
    from_step: int | None
    """overfitted, unstable: where validation loss began to stay above its lowest."""
    evaluations: tuple[Evaluation, ...]
    best_step: int
    steps: int
    """That were taken."""
    epochs: float
    """That they came to."""
    stopped_early: bool
    last_rate: float | None
    """The learning rate at the end, as a share of its peak; None: not logged."""
    baseline: AgainstBaseline | None
    """Whether the model is ahead of the baseline on test; None: not compared."""
    validation: Interval | None
    """95 % interval of the chosen metric."""
    test: Interval | None
    validation_rows: int
    pooled: bool
    """Whether validation and test are cut from the same rows."""
    label_counts: Mapping[str, int]
    """Training rows by label."""
    never_given: tuple[str, ...]
    """Labels that validation rows have and that were given to none."""
    rows: int
    """For training."""
    truncated: int
    """Of them, longer than max_length."""
    tokens: int
    """The length that 95 % of them keep within."""
    settings: Settings
    usual: Usual


@dataclass(frozen=True)
class _Step:
    gain: float
    sentence: str
    keys: dict[str, Value]


def next_steps(facts: Facts) -> tuple[NextStep, ...]:
    """At most five things to try, the one that promises most first; none where a run has nothing to mend.

    A key is named once, by the step that promises most. After a training that broke down or learnt nothing only that
    is spoken of: whatever else was found is found on a model that is none.
    """
    found = list(_failed(facts))
    if not found:
        found = [step for rule in _RULES for step in rule(facts)]
    chosen: list[_Step] = []
    named: set[str] = set()
    for step in sorted(found, key=lambda step: -step.gain):
        if named.isdisjoint(step.keys):
            chosen.append(step)
            named |= set(step.keys)
    return tuple(NextStep(step.sentence, step.keys) for step in chosen[:MOST])


def _failed(facts: Facts) -> Iterator[_Step]:
    rate, usual = facts.settings.learning_rate, facts.usual.learning_rate
    written = f"a learning rate of {significant(rate)}"
    warmup: dict[str, Value] = {} if facts.settings.warmup_steps else {"training.warmup_steps": 0.1}
    if facts.verdict == "diverged":
        slower = _rounded(rate / 4)
        words = f"The training diverged at {written}: try a quarter of it"
        yield _Step(1.0, words + (", after some warm-up." if warmup else "."), {_RATE: slower, **warmup})
    elif facts.verdict == "nothing_learnt":
        if not facts.settings.adapter and not usual / 2 <= rate <= usual * 2:
            words = f"Nothing was learnt at {written}: {significant(usual)} is usual for a model of this size."
            yield _Step(1.0, words, {_RATE: usual})
        if facts.steps < _FEW_STEPS:
            factor = math.ceil(_FEW_STEPS / facts.steps)
            words = f"Nothing was learnt in {facts.steps:,} steps: train {_times(factor)} as long."
            yield _Step(0.9, words, _scaled(facts, factor))
        yield _Step(0.8, "Nothing was learnt: look whether texts and labels belong together (`ftcls data`).", {})


def _length_of_training(facts: Facts) -> Iterator[_Step]:
    """Longer where it was too short, shorter where it went on too long."""
    planned, place = facts.settings.num_train_epochs, facts.best_step / facts.steps
    scores = [each.score for each in facts.evaluations]
    if facts.verdict == "undertrained":
        factor = 2.0
        if facts.settings.max_steps is None:
            factor = min(max(2.0, facts.usual.num_train_epochs / planned), 4.0)
        words = f"The validation loss still falls at the end: train {_times(factor)} as long."
        yield _Step(0.5, words, _scaled(facts, factor))
    elif facts.verdict == "overfitted" and place < 0.75 and (shorter := _shortened(facts, place)):
        words = f"Over-fitted from step {facts.from_step:,}, and best at step {facts.best_step:,} of {facts.steps:,}: "
        yield _Step(0.2, words + "end there, so that the learning rate has fallen by then.", shorter)
    elif len(scores) > 2 and facts.best_step == facts.evaluations[0].step and _moved(facts, scores[-1], scores[0]):
        rate = facts.settings.learning_rate
        words = f"The first of {len(scores)} evaluations was the best: halve the learning rate of {significant(rate)}."
        yield _Step(0.2, words, {_RATE: _rounded(rate / 2)})
    elif facts.verdict == "unstable":
        rate = facts.settings.learning_rate
        words = f"The losses rose from step {facts.from_step:,} on: halve the learning rate of {significant(rate)}."
        yield _Step(0.3, words, {_RATE: _rounded(rate / 2)})
    elif len(scores) > 1 and facts.best_step == facts.evaluations[-1].step and facts.verdict != "overfitted":
        before, last = scores[-2:]
        if before is not None and last is not None and _moved(facts, before, last):
            moved = number(abs(last - before), 3)
            words = f"The last evaluation was the best, {facts.metric} still moved by {moved}: train longer."
            yield _Step(0.25, words, _scaled(facts, 1.5))


def _moved(facts: Facts, worse: float | None, better: float | None) -> bool:
    """Whether the chosen metric is better by more than an evaluation is worth."""
    if worse is None or better is None:
        return False
    return (better - worse if higher_is_better(facts.metric) else worse - better) > _RISING


def _decay(facts: Facts) -> Iterator[_Step]:
    """A learning rate that never fell leaves the weights where the last batches threw them."""
    if facts.last_rate is None or facts.last_rate <= _STILL_HIGH or facts.verdict == "undertrained":
        return
    if facts.settings.lr_scheduler_type == "constant":
        words = "The learning rate did not fall: let it, to zero at the end."
        yield _Step(0.15, words, {"training.lr_scheduler_type": "linear"})
    elif facts.stopped_early and (shorter := _shortened(facts, facts.best_step / facts.steps)):
        words = f"Stopped at a learning rate of {facts.last_rate:.0%} of its peak: plan fewer steps, to let it fall."
        yield _Step(0.15, words, shorter)


def _evaluations(facts: Facts) -> Iterator[_Step]:
    if len(facts.evaluations) < 2 and facts.steps > 1:
        every = max(1, facts.steps // 8)
        keys: dict[str, Value] = {"training.eval_strategy": "steps", "training.eval_steps": every}
        often = "after every step" if every == 1 else f"every {every:,} steps"
        yield _Step(
            0.1, f"One evaluation shows no course, and gives no choice of the best step: take one {often}.", keys
        )


def _decision(facts: Facts) -> Iterator[_Step]:
    """Labels that are never given, and the thresholds of several labels."""
    count, share = len(facts.never_given), len(facts.never_given) / len(facts.label_counts)
    silent = f"{_named(facts.never_given)} {'is' if count == 1 else 'are'} never given, though validation has rows of "
    silent += "it" if count == 1 else "them"
    if facts.task == "multilabel" and facts.settings.thresholds == "fixed":
        objective: dict[str, Value] = {"decision.objective": "f1_micro"} if facts.metric == "f1_micro" else {}
        words = f"{silent}: a threshold" if count else "Every label has the threshold one half: one"
        words += " for each label, found on validation, gives rare ones too."
        yield _Step(0.1 + 0.5 * share, words, {"decision.thresholds": "tuned", **objective})
    elif count and not facts.settings.weighted and (keys := _weights(facts)):
        yield _Step(0.05 + 0.3 * share, f"{silent}: let rare labels count for more.", keys)


def _weights(facts: Facts) -> dict[str, Value]:
    if facts.task == "multilabel":  # helped on both sets of docs/rare-labels.md, beside tuned thresholds too
        return {"loss.kind": "asymmetric"}
    counts = [count for count in facts.label_counts.values() if count]
    return {"loss.class_weights": "balanced"} if max(counts) >= _UNEVEN * min(counts) else {}


def _texts(facts: Facts) -> Iterator[_Step]:
    share = facts.truncated / facts.rows
    if share < _CUT:
        return
    settings, words = facts.settings, f"{share:.0%} of the training texts are cut at {facts.settings.max_length} tokens"
    longer = min(_TOKENS * math.ceil(facts.tokens / _TOKENS), LONGEST)
    if longer > settings.max_length:
        cost = longer / settings.max_length
        more = f"{words}: let the model read up to {longer}, at up to {cost:.1f} times the time a step."
        yield _Step(0.2 * share, more, {"model.max_length": longer})
    if settings.truncation != "head_tail":
        both = f"{words}: keep the end of a text beside its beginning, which costs nothing."
        yield _Step(0.1 * share, both, {"model.truncation": "head_tail"})


def _baseline(facts: Facts) -> Iterator[_Step]:
    """Where the simple model is not beaten: the schedule that is usual, as far as the run was below it."""
    if facts.baseline not in ("worse", "open"):
        return
    settings, usual, keys = facts.settings, facts.usual, dict[str, Value]()
    if not settings.adapter:
        if settings.learning_rate < usual.learning_rate / 2:
            keys[_RATE] = usual.learning_rate
        if settings.head_learning_rate is None and usual.head_learning_rate is not None:
            keys["training.head_learning_rate"] = usual.head_learning_rate
    longer = settings.max_steps is None and settings.num_train_epochs < usual.num_train_epochs
    if longer and facts.verdict != "overfitted" and not facts.stopped_early:
        keys["training.num_train_epochs"] = usual.num_train_epochs
    worse = facts.baseline == "worse"
    said = "The linear baseline is ahead" if worse else "The model is not shown to be ahead of the linear baseline"
    if keys:
        words = f"{said}: train with what is usual for {facts.rows:,} rows and a model of this size."
        yield _Step(0.4 if worse else 0.1, words, keys)
    elif worse:
        words = f"{said} at a usual schedule: use it, or try a larger checkpoint (`model.checkpoint`)."
        yield _Step(0.05, words, {})


def _confidence(facts: Facts) -> Iterator[_Step]:
    if facts.verdict == "overfitted" and facts.settings.temperature == "fixed":
        gain = 0.2 if facts.metric == "loss" else 0.03
        words = "Over-fitted models are too sure of themselves: a temperature found on validation mends that."
        yield _Step(gain, words, {"decision.temperature": "tuned"})


def _gap(facts: Facts) -> Iterator[_Step]:
    """Validation promised more than test held."""
    if facts.validation is None or facts.test is None:
        return
    better, worse = facts.validation, facts.test
    if not higher_is_better(facts.metric):
        better, worse = (-better[1], -better[0]), (-worse[1], -worse[0])
    if better[0] <= worse[1]:
        return
    words = f"{facts.metric} is much better on validation than on test"
    if not facts.pooled:
        words += ": their rows are not alike; cut both anew from all rows, if they are yours to cut."
        yield _Step(0.05, words, {"data.split.pooled": True})
    elif facts.validation_rows < _SMALL_VALIDATION:
        words += f": {facts.validation_rows:,} rows are few to choose on; cut a fifth."
        yield _Step(0.05, words, {"data.split.validation": 0.2})


def _rows(facts: Facts) -> Iterator[_Step]:
    if facts.settings.subset:
        words = f"{facts.rows:,} training rows are drawn from more: train on all of them."
        # So many steps were for so many rows; the length that is left open is chosen for those that there are.
        lengths: dict[str, Value] = {"training.max_steps": None, "training.num_train_epochs": None}
        yield _Step(0.15, words, {"data.subset.train": None, **({} if facts.settings.max_steps is None else lengths)})
        return
    rare = sorted((count, name) for name, count in facts.label_counts.items() if count < _RARE)
    if rare:
        names = _named(tuple(name for _, name in rare))
        have = "has" if len(rare) == 1 else "have"
        words = f"More rows of rare labels: {names} {have} fewer than {_RARE} for training."
        yield _Step(0.02, words, {})
    elif np.median(list(facts.label_counts.values())) < _FEW_A_LABEL:
        yield _Step(0.02, f"More rows: {facts.rows:,} are few for {len(facts.label_counts)} labels.", {})


_RATE: Final = "training.learning_rate"
_RULES: Final[tuple[Callable[[Facts], Iterator[_Step]], ...]] = (
    *(_length_of_training, _decision, _baseline, _texts, _decay, _evaluations, _confidence, _gap, _rows),
)


def _scaled(facts: Facts, factor: float) -> dict[str, Value]:
    """The length of the training times a factor, in the key that sets it."""
    if facts.settings.max_steps is not None:
        return {"training.max_steps": math.ceil(factor * facts.settings.max_steps)}
    return {"training.num_train_epochs": _whole(factor * facts.settings.num_train_epochs)}


def _shortened(facts: Facts, share: float) -> dict[str, Value]:
    """The training up to a share of the steps that were taken; nothing where that is no shorter than was planned."""
    planned = facts.settings
    if planned.max_steps is not None:
        steps = max(1, round(share * facts.steps))
        return {"training.max_steps": steps} if steps < planned.max_steps else {}
    epochs = max(1, math.ceil(share * facts.epochs))
    return {"training.num_train_epochs": epochs} if epochs < planned.num_train_epochs else {}


def _whole(epochs: float) -> int | float:
    return math.ceil(epochs) if epochs > 1 else epochs


def _rounded(rate: float) -> float:
    """To two digits, as one writes a learning rate."""
    return float(f"{rate:.1e}")


def _times(factor: float) -> str:
    return "twice" if factor == 2 else f"{factor:.3g} times"


def _named(labels: tuple[str, ...]) -> str:
    more = len(labels) - _NAMED
    return ", ".join(map(repr, labels[:_NAMED])) + (f" and {more} more" if more > 0 else "")

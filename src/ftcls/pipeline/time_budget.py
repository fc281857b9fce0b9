"""A training that fits into a time: how fast this machine is with this model is measured, the steps follow."""

import itertools
import logging
import math
import time
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from transformers import PreTrainedModel

from ftcls.config.load import load
from ftcls.config.schema import Experiment, Training
from ftcls.data.corpus import Corpus
from ftcls.data.read import read
from ftcls.environment import devices
from ftcls.environment.devices import DTYPES, PASS_COSTS, Machine
from ftcls.environment.figures_as_text import duration
from ftcls.errors import ConfigError
from ftcls.model.batching import MicroBatch, StepSampler
from ftcls.model.documents import DocumentClassifier
from ftcls.model.packed_encoder import PackedClassifier
from ftcls.pipeline.fit_model import build_model
from ftcls.pipeline.prepare import Prepared
from ftcls.pipeline.training_plan import plan
from ftcls.training.fit import cadence, token_budget
from ftcls.training.packed import packed_classifier

log = logging.getLogger(__name__)

_SURE: Final = 0.9
"""Share of the time that is planned for: what is measured in seconds varies."""
_FORWARD: Final = 1 / 3
"""Of a step's arithmetic; the backward pass takes twice the forward pass."""
_FIXED: Final = 15.0
"""Seconds for what does not depend on the rows: reading the model back, latency, plots, the page."""
_TEXTS_PER_SECOND: Final = 1_000.0
"""Of everything that is no pass through the model: the linear model, checks, intervals."""
_MEASURED: Final = 4.0
"""Seconds after which no more micro-batches are timed."""
_FROZEN_SHARE: Final = 0.2
"""Most of the time that the vectors of the frozen encoder may take."""
_SIMPLE_SHARE: Final = 0.02
"""Of the time, that the simple models and the checks may take in any case: so many rows are kept for them."""
_LOOKED_AT: Final = 200
"""Steps whose padding is counted."""


@dataclass(frozen=True)
class Pace:
    """How long a training's parts take here, in seconds."""

    step: float
    """An optimizer step, on average."""
    steps_per_epoch: int
    evaluation: float
    """One pass over the validation rows."""
    vectors: float
    """Of the frozen encoder for all rows."""
    around: float
    """Before the first step and after the last one, the frozen encoder left out."""
    rows: int
    """For training."""


@dataclass(frozen=True)
class Plan:
    """A training that fits."""

    overrides: dict[str, object]
    """Keys of the config that it takes."""
    notes: tuple[str, ...]
    """What was decided, one sentence each."""


def within(experiment: Experiment, budget: float, *, started: float) -> Experiment:
    """The experiment with as many rows and steps of its schedule as fit into a time; the log says what was decided.

    Args:
        experiment: with its whole schedule.
        budget: seconds in all, from `started` to the end of the command.
        started: by `time.monotonic`.

    Raises:
        ConfigError: several processes, whose common pace is not measured, or steps on pairs of texts before it.
    """
    if experiment.contrastive is not None:
        raise ConfigError(
            "--budget: times the steps of training, and contrastive has steps of its own before them; write "
            "contrastive=null, or leave out --budget"
        )
    machine = devices.choose(experiment.training.device, experiment.training.precision)
    if machine.processes > 1:
        raise ConfigError("--budget: is for one process; set training.max_steps for several")
    experiment, pace = measure(experiment, machine)
    fitting = fit_into(experiment, pace, budget - (time.monotonic() - started))
    for note in fitting.notes:
        log.info("%s", note)
    return load(experiment, fitting.overrides) if fitting.overrides else experiment


def fit_into(experiment: Experiment, pace: Pace, left: float) -> Plan:
    """What of an experiment fits into so many seconds."""
    section = experiment.training
    whole = cadence(section, pace.steps_per_epoch * section.batch_size).total
    overrides: dict[str, object] = {}
    notes = []
    vectors = pace.vectors if "frozen" in experiment.report.ladder else 0.0
    if vectors > _FROZEN_SHARE * left:
        overrides["report.ladder"] = [name for name in experiment.report.ladder if name != "frozen"]
        notes.append(f"budget     no frozen encoder beside the model: its vectors would take {duration(vectors)}")
        vectors = 0.0
    each = pace.step + pace.evaluation / pace.steps_per_epoch
    steps = _steps(pace, left, vectors)
    total = whole * each + pace.around + vectors
    if steps >= whole:
        return Plan(
            overrides, (*notes, f"budget     the whole schedule fits: {whole:,} steps, {duration(total)} in all")
        )
    passed, rows = steps < pace.steps_per_epoch, _fewer_rows(experiment, pace, left, steps)
    if passed and rows is not None:
        overrides["data.subset.train"] = rows
        pace = replace(pace, around=pace.around - (pace.rows - rows) / _TEXTS_PER_SECOND)
        steps = _steps(pace, left, vectors)
        notes.append(
            f"budget     {rows:,} of {pace.rows:,} training rows, each label with its share: one pass over all of them "
            f"would take {duration(pace.steps_per_epoch * pace.step)}; the report says what more rows brought"
        )
        steps = min(steps, math.ceil(rows / section.batch_size) * whole // pace.steps_per_epoch)
    overrides |= _shortened(section, steps, whole, evaluated=not passed)
    fits = _SURE * left - pace.around - vectors >= each
    share = f"{steps:,} of {whole:,} steps fit" if fits else "less than one step fits; one is made"
    notes.append(f"budget     {share}, the rate falls to zero over them; all of them would take {duration(total)}")
    if passed:
        once = rows is not None and steps * section.batch_size >= rows
        less = "a single pass over them" if once else "less than one pass over the training rows"
        notes.append(f"budget     that is {less}: RUN:tfidf may be the better model")
    return Plan(overrides, tuple(notes))


def _shortened(section: Training, steps: int, whole: int, *, evaluated: bool) -> dict[str, object]:
    """The keys of a schedule of fewer steps; without evaluations on the way there is nothing that counts them."""
    found: dict[str, object] = {"training.max_steps": steps}
    if 1 <= section.warmup_steps < whole:  # a number of steps keeps its share of them
        found["training.warmup_steps"] = section.warmup_steps / whole
    if not evaluated:
        found["training.eval_strategy"] = "no"
        counting = ("eval_steps", "early_stopping_patience")
        found |= {f"training.{key}": None for key in counting if getattr(section, key) is not None}
    return found


def _steps(pace: Pace, left: float, vectors: float) -> int:
    """Steps that fit into so many seconds, and at least one."""
    room = _SURE * left - pace.around - vectors - pace.evaluation
    return max(1, math.floor(room / (pace.step + pace.evaluation / pace.steps_per_epoch)))


def _fewer_rows(experiment: Experiment, pace: Pace, left: float, steps: int) -> int | None:
    """The rows that so many steps pass once, and as many as the simple models learn on the way; None: all of them.

    Rows that the config draws itself, or leaves for a test split, stay as they are, and those that stand beside texts
    without labels, which the steps pass too.
    """
    section = experiment.data
    if section.subset.train is not None or section.split.test == "rest" or experiment.distillation.teacher is not None:
        return None
    rows = max(steps * experiment.training.batch_size, math.floor(_SIMPLE_SHARE * left * _TEXTS_PER_SECOND))
    return rows if rows < pace.rows else None


def measure(experiment: Experiment, machine: Machine) -> tuple[Experiment, Pace]:
    """The experiment with its whole schedule, and its pace: some micro-batches are timed, nothing is learnt."""
    devices.quiet()
    started = time.perf_counter()
    planned = plan(experiment, read(experiment.data, seed=experiment.seed), machine)
    experiment, corpus, prepared = planned.experiment, planned.corpus, planned.inputs
    built = build_model(planned)
    section, train = experiment.training, prepared.encoded["train"]
    packed = packed_classifier(
        built.model, train, machine=machine, seed=experiment.seed, recomputes=section.activation_checkpointing
    )
    lengths = train.lengths
    sampler = StepSampler(
        lengths,
        batch_size=section.batch_size,
        token_budget=token_budget(section, machine),
        pass_cost=PASS_COSTS[machine.device],
        seed=experiment.seed,
        padded=packed is None,
    )
    steps = list(itertools.islice(sampler, _LOOKED_AT))
    again = time.perf_counter() - started  # the training reads, tokenizes and loads once more
    batches = [batch for step in steps for batch in step]
    model = built.model if packed is None else packed
    if train.windows is not None:
        model = DocumentClassifier(model, train.windows.pool, token_budget=token_budget(section, machine))
    per_token = _per_token(model, prepared, machine, batches, padded=packed is None)
    tokens = float(np.mean([sum(_size(batch, lengths, padded=packed is None) for batch in step) for step in steps]))
    return experiment, _pace(per_token, tokens, len(sampler), corpus, prepared, again=again)


def _pace(per_token: float, computed: float, steps: int, corpus: Corpus, prepared: Prepared, *, again: float) -> Pace:
    tokens = {name: int(encoded.lengths.sum()) for name, encoded in prepared.encoded.items()}
    forward = _FORWARD * per_token
    rows = sum(len(split) for split in corpus.splits.values())
    scored = tokens["validation"] + tokens["test"]
    return Pace(
        step=per_token * computed,
        steps_per_epoch=steps,
        evaluation=forward * tokens["validation"],
        vectors=forward * (tokens["train"] + scored),
        around=again + forward * scored + rows / _TEXTS_PER_SECOND + _FIXED,
        rows=len(corpus.splits["train"]),
    )


def _size(batch: MicroBatch, lengths: np.ndarray, *, padded: bool) -> int:
    """Tokens that are computed."""
    return len(batch.rows) * int(lengths[batch.rows].max()) if padded else int(lengths[batch.rows].sum())


def _per_token(
    model: PreTrainedModel | PackedClassifier | DocumentClassifier,
    prepared: Prepared,
    machine: Machine,
    batches: list[MicroBatch],
    *,
    padded: bool,
) -> float:
    """Seconds of a step for each token that is computed: padding too, where the model is not a packed one."""
    model, encoded = model.to(machine.device).train(), prepared.encoded["train"]
    seconds = tokens = 0.0
    for number, batch in enumerate(batches):
        started = time.perf_counter()
        batched = encoded.pad(batch.rows, int(prepared.config.pad_token_id))
        inputs: Any = batched  # which is laid out on the CPU
        if not isinstance(model, PackedClassifier | DocumentClassifier):
            inputs = {name: torch.from_numpy(each).to(machine.device) for name, each in batched.items()}
        with torch.autocast(machine.device, DTYPES[machine.precision], enabled=machine.precision != "fp32"):
            loss = model(**inputs).logits.float().sum()
        loss.backward()
        loss.item()  # waits for the device
        if number:  # the first pass is slow
            seconds += time.perf_counter() - started
            tokens += _size(batch, encoded.lengths, padded=padded)
        if seconds > _MEASURED:
            break
    if not tokens:  # one micro-batch is all there is
        seconds = time.perf_counter() - started
        tokens = float(_size(batch, encoded.lengths, padded=padded))
    return seconds / tokens

"""Will it fit, and how long will it take: said before any weights are loaded.

The memory is the sum of what the process holds already, the weights, the optimizer's states, and the highest point of a
step, which `training.footprint` counts on tensors without numbers for the widest micro-batches of the run. The time is
the arithmetic of all steps over the speed of one large matrix product on this machine.
"""

import importlib.util
import itertools
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from ftcls.config.schema import Experiment
from ftcls.environment import devices, disk
from ftcls.environment.devices import EFFICIENCY, PASS_COSTS, Machine
from ftcls.model import adapters, own_code, quantization
from ftcls.model.batching import StepSampler
from ftcls.model.checkpoint import SCRATCH
from ftcls.model.windows import Windows
from ftcls.pipeline.prepare import Prepared
from ftcls.training import parameter_groups, step_memory
from ftcls.training.fit import cadence, recompute_activations, token_budget
from ftcls.training.step_memory import Footprint

log = logging.getLogger(__name__)

# What a process takes up between here and its first step that is in none of the sums: code that is loaded late, the
# libraries' own buffers. benchmarks/memory_estimate.py measures what is left without it.
LATER: Final = {"cpu": 120_000_000, "cuda": 64_000_000}
# A CPU's allocator leaves holes between blocks that are kept: a share of the step where LoRA makes passing sums, and
# bytes for each number of a layer of few bits, unpacked in passing. Fitted to benchmarks/memory_estimate.py.
HOLES: Final = 0.07
HOLES_PER_NUMBER: Final = 9
STEPS_LOOKED_AT: Final = 200
FORWARD: Final = 1 / 3
"""The share of a step's arithmetic that is forward."""
WORTH_SAYING: Final = 0.02
"""Share of the memory that a change has to save to be named."""


@dataclass(frozen=True)
class Memory:
    """Bytes at the highest point of training, by what they are for."""

    process: int
    """Held already: the interpreter, the libraries, the data; 0 on a GPU."""
    weights: int
    optimizer: int
    """Moments of what is trained."""
    step: int
    """Gradients, activations and temporary results of the widest micro-batch."""

    @property
    def total(self) -> int:
        """Of all of them."""
        return self.process + self.weights + self.optimizer + self.step


@dataclass(frozen=True)
class Saving:
    """One change to the config, and what it does."""

    keys: dict[str, Any]
    """Config keys and their new values."""
    saves: int
    """Bytes."""
    fits: bool
    """Whether this alone is enough."""
    hint: str = ""

    def line(self) -> str:
        """For people."""
        written = " ".join(f"{key}={str(value).lower()}" for key, value in self.keys.items())
        return f"{written}: {disk.size(self.saves)} less{', and it fits' if self.fits else ''}{self.hint}"


@dataclass(frozen=True)
class Forecast:
    """What a training will take."""

    memory: Memory | None
    """None where it cannot be told: on Metal, under FSDP2, for architectures that cannot be counted."""
    peak_memory_bytes: int | None
    """All of it."""
    free_bytes: int | None
    """What this process may come to hold."""
    seconds: float | None
    """Of all training steps; the middle of what is likely, as is the next."""
    evaluation_seconds: float | None
    """Of all evaluations on validation."""
    savings: tuple[Saving, ...]
    """What to change, the largest first; nothing where it fits."""
    spread: float = 1.0
    """By how much the times may be longer or shorter, as a factor."""

    @property
    def fits(self) -> bool:
        """Whether it does, as far as is known."""
        return self.peak_memory_bytes is None or self.free_bytes is None or self.peak_memory_bytes <= self.free_bytes

    def _range(self, seconds: float) -> str:
        low, high = duration(seconds / self.spread), duration(seconds * self.spread)
        return high if low == high else f"{low} to {high}"

    def lines(self) -> list[str]:
        """For people; what does not fit, and what would."""
        if self.memory is None or self.free_bytes is None or self.seconds is None or self.evaluation_seconds is None:
            return ["memory     not estimated for this model on this device"]
        parts = {
            "process": self.memory.process,
            "weights": self.memory.weights,
            "optimizer": self.memory.optimizer,
            "step": self.memory.step,
        }
        listed = ", ".join(f"{name} {disk.size(size)}" for name, size in parts.items() if size)
        found = [
            f"memory     about {disk.size(self.memory.total)} at the highest point ({listed}), "
            f"{disk.size(self.free_bytes)} are free{'' if self.fits else ': it will not fit'}",
            f"time       {self._range(self.seconds)} of training and {self._range(self.evaluation_seconds)} of "
            "evaluations",
        ]
        return found + [f"           {each.line()}" for each in self.savings]


def _middle(reached: tuple[float, float]) -> tuple[float, float]:
    """The geometric middle of two shares, and the factor from there to either."""
    low, high = reached
    return math.sqrt(low * high), math.sqrt(high / low)


def forecast(experiment: Experiment, prepared: Prepared, machine: Machine) -> Forecast:
    """What training this experiment on this machine will take, and what to change where it is too much.

    Raises:
        ConfigError: layers to freeze or to adapt that the model has not.
    """
    if machine.device == "mps" or machine.sharded or (counted := _count(experiment, prepared, machine)) is None:
        return Forecast(None, None, None, None, None, ())
    memory, work = counted
    free = devices.free_bytes(machine)
    share, spread = _middle(EFFICIENCY[machine.device])
    reached = share * devices.speed(machine, int(getattr(prepared.config, "hidden_size", 768)))
    return Forecast(
        memory=memory,
        peak_memory_bytes=memory.total,
        free_bytes=free,
        seconds=work.steps / reached,
        evaluation_seconds=work.evaluations / reached,
        savings=_savings(experiment, prepared, machine, memory, free) if memory.total > free else (),
        spread=spread,
    )


def sketch(experiment: Experiment, config: PretrainedConfig, *, compute: str) -> PreTrainedModel:
    """The model that would be trained, on the meta device: its layers, what is frozen, its adapter; no numbers.

    Raises:
        ConfigError: layers to freeze, to adapt or to compute again that it has not.
    """
    section = experiment.training
    options = {} if experiment.model.attention is None else {"attn_implementation": experiment.model.attention}
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(
            config, dtype=torch.float32, trust_remote_code=own_code.of_config(config), **options
        )
        if experiment.adapter.quantization != "none":
            quantization.outline(model, compute=compute)
        if experiment.adapter.kind != "none":
            model, _, _ = adapters.wrap(model, experiment.adapter, new_parameters=(), seed=experiment.seed)
        if section.freeze is not None:
            parameter_groups.freeze(model, section.freeze)
    if section.activation_checkpointing:
        recompute_activations(model)
    return model


@dataclass(frozen=True)
class _Load:
    """The micro-batches of a run, as far as they were looked at."""

    shapes: tuple[tuple[int, int], ...]
    """Texts and tokens of the widest ones."""
    passes: int
    """Most micro-batches of one step in one process."""
    tokens: float
    """Padded tokens of a step in one process, on average."""


def _load(experiment: Experiment, prepared: Prepared, machine: Machine) -> _Load:
    section, train, windows = experiment.training, prepared.encoded["train"], prepared.settings.windows
    budget = token_budget(section, machine)
    longest = experiment.model.max_length or prepared.settings.max_length
    sampler = StepSampler(
        np.minimum(train.lengths, longest) if windows is None else train.lengths,
        batch_size=section.batch_size,
        token_budget=budget,
        pass_cost=PASS_COSTS[machine.device],
        seed=experiment.seed,
        rank=machine.rank,
        processes=machine.processes,
    )
    steps = [
        [_pass(sampler.lengths[batch.rows], windows, budget) for batch in step]
        for step in itertools.islice(sampler, min(STEPS_LOOKED_AT, cadence(section, len(train)).total))
    ]
    shapes = {(rows, length) for step in steps for rows, length, _ in step}
    # Most kernels hold as much as there are tokens; attention with dropout on a CPU as much as there are pairs of them.
    widest = {max(shapes, key=lambda s: s[0] * s[1]), max(shapes, key=lambda s: s[0] * s[1] ** 2)}
    padded = sum(tokens for step in steps for _, _, tokens in step)
    return _Load(tuple(widest), max(map(len, steps)), padded / len(steps))


def _pass(lengths: NDArray[np.int64], windows: Windows | None, budget: int) -> tuple[int, int, float]:
    """Rows and tokens of the widest pass of a micro-batch of texts with so many tokens, and the tokens of all passes.

    Of a document in several passes, those but the last are computed forward once more.
    """
    longest, every = int(lengths.max()), int(lengths.sum())
    if windows is None or longest <= windows.size:
        return len(lengths), longest, len(lengths) * longest
    return max(1, min(budget, every) // windows.size), windows.size, every + FORWARD * max(0, every - budget)


@dataclass(frozen=True)
class _Work:
    """Floating-point operations in one process."""

    steps: float
    evaluations: float


def _count(experiment: Experiment, prepared: Prepared, machine: Machine) -> tuple[Memory, _Work] | None:
    """What a whole training holds and computes; None where the model cannot be counted."""
    load = _load(experiment, prepared, machine)
    model = sketch(experiment, prepared.config, compute=machine.precision)
    kind = experiment.adapter.quantization
    weights, states = quantization.stored_bytes(model, kind), step_memory.state_bytes(model, experiment.training.optim)
    trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
    if experiment.model.checkpoint.startswith(SCRATCH) and experiment.adapter.kind != "none":
        weights += 4 * sum(each.numel() for each in model.parameters() if not each.requires_grad)  # kept to be saved
    packed = [each.weight.numel() for each in model.modules() if isinstance(each, quantization.Outline)]
    try:
        step = step_memory.measure(
            model, shapes=load.shapes, device=machine.device, precision=machine.precision, passes=load.passes
        )
    except RuntimeError:  # what the architecture asks of a tensor, a tensor without numbers cannot answer
        log.debug("the memory of a step cannot be counted", exc_info=True)
        return None
    passing = 4 * max(packed, default=0)  # one layer at a time as numbers of float32
    if machine.device == "cpu" and experiment.adapter.kind != "none":
        passing += round(HOLES * step.peak) + HOLES_PER_NUMBER * sum(packed)
    # With several processes gradients travel in buckets.
    buckets = 4 * trained if machine.processes > 1 else 0
    memory = Memory(
        process=psutil.Process().memory_info().rss + LATER["cpu"] if machine.device == "cpu" else LATER["cuda"],
        weights=weights,
        optimizer=states,
        step=step.peak + passing + buckets,
    )
    return memory, _work(experiment, prepared, machine, load, step)


def _work(experiment: Experiment, prepared: Prepared, machine: Machine, load: _Load, step: Footprint) -> _Work:
    pace = cadence(experiment.training, len(prepared.encoded["train"]))
    evaluations = sum(pace.evaluates(number) for number in range(1, pace.total + 1))
    held_out = prepared.encoded.get("validation")
    validation = 0 if held_out is None else int(held_out.lengths.sum()) / machine.processes
    return _Work(pace.total * load.tokens * step.flops, evaluations * validation * step.flops_forward)


def _savings(
    experiment: Experiment, prepared: Prepared, machine: Machine, memory: Memory, free: int
) -> tuple[Saving, ...]:
    found = []
    for keys, changed, hint in _changes(experiment, prepared, machine):
        counted = _count(changed, prepared, machine)
        saved = 0 if counted is None else memory.total - counted[0].total
        if saved > WORTH_SAYING * memory.total:
            found.append(Saving(keys, saved, memory.total - saved <= free, hint))
    return tuple(sorted(found, key=lambda each: -each.saves))


def _changes(
    experiment: Experiment, prepared: Prepared, machine: Machine
) -> Iterator[tuple[dict[str, Any], Experiment, str]]:
    """Keys that lower the memory, the experiment with them, and what else to know."""

    def changed(section: str, **values: Any) -> tuple[dict[str, Any], Experiment]:
        new = experiment.model_copy(update={section: getattr(experiment, section).model_copy(update=values)})
        return {f"{section}.{key}": value for key, value in values.items()}, new

    training, adapter, longest = experiment.training, experiment.adapter, prepared.settings.max_length
    budget = token_budget(training, machine)
    if prepared.settings.windows is not None:
        longest = prepared.settings.windows.size
    if budget > longest:
        yield *changed("training", token_budget=max(longest, budget // 4)), ""
    if not training.activation_checkpointing:
        yield *changed("training", activation_checkpointing=True), ", a third slower"
    if training.optim.startswith("adamw_torch") and machine.device in quantization.DEVICES:
        yield *changed("training", optim="adamw_bnb_8bit"), _extra("bitsandbytes", "quantization")
    if longest > 64 and prepared.settings.windows is None:
        yield *changed("model", max_length=longest // 2), ", and texts are cut there"
    if adapter.kind == "none" and training.freeze is None and training.layer_decay == 1:
        if not _extra("peft", "adapters"):
            yield *changed("adapter", kind="lora"), "; learning rates are then 1e-4 to 1e-3"
    elif adapter.kind != "none" and adapter.quantization == "none" and machine.device in quantization.DEVICES:
        yield *changed("adapter", quantization="nf4"), _extra("bitsandbytes", "quantization")


def _extra(package: str, extra: str) -> str:
    return "" if importlib.util.find_spec(package) else f' (pip install "ftcls[{extra}]")'


def duration(seconds: float) -> str:
    """Seconds for people, no more exact than they are."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"

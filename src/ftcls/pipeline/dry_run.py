"""What a run would do (`ftcls train --dry-run`), and an experiment in small (`--smoke`)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ftcls
from ftcls.config.contrastive_schema import Contrastive
from ftcls.config.distillation_schema import Distillation
from ftcls.config.load import Overrides
from ftcls.config.schema import Experiment, Split, Subset, Windows
from ftcls.config.smoke import keys, refuse_without_effect
from ftcls.data.miniature.write import MINIATURES, write
from ftcls.data.read import read
from ftcls.environment import cache, devices
from ftcls.environment.devices import Machine
from ftcls.errors import ConfigError
from ftcls.model import adapters, own_code, quantization
from ftcls.pipeline import estimate as forecast
from ftcls.pipeline.estimate import Forecast
from ftcls.pipeline.training_plan import plan
from ftcls.training.fit import cadence, token_budget

# A handful of steps that pass every stage twice: evaluation, checkpoint, best weights.
SMOKE_TRAINING: Final = {
    "num_train_epochs": None,
    "max_steps": 8,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "token_budget": None,
    "eval_strategy": "steps",
    "eval_steps": 4,
    "save_strategy": "steps",
    "save_steps": 4,
    "logging_steps": 2,
    "early_stopping_patience": None,
}
SMOKE_PAIRS: Final = 4
"""Steps on pairs of texts."""
SMOKE_LENGTH: Final = 64
SMOKE_WINDOWS: Final = {"size": 32, "stride": 8}
SMOKE_ROWS: Final = {"train": 96, "validation": 48, "test": 48}


@dataclass(frozen=True)
class Plan:
    """What training this experiment here would mean."""

    name: str
    task: str
    labels: tuple[str, ...]
    examples: dict[str, int]
    truncated: dict[str, int]
    """Texts of each split longer than max_length."""
    checkpoint: str
    architecture: str
    parameters: int
    trainable_parameters: int
    max_length: int
    steps: int
    steps_per_epoch: int
    evaluations: int
    batch_size: int
    token_budget: int
    device: str
    precision: str
    reason: str
    forecast: Forecast
    folds: int | None = None
    """Trainings of a cross-validation before the one of all rows; None: there is one training."""

    def lines(self) -> list[str]:
        """The plan for people."""
        splits = ", ".join(f"{n:,} {split}" for split, n in self.examples.items())
        shares = ", ".join(f"{self.truncated[s] / n:.1%} of {s}" for s, n in self.examples.items())
        labels = ", ".join(self.labels[:8]) + (", ..." if len(self.labels) > 8 else "")
        return [
            f"{self.name}: {self.task}, {len(self.labels)} labels ({labels})",
            f"data       {splits}; longer than {self.max_length} tokens: {shares}",
            f"model      {self.checkpoint}: {self.architecture}, {self.parameters:,} parameters, "
            f"{self.trainable_parameters:,} of them trained",
            f"training   {self.steps:,} steps of {self.batch_size} examples, {self.steps_per_epoch:,} an epoch, "
            f"{self.evaluations:,} evaluations",
            f"machine    {self.device}, {self.precision} ({self.reason}), {self.token_budget:,} tokens a pass",
            *self.forecast.lines(),
            *([] if self.folds is None else [_of_folds(self.folds)]),
            "nothing was written",
        ]


def _of_folds(folds: int) -> str:
    return f"folds      {folds} such trainings without the rows of a fold, then one of all rows"


def check_installed(experiment: Experiment, machine: Machine) -> None:
    """See that the extras this experiment needs are there, and can be used on this machine and with this launcher.

    Raises:
        UnavailableError: one is not installed.
        ConfigError: it has nothing for this device, or cannot be sharded.
    """
    section, optim = experiment.adapter, experiment.training.optim
    if machine.sharded and section.kind != "none":
        raise ConfigError(
            "adapter.kind: lora: FSDP2 shards full fine-tuning alone; launch with configs/launch/ddp.yaml or torchrun, "
            "and write adapter.quantization: nf4 where memory is short"
        )
    if machine.sharded and not optim.startswith("adamw_torch"):
        raise ConfigError(f"training.optim: {optim}: has no states that FSDP2 could shard; write adamw_torch_fused")
    if machine.sharded and experiment.model.windows is not None:
        raise ConfigError(
            "model.windows: FSDP2 has all processes gather the weights in every pass, and a document's passes are "
            "those of one process; launch with configs/launch/ddp.yaml or torchrun, or remove the key"
        )
    if machine.sharded and experiment.contrastive is not None:
        raise ConfigError(
            "contrastive: a model that FSDP2 shards cannot be trained on pairs of texts; launch with "
            "configs/launch/ddp.yaml or torchrun, or remove the section"
        )
    if section.kind != "none":
        adapters.check_installed()
    if section.quantization != "none":
        quantization.check_available("adapter.quantization", machine.device)
    if not optim.startswith("adamw_torch"):
        quantization.check_available("training.optim", machine.device)
    if optim.startswith("paged_") and machine.device != "cuda":
        raise ConfigError(f"training.optim: {optim}: needs a CUDA device, this is {machine.name}; write adamw_bnb_8bit")


def dry_run(experiment: Experiment, *, allow_code: bool = False) -> Plan:
    """Read the data, load tokenizer and configuration, and say what training would do; no weights, no run directory.

    Raises:
        FtclsError: what training would raise before its first step.
    """
    section = experiment.model
    own_code.check_given(section.checkpoint, wanted=section.allow_code, given=allow_code)
    with own_code.permission(section.checkpoint, given=section.allow_code):
        return _plan(experiment)


def _plan(experiment: Experiment) -> Plan:
    devices.quiet()
    machine = devices.choose(experiment.training.device, experiment.training.precision)
    check_installed(experiment, machine)
    planned = plan(experiment, read(experiment.data, seed=experiment.seed), machine)
    experiment, corpus, prepared = planned.experiment, planned.corpus, planned.prepared
    section = experiment.training
    model = forecast.sketch(experiment, prepared.config, compute=machine.precision)
    parameters, trainable = adapters.count(model)
    pace = cadence(section, len(planned.training))
    return Plan(
        name=experiment.name,
        task=corpus.task,
        labels=corpus.labels,
        examples={name: len(split) for name, split in corpus.splits.items()},
        truncated={name: int(encoded.truncated.sum()) for name, encoded in prepared.encoded.items()},
        checkpoint=experiment.model.checkpoint,
        architecture=adapters.architecture(model),
        parameters=parameters,
        trainable_parameters=trainable,
        max_length=prepared.settings.max_length,
        steps=pace.total,
        steps_per_epoch=pace.per_epoch,
        evaluations=sum(pace.evaluates(step) for step in range(1, pace.total + 1)),
        batch_size=section.batch_size,
        token_budget=token_budget(section, machine),
        device=machine.device,
        precision=machine.precision,
        reason=machine.reason,
        forecast=forecast.forecast(experiment, planned.inputs, machine),
        folds=experiment.data.split.folds if experiment.data.split.fold is None else None,
    )


# Keys that answer one question: where one of them was asked for, the others are not smoke's either.
_TOGETHER: Final = (
    ("num_train_epochs", "max_steps"),
    ("eval_strategy", "eval_steps"),
    ("save_strategy", "save_steps"),
)


def smoke(experiment: Experiment, overrides: Overrides = ()) -> Experiment:
    """The same experiment in small: generated or few examples, a small model from scratch, eight steps, no network.

    A known data set is replaced by its miniature, written to disk in the original form, so that the real reader parses
    it. Sources that are local anyway keep their own rows, but few of them.

    Args:
        experiment: what was asked for, overrides included.
        overrides: those of them that were given beside smoke: they stand.

    Raises:
        ConfigError: one that cannot stand, such as ``model.checkpoint``.
    """
    asked = keys(overrides)
    split = experiment.data.split
    if split.test == "rest":  # nothing is left where no subset is drawn
        split = split.model_copy(update={"test": Split().test})
    data = experiment.data.model_copy(update={"subset": Subset(), "split": split})
    if data.source in MINIATURES:

        def build(folder: Path) -> None:
            write(data.source, folder)

        folder = cache.entry("miniatures", f"{data.source}-{ftcls.__version__}", build)
        data = data.model_copy(update={"path": str(folder)})
    else:
        sizes = {name: len(split) for name, split in read(data, seed=experiment.seed).splits.items()}
        rows = {name: SMOKE_ROWS[name] for name, size in sizes.items() if size > SMOKE_ROWS[name]}
        data = data.model_copy(update={"subset": Subset(**rows)})
    # Weights by name would not fit the labels of a miniature.
    loss = experiment.loss
    by_name = [key for key in ("class_weights", "pos_weight") if isinstance(getattr(loss, key), dict)]
    training = {**_schedule(asked), "freeze": experiment.training.freeze and 1}  # the small model has two layers
    adapter = experiment.adapter
    if adapter.target_modules != adapters.ALL_LINEAR:  # names of another architecture
        adapter = adapter.model_copy(update={"target_modules": None})
    length = experiment.model.max_length if "model.max_length" in asked else SMOKE_LENGTH
    small = experiment.model_copy(
        update={
            "name": f"{experiment.name}-smoke",
            "data": data,
            "model": experiment.model.model_copy(
                update={
                    "checkpoint": "scratch:bert",
                    "revision": None,
                    "allow_code": False,
                    "max_length": length,
                    "windows": _windows(experiment, asked),
                    "attention": None,
                }
            ),
            "adapter": adapter,
            "loss": loss.model_copy(update=dict.fromkeys(by_name)),
            "contrastive": _contrastive(experiment, asked),
            "distillation": Distillation(),  # a teacher knows the labels of the whole data
            "training": experiment.training.model_copy(update=training),
            "report": experiment.report.model_copy(update={"trackers": ()}),
        }
    )
    refuse_without_effect(overrides, experiment, small)
    return small


def _windows(experiment: Experiment, asked: tuple[str, ...]) -> Windows | None:
    """The windows of the experiment, so small that a text of smoke has several."""
    windows = experiment.model.windows
    if windows is None or any(key.startswith("model.windows") for key in asked):
        return windows
    return windows.model_copy(update=SMOKE_WINDOWS)


def _contrastive(experiment: Experiment, asked: tuple[str, ...]) -> Contrastive | None:
    """The section of the experiment, with a few steps where nobody asked for more."""
    section = experiment.contrastive
    if section is None or not {"contrastive.max_steps", "contrastive.num_train_epochs"}.isdisjoint(asked):
        return section
    return section.model_copy(update={"max_steps": SMOKE_PAIRS})


def _schedule(asked: tuple[str, ...]) -> dict[str, object]:
    """The keys of training that smoke sets, but for those that were asked for and what belongs to them."""
    named = {key.removeprefix("training.") for key in asked if key.startswith("training.")}
    named |= {key for group in _TOGETHER if not named.isdisjoint(group) for key in group}
    return {key: value for key, value in SMOKE_TRAINING.items() if key not in named}

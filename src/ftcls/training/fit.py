"""From a config's training section to trained weights: builds the Trainer, resumes it, and says what came out."""

import functools
import logging
import math
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments, set_seed

from ftcls.config.loss_schema import Loss
from ftcls.config.schema import Augmentation, Training
from ftcls.config.train_command import resume_command
from ftcls.data.corpus import Task
from ftcls.environment import disk
from ftcls.environment.devices import PASS_COSTS, TOKEN_BUDGETS, Machine
from ftcls.errors import ConfigError, Interrupted, TrainingError
from ftcls.model.batching import StepSampler, balanced_shares
from ftcls.model.documents import DocumentClassifier
from ftcls.model.tokenize import Encoded
from ftcls.runs.directory import RunDir
from ftcls.runs.history import History
from ftcls.scoring import metrics
from ftcls.training import augment, losses, parameter_groups
from ftcls.training.callbacks import Bar, Cadence, Recorder, Schedule, tracker
from ftcls.training.checkpoints import Best, TrainingProgress
from ftcls.training.losses import Objective
from ftcls.training.packed import cuda_graphs, packed_classifier
from ftcls.training.resume import beginning
from ftcls.training.stop_request import StopRequest
from ftcls.training.trainer import Trainer
from ftcls.training.validation import Validation

log = logging.getLogger(__name__)
Targets = NDArray[np.int64] | NDArray[np.float32]


@dataclass(frozen=True)
class Fit:
    """What training came to."""

    best: Best
    """The evaluation whose weights are kept."""
    progress: TrainingProgress
    steps: int
    epochs: float
    token_budget: int
    peak_memory_bytes: int
    resumed: bool


def cadence(section: Training, examples: int) -> Cadence:
    """The steps of a training on so many examples."""
    if section.max_steps is None and section.num_train_epochs is None:
        raise TypeError("the length of the training is open")
    per_epoch = math.ceil(examples / section.batch_size)
    every = {"no": None, "epoch": per_epoch}
    return Cadence(
        total=section.max_steps or math.ceil((section.num_train_epochs or 0.0) * per_epoch),
        per_epoch=per_epoch,
        logging=section.logging_steps,
        evaluation=section.eval_steps if section.eval_strategy == "steps" else every[section.eval_strategy],
        saving=section.save_steps if section.save_strategy == "steps" else every[section.save_strategy],
    )


def token_budget(section: Training, machine: Machine) -> int:
    """The planned token budget of one forward pass."""
    return section.token_budget or TOKEN_BUDGETS[machine.device]


def objective(
    section: Loss, targets: Targets, labels: tuple[str, ...], *, task: Task, weights: losses.Rows = None
) -> Objective:
    """The loss of the config for a task, with weights and priors of the training rows, which may have weights too.

    Raises:
        ConfigError: a weight for a name that is no label.
    """
    for key in ("class_weights", "pos_weight"):
        chosen = getattr(section, key)
        unknown = sorted(chosen.keys() - set(labels)) if isinstance(chosen, dict) else []
        if unknown:
            raise ConfigError(
                f"loss.{key}: {', '.join(map(repr, unknown))}: no such label in the data; it has {', '.join(labels)}"
            )
    several = task == "multilabel"
    balanced = section.kind == "distribution_balanced"
    return losses.build(
        section.kind_for(task),
        multilabel=several,
        gamma=section.gamma,
        gamma_positive=section.gamma_positive,
        gamma_negative=section.gamma_negative,
        margin=section.margin,
        negative_scale=section.scale_of_negatives(),
        label_smoothing=section.label_smoothing,
        class_weights=losses.weights(section.class_weights, targets, labels, beta=section.beta, each=weights),
        pos_weight=losses.pos_weights(section.pos_weight, targets, labels, weights) if several else None,
        adjustment=losses.logit_adjustment(
            section.logit_adjustment + (losses.KAPPA if balanced else 0.0), targets, labels, weights
        ),
        rarity=losses.rarities(targets, weights) if balanced else None,
    )


def first_answer(
    training: Training, loss: Loss, targets: Targets, labels: tuple[str, ...], weights: losses.Rows
) -> NDArray[np.float64]:
    """The logits [k] that a new head of several labels starts with; see `losses.best_constant`.

    Raises:
        ConfigError: see `objective`.
    """
    shares = balanced_shares(targets, len(labels), weights) if training.sampling else None
    if weights is not None:
        shares = weights if shares is None else shares * weights
    aim = losses.without_rarity(objective(loss, targets, labels, task="multilabel", weights=weights))
    return losses.best_constant(aim, targets, shares)


def augmentation(
    section: Augmentation,
    targets: Targets,
    tokenizer: PreTrainedTokenizerBase,
    *,
    seed: int,
) -> augment.Augmentation | None:
    """What is done to the training texts; None: nothing.

    Raises:
        ConfigError: tokens are to be masked, and the tokenizer has no mask token.
    """
    if not (section.word_dropout or section.word_swap or section.token_masking):
        return None
    k = targets.shape[1] if targets.ndim == 2 else int(targets.max()) + 1
    return augment.build(
        tokenizer,
        word_dropout=section.word_dropout,
        word_swap=section.word_swap,
        token_masking=section.token_masking,
        strength=augment.strength_by_rarity(targets, losses.counts(targets, k)) if section.rare else None,
        seed=seed,
    )


def fit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    train: Encoded,
    gold: Targets,
    validation: Validation,
    *,
    training: Training,
    loss: Loss,
    function: Objective | None = None,
    best_metric: str,
    trackers: tuple[str, ...],
    seed: int,
    machine: Machine,
    run: RunDir,
    save_weights: Callable[[PreTrainedModel, Path], None],
    companions: Callable[[Path], None],
    resume: bool,
) -> Fit:
    """Train, and leave the best weights in ``run.best``.

    ``gold`` are the labels of the training rows, which weights and priors of the loss go by, while ``train.targets``,
    what is learnt, may be probabilities, and of more rows. ``function`` is a loss of one's own in place of the
    section's. ``save_weights(model, folder)`` writes a checkpoint's weights; ``companions(folder)`` puts beside them
    what makes them a whole model: tokenizer, settings.

    Raises:
        TrainingError: a loss that is not finite, or out of memory with single texts.
        Interrupted: SIGINT or SIGTERM; a checkpoint was written.
        UnavailableError: there is no room for the checkpoints.
    """
    if train.targets is None:
        raise TypeError("training needs targets")
    weights = None if train.weights is None else train.weights[: len(gold)]
    pace, budget = cadence(training, len(train)), token_budget(training, machine)
    start = beginning(run, resume=resume, budget=budget, machine=machine)
    progress = TrainingProgress.before_the_first_step() if start.progress is None else start.progress.counted
    history = History(run.history)
    if machine.main:
        if start.checkpoint is None:
            _see_room(model, training, run, best_metric)
        history.start(start.step, start.checkpoint)
    if machine.sharded and machine.main:
        log.warning("FSDP2 over %d processes: weights alone are saved, this run cannot be resumed", machine.processes)
    if training.activation_checkpointing:
        recompute_activations(model)
    packed = packed_classifier(model, train, machine=machine, seed=seed, recomputes=training.activation_checkpointing)
    aim = function or objective(loss, gold, validation.labels, task=validation.task, weights=weights)
    set_seed(seed)
    bar = Bar(best_metric)
    with StopRequest() as stop:
        schedule = Schedule(pace, progress, stop, training.early_stopping_patience)
        trainer = Trainer(
            model=model,
            args=arguments(training, pace=pace, machine=machine, seed=seed, run=run),
            encoded=train,
            sampler=StepSampler(
                train.lengths,
                batch_size=training.batch_size,
                token_budget=budget,
                pass_cost=PASS_COSTS[machine.device],
                seed=seed,
                rank=machine.rank,
                processes=machine.processes,
                shares=balanced_shares(gold, len(validation.labels), weights) if training.sampling else None,
                padded=packed is None,
            ),
            token_budget=start.token_budget,
            augmentation=augmentation(training.augmentation, gold, tokenizer, seed=seed),
            objective=aim,
            scorer=validation.scorer(packed, token_budget=budget, max_rows=training.eval_batch_size),
            best_metric=best_metric,
            higher_is_better=metrics.higher_is_better(best_metric),
            progress=progress,
            history=history,
            folder=run.checkpoints,
            groups=rates(training),
            save_weights=save_weights,
            companions=companions,
            save_total_limit=training.save_total_limit,
            sharded=machine.sharded,
            before=start.progress,
            packed=packed,
            documents=None
            if train.windows is None
            else DocumentClassifier(packed or model, train.windows.pool, token_budget=budget),
            graphs=cuda_graphs(packed, aim, train, machine),
            callbacks=[
                schedule,
                Recorder(history),
                bar,
                *(tracker(name, run.path / name) for name in trackers),
            ],
        )
        steps = start.step
        if not (progress.stopped_early or steps >= pace.total):
            try:
                trainer.train(resume_from_checkpoint=None if start.checkpoint is None else str(start.checkpoint))
            finally:
                bar.close()
                history.flush()
            steps = trainer.state.global_step
    if schedule.interrupted and machine.sharded:
        raise Interrupted(f"interrupted after step {steps} of {pace.total}; an FSDP2 run cannot be continued")
    if schedule.interrupted:
        raise Interrupted(
            f"interrupted after step {steps} of {pace.total}; the run is saved. Continue with\n"
            f"  {resume_command(run.config, run.path)}"
        )
    if progress.best is None:
        raise TrainingError(f"metrics.best: {best_metric} was undefined in every evaluation; choose another metric")
    return Fit(
        best=progress.best,
        progress=progress,
        steps=steps,
        epochs=steps / pace.per_epoch,
        token_budget=trainer.token_budget,
        peak_memory_bytes=peak_memory(machine),
        resumed=start.checkpoint is not None,
    )


def _see_room(model: PreTrainedModel, section: Training, run: RunDir, best_metric: str) -> None:
    """The least that is written: checkpoints, the best weights while one takes the place of another, ``model/``.

    Raises:
        UnavailableError: there is no room for it.
    """
    parameters = list(model.parameters())
    trained = sum(each.numel() for each in parameters if each.requires_grad)
    saved = 4 * trained if hasattr(model, "peft_config") else sum(p.numel() * p.element_size() for p in parameters)
    state = 8 * trained if section.optim.startswith("adamw_torch") else 0
    kept = 0 if section.save_strategy == "no" else section.save_total_limit + 1
    disk.require(
        run.path,
        3 * saved + kept * (saved + state),
        what=f"{kept} checkpoints, the weights best in {best_metric} and the model" if kept else "the weights",
        remedy='write training.save_total_limit: 1, or training.save_strategy: "no"',
    )


def rates(section: Training) -> Callable[[PreTrainedModel, Collection[str]], list[dict[str, Any]]] | None:
    """What sorts parameters by their learning rate; None: all have the same."""
    if section.layer_decay == 1 and section.head_learning_rate is None:
        return None
    return functools.partial(
        parameter_groups.groups,
        learning_rate=peak_rate(section),
        weight_decay=section.weight_decay,
        layer_decay=section.layer_decay,
        head_learning_rate=section.head_learning_rate,
    )


def peak_rate(section: Training) -> float:
    """The learning rate, which by now is chosen."""
    if section.learning_rate is None:
        raise TypeError("the learning rate is open")
    return section.learning_rate


def recompute_activations(model: PreTrainedModel) -> None:
    """Keep only what enters each layer, and compute the rest again in the backward pass.

    Raises:
        ConfigError: the architecture cannot.
    """
    if not model.supports_gradient_checkpointing:
        raise ConfigError(f"training.activation_checkpointing: {model.config.model_type} cannot do it; remove the line")
    model.activation_checkpointing_enable({"use_reentrant": False})  # the other kind needs inputs with a gradient


def arguments(section: Training, *, pace: Cadence, machine: Machine, seed: int, run: RunDir) -> TrainingArguments:
    """The Trainer's arguments; when to log, evaluate and save is decided by `Schedule`, so its strategies are off."""
    schedule = section.lr_scheduler_type
    warmup = section.warmup_steps if section.warmup_steps >= 1 else math.ceil(section.warmup_steps * pace.total)
    return TrainingArguments(
        output_dir=str(run.checkpoints),
        run_name=run.path.name,
        max_steps=pace.total,
        per_device_train_batch_size=section.batch_size,
        learning_rate=peak_rate(section),
        weight_decay=section.weight_decay,
        optim=section.optim,
        # The Trainer's "constant" forgets the warm-up.
        lr_scheduler_type="constant_with_warmup" if schedule == "constant" and warmup else schedule,
        warmup_steps=int(warmup),
        max_grad_norm=section.max_grad_norm,
        bf16=machine.precision == "bf16",
        fp16=machine.precision == "fp16",
        use_cpu=machine.device == "cpu",
        ddp_backend="gloo" if machine.processes > 1 and machine.device == "cpu" else None,
        ddp_find_unused_parameters=False,
        seed=seed,
        logging_strategy="no",
        eval_strategy="no",
        save_strategy="no",
        logging_nan_inf_filter=False,  # it replaces NaN by the last loss
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,  # what the loader hands over is a plan, not tensors
    )


def peak_memory(machine: Machine) -> int:
    """Bytes at the highest point: of the device on CUDA, of this process elsewhere."""
    if machine.device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)  # macOS counts bytes, Linux kilobytes

"""The one subclass of the Trainer: exact steps from micro-batches, checkpoints that are whole, errors that say so.

What is changed, and why (each was found by running it, see tests/training/test_training.py):

- The stock Trainer takes a sequence classifier's mean loss for a sum and inflates loss and gradients under
  accumulation and data parallelism (transformers#47688). Here a step's loss is the sum of its examples' losses over
  their number, whatever the micro-batches and processes. Weights of rows (data.weight) are scaled to mean one over the
  training rows and multiply the losses: over an epoch that is the weighted mean. Divided by the weights of the step
  instead, a row that is alone in its step would count the same whatever its weight is.
- Its accumulation cuts a step before it is known; here a step arrives whole, cut by length.
- Its checkpoints are written in place; here one is complete or does not exist.
"""

import gc
import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors.torch import load_model
from torch import Tensor, nn
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from ftcls.environment import memory
from ftcls.errors import TrainingError
from ftcls.model import adapters
from ftcls.model.batching import MicroBatch, StepSampler, narrow
from ftcls.model.checkpoint import WINDOWED
from ftcls.model.documents import DocumentClassifier
from ftcls.model.packed_encoder import PackedClassifier
from ftcls.model.padding import Batch
from ftcls.model.tokenize import Encoded
from ftcls.runs.directory import STEP
from ftcls.runs.history import History
from ftcls.training import checkpoints
from ftcls.training.augment import Augmentation
from ftcls.training.checkpoints import BEST, Best, CheckpointProgress, TrainingProgress
from ftcls.training.cuda_graphs import CudaGraphs
from ftcls.training.gradients import average
from ftcls.training.losses import Objective
from ftcls.training.step_loader import Plans, StepLoader

log = logging.getLogger(__name__)


class Trainer(transformers.Trainer):  # type: ignore[misc]
    """Trains a sequence classifier on the steps of a `StepSampler`."""

    def __init__(
        self,
        *,
        model: PreTrainedModel,
        args: TrainingArguments,
        encoded: Encoded,
        sampler: StepSampler,
        token_budget: int,
        objective: Objective,
        augmentation: Augmentation | None,
        scorer: Callable[[PreTrainedModel], dict[str, float | None]] | None,
        best_metric: str,
        higher_is_better: bool,
        progress: TrainingProgress,
        history: History,
        folder: Path,
        groups: Callable[[PreTrainedModel, Collection[str]], list[dict[str, Any]]] | None,
        save_weights: Callable[[PreTrainedModel, Path], None],
        companions: Callable[[Path], None],
        save_total_limit: int,
        sharded: bool,
        before: CheckpointProgress | None,
        packed: PackedClassifier | None,
        documents: DocumentClassifier | None,
        graphs: CudaGraphs | None,
        callbacks: Sequence[TrainerCallback],
    ) -> None:
        super().__init__(
            model=model, args=args, train_dataset=Plans(len(encoded)), data_collator=list, callbacks=list(callbacks)
        )
        self.remove_callback(PrinterCallback)  # it prints to stdout, where only results go
        self.encoded = encoded
        self.sampler = sampler
        self.token_budget = token_budget
        self.objective = objective
        self.augmentation = augmentation
        self.scorer = scorer
        self.best_metric = best_metric
        self.higher_is_better = higher_is_better
        self.progress = progress
        self.history = history
        self.folder = folder
        self.groups = groups
        self.save_weights = save_weights
        self.companions = companions
        self.save_total_limit = save_total_limit
        self.sharded = sharded
        self.before = before
        self.packed = packed
        self.documents = documents
        self.graphs = graphs
        self.control: TrainerControl
        self._finite = torch.ones((), dtype=torch.bool, device=args.device)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """The stock optimizer; with learning rates of their own for some parameters where that is asked for."""
        if self.optimizer is None and self.groups is not None:
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            options["params"] = self.groups(self.model, self.get_decay_parameter_names(self.model))
            self.optimizer_cls_and_kwargs = (kind, options)
        made: torch.optim.Optimizer = super().create_optimizer(model)
        return made

    # One step

    def get_train_dataloader(self) -> StepLoader:
        """The loader, not prepared by accelerate: its `even_batches` would repeat rows at the end of an epoch."""
        return StepLoader(self.sampler)

    def training_step(
        self, model: nn.Module, inputs: list[MicroBatch], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """Forward and backward of one whole optimizer step; out of memory, the same step under half the budget."""
        self._take_up_loss()
        padded = self.packed is None
        while True:
            batches = [
                part
                for whole in inputs
                for part in narrow(whole, self.encoded.lengths, self.token_budget, padded=padded)
            ]
            if self.packed is not None:
                self.packed.start_step(self.state.global_step)
            if self.documents is not None:
                self.documents.token_budget = self.token_budget
            try:
                loss = self._accumulate(model, batches)
                break
            except (MemoryError, RuntimeError) as error:
                if not memory.ran_out(error):
                    raise
                widest = max(len(batch.rows) for batch in batches)
            # Outside the except block: the exception holds the frames that hold the tensors.
            self._shrink(model, widest)
        if self.documents is not None and self.args.world_size > 1:
            # It computes with the model inside DistributedDataParallel, in passes of which each process has its own.
            average(self.model.parameters())
        self.progress.examples += inputs[0].step_examples
        self.progress.tokens += inputs[0].step_tokens
        self.progress.micro_batches += len(batches)
        # On the device and unread: reading it here would stop a GPU after every step.
        self._finite &= torch.isfinite(loss)
        return loss

    def _take_up_loss(self) -> None:
        """After a resume: the losses since the last logged step, which the next logged line is the mean of."""
        before, self.before = self.before, None
        if before is None or before.logged is None:
            return
        known = before.gathered
        same = len(known) == self.args.world_size
        self._tr_loss += known[self.args.process_index] if same else sum(known) / len(known)
        self._globalstep_last_logged = before.logged

    def _accumulate(self, model: nn.Module, batches: list[MicroBatch]) -> Tensor:
        total = torch.zeros((), device=self.args.device)
        if self.graphs is not None:
            self.graphs.start_step()
            for batch in batches:
                scale, weights = self._scale(batch), self._weights(batch)
                counts = scale if weights is None else scale * weights
                total += self.graphs.run(self._padded(batch), self._targets(batch), counts)
            return total
        # A model that the processes hold together is not accelerate's to hold back.
        alone = self._defer_fsdp_gradient_reduction if self.sharded else partial(self.accelerator.no_sync, model)
        for batch in batches[:-1]:
            with alone():
                total += super().training_step(model, self._inputs(batch))
        total += super().training_step(model, self._inputs(batches[-1]))
        return total

    def _inputs(self, batch: MicroBatch) -> dict[str, Any]:
        padded = self._padded(batch)
        return {
            # What lies beside the model lays out its batch on the CPU.
            **{name: torch.from_numpy(array) if self.beside is None else array for name, array in padded.items()},
            "targets": torch.from_numpy(self._targets(batch)),
            "scale": self._scale(batch),
            "weights": None if (weights := self._weights(batch)) is None else torch.from_numpy(weights),
        }

    @property
    def beside(self) -> PackedClassifier | DocumentClassifier | None:
        """What computes the logits in place of the model itself."""
        return self.packed if self.documents is None else self.documents

    def _targets(self, batch: MicroBatch) -> NDArray[Any]:
        if self.encoded.targets is None:
            raise TypeError("training needs targets")
        found: NDArray[Any] = self.encoded.targets[batch.rows]
        return found

    def _weights(self, batch: MicroBatch) -> NDArray[np.float32] | None:
        weights = self.encoded.weights
        return None if weights is None else weights[batch.rows].astype(np.float32)

    def _scale(self, batch: MicroBatch) -> float:
        """What the loss of an example counts; DDP averages over processes: times their number makes the mean a sum."""
        return float(batch.weight * self.args.world_size / batch.step_examples)

    def _padded(self, batch: MicroBatch) -> Batch:
        pad_id, encoded = self.model.config.pad_token_id, self.encoded
        if self.augmentation is None:
            return encoded.pad(batch.rows, pad_id)
        copies = np.zeros_like(batch.rows) if batch.copies is None else batch.copies
        return encoded.changed(
            [
                self.augmentation(encoded.bodies(row), epoch=batch.epoch, row=row, copy=copy)
                for row, copy in zip(batch.rows.tolist(), copies.tolist(), strict=True)
            ],
            pad_id,
        )

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """This micro-batch's share of the step's loss."""
        targets, scale, weights = (inputs.pop(name) for name in ("targets", "scale", "weights"))
        # It lies beside the model, so that what wraps the model does not convert its logits.
        logits = model(**inputs).logits if self.beside is None else self.beside(**inputs).logits.float()
        losses = self.objective(logits, targets)
        loss: Tensor = (losses if weights is None else losses * weights).sum() * scale
        return loss

    def _shrink(self, model: nn.Module, widest: int) -> None:
        model.zero_grad()
        if self.graphs is not None:
            self.graphs.forget()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self.sharded:  # the others wait for this process within the step that failed
            raise TrainingError(
                f"out of memory at step {self.state.global_step + 1} under FSDP2, which cannot repeat a step. Write "
                f"training.token_budget: {self.token_budget // 2}, or training.activation_checkpointing: true"
            )
        windows = self.encoded.windows
        if widest == 1 and (windows is None or self.token_budget <= windows.size):
            longest, key = int(self.encoded.lengths.max()), "model.max_length"
            if windows is not None:
                longest, key = windows.size, "model.windows.size"
            raise TrainingError(
                f"out of memory at step {self.state.global_step + 1} with a single text of up to "
                f"{longest} tokens. Write a smaller {key}, a smaller "
                f"model.checkpoint, or train on a device with more memory.{self._last_good()}"
            )
        self.token_budget = max(1, self.token_budget // 2)
        log.warning(
            "out of memory at step %d: token budget halved to %d, step repeated",
            self.state.global_step + 1,
            self.token_budget,
        )

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: the stock estimate wants one padded batch."""
        return 0

    # Between steps

    def _maybe_log_save_evaluate(self, tr_loss: Tensor, grad_norm: Any, *args: Any, **kwargs: Any) -> None:
        if self.control.should_log or self.control.should_save or self.control.should_evaluate:
            self._refuse_not_finite(grad_norm)
        super()._maybe_log_save_evaluate(tr_loss, grad_norm, *args, **kwargs)

    def _refuse_not_finite(self, grad_norm: Any) -> None:
        finite = bool(self._finite)
        # Under fp16 the scaler skips steps whose gradients overflow: that is its work, not a failure.
        if finite and grad_norm is not None and not self.args.fp16:
            finite = bool(torch.isfinite(torch.as_tensor(grad_norm)))
        if not finite:
            raise TrainingError(
                f"the loss or its gradient is not finite at step {self.state.global_step} or shortly before. "
                "Write a smaller training.learning_rate, training.max_grad_norm: 1.0, or training.precision: fp32."
                + self._last_good()
            )

    def _last_good(self) -> str:
        good = checkpoints.newest(self.folder)
        return f" The last good checkpoint is {good}." if good else " No checkpoint had been written yet."

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Score the validation split; keep the weights if they are the best so far, or where there is no such split."""
        if self.scorer is None:
            self.progress.best = Best(self.state.global_step, self.best_metric, None)
            self._keep_best(self.progress.best)
            return {}
        scores = self.scorer(self.model)
        logs = {f"{metric_key_prefix}_{name}": value for name, value in scores.items() if value is not None}
        self.log(dict(logs))
        value = scores[self.best_metric]
        if value is not None and self._better(value):
            self.progress.best = Best(self.state.global_step, self.best_metric, value)
            self.progress.evaluations_without_better = 0
            self._keep_best(self.progress.best)
        else:
            self.progress.evaluations_without_better += 1
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, logs)
        return logs

    def _better(self, value: float) -> bool:
        before = None if self.progress.best is None else self.progress.best.value
        return before is None or (value > before if self.higher_is_better else value < before)

    def _keep_best(self, best: Best) -> None:
        about = checkpoints.best_manifest(best)
        with checkpoints.writing(self.folder / BEST, main=self.args.should_save, about=about) as staged:
            self._save_weights(staged)

    def _save_weights(self, folder: Path) -> None:
        if self.args.should_save or self.sharded:  # whose shares are gathered from all processes; one of them writes
            self.save_weights(self.accelerator.unwrap_model(self.model), folder)
        if self.args.should_save:
            self.companions(folder)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        if self.sharded:  # transformers cannot restore the optimizer of a model that was sharded at load time
            return
        self.history.flush()  # a resume from here keeps this step's line
        step = self.state.global_step
        about = checkpoints.progress_manifest(self._progress())
        with checkpoints.writing(self.folder / f"{STEP}{step}", main=self.args.should_save, about=about) as staged:
            self._save_weights(staged)
            self._save_optimizer_and_scheduler(str(staged))
            self._save_scaler(str(staged))
            self._save_rng_state(str(staged))
            if self.args.should_save:
                self.state.save_to_json(str(staged / "trainer_state.json"))
                self.history.copy(staged)
        if self.args.should_save:
            checkpoints.rotate(self.folder, self.save_total_limit, step)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        with checkpoints.readable(resume_from_checkpoint, "its weights"):
            if self.documents is not None:  # under a name of their own, which the stock Trainer does not know
                folder = Path(resume_from_checkpoint)
                if adapters.is_adapter(folder):
                    adapters.load_weights(self.model, folder)
                else:
                    load_model(self.model, folder / WINDOWED)
                return
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with checkpoints.readable(str(checkpoint), "its optimizer and schedule"):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with checkpoints.readable(str(checkpoint), "its random state"):
            super()._load_rng_state(checkpoint)

    def _progress(self) -> CheckpointProgress:
        return CheckpointProgress(
            step=self.state.global_step,
            token_budget=self.token_budget,
            planned_budget=self.sampler.token_budget,
            processes=self.args.world_size,
            **vars(self.progress),
            logged=self._globalstep_last_logged,
            gathered=tuple(self.accelerator.gather(self._tr_loss.reshape(1)).tolist()),
        )

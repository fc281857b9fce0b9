"""Contrastive learning: an encoder learns from pairs of texts before there is a classifier (Tunstall et al. 2022).

The vector of a text is what the head of the classifier reads of it. The loss of a pair is the squared difference of
its cosine from the one that it should have, CosineSimilarityLoss of sentence-transformers.
"""

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel, get_linear_schedule_with_warmup, set_seed

from ftcls.config.contrastive_schema import Contrastive
from ftcls.environment import memory, progress
from ftcls.environment.devices import DTYPES, Machine
from ftcls.environment.figures_as_text import number
from ftcls.errors import Interrupted, TrainingError
from ftcls.model.documents import DocumentClassifier
from ftcls.model.packed_encoder import PackedClassifier
from ftcls.model.tokenize import Encoded
from ftcls.model.windows import Pool
from ftcls.training.packed import packed_classifier
from ftcls.training.stop_request import StopRequest
from ftcls.training.text_pairs import TextPairs

log = logging.getLogger(__name__)

_MAX_GRAD_NORM = 1.0
"""As sentence-transformers, and so SetFit, clips."""
_LEAST_BUDGET = 16
"""Tokens of a pass below which nothing is tried where memory runs out."""


@dataclass(frozen=True)
class Contrasted:
    """What contrastive learning came to."""

    steps: int
    pairs: int
    """Over all steps."""
    pairs_of_one_label: int
    """Of these, those that share a label."""
    first_loss: float
    """Mean of the first pass over the texts."""
    last_loss: float
    """Mean of the last pass."""
    seconds: float


def pair_loss(vectors: Tensor, similarities: Tensor, shares: Tensor) -> Tensor:
    """The mean of (cosine - similarity)^2 over the pairs of b vectors.

    Args:
        vectors: [b, d].
        similarities: [b, b] the cosine that each pair should have.
        shares: [b, b] how much each pair counts, 1 in all.
    """
    unit = functional.normalize(vectors.float(), dim=1)
    return (shares * (unit @ unit.T - similarities).square()).sum()


def count_steps(section: Contrastive, pairs: TextPairs) -> int:
    """The optimizer steps of a section for so many texts."""
    whole = section.num_train_epochs * pairs.steps(section.batch_size)
    return whole if section.max_steps is None else min(whole, section.max_steps)


def learn_pairs(
    model: PreTrainedModel,
    encoded: Encoded,
    pairs: TextPairs,
    section: Contrastive,
    *,
    learning_rate: float,
    token_budget: int,
    machine: Machine,
    seed: int,
    recomputes: bool,
) -> Contrasted:
    """Train what can be trained of a model, but its output layer, on all pairs of texts; it stays on the device.

    All processes of a torchrun compute the same.

    Args:
        model: a classifier whose head is listened to, see `ftcls.model.documents.listen`.
        encoded: n texts.
        pairs: of these texts.
        section: how long.
        learning_rate: at its peak, where the section has none.
        token_budget: most tokens in one forward pass; of more the activations are computed again.
        machine: its device and precision.
        seed: of the order and the dropout: the same seed gives the same weights.
        recomputes: whether the model computes its activations again in the backward pass.

    Raises:
        Interrupted: SIGINT or SIGTERM; nothing is kept.
        TrainingError: a loss that is not finite, or out of memory with single texts.
    """
    if machine.precision == "fp16":  # without a scaler its small gradients would be zero
        machine = replace(machine, precision="fp32")
    model.to(machine.device).train()
    packed = packed_classifier(model, encoded, machine=machine, seed=seed, recomputes=recomputes, what="pairs")
    total = count_steps(section, pairs)
    learner = _Learner(model, packed, encoded, pairs, section, total, token_budget, machine, learning_rate)
    set_seed(seed)
    started, said = time.perf_counter(), time.monotonic()
    with StopRequest() as stop, progress.bar("pairs") as bar:
        for step, rows in enumerate(_batches(pairs, section, seed=seed, steps=total), 1):
            loss = learner.learn(rows)
            bar.update(step / total, f"{step}/{total} loss {number(loss)}")
            if progress.place() is None and time.monotonic() - said > progress.SECONDS_BETWEEN_LINES:
                said = time.monotonic()
                log.info("pairs step %d/%d: loss %s", step, total, number(loss))
            if stop.agreed(model.device):
                raise Interrupted(f"interrupted after step {step} of {total} on pairs of texts")
    return learner.outcome(time.perf_counter() - started)


class _Learner:
    """The steps of a stage, one after the other."""

    def __init__(
        self,
        model: PreTrainedModel,
        packed: PackedClassifier | None,
        encoded: Encoded,
        pairs: TextPairs,
        section: Contrastive,
        total: int,
        token_budget: int,
        machine: Machine,
        learning_rate: float,
    ) -> None:
        self.encoded, self.pairs, self.machine, self.packed = encoded, pairs, machine, packed
        self.pad_id = int(model.config.pad_token_id)
        pool: Pool = "mean" if encoded.windows is None else encoded.windows.pool
        self.documents = DocumentClassifier(packed or model, pool, token_budget=token_budget)
        self.trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=section.learning_rate or learning_rate, weight_decay=0.0)
        warmup = section.warmup_steps if section.warmup_steps >= 1 else math.ceil(section.warmup_steps * total)
        self.schedule = get_linear_schedule_with_warmup(self.optimizer, int(warmup), total)
        self.per_pass = min(pairs.steps(section.batch_size), total)
        self.losses: list[float] = []
        self.counts = [0, 0]

    def learn(self, rows: NDArray[np.int64]) -> float:
        """Make one optimizer step on some texts; its loss."""
        shares, similarities = self.pairs.shares(rows), self.pairs.similarities(rows)
        batch = self.encoded.pad(rows, self.pad_id)
        device, precision = self.machine.device, self.machine.precision
        wanted, counted = (torch.from_numpy(each).to(device) for each in (similarities, shares))

        def backward(budget: int) -> Tensor:
            self.documents.token_budget = budget
            self.optimizer.zero_grad()
            if self.packed is not None:
                self.packed.start_step(len(self.losses))
            with torch.autocast(device, DTYPES[precision], enabled=precision != "fp32"):
                vectors = self.documents.vectors(**batch)
            loss = pair_loss(vectors, wanted, counted)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()

        budget = self.documents.token_budget
        loss = float(memory.smaller(backward, budget, least=_LEAST_BUDGET, what="pairs of texts, tokens of a pass"))
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss of pairs of texts is not finite at step {len(self.losses) + 1}. Write a smaller "
                "contrastive.learning_rate, or training.precision: fp32"
            )
        nn.utils.clip_grad_norm_(self.trained, _MAX_GRAD_NORM)
        self.optimizer.step()
        self.schedule.step()
        self.losses.append(loss)
        self.counts[0] += int(np.count_nonzero(shares))
        self.counts[1] += int(np.count_nonzero(shares[self.pairs.alike(rows)]))
        return loss

    def outcome(self, seconds: float) -> Contrasted:
        """What the steps came to; the gradients are given up."""
        self.optimizer.zero_grad()
        return Contrasted(
            steps=len(self.losses),
            pairs=self.counts[0],
            pairs_of_one_label=self.counts[1],
            first_loss=float(np.mean(self.losses[: self.per_pass])),
            last_loss=float(np.mean(self.losses[-self.per_pass :])),
            seconds=seconds,
        )


def _batches(pairs: TextPairs, section: Contrastive, *, seed: int, steps: int) -> Iterator[NDArray[np.int64]]:
    """The texts of each of so many steps."""
    epoch = 0
    while steps > 0:
        for rows in pairs.batches(section.batch_size, seed=seed, epoch=epoch)[:steps]:
            steps -= 1
            yield rows
        epoch += 1

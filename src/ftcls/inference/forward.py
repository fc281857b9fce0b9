"""The only forward pass outside the training step, and what runs it: a model in PyTorch, or another engine."""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed
from transformers import PretrainedConfig, PreTrainedModel

from ftcls.environment.devices import DTYPES, Precision
from ftcls.inference import halving
from ftcls.model import batching
from ftcls.model.batching import MicroBatch
from ftcls.model.documents import DocumentClassifier
from ftcls.model.encoder_layers import difference
from ftcls.model.packed_encoder import PackedClassifier
from ftcls.model.padding import Batch
from ftcls.model.tokenize import Encoded

_SAMPLED = 1_000
"""Numbers of each weight in a fingerprint: training changes nearly all, and a model of gigabytes is hashed at once."""

Forward = Callable[[Batch], NDArray[np.float32]]
"""What a model takes of b texts to their logits, float32 [b, k]."""


class Backend(Protocol):
    """What computes logits: the weights in PyTorch (`Torch`), or an exported graph (`exported.Graph`)."""

    @property
    def config(self) -> PretrainedConfig:
        """The model's configuration, label names included."""

    @property
    def device(self) -> str:
        """cpu, cuda or mps."""

    @property
    def precision(self) -> str:
        """Of the matrix products: fp32, bf16 or fp16, of an exported graph fp32 or int8."""

    @property
    def model(self) -> PreTrainedModel:
        """The weights in PyTorch.

        Raises:
            ConfigError: there are none, because this is a graph that was exported for another engine.
        """

    def logits(self, encoded: Encoded, *, token_budget: int, max_rows: int | None = None) -> NDArray[np.float32]:
        """Logits of n texts, float32 [n, k], in input order; the arguments are those of `logits`."""

    def fingerprint(self) -> str:
        """A hash of what its logits depend on."""


@dataclass(frozen=True, eq=False)
class Torch:
    """A sequence classifier in PyTorch, on its device, whose weights do not change once logits were asked for."""

    model: PreTrainedModel
    precision: Precision = "fp32"
    """The arithmetic of the matrix products; the weights stay float32, and so do softmax and sigmoid."""

    @property
    def config(self) -> PretrainedConfig:
        """The model's configuration, label names included."""
        return self.model.config

    @property
    def device(self) -> str:
        """cpu, cuda or mps."""
        return str(self.model.device.type)

    def logits(self, encoded: Encoded, *, token_budget: int, max_rows: int | None = None) -> NDArray[np.float32]:
        """Logits of n texts, float32 [n, k], in input order; see `logits`."""
        with torch.autocast(self.device, DTYPES[self.precision], enabled=self.precision != "fp32"):
            return logits(self._packed, encoded, token_budget=token_budget, max_rows=max_rows)

    @cached_property
    def _packed(self) -> PreTrainedModel | PackedClassifier:
        if difference(self.model) is not None:
            return self.model
        return PackedClassifier(self.model, dtype=DTYPES[self.precision], rounded=True)

    def fingerprint(self) -> str:
        """A hash of the precision and of about a thousand numbers of each weight."""
        digest = hashlib.sha256(self.precision.encode())
        for name, weight in self.model.state_dict().items():
            numbers = weight.detach().flatten()
            digest.update(repr((name, tuple(weight.shape))).encode())
            digest.update(numbers[:: max(1, len(numbers) // _SAMPLED)].float().cpu().numpy().tobytes())
        return digest.hexdigest()


def logits(
    model: PreTrainedModel | PackedClassifier,
    encoded: Encoded,
    *,
    token_budget: int,
    max_rows: int | None = None,
    alone: bool = False,
) -> NDArray[np.float32]:
    """Logits of n texts, float32 [n, k], in input order.

    Texts that are read in windows need a model to which `documents.attach` was done.

    Texts of like length go through the model together; the order of the result is that of the input. The precision is
    the model's own: float32 unless training left it under autocast. Under torchrun every process computes its share and
    all return the whole.

    Args:
        model: a sequence classifier, on its device; it is in evaluation mode afterwards.
        encoded: n texts.
        token_budget: most tokens, padding included, in one forward pass.
        max_rows: most texts in one forward pass.
        alone: this process computes everything, whatever the others of a torchrun do, and leaves nothing behind in the
            model that its training cannot use.
    """
    shared = _distributed() and not alone
    rank, processes = (distributed.get_rank(), distributed.get_world_size()) if shared else (0, 1)
    batches = _plan(encoded, token_budget, max_rows, processes)

    windows = encoded.windows
    whole = model if windows is None else DocumentClassifier(model, windows.pool, token_budget=token_budget)

    def forward(batch: Batch) -> Tensor:
        inputs: Any = batch  # which a packed model lays out on the CPU
        if not isinstance(whole, PackedClassifier | DocumentClassifier):
            inputs = {name: torch.from_numpy(array).to(model.device) for name, array in batch.items()}
        # Left on the device: fetching them would stop a GPU after every batch.
        found: Tensor = whole(**inputs).logits
        return found

    whole.eval()
    with torch.no_grad() if alone else torch.inference_mode():
        found = _through(forward, encoded, batches[rank::processes], model.config)
    if processes > 1:
        whole = torch.from_numpy(found).to(model.device)  # every row is filled by one process and zero in the others
        distributed.all_reduce(whole)
        found = whole.cpu().numpy()
    return found


def by_length(
    forward: Forward, encoded: Encoded, config: PretrainedConfig, *, token_budget: int, max_rows: int | None = None
) -> NDArray[np.float32]:
    """What `logits` does, in one process, for an engine that is not PyTorch."""
    return _through(forward, encoded, _plan(encoded, token_budget, max_rows, 1), config)


def _plan(encoded: Encoded, token_budget: int, max_rows: int | None, processes: int) -> list[MicroBatch]:
    return batching.plan(
        np.arange(len(encoded)), encoded.lengths, token_budget=token_budget, processes=processes, max_rows=max_rows
    )


def _through(
    forward: Callable[[Batch], NDArray[np.float32] | Tensor],
    encoded: Encoded,
    batches: Sequence[MicroBatch],
    config: PretrainedConfig,
) -> NDArray[np.float32]:
    """Logits [n, k]: those of the batches' rows, and zero in the others."""
    found = np.zeros((len(encoded), config.num_labels), dtype=np.float32)
    rows, parts = [], []
    for batch in batches:
        for some, out in halving.through(
            lambda rows: forward(encoded.pad(rows, config.pad_token_id)), batch.rows, encoded.lengths
        ):
            if batch.weight:
                rows.append(some)
                parts.append(out)
    if parts:
        # NumPy has no bfloat16.
        whole = torch.cat(parts).float().cpu().numpy() if isinstance(parts[0], Tensor) else np.concatenate(parts)
        found[np.concatenate(rows)] = whole
    return found


def _distributed() -> bool:
    with contextlib.suppress(AttributeError):  # torch built without distributed
        return distributed.is_available() and distributed.is_initialized()
    return False

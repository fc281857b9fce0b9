"""What one step of training holds in memory and computes, counted without computing it.

The model goes forward and backward on tensors that have a shape, a type and a lifetime, but no numbers (PyTorch's fake
tensors, on which its compiler works too). So the count knows of autocast's copies, of frozen layers, adapters and
recomputed activations whatever the architecture, and costs no memory.
"""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry
from transformers import PreTrainedModel

from ftcls.environment.devices import DTYPES, Precision

_IN_EIGHT_BITS: Final = ("adamw_bnb_8bit", "paged_adamw_8bit")
_SMALLEST_IN_EIGHT_BITS: Final = 4_096
"""Numbers of a tensor from which on bitsandbytes 0.50 keeps its states in eight bits; never those of embeddings."""
_BLOCK: Final = 256
"""States of eight bits that share a scale."""


@dataclass(frozen=True)
class Footprint:
    """Of the widest of some forward and backward passes."""

    peak: int
    """Bytes at the highest point beside weights and optimizer states: activations, gradients, temporary results."""
    flops: float
    """Floating-point operations for one token, forward and backward."""
    flops_forward: float
    """Of these, forward."""


def measure(
    model: PreTrainedModel,
    *,
    shapes: Sequence[tuple[int, int]],
    device: str,
    precision: Precision,
    passes: int,
) -> Footprint:
    """Count the passes of a model.

    Args:
        model: on the meta device, ready to be trained; it is changed, and good for nothing else afterwards.
        shapes: texts and tokens of padded micro-batches.
        device: what the tensors would be on; some kernels keep more than others.
        precision: of the matrix products.
        passes: micro-batches of one step: the second finds the gradients of the first.

    Raises:
        RuntimeError: the architecture decides by the values of its tensors, which there are none of.
    """
    ledger, tokens = _Ledger(), 0
    forward = 0.0
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.to_empty(device=device)
        model.train()
        for each in (*model.parameters(), *model.buffers()):
            ledger.hold(each, counted=False)
        for rows, length in shapes:
            for _ in range(min(passes, 2)):
                forward += _pass(model, rows, length, ledger, device=device, precision=precision)
                tokens += rows * length
            model.zero_grad(set_to_none=True)
    return Footprint(ledger.peak, ledger.flops / tokens, forward / tokens)


def state_bytes(model: nn.Module, optim: str) -> int:
    """Bytes of AdamW's two moments of everything that is trained."""
    embeddings = {id(each.weight) for each in model.modules() if isinstance(each, nn.Embedding)}
    total = 0.0
    for each in model.parameters():
        if each.requires_grad:
            small = each.numel() >= _SMALLEST_IN_EIGHT_BITS and id(each) not in embeddings
            total += each.numel() * (2 * (1 + 4 / _BLOCK) if small and optim in _IN_EIGHT_BITS else 2 * 4)
    return int(total)


def _pass(
    model: PreTrainedModel, rows: int, length: int, ledger: "_Ledger", *, device: str, precision: Precision
) -> float:
    """One micro-batch; returns the operations of its forward half."""
    before = ledger.flops
    with ledger:
        ids = torch.ones(rows, length, dtype=torch.int64, device=device)
        mask = torch.ones_like(ids)
        with torch.autocast(device, DTYPES[precision], enabled=precision != "fp32"):
            logits = model(input_ids=ids, attention_mask=mask).logits
        loss = logits.float().logsumexp(-1).mean()
        forward = ledger.flops - before
        loss.backward()
    return forward


class _Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps count of the bytes that are alive, and of floating-point operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self.flops = 0.0
        self._alive: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for each in tree_leaves(out):
            if isinstance(each, Tensor):
                self.hold(each, counted=True)
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.flops += count(*args, **(kwargs or {}), out_val=out)
        return out

    def hold(self, tensor: Tensor, *, counted: bool) -> None:
        """Take down a tensor's memory, which views of it share, until it is freed."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes() if counted else 0
        if key in self._alive:
            return
        self._alive.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._release, key, size).atexit = False

    def _release(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self.now -= size

"""Training passes as CUDA graphs: recorded once for a number of tokens, then started as a whole.

A pass through an encoder is a thousand small kernels. Started one by one from Python they take longer than the GPU
needs to compute them. A graph replays all of them at one call. What it computes on lies at fixed places and is of fixed
size, so a micro-batch is filled up with texts that mean nothing to the next of a few sizes; their loss weighs nothing.
"""

import logging
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ftcls.environment import memory
from ftcls.model import packing
from ftcls.model.packed_encoder import PackedClassifier
from ftcls.model.packing import Layout, PackedTexts
from ftcls.model.padding import Batch
from ftcls.training.losses import Objective

log = logging.getLogger(__name__)

MOST_GRAPHS: Final = 32
"""Sizes that are recorded. Each costs two passes and some megabytes; passes of further sizes are computed as usual."""
_STEPS: Final = 16
"""Sizes between a power of two and the next: at most a sixteenth of a pass is filled up."""
_FEWEST_TOKENS: Final = 64
_TEXTS: Final = 16
"""The number of texts is a multiple of it, and a few more, see `size`."""


def size(tokens: int, texts: int, longest: int) -> tuple[int, int]:
    """Tokens and texts of the pass that a micro-batch of so many tokens and texts is filled up to.

    Every text that is added has between one token and ``longest``.

    Args:
        tokens: of the micro-batch.
        texts: of the micro-batch.
        longest: tokens of the longest text of all; at least 2.
    """
    step = max(_FEWEST_TOKENS, (1 << (tokens.bit_length() - 1)) // _STEPS)
    all_texts = -(-texts // _TEXTS) * _TEXTS + -(-step // (longest - 1))
    return -(-(tokens + all_texts - texts) // step) * step, all_texts


@dataclass(frozen=True, eq=False)
class _Inputs:
    """Of one pass, on the device; a graph reads them where they lie."""

    ids: Tensor
    positions: Tensor
    types: Tensor | None
    layout: Layout
    targets: Tensor
    weights: Tensor
    """What the loss of each text counts, float32 [texts]."""

    def copy_(self, others: "_Inputs") -> None:
        """Take over the values of a pass of the same size."""
        for mine, theirs in zip(self._tensors(), others._tensors(), strict=True):
            mine.copy_(theirs, non_blocking=True)

    def _tensors(self) -> list[Tensor]:
        tensors = (self.ids, self.positions, self.types, self.layout.first, self.layout.starts)
        return [each for each in (*tensors, self.targets, self.weights) if each is not None]


@dataclass(frozen=True, eq=False)
class _Graph:
    """A recorded pass."""

    graph: Any
    inputs: _Inputs
    loss: Tensor


class CudaGraphs:
    """Computes losses and adds up gradients of a packed model whose attention takes texts by their starts."""

    def __init__(self, packed: PackedClassifier, objective: Objective, *, longest: int) -> None:
        """Nothing is recorded yet.

        Args:
            packed: in training mode, on the GPU.
            objective: its weights, if it has any, on the GPU.
            longest: tokens of the longest text that comes.
        """
        self.packed = packed
        self.objective = objective
        self.longest = max(2, longest)
        self._parameters = [each for each in packed.parameters() if each.requires_grad]
        self._gradients: list[Tensor] = []
        self._graphs: dict[tuple[int, int], _Graph] = {}
        self._pool: Any = None
        self._records = True

    def start_step(self) -> None:
        """Set the gradients to zero, at the places where the graphs add to them."""
        if not self._gradients:
            self._gradients = [torch.zeros_like(each) for each in self._parameters]
        torch._foreach_zero_(self._gradients)
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient

    def forget(self) -> None:
        """Give back the memory of all graphs."""
        self._graphs.clear()
        self._pool = None

    def run(self, batch: Batch, targets: NDArray[Any], weight: float | NDArray[np.float32]) -> Tensor:
        """Add a micro-batch's gradient to those of the step.

        Args:
            batch: b texts.
            targets: of each, [b] or [b, k].
            weight: what the loss of each text counts, one for all or [b].

        Returns:
            The sum of the losses times the weight, on the device.
        """
        texts = PackedTexts.of(batch, self.packed.padding_idx)
        key = size(len(texts.ids), len(texts.lengths), self.longest)
        inputs = self._inputs(texts, targets, weight, *key)
        graph = self._graphs.get(key)
        if graph is None and self._records and len(self._graphs) < MOST_GRAPHS:
            graph = self._record(key, inputs)
        if graph is None:
            return self._pass(inputs)
        graph.inputs.copy_(inputs)
        graph.graph.replay()
        # The next replay writes into the same place.
        return graph.loss.clone()

    def _inputs(
        self, texts: PackedTexts, targets: NDArray[Any], weight: float | NDArray[np.float32], tokens: int, count: int
    ) -> _Inputs:
        filled = texts.filled(tokens=tokens, texts=count)
        goal = np.zeros((count, *targets.shape[1:]), dtype=targets.dtype)
        weights = np.zeros(count, dtype=np.float32)
        goal[texts.rank], weights[texts.rank] = targets, weight
        device = self.packed.device
        return _Inputs(
            ids=packing.to_device(filled.ids, device),
            positions=packing.to_device(filled.positions, device),
            types=None if filled.types is None else packing.to_device(filled.types, device),
            layout=Layout(
                first=packing.to_device(packing.first(filled.lengths), device),
                starts=packing.to_device(packing.starts(filled.lengths), device),
                longest=self.longest,
            ),
            targets=packing.to_device(goal, device),
            weights=packing.to_device(weights, device),
        )

    def _pass(self, inputs: _Inputs) -> Tensor:
        logits = self.packed.logits(inputs.ids, inputs.positions, inputs.types, inputs.layout)
        loss = (self.objective(logits.float(), inputs.targets) * inputs.weights).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _record(self, key: tuple[int, int], inputs: _Inputs) -> _Graph | None:
        random = torch.cuda.get_rng_state()
        try:
            self._warm_up(inputs)
            graph = torch.cuda.CUDAGraph()
            if self._pool is None:
                self._pool = torch.cuda.graph_pool_handle()
            with torch.cuda.graph(graph, pool=self._pool):
                loss = self._pass(inputs)
        except RuntimeError as error:
            if memory.ran_out(error):
                raise
            self._records = False
            log.info("steps      one kernel after the other: they cannot be recorded as a CUDA graph (%s)", error)
            return None
        finally:
            # Dropout of this pass must not depend on whether its size was recorded before. A recording sets the seed
            # on the device from a stream of its own, which on a busy card comes after what the replay sets.
            torch.cuda.synchronize()
            torch.cuda.set_rng_state(random)
        self._graphs[key] = found = _Graph(graph, inputs, loss)
        return found

    def _warm_up(self, inputs: _Inputs) -> None:
        """A pass that counts for nothing: libraries load kernels and take workspaces, which no recording may."""
        for parameter in self._parameters:
            parameter.grad = None
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._pass(inputs)
        torch.cuda.current_stream().wait_stream(stream)
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient

"""Dropout on a CPU whose random numbers cost little, alone and inside attention.

torch draws 32 bits and more for every value, one at a time: 29 ns a value measured on a CPU without AVX-512, 4 on one
with it, which is more than the layers' other work on that value. Here 15 bits decide, drawn four at a time by SFC64
(`numpy.random.SFC64`), and the mask is an integer whose bitwise and with the value keeps or clears it: 2.2 ns. A rate
is met to 1/65,536.

On other devices torch's own dropout is used; on a GPU its generator is seeded for every step.
"""

import math
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

_PARTS: Final = 1 << 15
"""In how many parts a rate is counted: 15 random bits, and one for the sign."""
_BITS: Final = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Integers by the bytes of a floating-point number."""


class DropoutBits:
    """The random bits of a training's dropout, a new stream for every step.

    A stream comes from (seed, step) alone, so there is no state to be saved with a checkpoint: a run that is resumed at
    a step draws what the undisturbed one drew there.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.start(0)

    def start(self, step: int) -> None:
        """Begin a step's stream."""
        self._stream = np.random.SFC64((self.seed, step))

    @property
    def place(self) -> Any:
        """Where in the stream the next bits come from."""
        return self._stream.state

    def go_to(self, place: Any) -> None:
        """Draw from there on what was drawn from there on before."""
        self._stream.state = place

    def number(self, step: int) -> int:
        """What the generator of another device is seeded with for a step, below 2^63."""
        return int(np.random.SeedSequence((self.seed, step)).generate_state(1, np.uint64)[0] >> 1)

    def keep(self, shape: torch.Size, rate: float) -> Tensor:
        """Which values stay, int16 of this shape: -1 (all bits set) for those, 0 for the others.

        Args:
            shape: of the values.
            rate: the share that goes, above 0 and below 1; see `exact`.
        """
        count = math.prod(shape)
        drawn = torch.from_numpy(self._stream.random_raw((count + 3) // 4).view(np.int16))[:count]
        # Below the threshold the difference is negative, and a shift by 15 spreads the sign over all bits.
        drawn.bitwise_and_(_PARTS - 1).sub_(_threshold(rate)).bitwise_right_shift_(15).bitwise_not_()
        return drawn.view(shape)


def exact(rate: float) -> float:
    """The rate that is met, a multiple of 1/32,768."""
    return _threshold(rate) / _PARTS


def _threshold(rate: float) -> int:
    return min(round(rate * _PARTS), _PARTS - 1)


class Dropout(nn.Module):
    """What `torch.nn.Dropout` does, with these bits where the values are on a CPU."""

    def __init__(self, rate: float, bits: DropoutBits) -> None:
        super().__init__()
        self.rate = rate
        self.bits = bits

    def forward(self, values: Tensor) -> Tensor:
        """Values of any shape; of those that stay, the mean is what it was."""
        if not self.training or not 0 < self.rate < 1 or values.device.type != "cpu":
            return functional.dropout(values, self.rate, self.training)
        keep = self.bits.keep(values.shape, self.rate)
        dropped: Tensor = _Dropout.apply(values, keep, 1 / (1 - exact(self.rate)))  # type: ignore[no-untyped-call]
        return dropped


class Attention(nn.Module):
    """Scaled dot product attention, with dropout of its weights."""

    def __init__(self, rate: float, bits: DropoutBits) -> None:
        super().__init__()
        self.rate = rate
        self.bits = bits

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, absent: Tensor | None) -> Tensor:
        """Values mixed for each query, [n, h, q, e].

        Args:
            queries: [n, h, q, e] of n texts and h heads.
            keys: [n, h, t, e].
            values: [n, h, t, e].
            absent: which of the t are padding, bool [n, 1, 1, t]; None: none.
        """
        rate = self.rate if self.training else 0.0
        if queries.device.type != "cpu" or not (self.training and torch.is_grad_enabled()) or rate >= 1:
            return functional.scaled_dot_product_attention(
                queries, keys, values, attn_mask=None if absent is None else ~absent, dropout_p=rate
            )
        shape = torch.Size((*queries.shape[:3], keys.shape[2]))
        keep = self.bits.keep(shape, rate) if rate > 0 else None
        mixed: Tensor = _Attention.apply(  # type: ignore[no-untyped-call]
            queries, keys, values, absent, keep, 1 / (1 - exact(rate))
        )
        return mixed


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, keep: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.scale = scale
        return _kept(values, keep).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (keep,) = ctx.saved_tensors
        return _kept(gradient, keep).mul_(ctx.scale), None, None


class _Attention(torch.autograd.Function):
    """softmax(q k' / sqrt(e)) v, some weights cleared; the scale of the others is put on v, which is smaller."""

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        absent: Tensor | None,
        keep: Tensor | None,
        scale: float,
    ) -> Tensor:
        with torch.autocast(queries.device.type, enabled=False):
            scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
            if absent is not None:
                scores.masked_fill_(absent, -torch.inf)
            weights = torch.softmax(scores, dim=-1)
            if scale != 1:
                values = values * scale
            ctx.save_for_backward(queries, keys, values, weights, keep)
            ctx.scale = scale
            return _kept(weights, keep) @ values

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        queries, keys, values, weights, keep = ctx.saved_tensors
        of_values = _kept(weights, keep).transpose(-1, -2) @ gradient
        of_weights = _kept(gradient @ values.transpose(-1, -2), keep)
        of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        by = queries.shape[-1] ** -0.5
        return (
            (of_scores @ keys).mul_(by),
            (of_scores.transpose(-1, -2) @ queries).mul_(by),
            of_values.mul_(ctx.scale),
            None,
            None,
            None,
        )


def _kept(values: Tensor, keep: Tensor | None) -> Tensor:
    """The values, zero where the mask is; the values themselves without one."""
    if keep is None:
        return values
    integers = _BITS[values.element_size()]
    return (values.view(integers) & keep.to(integers)).view(values.dtype)

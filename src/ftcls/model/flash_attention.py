"""Attention over texts of different lengths in one row of tokens, by the FlashAttention that comes with PyTorch."""

from typing import Final

import torch
from torch import Tensor

from ftcls.model.packing import Layout

WIDEST_HEAD: Final = 256


def available(device: torch.device, dtype: torch.dtype, head_width: int) -> bool:
    """Whether it computes heads of this width there: on a GPU from Ampere on, in 16 bits."""
    return (
        device.type == "cuda"
        and dtype in (torch.bfloat16, torch.float16)
        and torch.backends.cuda.is_flash_attention_available()
        and torch.cuda.get_device_capability(device)[0] >= 8
        and head_width % 8 == 0
        and head_width <= WIDEST_HEAD
    )


def attention(
    queries: Tensor, keys: Tensor, values: Tensor, layout: Layout, *, rate: float, first_only: bool
) -> Tensor:
    """Values mixed for each query, [T or b, h, e].

    `torch.nn.attention.varlen` is the public way to the same kernel, without dropout; hence the operator itself.

    Args:
        queries: [T, h, e] of the tokens of b texts and h heads; with ``first_only`` of the first of each, [b, h, e].
        keys: [T, h, e].
        values: [T, h, e].
        layout: of the b texts, with `starts`.
        rate: of the dropout of the weights.
        first_only: whether there is one query a text.
    """
    if layout.starts is None:
        raise TypeError("the layout has groups")
    starts = torch.arange(len(queries) + 1, dtype=torch.int32, device=queries.device) if first_only else layout.starts
    most = 1 if first_only else layout.longest
    found: Tensor = torch.ops.aten._flash_attention_forward(
        queries, keys, values, starts, layout.starts, most, layout.longest, rate, False, False
    )[0]
    return found

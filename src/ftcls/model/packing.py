"""Texts of a batch end to end, without padding: which token stands where, and whose attention is computed together.

Linear layers, norms and activations know nothing of texts: they take the tokens of all texts in one row. Attention
does; it is computed in groups of texts of like length, each group padded to its longest text. How the texts are cut
into groups is what makes the sum of their costs least.
"""

import itertools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ftcls.model.batching import cheapest_cuts

# What one more group costs, in pairs of tokens (a text of t tokens has t x t). CPU: of 5,000, 20,000 and 60,000 the
# second was best for a step of MiniLM, on AG News as on IMDb. GPU: not measured; few groups, because each is a dozen
# launches.
GROUP_COSTS: Final = {"cpu": 20_000, "cuda": 1_000_000, "mps": 1_000_000}


@dataclass(frozen=True, eq=False)
class Group:
    """Texts of like length, which stand one after the other; their attention is computed together."""

    texts: slice
    tokens: slice
    width: int
    """Tokens of the longest."""
    places: Tensor | None
    """Where each token stands if every text is padded to the width, int64 [tokens]; None: all are equally long."""
    absent: Tensor | None
    """Which places are padding, bool [texts, 1, 1, width]; None: none."""

    @property
    def size(self) -> int:
        """The number of texts."""
        return int(self.texts.stop - self.texts.start)

    def padded(self, states: Tensor) -> Tensor:
        """States [tokens, d] to [texts * width, d], zero where padding is."""
        if self.places is None:
            return states
        padded: Tensor = _Pad.apply(states, self.places, self.size * self.width)  # type: ignore[no-untyped-call]
        return padded

    def unpadded(self, states: Tensor) -> Tensor:
        """What `padded` does, undone."""
        if self.places is None:
            return states
        unpadded: Tensor = _Unpad.apply(states, self.places)  # type: ignore[no-untyped-call]
        return unpadded


@dataclass(frozen=True, eq=False)
class Packing:
    """The layout of a batch of b texts with T tokens in all, longest text first."""

    places: Tensor
    """Where each token stands in the padded batch, counted through its rows, int64 [T]."""
    lengths: Tensor
    """Tokens of each text, int64 [b]."""
    first: Tensor
    """The first token of each text, int64 [b]."""
    rank: Tensor
    """At which place each row of the batch is among the texts, int64 [b]."""
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, attention_mask: NDArray[np.int64], device: torch.device) -> "Packing":
        """The layout for a padded batch.

        Args:
            attention_mask: [b, t], 1 for tokens, on either side of the padding; every text has a token.
            device: where the layout is used.
        """
        mask = attention_mask.astype(bool)
        lengths = mask.sum(axis=1)
        order = np.argsort(-lengths, kind="stable")
        lengths = lengths[order]
        found = np.flatnonzero(mask[order])
        width = mask.shape[1]
        ends = np.cumsum(lengths)
        return cls(
            places=_on(order[found // width] * width + found % width, device),
            lengths=_on(lengths, device),
            first=_on(ends - lengths, device),
            rank=_on(np.argsort(order), device),
            groups=_groups(lengths, device),
        )

    def positions(self, input_ids: Tensor, padding_idx: int | None) -> Tensor:
        """The number of each token in its text, int64 [T].

        Args:
            input_ids: of the tokens, [T].
            padding_idx: of the table of positions, where that has a row for padding, as RoBERTa's has: its tokens are
                numbered from the next one on, and tokens with this id are not counted. None: from 0.
        """
        counted = torch.ones_like(input_ids) if padding_idx is None else (input_ids != padding_idx).long()
        through = counted.cumsum(0)
        before = (through - counted)[self.first].repeat_interleave(self.lengths, output_size=len(input_ids))
        return through - before - 1 if padding_idx is None else (through - before) * counted + padding_idx


def _groups(lengths: NDArray[np.int64], device: torch.device) -> tuple[Group, ...]:
    """Texts in falling order of length, cut where that costs least."""
    cuts = cheapest_cuts(lengths.astype(np.int64) ** 2, piece_cost=GROUP_COSTS[device.type])
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return tuple(
        _group(lengths[start:stop], slice(start, stop), slice(int(ends[start]), int(ends[stop])), device)
        for start, stop in itertools.pairwise(cuts)
    )


def _group(lengths: NDArray[np.int64], texts: slice, tokens: slice, device: torch.device) -> Group:
    width = int(lengths[0])
    if (lengths == width).all():
        return Group(texts, tokens, width, places=None, absent=None)
    present = np.arange(width) < lengths[:, None]
    return Group(
        texts,
        tokens,
        width,
        places=_on(np.flatnonzero(present), device),
        absent=_on(~present[:, None, None], device),
    )


def _on(array: NDArray[Any], device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device)


# torch's own gradient of `index_select` adds the rows one by one; these places are all different, so a copy does.


class _Pad(torch.autograd.Function):
    """Rows [n, d] at their places in [size, d], zero elsewhere."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, places: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(places)
        return states.new_zeros(size, states.shape[1]).index_copy_(0, places, states)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        return gradient.index_select(0, places), None, None


class _Unpad(torch.autograd.Function):
    """Rows [n, d] from their places in [size, d]."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.size = states.shape[0]
        return states.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        return gradient.new_zeros(ctx.size, gradient.shape[1]).index_copy_(0, places, gradient), None

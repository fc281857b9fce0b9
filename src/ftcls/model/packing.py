"""Texts of a batch end to end, without padding: which token stands where, and whose attention is computed together.

Linear layers, norms and activations know nothing of texts: they take the tokens of all texts in one row. Attention
does; it is computed in groups of texts of like length, each group padded to its longest text. How the texts are cut
into groups is what makes the sum of their costs least. A GPU that has FlashAttention needs no groups: it takes texts of
any lengths by where they begin.
"""

import itertools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ftcls.model.batching import cheapest_cuts
from ftcls.model.padding import Batch

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
class PackedTexts:
    """The tokens of b texts end to end, T in all, longest text first; on the CPU."""

    ids: NDArray[np.int64]
    """[T]"""
    positions: NDArray[np.int64]
    """[T], rows of the table of positions."""
    types: NDArray[np.int64] | None
    """[T], of pairs of texts; None: all tokens are of one type."""
    lengths: NDArray[np.int64]
    """Tokens of each text, [b]."""
    rank: NDArray[np.int64]
    """At which place each row of the batch is among the texts, [b]."""

    @classmethod
    def of(cls, batch: Batch, padding_idx: int | None) -> "PackedTexts":
        """The texts of a padded batch.

        Args:
            batch: on either side of its padding every text has a token.
            padding_idx: of the table of positions, where that has a row for padding, as RoBERTa's has: its tokens are
                numbered from the next one on, and tokens with this id are not counted. None: from 0.
        """
        mask = batch["attention_mask"].astype(bool)
        lengths = mask.sum(axis=1)
        order = np.argsort(-lengths, kind="stable")
        present = mask[order]
        ids = batch["input_ids"][order][present]
        types = batch.get("token_type_ids")
        return cls(
            ids=ids,
            positions=_positions(ids, lengths[order], padding_idx),
            types=None if types is None else types[order][present],
            lengths=lengths[order],
            rank=np.argsort(order),
        )

    def filled(self, *, tokens: int, texts: int) -> "PackedTexts":
        """With texts that mean nothing behind these, so that there are so many tokens and texts.

        Args:
            tokens: more than there are by at least one for each text that is missing.
            texts: more than there are.
        """
        missing = texts - len(self.lengths)
        empty = tokens - len(self.ids)
        shares = np.full(missing, empty // missing)
        shares[: empty % missing] += 1
        nothing = np.zeros(empty, dtype=np.int64)
        return PackedTexts(
            ids=np.concatenate([self.ids, nothing]),
            positions=np.concatenate([self.positions, nothing]),
            types=None if self.types is None else np.concatenate([self.types, nothing]),
            lengths=np.concatenate([self.lengths, shares]),
            rank=self.rank,
        )


def _positions(ids: NDArray[np.int64], lengths: NDArray[np.int64], padding_idx: int | None) -> NDArray[np.int64]:
    counted = np.ones_like(ids) if padding_idx is None else (ids != padding_idx).astype(np.int64)
    through = np.cumsum(counted)
    before = np.repeat((through - counted)[first(lengths)], lengths)
    found: NDArray[np.int64] = through - before - 1
    return found if padding_idx is None else (found + 1) * counted + padding_idx


def first(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first token of each text, [b]."""
    return np.cumsum(lengths) - lengths


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the texts of a row of tokens stand, as attention takes it, on the device."""

    first: Tensor
    """The first token of each text, int64 [b]."""
    groups: tuple[Group, ...] = ()
    """The texts in groups of like length; none where `starts` is used."""
    starts: Tensor | None = None
    """Where each text begins, and where the last one ends, int32 [b + 1]: for attention that takes texts of different
    lengths as they are."""
    longest: int = 0
    """Tokens of the longest text, or more; with `starts`."""

    @classmethod
    def of(cls, lengths: NDArray[np.int64], device: torch.device, *, by_starts: bool) -> "Layout":
        """The layout of texts in falling order of length, [b]."""
        begin = to_device(first(lengths), device)
        if not by_starts:
            return cls(begin, groups=_groups(lengths, device))
        return cls(begin, starts=to_device(starts(lengths), device), longest=int(lengths[0]))


def starts(lengths: NDArray[np.int64]) -> NDArray[np.int32]:
    """Where each of b texts begins, and where the last one ends, [b + 1]."""
    return np.concatenate([np.zeros(1, np.int32), np.cumsum(lengths, dtype=np.int32)])


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
        places=to_device(np.flatnonzero(present), device),
        absent=to_device(~present[:, None, None], device),
    )


def to_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """A copy there; a GPU fetches it while the process goes on."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


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

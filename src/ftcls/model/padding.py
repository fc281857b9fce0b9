"""Texts of different lengths in one array: what fills it stands on the side that the architecture does not read."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from transformers import PretrainedConfig, PreTrainedTokenizerBase

Side = Literal["right", "left"]


def side(config: PretrainedConfig) -> Side:
    """Where an architecture expects padding: XLNet reads the last position of a batch, whatever stands there.

    Encoders read the first token, and decoders look for the last one that is no padding: both want it on the right.
    """
    return "left" if getattr(config, "summary_type", None) == "last" else "right"


def use(tokenizer: PreTrainedTokenizerBase, side: Side) -> None:
    """Have a tokenizer pad on that side, and say so where it is saved, for those who load it in plain transformers."""
    tokenizer.padding_side = tokenizer.init_kwargs["padding_side"] = side


def pad(
    texts: Sequence[NDArray[np.int32]], pad_id: int, side: Side = "right"
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Input ids and attention mask of b texts, int64 [b, t], padded to the longest."""
    longest = max(map(len, texts))
    input_ids = np.full((len(texts), longest), pad_id, dtype=np.int64)
    attention_mask = np.zeros_like(input_ids)
    for i, ids in enumerate(texts):
        place = slice(0, len(ids)) if side == "right" else slice(longest - len(ids), longest)
        input_ids[i, place] = ids
        attention_mask[i, place] = 1
    return input_ids, attention_mask

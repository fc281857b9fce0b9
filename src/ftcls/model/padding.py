"""Texts of different lengths in one array: what fills it stands on the side that the architecture does not read."""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from transformers import PretrainedConfig, PreTrainedTokenizerBase

Side = Literal["right", "left"]
Batch = dict[str, NDArray[np.int64]]
"""What a model of transformers takes: ``input_ids`` and ``attention_mask``, and for pairs of texts ``token_type_ids``
where the checkpoint has them; int64 [b, t] each."""
FEWEST: Final = 4
"""Tokens of a text in a batch, padding included: CANINE and Funnel draw neighbouring tokens together, and have nothing
left of an empty text."""


def side(config: PretrainedConfig) -> Side:
    """Where an architecture expects padding: XLNet reads the last position of a batch, whatever stands there.

    Encoders read the first token, and decoders look for the last one that is no padding: both want it on the right.
    """
    return "left" if getattr(config, "summary_type", None) == "last" else "right"


def use(tokenizer: PreTrainedTokenizerBase, side: Side) -> None:
    """Have a tokenizer pad on that side, and say so where it is saved, for those who load it in plain transformers."""
    tokenizer.padding_side = tokenizer.init_kwargs["padding_side"] = side


def pad(
    texts: Sequence[NDArray[np.int32]],
    pad_id: int,
    side: Side = "right",
    types: Sequence[NDArray[np.uint8]] | None = None,
) -> Batch:
    """Some texts padded to the longest, and to the `FEWEST` tokens that every architecture takes.

    Args:
        texts: token ids of b texts.
        pad_id: what fills the shorter ones.
        side: where it stands.
        types: token type ids of each text; None: the model is given none.
    """
    lengths = [len(ids) for ids in texts]
    longest = max(*lengths, FEWEST)
    places = [slice(0, n) if side == "right" else slice(longest - n, longest) for n in lengths]
    shape = (len(texts), longest)
    found = {"input_ids": np.full(shape, pad_id, dtype=np.int64), "attention_mask": np.zeros(shape, dtype=np.int64)}
    for i, (ids, place) in enumerate(zip(texts, places, strict=True)):
        found["input_ids"][i, place] = ids
        found["attention_mask"][i, place] = 1
    if types is not None:
        found["token_type_ids"] = np.zeros(shape, dtype=np.int64)
        for i, (each, place) in enumerate(zip(types, places, strict=True)):
            found["token_type_ids"][i, place] = each
    return found

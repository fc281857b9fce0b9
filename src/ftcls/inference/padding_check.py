"""Does a text get the same logits alone and beside a longer one? A model that reads padding answers otherwise.

Asked once, when a model is loaded, in two forward passes over two short texts. Not of layers in four or eight bits:
int8 rounds by what else is in the batch (4 % of the largest logit of MiniLM), four bits in bfloat16.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ftcls.environment.figures_as_text import significant
from ftcls.errors import UnavailableError
from ftcls.inference import forward
from ftcls.model.padding import Side
from ftcls.model.tokenize import Encoded, encode

log = logging.getLogger(__name__)

Logits = Callable[[Encoded], NDArray[np.float32]]
"""Of n texts, which go through the model together: float32 [n, k]."""

SHORT: Final = "A word."
LONG: Final = "Some more words than the other one has."
MOST_TOKENS: Final = 24
# Of the largest logit, in float32. Of 95 architectures of transformers 5.23, tiny and with random weights, 91 differ by
# at most 1e-6 on their side, and by a tenth and more on the other where it matters to them; ConvBERT, FNet,
# Nystromformer and YOSO, which mix what stands in neighbouring places, by a tenth and more on both.
TOLERANCE: Final = 1e-3
_ROUNDING: Final = 1e-6
"""What float32 makes of logits that are all but zero."""


def of_model(model: PreTrainedModel) -> Logits:
    """The logits of a model in the arithmetic of its weights, in whatever mode it is, which it keeps."""

    def found(encoded: Encoded) -> NDArray[np.float32]:
        training = model.training
        try:
            return forward.logits(model, encoded, token_budget=2 * MOST_TOKENS, alone=True)
        finally:
            model.train(training)

    return found


def side(
    logits: Logits, tokenizer: PreTrainedTokenizerBase, *, max_length: int, expected: Side, checkpoint: str
) -> Side:
    """The side on which padding changes nothing: the expected one, else the other.

    Args:
        logits: of the model.
        tokenizer: of the model.
        max_length: most tokens of a text.
        expected: where its architecture wants padding.
        checkpoint: for messages.

    Raises:
        UnavailableError: a text's logits depend on the texts beside it, or are no numbers.
    """
    length = min(max_length, MOST_TOKENS)
    both = encode([SHORT, LONG], tokenizer, max_length=length, truncation="head", cached=False)
    alone = logits(_first(both))[0]
    if not np.isfinite(alone).all():
        raise UnavailableError(f"{checkpoint}: its logits are not finite: its weights are damaged; fetch it again")
    allowed = TOLERANCE * float(np.abs(alone).max()) + _ROUNDING
    differences: dict[Side, float] = {}
    other: Side = "left" if expected == "right" else "right"
    for place in (expected, other):
        beside = logits(replace(both, padding_side=place))[0]
        differences[place] = float(np.abs(beside - alone).max())
        if differences[place] <= allowed:  # NaN is not
            if place != expected:
                log.info("padding    on the %s: on the %s this model reads it", place, expected)
            return place
    right, left, most = (significant(each, 2) for each in (differences["right"], differences["left"], allowed))
    raise UnavailableError(
        f"{checkpoint}: what it says of a text depends on the texts beside it: padded in a batch, the logits of one "
        f"text are {right} (on the right) or {left} (on the left) away from "
        f"those it has alone, and {most} is allowed. Its architecture reads padding: take a checkpoint of "
        "another one, such as BERT, RoBERTa, DeBERTa or ModernBERT"
    )


def _first(encoded: Encoded) -> Encoded:
    return replace(encoded, ids=encoded.row(0), offsets=encoded.offsets[:2], full_lengths=encoded.full_lengths[:1])

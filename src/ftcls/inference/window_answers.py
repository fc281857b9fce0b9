"""Each window of a long text by itself: where in the text a model that reads windows has its answer from."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from ftcls.inference.base_classifier import WindowAnswer
from ftcls.model.settings import Settings
from ftcls.model.tokenize import Encoded, character_spans
from ftcls.model.windows import Windows


def answers(
    probabilities: Callable[[Encoded], NDArray[np.float64]],
    texts: Sequence[str],
    encoded: Encoded,
    windows: Windows,
    *,
    labels: Sequence[str],
    settings: Settings,
    tokenizer: PreTrainedTokenizerBase,
) -> list[tuple[WindowAnswer, ...]]:
    """The windows of each of n texts, in order, with what a model says of each.

    Args:
        probabilities: of the model, [n, k], for texts that are read as one.
        texts: n texts, one or more.
        encoded: the same.
        windows: how the model reads them.
        labels: its k labels.
        settings: how it cuts texts.
        tokenizer: its tokenizer.
    """
    special = encoded.template.size
    bounds = [windows.bounds(max(0, int(kept) - special), special) for kept in encoded.kept]
    bodies = [encoded.bodies(row)[0] for row in range(len(encoded))]
    ids = [
        encoded.template.around([body[start:end]])
        for body, each in zip(bodies, bounds, strict=True)
        for start, end in each
    ]
    ends = np.cumsum([0, *map(len, ids)])
    lengths = np.diff(ends).astype(np.int32)
    alone = replace(
        encoded,
        ids=np.concatenate(ids),
        offsets=ends,
        full_lengths=lengths,
        targets=None,
        weights=None,
        windows=None,
    )
    said = iter(probabilities(alone))
    spans = character_spans(texts, tokenizer, max_length=settings.max_length, truncation=settings.truncation)
    return [
        tuple(
            WindowAnswer(
                *_place(None if spans is None else spans[row], start, end),
                dict(zip(labels, map(float, next(said)), strict=True)),
            )
            for start, end in each
        )
        for row, each in enumerate(bounds)
    ]


def _place(spans: NDArray[np.int64] | None, start: int, end: int) -> tuple[int | None, int | None]:
    """The characters of tokens from one to another."""
    if spans is None:
        return None, None
    return (int(spans[start:end, 0].min()), int(spans[start:end, 1].max())) if len(spans) else (0, 0)

"""Which words of a text speak for a label: each is left out in turn (occlusion; Zeiler & Fergus 2014, section 4.1).

It needs nothing of the model but its probabilities, so it holds for every model, and it says what the model does
without the word, not what the word means.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

MOST: Final = 128
"""Parts that a text is cut into at most; each is one more text for the model. Longer texts are taken several words at
a time."""
_SMALLEST = 1e-6
"""Probabilities this close to 0 and 1 count as that, where their log odds would have no end."""


@dataclass(frozen=True)
class Part:
    """One word, or a few in a long text."""

    start: int
    """Its first character."""
    end: int
    """The first character behind it."""
    weight: float
    """How much lower the log odds of the label are without it; below 0: it speaks against the label."""


def parts(text: str) -> list[tuple[int, int]]:
    """First and end character of every word, or of every few words where there are more than `MOST`."""
    spans = [found.span() for found in re.finditer(r"\S+", text)]
    together = max(1, -(-len(spans) // MOST))
    groups = (spans[index : index + together] for index in range(0, len(spans), together))
    return [(group[0][0], group[-1][1]) for group in groups]


def without(text: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    """The text without each of its parts in turn."""
    return [f"{text[:start]}{text[end:]}".strip() for start, end in spans]


def weighed(spans: Sequence[tuple[int, int]], whole: float, left_out: Sequence[float]) -> list[Part]:
    """The parts with their weights, from the label's probability in the whole text and without each part."""
    odds = _log_odds(whole)
    return [Part(start, end, odds - _log_odds(p)) for (start, end), p in zip(spans, left_out, strict=True)]


def _log_odds(probability: float) -> float:
    p = float(np.clip(probability, _SMALLEST, 1 - _SMALLEST))
    return float(np.log(p / (1 - p)))

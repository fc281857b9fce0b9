"""Which words of a text speak for a label: each is left out in turn (occlusion; Zeiler & Fergus 2014, section 4.1).

It needs nothing of the model but its probabilities, so it holds for every model, and it says what the model does
without the word, not what the word means.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

MOST: Final = 128
"""Parts that a text is cut into at most; each is one more text for the model. Longer texts are taken several words at
a time."""
_SMALLEST = 1e-6
"""Probabilities this close to 0 and 1 count as that, where their log odds would have no end."""


class Span(NamedTuple):
    """A word of a text, or a few in a long one."""

    text: int
    """0: of the text, or of the first text of a pair; 1: of the second."""
    start: int
    """Its first character."""
    end: int
    """The first character behind it."""


@dataclass(frozen=True)
class Part:
    """One word, or a few in a long text."""

    start: int
    """Its first character."""
    end: int
    """The first character behind it."""
    weight: float
    """How much lower the log odds of the label are without it; below 0: it speaks against the label."""
    text: int = 0
    """0: of the text, or of the first text of a pair; 1: of the second."""


def spans(texts: Sequence[str]) -> list[Span]:
    """Every word of a text, or of both texts of a pair; every few words where there are more than `MOST`."""
    sides = [[found.span() for found in re.finditer(r"\S+", text)] for text in texts]
    together = max(1, -(-sum(map(len, sides)) // (MOST - len(sides) + 1)))
    found: list[Span] = []
    for number, words in enumerate(sides):
        groups = (words[index : index + together] for index in range(0, len(words), together))
        found += [Span(number, group[0][0], group[-1][1]) for group in groups]
    return found


def without(texts: Sequence[str], spans: Sequence[Span]) -> list[tuple[str, ...]]:
    """The text, or the texts of the pair, without each of the words in turn."""
    return [
        tuple(
            f"{text[: span.start]}{text[span.end :]}".strip() if number == span.text else text
            for number, text in enumerate(texts)
        )
        for span in spans
    ]


def weighed(spans: Sequence[Span], whole: float, left_out: Sequence[float]) -> list[Part]:
    """The parts with their weights, from the label's probability in the whole text and without each part."""
    odds = _log_odds(whole)
    return [Part(each.start, each.end, odds - _log_odds(p), each.text) for each, p in zip(spans, left_out, strict=True)]


def _log_odds(probability: float) -> float:
    p = float(np.clip(probability, _SMALLEST, 1 - _SMALLEST))
    return float(np.log(p / (1 - p)))

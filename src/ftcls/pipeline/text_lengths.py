"""How many tokens the texts of a data file have, and what tells that a checkpoint does not know their language."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from huggingface_hub import try_to_load_from_cache
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ftcls.data.texts import parts
from ftcls.errors import UnavailableError
from ftcls.model.checkpoint import on_hub, resolve

CHARACTERS_PER_TOKEN: Final = 4
"""Of Latin script; a rule of thumb for English and subword vocabularies."""
SPECIAL_TOKENS: Final = 2
FOREIGN: Final = 1.5
"""Tokens a word from which on a checkpoint does not know the language. With the vocabulary of BERT English has 1.1 to
1.2 (the four data sets, docstrings), a sentence in French, Spanish or German 1.8 to 2.3."""
_OTHER_SCRIPTS: Final = 0.3
"""Share of characters from which on texts are in another script than the Latin one."""

_SAMPLE: Final = 1_000
"""Texts that are looked at: enough for the length of 95 % of them."""
_LONGEST: Final = 10_000
"""Characters of a text that are looked at: more tokens than a first config reads."""
_FILE: Final = "tokenizer.json"
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_NOT_LATIN: Final = re.compile(r"[^\u0000-\u024f\u2000-\u206f]")  # nor punctuation


@dataclass(frozen=True)
class TextLengths:
    """The lengths of a sample of texts."""

    tokens: NDArray[np.int64]
    """[s] of each text, special tokens included, ascending."""
    counted: bool
    """By the tokenizer of the checkpoint; else estimated from the characters."""
    per_word: float | None
    """Tokens of a word of letters; None: no tokenizer is at hand, or there are no words."""
    other_script: bool
    """They are not in the Latin script."""

    @property
    def foreign(self) -> bool:
        """Whether the words are in more pieces than those of the checkpoint's language."""
        return self.per_word is not None and self.per_word >= FOREIGN

    def mean(self, most: int) -> float:
        """Tokens that are read of a text on average, if longer ones are cut at so many."""
        return float(np.minimum(self.tokens, most).mean())

    def holding(self, share: float) -> int:
        """Tokens that this share of the texts fits into."""
        return int(self.tokens[int(share * (len(self.tokens) - 1))])


def text_lengths(texts: Sequence[str], checkpoint: str) -> TextLengths:
    """Count the tokens of texts, with the checkpoint's tokenizer if it is at hand: nothing is fetched for it.

    Args:
        texts: [n]; some `_SAMPLE` of them are read, evenly over all.
        checkpoint: as a config names it.
    """
    step = max(1, len(texts) // _SAMPLE)
    read = [tuple(part[:_LONGEST] for part in parts(text)) for text in texts[::step]]
    characters = np.array([sum(map(len, text)) for text in read], np.int64)
    others = np.array([sum(len(_NOT_LATIN.findall(part)) for part in text) for text in read], np.int64)
    other_script = bool(others.sum() >= _OTHER_SCRIPTS * max(1, characters.sum()))
    tokenizer = _tokenizer(checkpoint)
    if tokenizer is None:
        # A vocabulary of Latin script has at best a token for each sign of another.
        tokens = others + np.ceil((characters - others) / CHARACTERS_PER_TOKEN).astype(np.int64) + SPECIAL_TOKENS
        return TextLengths(np.sort(tokens), counted=False, per_word=None, other_script=other_script)
    found = tokenizer.encode_batch([text[0] if len(text) == 1 else text for text in read])
    tokens = np.sort(np.array([len(each.ids) for each in found], np.int64))
    return TextLengths(tokens, counted=True, per_word=_per_word(read, tokenizer), other_script=other_script)


def _per_word(texts: Sequence[tuple[str, ...]], tokenizer: Tokenizer) -> float | None:
    words = [word for text in texts for part in text for word in _WORD.findall(part)]
    if not words:
        return None
    return sum(len(each.ids) for each in tokenizer.encode_batch(words, add_special_tokens=False)) / len(words)


def _tokenizer(checkpoint: str) -> Tokenizer | None:
    file = _file(checkpoint)
    if file is None:
        return None
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _file(checkpoint: str) -> Path | None:
    try:
        place = resolve(checkpoint)
    except UnavailableError:  # training will say so
        return None
    if isinstance(place, Path):
        return place / _FILE if (place / _FILE).is_file() else None
    cached = try_to_load_from_cache(on_hub(place)[0], _FILE)
    return Path(cached) if isinstance(cached, str) else None

"""Other words in the texts that a model learns from: dropout, swaps and masks of whole words, drawn anew every epoch.

The token ids of a batch are changed when the batch is made, so nothing is encoded twice and nothing is kept. What
happens to a row comes from (seed, epoch, row, copy) alone: neither the micro-batches, nor the number of processes, nor
a resume changes it. A text never grows, so what was planned for its full length still fits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from ftcls.errors import ConfigError

# What a token that goes on with a word begins with, or what one that begins a word does; by how pieces are written.
_CONTINUES = "##"
_BEGINS = ("Ġ", "▁")
# How much more or less than the written rate a row gets, under `rare`.
_LEAST, _MOST = 0.5, 2.0
_HIGHEST_RATE = 0.5
"""Beyond half of the words a text says something else."""


@dataclass(frozen=True)
class Augmentation:
    """Rates, and what is to be known of the tokenizer."""

    word_dropout: float
    """Chance of each word to go; one word always stays."""
    word_swap: float
    """Chance of each word to change places with the next one."""
    token_masking: float
    """Chance of each token to become the mask token."""
    seed: int
    strength: NDArray[np.float64] | None
    """[n] factor of the rates for each row; None: 1 for all."""
    begins: NDArray[np.bool_]
    """[vocabulary] whether a token begins a word."""
    mask_id: int | None

    def __call__(
        self, bodies: Sequence[NDArray[np.int32]], *, epoch: int, row: int, copy: int
    ) -> list[NDArray[np.int32]]:
        """The token ids of a row's text, or of both texts of its pair, as this epoch's model sees them: never more.

        Special tokens are no part of them, and stay; a word never goes from one text of a pair to the other.
        """
        rng = np.random.default_rng((self.seed, epoch, row, copy))
        strength = 1.0 if self.strength is None else float(self.strength[row])
        return [self._changed(body, rng, strength) if len(body) else body for body in bodies]

    def _changed(self, body: NDArray[np.int32], rng: np.random.Generator, strength: float) -> NDArray[np.int32]:
        dropout, swap, masking = (
            min(rate * strength, _HIGHEST_RATE) for rate in (self.word_dropout, self.word_swap, self.token_masking)
        )
        begins = self.begins[body]
        # A tokenizer that marks beginnings leaves out the mark of a text's first word: elsewhere it would be glued on.
        fixed = not begins[0]
        begins[0] = True
        words: list[NDArray[np.int32]] = np.split(body, np.flatnonzero(begins)[1:])
        # Every draw is made whatever the rates are, so that one of them does not change what the others do.
        goes, moves = rng.random(len(words)) < dropout, rng.random(len(words)) < swap
        spared = int(rng.integers(len(words)))
        moves[0] &= not fixed
        if goes.all():
            goes[spared] = False
        for index in np.flatnonzero(moves[:-1]):
            words[index], words[index + 1] = words[index + 1], words[index]
            goes[index], goes[index + 1] = goes[index + 1], goes[index]
        body = np.concatenate([word for word, gone in zip(words, goes, strict=True) if not gone])
        if self.mask_id is not None:
            body = np.where(rng.random(len(body)) < masking, np.int32(self.mask_id), body)
        return body


def build(
    tokenizer: PreTrainedTokenizerBase,
    *,
    word_dropout: float,
    word_swap: float,
    token_masking: float,
    strength: NDArray[np.float64] | None,
    seed: int,
) -> Augmentation:
    """What these rates mean to this tokenizer.

    Raises:
        ConfigError: tokens are to be masked, and the tokenizer has no mask token.
    """
    if token_masking and tokenizer.mask_token_id is None:
        raise ConfigError(
            "training.augmentation.token_masking: the tokenizer of this checkpoint has no mask token; "
            "remove the line, or write word_dropout"
        )
    return Augmentation(
        word_dropout=word_dropout,
        word_swap=word_swap,
        token_masking=token_masking,
        seed=seed,
        strength=strength,
        begins=word_beginnings(tokenizer.convert_ids_to_tokens(range(len(tokenizer)))),
        mask_id=tokenizer.mask_token_id if token_masking else None,
    )


def word_beginnings(vocabulary: Sequence[str | None]) -> NDArray[np.bool_]:
    """Which tokens of a vocabulary begin a word, bool [v]; where it does not say, every token is taken for a word.

    WordPiece marks the pieces that go on with ``##``; byte-level BPE and SentencePiece mark those that begin.
    """
    tokens = [token or "" for token in vocabulary]
    if any(token.startswith(_CONTINUES) and len(token) > len(_CONTINUES) for token in tokens):
        return np.array([not token.startswith(_CONTINUES) for token in tokens], dtype=bool)
    for mark in _BEGINS:
        if any(token.startswith(mark) and len(token) > 1 for token in tokens):
            return np.array([token.startswith(mark) for token in tokens], dtype=bool)
    return np.ones(len(tokens), dtype=bool)


def strength_by_rarity(
    targets: NDArray[np.int64] | NDArray[np.float32], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How much more than the written rates each row gets, float [n]: the rarer its rarest label, the more.

    The square root of (median rows of a label / rows of the row's rarest label), between one half and two. A row
    without any label counts as one of the most frequent label.

    Args:
        targets: int64 [n], or float32 [n, k] of 0 and 1.
        counts: [k] training rows of each label.
    """
    rarest = rarest_count(targets, counts)
    ratio = np.median(counts[counts > 0]) / rarest if (counts > 0).any() else np.ones(len(targets))
    strength: NDArray[np.float64] = np.clip(np.sqrt(ratio), _LEAST, _MOST)
    return strength


def rarest_count(targets: NDArray[np.int64] | NDArray[np.float32], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Training rows of each row's rarest label, float [n]; of the most frequent label for rows without any."""
    if targets.ndim == 1:
        rows: NDArray[np.float64] = counts[targets.astype(np.int64)]
        return rows
    found: NDArray[np.float64] = np.where(targets > 0, counts, counts.max(initial=1.0)).min(axis=1)
    return found

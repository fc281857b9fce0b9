"""Windows of a long text: overlapping pieces that an encoder reads one by one, and how they become one answer.

They are those of `transformers`' tokenizers with ``return_overflowing_tokens``: each has the special tokens of a whole
text, and shares ``stride`` tokens with the one before it.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ftcls.errors import ConfigError

Pool = Literal["mean", "max", "attention", "logits_mean"]

LONGEST: Final = 65_536
"""Tokens of a whole text that are read where model.max_length is null: some 50,000 words of English, a short novel."""
COUNTS: Final = "windows"
"""The key of a batch that says how many of its rows belong to each document, int64 [n]."""


@dataclass(frozen=True)
class Windows:
    """How long texts are cut into windows and put together again."""

    size: int
    """Tokens of a window, special tokens included."""
    stride: int
    """Tokens that a window shares with the one before it."""
    pool: Pool
    """What is pooled: the vectors that the head reads (mean, max, attention), or the logits (logits_mean)."""

    def bounds(self, length: int, special: int) -> list[tuple[int, int]]:
        """First token and end of each window of a text.

        Args:
            length: tokens of the text, without special ones.
            special: special tokens around each window.
        """
        room = self.size - special
        count = int(self.counts(np.array([length]), special)[0])
        starts = [number * (room - self.stride) for number in range(count)]
        return [(start, min(start + room, length)) for start in starts]

    def counts(self, lengths: NDArray[np.integer], special: int) -> NDArray[np.int64]:
        """The number of windows of each of n texts with so many tokens, int64 [n]; the other argument is as above."""
        room = self.size - special
        beyond = np.maximum(np.asarray(lengths, dtype=np.int64) - room, 0)
        return 1 + -(-beyond // (room - self.stride))

    def tokens(self, lengths: NDArray[np.integer], special: int) -> NDArray[np.int64]:
        """The tokens of all windows of each of n texts, shared and special ones in each, int64 [n]."""
        counts = self.counts(lengths, special)
        return np.asarray(lengths, dtype=np.int64) + counts * special + (counts - 1) * self.stride

    def check(self, special: int) -> None:
        """See that each window has something new to read.

        Raises:
            ConfigError: it has not.
        """
        if self.size - special - self.stride < 1:
            raise ConfigError(
                f"model.windows: windows of {self.size} tokens with {special} special ones that share {self.stride} "
                f"have nothing new to read; write a stride of at most {max(0, self.size - special - 1)}, or a larger "
                "size"
            )

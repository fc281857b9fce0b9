"""Drawing words by a seed, the same ones in every Python."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """Draws that depend on the seed alone: of `random.Random` only the stream of ``random()`` is fixed for good."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit`` - 1."""
        return int(self._random() * limit)

    def one(self, things: Sequence[T]) -> T:
        """One of the things."""
        return things[self.below(len(things))]

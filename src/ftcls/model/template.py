"""What a tokenizer puts around one text, or around and between the texts of a pair."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class Template:
    """What a tokenizer puts around one text, or around and between the texts of a pair."""

    before: NDArray[np.int32]
    after: NDArray[np.int32]
    between: NDArray[np.int32] | None = None
    """None: it is for one text."""
    types: NDArray[np.uint8] | None = None
    """Token type ids of a pair: of the tokens before, the first text, the tokens between, the second text, the tokens
    after. None where the checkpoint has none, and for one text, whose tokens are all of one type."""

    @property
    def size(self) -> int:
        """The number of its tokens."""
        return len(self.before) + len(self.after) + (0 if self.between is None else len(self.between))

    def around(self, bodies: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
        """The token ids of one text, or of a pair, with those of the template."""
        if self.between is None:
            (body,) = bodies
            return np.concatenate([self.before, body, self.after])
        first, second = bodies
        return np.concatenate([self.before, first, self.between, second, self.after])

    def token_types(self, lengths: Sequence[int]) -> NDArray[np.uint8] | None:
        """The token type ids of a pair whose texts have so many tokens; None where there are none."""
        if self.types is None or self.between is None:
            return None
        first, second = lengths
        single = [1] * len(self.before), [1] * len(self.between), [1] * len(self.after)
        return np.repeat(self.types, [*single[0], first, *single[1], second, *single[2]])


BARE: Final = Template(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32))
"""Nothing around a text."""


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The token ids that the tokenizer puts before and after one text."""
    found = template(tokenizer)
    return found.before, found.after


def template(tokenizer: PreTrainedTokenizerBase) -> Template:
    """What the tokenizer puts around one text."""
    body = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a", add_special_tokens=True)["input_ids"]
    start = _place(whole, body, 0)
    return Template(np.array(whole[:start], dtype=np.int32), np.array(whole[start + len(body) :], dtype=np.int32))


def pair_template(tokenizer: PreTrainedTokenizerBase) -> Template:
    """What the tokenizer puts around and between two texts, with the types of tokens where the model reads them."""
    bodies = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("a", "b")]
    typed = "token_type_ids" in tokenizer.model_input_names
    found = tokenizer("a", "b", add_special_tokens=True, return_token_type_ids=typed)
    whole = found["input_ids"]
    first = _place(whole, bodies[0], 0)
    between = first + len(bodies[0])
    second = _place(whole, bodies[1], between)
    after = second + len(bodies[1])
    # One type stands for each text, however many tokens "a" and "b" are.
    kept = [*range(first + 1), *range(between, second + 1), *range(after, len(whole))]
    return Template(
        before=np.array(whole[:first], dtype=np.int32),
        after=np.array(whole[after:], dtype=np.int32),
        between=np.array(whole[between:second], dtype=np.int32),
        types=np.array(found["token_type_ids"], dtype=np.uint8)[kept] if typed else None,
    )


def _place(whole: list[int], body: list[int], start: int) -> int:
    """Where a text begins among the tokens of the whole."""
    places = range(start, len(whole))
    return next((i for i in places if whole[i : i + len(body)] == body), start)

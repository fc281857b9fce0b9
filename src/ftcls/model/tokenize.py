"""Texts to token ids: in bounded memory, cached by content, with every truncation counted."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase, TokenizersBackend

from ftcls.data.texts import are_pairs, parts
from ftcls.environment import cache
from ftcls.errors import ConfigError, DataError, UnavailableError
from ftcls.model import padding
from ftcls.model.template import BARE, Template, pair_template, special_tokens, template
from ftcls.model.windows import COUNTS, Windows

Truncation = Literal["head", "tail", "head_tail"]
PairTruncation = Literal["longest_first", "only_second"]

# Rows tokenized at once: 47 MB instead of 490 MB for 25,000 long texts, at the same speed.
CHUNK = 1_000
# Token ids of some fifty data sets; the least recently used go first.
CACHE_LIMIT_BYTES = 8 * 1024**3
# Part of the cache key: raise it when this file changes what it writes.
_PANIC = "PanicException"
"""The class is made anew by each library in Rust, and cannot be imported."""
FORMAT = b"ftcls-encoded-2"


@dataclass(frozen=True)
class Encoded:
    """Token ids of n texts, or pairs of texts, end to end in one array, and their targets."""

    ids: NDArray[np.int32]
    """[t] token ids of all texts, special tokens included, without padding."""
    offsets: NDArray[np.int64]
    """[n + 1] text i is ``ids[offsets[i]:offsets[i + 1]]``."""
    full_lengths: NDArray[np.int32]
    """[n] tokens of each text before it was cut to max_length, special tokens included."""
    targets: NDArray[np.int64] | NDArray[np.float32] | None = None
    """int64 [n] class index, float32 [n, k] for multilabel and for probabilities, None for texts without labels."""
    weights: NDArray[np.float64] | None = None
    """[n] how much each text counts, 1 on average; None: all the same."""
    soft: NDArray[np.float32] | None = None
    """[n, k] how probable each label is, for the loss of what is scored; None: the targets are certain."""
    padding_side: padding.Side = "right"
    """Where shorter texts are filled in a batch."""
    template: Template = BARE
    """What stands around the texts."""
    first: NDArray[np.int32] | None = None
    """[n] tokens of the first text of each pair, as the model sees it and without those of the template; None: no
    pairs."""
    windows: Windows | None = None
    """How the model reads longer texts, in windows that `pad` makes; None: it reads each as one."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """[n] tokens of each text as the model sees it; of windows all together."""
        if self.windows is None:
            return self.kept
        return self.windows.tokens(self.kept - self.template.size, self.template.size)

    @property
    def kept(self) -> NDArray[np.int64]:
        """[n] tokens that are left of each text, special tokens included, however often they are read."""
        return np.diff(self.offsets)

    @property
    def truncated(self) -> NDArray[np.bool_]:
        """[n] whether the text lost tokens."""
        return self.full_lengths > self.kept

    def pad(self, rows: NDArray[np.int64], pad_id: int) -> padding.Batch:
        """What a model takes of some rows, padded to the longest; of windows the rows are these, see `changed`."""
        chosen = rows.tolist()
        if self.windows is not None:
            return self.changed([self.bodies(row) for row in chosen], pad_id)
        types = [found for row in chosen if (found := self.types(row)) is not None]
        return padding.pad([self.row(row) for row in chosen], pad_id, self.padding_side, types or None)

    def changed(self, texts: Sequence[Sequence[NDArray[np.int32]]], pad_id: int) -> padding.Batch:
        """What a model takes of other texts, or pairs of texts, in the place of some of these.

        Of texts that are read in windows each row of the batch is one, those of a text one behind the other, and
        `windows.COUNTS` says how many there are of each text.

        Args:
            texts: the bodies of each, as `bodies` gives them; two where these are pairs.
            pad_id: what fills the shorter ones.
        """
        around = self.template
        if self.windows is not None:
            cut = [self._windows(body, self.windows) for (body,) in texts]
            counts = np.array([len(each) for each in cut], dtype=np.int64)
            return {**padding.pad(list(chain(*cut)), pad_id, self.padding_side), COUNTS: counts}
        types = [found for each in texts if (found := around.token_types([len(body) for body in each])) is not None]
        return padding.pad([around.around(each) for each in texts], pad_id, self.padding_side, types or None)

    def _windows(self, body: NDArray[np.int32], how: Windows) -> list[NDArray[np.int32]]:
        return [self.template.around([body[start:end]]) for start, end in how.bounds(len(body), self.template.size)]

    def head(self, count: int) -> "Encoded":
        """The first texts, as many as are wanted."""
        end = self.offsets[: count + 1]
        return replace(
            self,
            ids=self.ids[: end[-1]],
            offsets=end,
            full_lengths=self.full_lengths[:count],
            targets=None if self.targets is None else self.targets[:count],
            weights=None if self.weights is None else self.weights[:count],
            soft=None if self.soft is None else self.soft[:count],
            first=None if self.first is None else self.first[:count],
        )

    def row(self, index: int) -> NDArray[np.int32]:
        """The token ids of one text, int32 [t]."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def types(self, index: int) -> NDArray[np.uint8] | None:
        """The token type ids of one pair, uint8 [t]; None for one text, and where the checkpoint has none."""
        return (
            None
            if self.template.types is None
            else self.template.token_types([len(body) for body in self.bodies(index)])
        )

    def bodies(self, index: int) -> list[NDArray[np.int32]]:
        """The token ids of one text, or of both texts of a pair, without those of the template."""
        ids = self.row(index)
        body = ids[len(self.template.before) : len(ids) - len(self.template.after)]
        if self.first is None or self.template.between is None:
            return [body]
        end = int(self.first[index])
        return [body[:end], body[end + len(self.template.between) :]]


def encode(
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    truncation: Truncation,
    pair_truncation: PairTruncation = "longest_first",
    windows: Windows | None = None,
    targets: NDArray[np.int64] | NDArray[np.float32] | None = None,
    cached: bool = True,
) -> Encoded:
    """Tokenize n texts, or n pairs of them as the tokenizer puts pairs together, and cut each to ``max_length`` tokens.

    Of a pair that is too long the longer text is cut until both are equally long, then both (``longest_first``, as
    transformers does it), or the second alone as far as there is something of it (``only_second``). Which end of a text
    is kept is what ``truncation`` says. What is left is read in ``windows`` where there are some, which is nothing that
    is kept on disk.

    With ``cached`` the token ids are kept on disk under a hash of the tokenizer, the settings and every text, and read
    back memory-mapped. They are padded on the tokenizer's side.

    Raises:
        DataError: ``max_length`` leaves no room beside the special tokens.
    """
    pairs = are_pairs(texts)
    if pairs and windows is not None:
        raise ConfigError("model.windows: is for single texts; a pair of texts is read as one. Remove it")
    cutter = _Cutter(
        tokenizer, max_length=max_length, truncation=truncation, pair_truncation=pair_truncation if pairs else None
    )
    if not cached:
        return replace(cutter(texts), targets=targets, padding_side=tokenizer.padding_side, windows=windows)

    def build(folder: Path) -> None:
        found = cutter(texts)
        if found.first is not None:
            np.save(folder / "first.npy", found.first)
        np.save(folder / "ids.npy", found.ids)
        np.save(folder / "offsets.npy", found.offsets)
        np.save(folder / "full_lengths.npy", found.full_lengths)

    def load(folder: Path) -> Encoded:
        return Encoded(
            ids=np.load(folder / "ids.npy", mmap_mode="r"),
            offsets=np.load(folder / "offsets.npy"),
            full_lengths=np.load(folder / "full_lengths.npy"),
            targets=targets,
            padding_side=tokenizer.padding_side,
            template=cutter.template,
            first=np.load(folder / "first.npy") if pairs else None,
            windows=windows,
        )

    how = (max_length, truncation, pair_truncation) if pairs else (max_length, truncation)
    encoded = cache.read("encoded", _key(texts, tokenizer, how), build, load)
    # After reading, because an entry above the limit by itself goes too; what is mapped stays readable.
    cache.prune("encoded", CACHE_LIMIT_BYTES)
    return encoded


class _Cutter:
    """Tokenizes in chunks; the special tokens stay whichever end of the text is cut."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int,
        truncation: Truncation,
        pair_truncation: PairTruncation | None,
    ) -> None:
        self.tokenizer = tokenizer
        self.template = template(tokenizer) if pair_truncation is None else pair_template(tokenizer)
        self.room = max_length - self.template.size
        self.truncation = truncation
        self.pair_truncation = pair_truncation
        if self.room < 1:
            raise DataError(
                f"model.max_length: {max_length} leaves no room for text beside {self.template.size} special tokens; "
                "write a larger one"
            )
        # A tokenizer without special tokens makes nothing of an empty text, and a model cannot read nothing.
        stand_in = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id, tokenizer.pad_token_id, 0)
        self.empty = np.array([next(i for i in stand_in if i is not None)], dtype=np.int32)

    def __call__(self, texts: Sequence[str]) -> Encoded:
        pieces: list[NDArray[np.int32]] = []
        full, first = (np.zeros(len(texts), dtype=np.int32) for _ in range(2))
        offsets = np.zeros(len(texts) + 1, dtype=np.int64)
        for start in range(0, len(texts), CHUNK):
            chunk = [self._cut(bodies) for bodies in self._bodies(texts[start : start + CHUNK])]
            rows = slice(start, start + len(chunk))
            whole = [self._whole(kept) for kept, _ in chunk]
            pieces.append(np.concatenate(whole))
            offsets[start + 1 : start + 1 + len(chunk)] = [len(ids) for ids in whole]
            full[rows] = [max(length + self.template.size, 1) for _, length in chunk]
            first[rows] = [len(kept[0]) for kept, _ in chunk]
        return Encoded(
            ids=np.concatenate(pieces) if pieces else np.zeros(0, np.int32),
            offsets=np.cumsum(offsets),
            full_lengths=full,
            template=self.template,
            first=None if self.pair_truncation is None else first,
        )

    def places(self, count: int) -> NDArray[np.int32]:
        """Which of so many tokens of one text are kept, int32 [t]."""
        (kept,), _ = self._cut([np.arange(count, dtype=np.int32)])
        return kept

    def _bodies(self, texts: Sequence[str]) -> list[list[NDArray[np.int32]]]:
        """The token ids of each text, or of both texts of each pair."""
        flat = _bodies(self.tokenizer, [_whole_characters(part) for text in texts for part in parts(text)])
        found = [np.asarray(body, dtype=np.int32) for body in flat]
        step = 1 if self.pair_truncation is None else 2
        return [found[index : index + step] for index in range(0, len(found), step)]

    def _whole(self, bodies: list[NDArray[np.int32]]) -> NDArray[np.int32]:
        whole = self.template.around(bodies)
        return whole if len(whole) else self.empty

    def _cut(self, bodies: list[NDArray[np.int32]]) -> tuple[list[NDArray[np.int32]], int]:
        """What is kept of a text, or of the texts of a pair, and the tokens that there were."""
        lengths = [len(body) for body in bodies]
        if sum(lengths) <= self.room:
            return bodies, sum(lengths)
        kept = [self.room] if len(bodies) == 1 else self._kept(*lengths)
        return [self._ends(body, count) for body, count in zip(bodies, kept, strict=True)], sum(lengths)

    def _kept(self, first: int, second: int) -> tuple[int, int]:
        """How many tokens of a pair that is too long are kept of each text."""
        if self.pair_truncation == "only_second":
            first = min(first, self.room)
            return first, self.room - first
        # The rule of the tokenizers library: what one text leaves of its half is the other's.
        half = self.room // 2
        if min(first, second) <= half:
            return (first, self.room - first) if first <= second else (self.room - second, second)
        return (self.room - half, half) if first > second else (half, self.room - half)

    def _ends(self, body: NDArray[np.int32], count: int) -> NDArray[np.int32]:
        """So many tokens of a text, from the end that is to be kept."""
        if len(body) <= count or self.truncation == "head":
            return body[:count]
        tail = count if self.truncation == "tail" else count // 2
        return np.concatenate([body[: count - tail], body[len(body) - tail :]])


def _is_as_it_comes(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a tokenizer is one of the tokenizers library, and does nothing of its own."""
    return isinstance(tokenizer, TokenizersBackend) and type(tokenizer)._encode_plus is TokenizersBackend._encode_plus


def _bodies(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """The token ids of each text, whole and without special tokens."""
    # Its own call makes masks, types and offsets in Python that nobody reads: 1.4 times the time.
    if _is_as_it_comes(tokenizer):
        backend = tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = tokenizer.split_special_tokens
        try:
            return [each.ids for each in backend.encode_batch_fast(texts, add_special_tokens=False)]
        except BaseException as error:
            # A panic of the tokenizers library is none of Exception.
            if isinstance(error, Exception) or type(error).__name__ != _PANIC:
                raise
            reason = str(error)
        raise UnavailableError(f"its tokenizer gives up on a text: {reason}. Take another checkpoint")
    found: list[list[int]] = tokenizer(
        texts,
        add_special_tokens=False,
        truncation=False,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )["input_ids"]
    return found


def character_spans(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, *, max_length: int, truncation: Truncation
) -> list[NDArray[np.int64]] | None:
    """First character and end of each token that `encode` keeps of n single texts, int64 [t, 2], special ones left out.

    None for a tokenizer that is written in Python, which does not know.
    """
    if not _is_as_it_comes(tokenizer):
        return None
    cutter = _Cutter(tokenizer, max_length=max_length, truncation=truncation, pair_truncation=None)
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = tokenizer.split_special_tokens
    found = backend.encode_batch([_whole_characters(text) for text in texts], add_special_tokens=False)
    spans = [np.array(each.offsets, dtype=np.int64).reshape(-1, 2) for each in found]
    return [each[cutter.places(len(each))] for each in spans]


def _whole_characters(text: str) -> str:
    """The text with U+FFFD for every lone surrogate, which no tokenizer takes."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def unknown_tokens(encoded: Encoded, tokenizer: PreTrainedTokenizerBase) -> NDArray[np.int64]:
    """Tokens of each of n texts that stand for something the tokenizer does not know, int64 [n]."""
    around = np.concatenate(special_tokens(tokenizer))
    if tokenizer.unk_token_id is None or tokenizer.unk_token_id in around or not len(encoded):
        return np.zeros(len(encoded), dtype=np.int64)  # GPT-2's is its end token, and its bytes are never unknown
    found = np.asarray(encoded.ids) == tokenizer.unk_token_id
    return np.add.reduceat(found, encoded.offsets[:-1], dtype=np.int64)


def _key(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, how: tuple[object, ...]) -> str:
    digest = hashlib.sha256(FORMAT)
    digest.update(repr((fingerprint(tokenizer), *how, len(texts))).encode())
    for text in texts:
        for part in parts(text):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little"))  # so that "ab", "c" and "a", "bc" differ
            digest.update(data)
    return digest.hexdigest()


def fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """A hash of what the tokenizer does, wherever it was loaded from."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:  # a tokenizer in Python: its class and vocabulary are all there is to ask
        rules = repr((type(tokenizer).__name__, sorted(tokenizer.get_vocab().items())))
    else:
        copy = type(backend).from_str(backend.to_str())
        copy.no_truncation()  # both are set by whoever called last, and are no part of what it does here
        copy.no_padding()
        rules = copy.to_str()
    return hashlib.sha256(rules.encode()).hexdigest()

"""Texts to token ids: in bounded memory, cached by content, with every truncation counted."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase, TokenizersBackend

from ftcls.environment import cache
from ftcls.errors import DataError
from ftcls.model import padding

Truncation = Literal["head", "tail", "head_tail"]

# Rows tokenized at once: 47 MB instead of 490 MB for 25,000 long texts, at the same speed.
CHUNK = 1_000
# Token ids of some fifty data sets; the least recently used go first.
CACHE_LIMIT_BYTES = 8 * 1024**3
# Part of the cache key: raise it when this file changes what it writes.
FORMAT = b"ftcls-encoded-2"


@dataclass(frozen=True)
class Encoded:
    """Token ids of n texts, end to end in one array, and their targets."""

    ids: NDArray[np.int32]
    """[t] token ids of all texts, special tokens included, without padding."""
    offsets: NDArray[np.int64]
    """[n + 1] text i is ``ids[offsets[i]:offsets[i + 1]]``."""
    full_lengths: NDArray[np.int32]
    """[n] tokens of each text before it was cut to max_length, special tokens included."""
    targets: NDArray[np.int64] | NDArray[np.float32] | None = None
    """int64 [n] class index, float32 [n, k] for multilabel, None for texts without labels."""
    padding_side: padding.Side = "right"
    """Where shorter texts are filled in a batch."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[n] tokens of each text as the model sees it."""
        return np.diff(self.offsets)

    @property
    def truncated(self) -> NDArray[np.bool_]:
        """[n] whether the text lost tokens."""
        return self.full_lengths > self.lengths

    def pad(self, rows: NDArray[np.int64], pad_id: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Input ids and attention mask of some rows, int64 [b, t], padded to the longest."""
        return padding.pad([self.row(int(row)) for row in rows], pad_id, self.padding_side)

    def head(self, count: int) -> "Encoded":
        """The first texts, as many as are wanted."""
        end = self.offsets[: count + 1]
        return replace(
            self,
            ids=self.ids[: end[-1]],
            offsets=end,
            full_lengths=self.full_lengths[:count],
            targets=None if self.targets is None else self.targets[:count],
        )

    def row(self, index: int) -> NDArray[np.int32]:
        """The token ids of one text, int32 [t]."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]


def encode(
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    truncation: Truncation,
    targets: NDArray[np.int64] | NDArray[np.float32] | None = None,
    cached: bool = True,
) -> Encoded:
    """Tokenize n texts and cut each to ``max_length`` tokens.

    With ``cached`` the token ids are kept on disk under a hash of the tokenizer, the settings and every text, and read
    back memory-mapped. They are padded on the tokenizer's side.

    Raises:
        DataError: ``max_length`` leaves no room beside the special tokens.
    """
    cutter = _Cutter(tokenizer, max_length=max_length, truncation=truncation)
    if not cached:
        return replace(cutter(texts), targets=targets, padding_side=tokenizer.padding_side)

    def build(folder: Path) -> None:
        found = cutter(texts)
        np.save(folder / "ids.npy", found.ids)
        np.save(folder / "offsets.npy", found.offsets)
        np.save(folder / "full_lengths.npy", found.full_lengths)

    folder = cache.entry("encoded", _key(texts, tokenizer, max_length, truncation), build)
    encoded = Encoded(
        ids=np.load(folder / "ids.npy", mmap_mode="r"),
        offsets=np.load(folder / "offsets.npy"),
        full_lengths=np.load(folder / "full_lengths.npy"),
        targets=targets,
        padding_side=tokenizer.padding_side,
    )
    # After reading, because an entry above the limit by itself goes too; what is mapped stays readable.
    cache.prune("encoded", CACHE_LIMIT_BYTES)
    return encoded


class _Cutter:
    """Tokenizes in chunks; the special tokens stay whichever end of the text is cut."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, max_length: int, truncation: Truncation) -> None:
        self.tokenizer = tokenizer
        self.before, self.after = special_tokens(tokenizer)
        self.room = max_length - len(self.before) - len(self.after)
        self.truncation = truncation
        if self.room < 1:
            raise DataError(
                f"model.max_length: {max_length} leaves no room for text beside "
                f"{len(self.before) + len(self.after)} special tokens; write a larger one"
            )
        # A tokenizer without special tokens makes nothing of an empty text, and a model cannot read nothing.
        stand_in = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id, tokenizer.pad_token_id, 0)
        self.empty = np.array([next(i for i in stand_in if i is not None)], dtype=np.int32)

    def __call__(self, texts: Sequence[str]) -> Encoded:
        pieces: list[NDArray[np.int32]] = []
        lengths: list[NDArray[np.int64]] = []
        full: list[NDArray[np.int32]] = []
        for start in range(0, len(texts), CHUNK):
            bodies = _bodies(self.tokenizer, [_whole_characters(text) for text in texts[start : start + CHUNK]])
            special = len(self.before) + len(self.after)
            whole = [self._cut(np.asarray(body, dtype=np.int32)) for body in bodies]
            pieces.append(np.concatenate(whole))
            lengths.append(np.fromiter(map(len, whole), dtype=np.int64, count=len(whole)))
            full.append(np.fromiter((max(len(b) + special, 1) for b in bodies), dtype=np.int32, count=len(bodies)))
        sizes = np.concatenate(lengths) if lengths else np.zeros(0, np.int64)
        return Encoded(
            ids=np.concatenate(pieces) if pieces else np.zeros(0, np.int32),
            offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]),
            full_lengths=np.concatenate(full) if full else np.zeros(0, np.int32),
        )

    def _cut(self, body: NDArray[np.int32]) -> NDArray[np.int32]:
        if len(body) > self.room:
            if self.truncation == "head":
                body = body[: self.room]
            elif self.truncation == "tail":
                body = body[-self.room :]
            else:
                tail = self.room // 2
                body = np.concatenate([body[: self.room - tail], body[len(body) - tail :]])
        whole = np.concatenate([self.before, body, self.after])
        return whole if len(whole) else self.empty


def _bodies(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """The token ids of each text, whole and without special tokens."""
    # Its own call makes masks, types and offsets in Python that nobody reads: 1.4 times the time.
    if isinstance(tokenizer, TokenizersBackend) and type(tokenizer)._encode_plus is TokenizersBackend._encode_plus:
        backend = tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = tokenizer.split_special_tokens
        return [each.ids for each in backend.encode_batch_fast(texts, add_special_tokens=False)]
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


def _whole_characters(text: str) -> str:
    """The text with U+FFFD for every lone surrogate, which no tokenizer takes."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The token ids that the tokenizer puts before and after one text."""
    body = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a", add_special_tokens=True)["input_ids"]
    start = next((i for i in range(len(whole)) if whole[i : i + len(body)] == body), 0)
    return np.array(whole[:start], dtype=np.int32), np.array(whole[start + len(body) :], dtype=np.int32)


def unknown_tokens(encoded: Encoded, tokenizer: PreTrainedTokenizerBase) -> NDArray[np.int64]:
    """Tokens of each of n texts that stand for something the tokenizer does not know, int64 [n]."""
    around = np.concatenate(special_tokens(tokenizer))
    if tokenizer.unk_token_id is None or tokenizer.unk_token_id in around or not len(encoded):
        return np.zeros(len(encoded), dtype=np.int64)  # GPT-2's is its end token, and its bytes are never unknown
    found = np.asarray(encoded.ids) == tokenizer.unk_token_id
    return np.add.reduceat(found, encoded.offsets[:-1], dtype=np.int64)


def _key(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_length: int, truncation: str) -> str:
    digest = hashlib.sha256(FORMAT)
    digest.update(repr((fingerprint(tokenizer), max_length, truncation, len(texts))).encode())
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
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

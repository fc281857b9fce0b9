"""Near duplicates: texts that are the same but for a few words.

Two texts are as similar as their sets of word pairs: the Jaccard index, the share of the pairs of either that both
have. Case, punctuation and spacing do not count, digits do. From `SIMILAR` on they are near duplicates; a text belongs
to the group of every text that it nearly equals. Candidates come from MinHash with banding (Broder 1997; Leskovec,
Rajaraman and Ullman, Mining of Massive Datasets, 3.4) and are then compared exactly, so what is found is never wrong,
and at the threshold itself 1 pair in 100 is missed. Time is linear in the words, memory some 450 bytes and 4 bytes a
word for each text. The result depends on the texts alone.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ftcls.data.texts import are_pairs, parts

SIMILAR = 0.7
_BANDS, _ROWS = 16, 4
"""A pair of similarity s becomes a candidate with probability 1 - (1 - s^4)^16: .59 -> .87, .7 -> .99, .8 -> .9998."""
_NEIGHBOURS = 4
"""Texts before it in its bucket that a text is compared with: a bucket of any size costs linear time."""
_CHUNK = 500
"""Texts whose word pairs are hashed at once: they stay in the processor's cache."""
_PAIRS = 5_000
"""Candidates compared at once."""
_LETTERS_WITHOUT_SPACES = r"\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
UNSPACED = re.compile(f"[{_LETTERS_WITHOUT_SPACES}]")
"""A character of a script that parts no words by spaces: Thai, kana, Han. It counts as a word."""
_TOKEN = re.compile(rf"[{_LETTERS_WITHOUT_SPACES}]|[^\W{_LETTERS_WITHOUT_SPACES}]+")
_SIGN = re.compile(r"\S")
_MOST_WORDS = 2_000_000
"""Distinct words whose hash is remembered."""

Words = NDArray[np.uint64]


def groups(texts: Sequence[str]) -> NDArray[np.int64]:
    """int64 [n]: the first text of each text's group, itself where nothing before is like it.

    Equal texts are in one group; empty texts are alone. Two pairs are alike where both their first and their second
    texts are: many pairs may share a premise.
    """
    if are_pairs(texts):
        sides = (_side([parts(text)[side] for text in texts]) for side in (0, 1))
        _, first, number = np.unique(np.stack([*sides], axis=1), axis=0, return_index=True, return_inverse=True)
        return first[number.ravel()].astype(np.int64)
    return _side(texts, empty_alone=True)


def _side(texts: Sequence[str], *, empty_alone: bool = False) -> NDArray[np.int64]:
    """int64 [n]: the group of each text; empty ones are alike, or alone."""
    found = shingled(texts)
    whole = np.where(found.empty & empty_alone, np.arange(len(texts), dtype=np.uint64), found.whole)
    _, first, number = np.unique(whole, return_index=True, return_inverse=True)
    group = first[number].astype(np.int64)
    rows = np.flatnonzero((group == np.arange(len(texts))) & ~found.empty)
    for band in range(_BANDS):
        ordered = rows[np.argsort(found.bands[rows, band], kind="stable")]
        for pairs in _candidates(found.bands[ordered, band], ordered):
            apart = pairs[group[pairs[:, 0]] != group[pairs[:, 1]]]
            alike = apart[similarity(found, apart) >= SIMILAR]
            if len(alike):
                group = _joined(group, alike)
    return group


@dataclass(frozen=True, eq=False)
class Shingled:
    """The sets of word pairs of n texts."""

    pairs: NDArray[np.uint32]
    """Hashes of the word pairs of each text, ascending, end to end."""
    offsets: NDArray[np.int64]
    """[n + 1]"""
    bands: NDArray[np.uint64]
    """[n, 16] a hash of four minima each."""
    whole: NDArray[np.uint64]
    """[n] a hash of the set."""
    empty: NDArray[np.bool_]
    """[n] whether there is nothing but white space."""


def shingled(texts: Sequence[str]) -> Shingled:
    """The sets of word pairs of n texts, and what makes candidates of them."""
    n = len(texts)
    draw = np.random.Generator(np.random.PCG64(20260))
    factors = draw.integers(0, 2**31, _BANDS * _ROWS, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    masks = draw.integers(0, 2**32, _BANDS * _ROWS, dtype=np.uint32)
    vocabulary = _Vocabulary()
    bands = np.empty((n, _BANDS), dtype=np.uint64)
    whole = np.empty(n, dtype=np.uint64)
    empty = np.zeros(n, dtype=bool)
    counts = np.empty(n, dtype=np.int64)
    parts: list[NDArray[np.uint32]] = []
    for start in range(0, n, _CHUNK):
        rows = slice(start, min(start + _CHUNK, n))
        pairs, sizes, empty[rows] = _pairs(texts[rows], vocabulary)
        at = np.cumsum(sizes) - sizes
        whole[rows] = np.add.reduceat(_mixed(pairs.astype(np.uint64)), at)
        counts[rows] = sizes
        parts.append(pairs)
        minima = np.stack([np.minimum.reduceat((pairs ^ m) * f, at) for m, f in zip(masks, factors, strict=True)])
        bands[rows] = _band_hashes(minima.astype(np.uint64)).T
    return Shingled(
        np.concatenate(parts) if parts else np.zeros(0, np.uint32), np.r_[0, np.cumsum(counts)], bands, whole, empty
    )


class _Vocabulary(dict[str, int]):
    """A number of 64 bits for each word, the same on every machine."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _MOST_WORDS:
            self.clear()
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self[word] = number = int.from_bytes(digest, "little")
        return number


def _pairs(
    texts: Sequence[str], vocabulary: _Vocabulary
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.bool_]]:
    """Hashes of the distinct word pairs of each text, ascending, end to end; their numbers; which texts are empty.

    The ends of a text count as words, so that a text of n words has n + 1 pairs, at least one.
    """
    words: list[int] = []
    lengths = np.empty(len(texts), dtype=np.int64)
    for index, text in enumerate(texts):
        lower = text.lower()
        tokens = _TOKEN.findall(lower) or _SIGN.findall(lower)
        lengths[index] = len(tokens)
        words.append(0)
        words.extend(map(vocabulary.__getitem__, tokens))
    words.append(0)
    row = np.array(words, dtype=np.uint64)
    hashed = _mixed(row[:-1] * np.uint64(0x9E3779B97F4A7C15) + row[1:]) >> np.uint64(32)
    keys = np.unique((np.repeat(np.arange(len(texts), dtype=np.uint64), lengths + 1) << np.uint64(32)) | hashed)
    sizes = np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=len(texts))
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.uint32), sizes, lengths == 0


def _mixed(numbers: Words) -> Words:
    """The finalizer of SplitMix64 (Steele, Lea and Flood 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _band_hashes(minima: Words) -> Words:
    """[16, n] of minima [64, n]."""
    by_band = minima.reshape(_BANDS, _ROWS, -1)
    found = by_band[:, 0]
    for row in range(1, _ROWS):
        found = _mixed(found) + by_band[:, row]
    return _mixed(found)


def _candidates(keys: Words, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Pairs [m, 2] of rows with the same key, in pieces: of each row with the first of its key and its neighbours."""
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, np.int64)
    place = np.arange(len(keys)) - np.repeat(starts, np.diff(np.r_[starts, len(keys)]))
    for back in (*range(1, _NEIGHBOURS + 1), 0):
        second = np.flatnonzero(place >= back if back else place > _NEIGHBOURS)
        first = second - (back or place[second])
        pairs = np.stack([rows[first], rows[second]], axis=1)
        # Large pieces first join what is alike; what is joined needs no further look.
        for start in range(0, len(pairs), 50 * _PAIRS):
            yield pairs[start : start + 50 * _PAIRS]


def similarity(found: Shingled, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64 [m]: the Jaccard index of pairs [m, 2] of texts."""
    result = np.empty(len(pairs))
    sizes = np.diff(found.offsets)
    for start in range(0, len(pairs), _PAIRS):
        chosen = pairs[start : start + _PAIRS]
        rows = chosen.ravel()
        counts = sizes[rows]
        places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - found.offsets[rows], counts)
        owner = np.repeat(np.repeat(np.arange(len(chosen), dtype=np.uint64), 2), counts)
        keys = np.sort((owner << np.uint64(32)) | found.pairs[places])
        both = np.bincount((keys[1:][keys[1:] == keys[:-1]] >> np.uint64(32)).astype(np.int64), minlength=len(chosen))
        result[start : start + _PAIRS] = both / (counts[::2] + counts[1::2] - both)
    return result


def _joined(group: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The groups after those of each pair became one."""
    n = len(group)
    ends = group[pairs]
    edges = coo_array((np.ones(len(ends), dtype=bool), (ends[:, 0], ends[:, 1])), shape=(n, n))
    _, component = connected_components(edges, directed=False)
    _, first = np.unique(component, return_index=True)  # ascending: the first row with each number
    joined: NDArray[np.int64] = first[component][group].astype(np.int64)
    return joined

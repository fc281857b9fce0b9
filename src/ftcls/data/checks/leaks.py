"""Rows whose text, equal or nearly, stands in an earlier split, and what near duplicates mean inside a split."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ftcls.data.checks import near_duplicates as near
from ftcls.data.checks.pooled import Pooled, short
from ftcls.data.corpus import Check, Corpus, SplitName
from ftcls.data.texts import are_pairs, parts
from ftcls.environment import cache, memory

_SHOWN = 3
_FEWEST = 50
"""Texts below which none are left out where memory runs out."""
_MANY = 0.01
"""Share of a split's rows that nearly equal an earlier one, from which on it is a warning."""
# Part of the cache key: raise it when near.py finds other groups.
_FORMAT = b"ftcls-near-1"
_CACHE_LIMIT_BYTES = 256 * 1024**2


@dataclass(frozen=True, eq=False)
class Leaks:
    """Which of the n rows of a split are known from an earlier one: train, for test also validation."""

    equal: NDArray[np.bool_]
    """[n] the same text is there."""
    near: NDArray[np.bool_]
    """[n] no equal text, but a near duplicate is there."""

    @property
    def any(self) -> NDArray[np.bool_]:
        """Bool [n]: either."""
        return self.equal | self.near


def leaks(corpus: Corpus, split: SplitName) -> Leaks:
    """The rows of a split that leak."""
    pooled = Pooled(corpus.splits)
    here = pooled.origin == pooled.names.index(split)
    equal = _known(pooled.text, pooled.origin)
    return Leaks(equal[here], (_known(groups(pooled.texts), pooled.origin) & ~equal)[here])


def groups(texts: Sequence[str]) -> NDArray[np.int64]:
    """int64 [n]: `near.groups`, from the cache where it was found before.

    Where memory runs out it is looked among half of the texts, drawn by chance, and so on; the others are alone.

    Raises:
        TrainingError: a few texts are too much.
    """

    def of(size: int) -> NDArray[np.int64]:
        if size == len(texts):
            return _of_all(texts)
        some = np.sort(np.random.default_rng(0).permutation(len(texts))[:size])
        found = np.arange(len(texts))
        found[some] = some[near.groups([texts[row] for row in some.tolist()])]
        return found

    return memory.smaller(
        of, len(texts), least=min(len(texts), _FEWEST), what="near duplicates are looked for among texts"
    )


def _of_all(texts: Sequence[str]) -> NDArray[np.int64]:
    digest = hashlib.sha256(_FORMAT)
    if are_pairs(texts):
        digest.update(b"pairs")
    for text in texts:
        for part in parts(text):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little"))  # so that "ab", "c" and "a", "bc" differ
            digest.update(data)

    def build(folder: Path) -> None:
        np.save(folder / "groups.npy", near.groups(texts))

    def load(folder: Path) -> NDArray[np.int64]:
        return np.asarray(np.load(folder / "groups.npy"))

    found = cache.read("near", digest.hexdigest(), build, load)
    cache.prune("near", _CACHE_LIMIT_BYTES)
    return found


def _known(group: NDArray[np.int64], origin: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[n] whether the group of a row has a row of an earlier split; rows are ordered by split."""
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    known: NDArray[np.bool_] = origin[first[number]] < origin
    return known


def checks(pooled: Pooled, group: NDArray[np.int64]) -> Iterator[Check]:
    """Findings about texts that nearly equal another, equal ones aside; `group` is int64 [n]."""
    own = group * len(pooled.names) + pooled.origin
    _, first, number = np.unique(own, return_index=True, return_inverse=True)
    _, text_first = np.unique(pooled.text * len(pooled.names) + pooled.origin, return_index=True)
    new = np.zeros(len(group), dtype=bool)
    new[text_first] = True  # of equal texts one speaks
    inside = first[number]
    yield from _findings(pooled, inside, np.flatnonzero(new & (inside != np.arange(len(group)))), within=True)
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    known = _known(group, pooled.origin) & ~_known(pooled.text, pooled.origin)
    yield from _findings(pooled, first[number], np.flatnonzero(known), within=False)


def _findings(pooled: Pooled, earlier: NDArray[np.int64], rows: NDArray[np.int64], *, within: bool) -> Iterator[Check]:
    agree = pooled.labels[rows] == pooled.labels[earlier[rows]]
    for same_label, chosen in ((True, rows[agree]), (False, rows[~agree])):
        if len(chosen):
            name, advice = _NEAR[within, same_label]
            severity: Literal["info", "warning"] = "info" if within or not _many(pooled, rows) else "warning"
            examples = tuple(
                f"{pooled.place(earlier[row])}, {pooled.place(row)}: {short(pooled.texts[row])}"
                for row in chosen[:_SHOWN].tolist()
            )
            yield Check(name, severity, len(chosen), examples, advice, pooled.by_split(chosen))


def _many(pooled: Pooled, rows: NDArray[np.int64]) -> bool:
    sizes = np.bincount(pooled.origin, minlength=len(pooled.names))
    return bool((np.bincount(pooled.origin[rows], minlength=len(sizes)) >= _MANY * sizes)[1:].any())


_NEAR = {
    (True, True): (
        "near_duplicates",
        "Texts that are another of their split but for a few words, with its label; they teach little that is new.",
    ),
    (True, False): (
        "near_duplicates_with_other_labels",
        "Texts that are another of their split but for a few words, with another label: one of the two may be wrong.",
    ),
    (False, True): (
        "near_shared_between_splits",
        "Rows that are a text of an earlier split but for a few words: scores on them flatter. The report gives the "
        "test score without them.",
    ),
    (False, False): (
        "near_shared_between_splits_with_other_labels",
        "Rows that are a text of an earlier split but for a few words, with another label: one of the two may be "
        "wrong. The report gives the test score without them.",
    ),
}

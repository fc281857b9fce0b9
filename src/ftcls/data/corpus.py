"""The corpus: what every reader returns and every later stage takes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ftcls.data.texts import PLAIN, TextColumns, parts

SplitName = Literal["train", "validation", "test"]
Task = Literal["binary", "multiclass", "multilabel", "ordinal"]


@dataclass(frozen=True)
class Split:
    """The n examples of one split, in the order of the source."""

    texts: list[str]
    """n texts, cleaned; where the data has pairs of texts each is a `texts.Pair`."""
    targets: NDArray[np.int64] | NDArray[np.float32]
    """int64 [n] class index, or float32 [n, k] of 0 and 1 for multilabel."""
    rows: NDArray[np.int64]
    """[n] number of the row, from 0, in the source split that it came from, rows that were left out counted in.

    Where the splits were pooled, or test is the rest of all, they are numbered on, through train, validation and test
    of the source; parts of one file, which a column made, have the numbers of the file."""
    clusters: NDArray[np.int64] | None = None
    """[n] cluster of each row where rows are not independent (one file, one author): intervals resample these."""

    folds: NDArray[np.int64] | None = None
    """[n] fold of each row, from 1, where the split is all rows of a cross-validation."""
    weights: NDArray[np.float64] | None = None
    """[n] how much each row counts, above 0; None: all the same."""
    soft: NDArray[np.float32] | None = None
    """[n, k] how probable each label is, or its share of the votes; a target is then the most probable label, or those
    of one half or more. None: the labels are certain."""
    votes: NDArray[np.int64] | None = None
    """[n] annotators who gave each row a label; None: nobody voted."""
    origin: str = ""
    """Where the rows come from, such as ``cut from train``; empty: the source's split of that name."""

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: NDArray[np.int64]) -> "Split":
        """Some of its rows, by their places in it."""
        arrays = ("targets", "rows", "clusters", "folds", "weights", "soft", "votes")
        given = {name: value[rows] for name in arrays if (value := getattr(self, name)) is not None}
        return replace(self, texts=[self.texts[row] for row in rows.tolist()], **given)

    @property
    def shares(self) -> NDArray[np.float64] | None:
        """[n] the weights with mean 1, so that a loss keeps its scale; None: all rows count the same."""
        return None if self.weights is None else self.weights * (len(self) / self.weights.sum())


@dataclass(frozen=True)
class Check:
    """One finding about the data, as it stands in report.json."""

    name: str
    severity: Literal["info", "warning"]
    count: int
    examples: tuple[str, ...]
    """A few of them; a row is named by its split and its number there, as in ``train:17``."""
    advice: str
    rows: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Row numbers by split, at most a few hundred of them, the most striking first."""


@dataclass(frozen=True)
class Corpus:
    """A data set ready to encode: splits, label names, task."""

    source: str
    """The reader's name."""
    task: Task
    labels: tuple[str, ...]
    """k label names; a target is an index into them."""
    splits: Mapping[SplitName, Split]
    """train, validation and test; a reader may leave out the last two, `split.complete` cuts them."""
    positive_label: str | None = None
    """The positive label of a binary task, else None."""
    checks: tuple[Check, ...] = ()
    """What the reader and the cleaning noticed."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """What the texts depend on besides the files: library versions, Hub revision."""
    text: TextColumns = PLAIN
    """The columns that the texts were read from."""
    weight: str | None = None
    """The column that the weights were read from."""
    group: str | None = None
    """The column that the clusters were read from."""
    soft: bool = False
    """Whether training learns how probable labels are, in place of the labels."""

    def learnt(self, name: SplitName) -> NDArray[np.int64] | NDArray[np.float32]:
        """What models learn of a split: its targets, or float32 [n, k] how probable each label is."""
        split = self.splits[name]
        return split.soft if self.soft and split.soft is not None else split.targets

    @property
    def positive(self) -> int | None:
        """Index of the positive label of a binary task, else None."""
        return None if self.positive_label is None else self.labels.index(self.positive_label)


def fingerprint(corpus: Corpus) -> str:
    """The sha256, as 64 hexadecimal digits, of task, label names and every split's texts, targets and rows.

    Two corpora with the same fingerprint are the same data in the same order.
    """
    digest = hashlib.sha256(repr((corpus.task, corpus.labels, sorted(corpus.splits))).encode())
    for name in sorted(corpus.splits):
        split = corpus.splits[name]
        lengths = [len(part) for text in split.texts for part in parts(text)]  # else "ab", "c" is "a", "bc"
        digest.update(np.array(lengths, dtype="<i8").tobytes())
        for start in range(0, len(split), 10_000):  # in pieces: never a second copy of all texts
            digest.update("".join(split.texts[start : start + 10_000]).encode("utf-8", "surrogatepass"))
        digest.update(split.targets.astype("<i8" if split.targets.ndim == 1 else "<f4").tobytes())
        digest.update(split.rows.astype("<i8").tobytes())
        if split.weights is not None:
            digest.update(split.weights.astype("<f8").tobytes())
        if split.soft is not None:
            digest.update(split.soft.astype("<f4").tobytes())
    return digest.hexdigest()

"""What `ftcls data` says about a corpus: counts, lengths, repeats and leaks of every split."""

from dataclasses import dataclass

import numpy as np

from ftcls.data.agreement import alpha
from ftcls.data.corpus import Check, Split, Task
from ftcls.data.soft_labels import tied


@dataclass(frozen=True)
class Weights:
    """How much the rows of a split count."""

    min: float
    max: float
    effective_rows: float
    """Rows of equal weight that a mean is as sure of: (sum of weights)^2 / sum of their squares (Kish 1965)."""


def groups_of(split: Split) -> int | None:
    """How many groups the rows of a split are of; None where rows are independent."""
    return None if split.clusters is None else len(np.unique(split.clusters))


def weights_of(split: Split) -> Weights | None:
    """How much the rows of a split count; None: all the same."""
    if split.shares is None or split.weights is None:
        return None
    effective = len(split) ** 2 / float((split.shares**2).sum())
    return Weights(float(split.weights.min()), float(split.weights.max()), effective)


@dataclass(frozen=True)
class Votes:
    """The annotators of a split, and how far they agree."""

    rows: int
    votes_per_row: dict[int, int]
    """Rows by their number of votes."""
    ties: int
    """Rows whose label a tie decided: the first in label order, or of several labels those of one half."""
    alpha: float | None
    """Krippendorff's alpha of the rows with two votes or more, nominal, for labels in order interval; of several labels
    the mean of `alpha_per_label`. None: nothing can be said."""
    alpha_per_label: dict[str, float | None]
    """Of several labels: for each whether annotators agree that it applies; else empty."""


def votes_of(split: Split, task: Task, labels: tuple[str, ...] = ()) -> Votes | None:
    """The annotators of a split; None: nobody voted."""
    if split.votes is None or split.soft is None:
        return None
    counts = np.rint(split.soft.astype(np.float64) * split.votes[:, None])
    each: list[float | None] = []
    if task == "multilabel":
        each = [alpha(np.stack([split.votes - given, given], axis=1)) for given in counts.T]
        known = [value for value in each if value is not None]
        whole = float(np.mean(known)) if known else None
    else:
        whole = alpha(counts, ordered=task == "ordinal")
    return Votes(
        rows=len(split),
        votes_per_row={count: int(n) for count, n in enumerate(np.bincount(split.votes)) if n},
        ties=int(tied(split.soft, task).sum()),
        alpha=whole,
        alpha_per_label=dict(zip(labels, each, strict=False)),
    )


@dataclass(frozen=True)
class Lengths:
    """Quantiles of the length of a text, before truncation."""

    p50: int
    p95: int
    p99: int
    max: int


@dataclass(frozen=True)
class SplitProfile:
    """One split."""

    examples: int
    origin: str
    """Where its rows come from, such as ``train`` or ``cut from train``."""
    label_counts: dict[str, int]
    labels_per_row: dict[int, int]
    """Rows by their number of labels."""
    lengths: Lengths
    truncated: int
    """Texts longer than max_length."""
    empty: int
    """Texts of white space alone."""
    duplicates: int
    """Rows whose text occurs before in this split: rows minus distinct texts."""
    duplicates_with_other_labels: int
    """Of these, the rows whose labels differ from those of the first row with this text."""
    weights: Weights | None = None
    votes: Votes | None = None
    groups: int | None = None
    """How many groups its rows are of; None: rows are independent."""


@dataclass(frozen=True)
class Shared:
    """Texts that two splits have in common."""

    first: str
    second: str
    texts: int
    """Distinct texts in both."""
    with_other_labels: int
    """Of these, texts whose labels in one split are not their labels in the other."""
    rows: int
    """Rows of the second split with such a text: scores on them flatter, or mislead."""


@dataclass(frozen=True)
class Leaking:
    """Rows of a split whose text is in an earlier one: train, for test also validation."""

    examples: int
    equal: int
    near: int
    """Beside the equal ones, rows that differ from a text there in a few words."""


@dataclass(frozen=True)
class Overview:
    """Some splits and what they share."""

    splits: dict[str, SplitProfile]
    shared: tuple[Shared, ...]
    """Pairs of splits with a text in common."""


@dataclass(frozen=True)
class Profile:
    """Everything that `ftcls data` says."""

    name: str
    source: str
    fingerprint: str
    task: Task
    labels: tuple[str, ...]
    positive_label: str | None
    checkpoint: str
    max_length: int
    unit: str
    """What lengths count: ``tokens`` of the checkpoint, special tokens included, or ``words`` where its tokenizer
    cannot be had; a text has more tokens than words."""
    used: Overview
    """train, validation and test as training would use them."""
    given: Overview
    """The same rows in the splits of the source: what was cut from a split is put back into it."""
    checks: tuple[Check, ...]
    leaks: dict[str, Leaking]
    """Every split but train."""
    weight: str | None = None
    """The column of the rows' weights; None: all count the same."""
    group: str | None = None
    """The column of what rows belong to; None: there is none."""

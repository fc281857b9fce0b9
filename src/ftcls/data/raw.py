"""What a reader returns: columns, with labels still words.

`labels.encode` turns them into numbers, once for all readers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ftcls.data.corpus import Check, SplitName, Task

SHOWN = 5
"""Bad rows an error or a check quotes; the others are counted."""


@dataclass
class BadRows:
    """Rows that cannot be used: all counted, the first few quoted."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, place: str, reason: str) -> None:
        """Count one row; ``place`` is where a person finds it, such as ``train.csv:7``."""
        self.count += 1
        if len(self.examples) < SHOWN:
            self.examples.append(f"{place}: {reason}")

    def join(self, other: "BadRows") -> None:
        """Count another split's rows too."""
        self.count += other.count
        self.examples.extend(other.examples[: SHOWN - len(self.examples)])


@dataclass(frozen=True)
class RawSplit:
    """The n rows of one split that could be read, in the order of the source."""

    texts: list[str]
    """n texts, or pairs of texts, not cleaned."""
    labels: list[tuple[str, ...] | str | None]
    """n labels: a name, several names, or None where there is none."""
    rows: NDArray[np.int64]
    """[n] number of the row, from 0, in this split of the source; bad rows are counted in."""
    size: int
    """Rows of this split of the source, bad ones included; 0: of a file that all splits are parts of, whose numbers its
    rows have."""
    place: Callable[[int], str]
    """Where a person finds the i-th of the n rows: ``train.csv:7``."""
    bad: BadRows = field(default_factory=BadRows)
    """Rows that could not be read at all; they are not among the n."""
    weights: NDArray[np.float64] | None = None
    """[n] how much each row counts, 0 or more; None: all the same."""
    soft: NDArray[np.float64] | None = None
    """[n, k] how probable each label is, in the order of `Raw.labels`; None: labels, or votes."""
    votes: list[tuple[tuple[str, ...], ...]] | None = None
    """n times the votes of a row: the labels that each annotator gave. Their union stands in `labels`; None: none."""
    groups: list[str | None] | None = None
    """n names of what a row belongs to with others (one file, one author), the same in all splits; None in it: of a row
    alone. None: rows are independent."""


@dataclass(frozen=True)
class Raw:
    """What a reader found."""

    task: Task
    splits: Mapping[SplitName, RawSplit]
    labels: tuple[str, ...] | None = None
    """The labels in the data set's own order; None: those that occur, in natural order."""
    checks: tuple[Check, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def numbered(groups: Sequence[str | None], split: SplitName, numbers: dict[object, int]) -> NDArray[np.int64]:
    """[n] the number of each row's group, the same in all splits; a row without one has a number of its own.

    Args:
        groups: n names.
        split: the split that they are of.
        numbers: those of the groups of other splits; those of this one are added.
    """
    keys = ((split, index) if group is None else group for index, group in enumerate(groups))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)

"""The rows of all splits one after the other, as the checks look at them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ftcls.data.corpus import Split, SplitName
from ftcls.data.split import Targets, label_sets, text_ids
from ftcls.data.texts import mapped

NAMED_ROWS = 500
"""Most row numbers that a finding names."""
_CHARACTERS = 60


@dataclass(frozen=True, eq=False)
class Pooled:
    """The n rows of a corpus: those of train, then validation, then test."""

    splits: Mapping[SplitName, Split]

    @cached_property
    def names(self) -> list[SplitName]:
        """The splits in their order."""
        return list(self.splits)

    @cached_property
    def texts(self) -> list[str]:
        """The texts, [n]."""
        return [text for split in self.splits.values() for text in split.texts]

    @cached_property
    def targets(self) -> Targets:
        """int64 [n] classes, or float32 [n, k] of 0 and 1."""
        return np.concatenate([split.targets for split in self.splits.values()])

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """[n] equal labels, or sets of labels, have equal numbers."""
        return self.targets.astype(np.int64) if self.targets.ndim == 1 else label_sets(self.targets)

    @cached_property
    def origin(self) -> NDArray[np.int64]:
        """[n] the split, as an index into `names`."""
        return np.repeat(np.arange(len(self.splits)), [len(split) for split in self.splits.values()])

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """[n] the row's number in the split of the source."""
        return np.concatenate([split.rows for split in self.splits.values()])

    @cached_property
    def text(self) -> NDArray[np.int64]:
        """[n] equal texts have equal numbers; white space at the ends does not tell texts apart."""
        return text_ids([mapped(text, str.strip) for text in self.texts])

    def place(self, row: int) -> str:
        """Where a row stands, such as ``train:17``."""
        return f"{self.names[self.origin[row]]}:{self.numbers[row]}"

    def shown(self, row: int) -> str:
        """The place of a row and the beginning of its text, on one line."""
        return f"{self.place(row)}: {short(self.texts[row])}"

    def by_split(self, rows: NDArray[np.int64]) -> dict[str, tuple[int, ...]]:
        """The numbers of the first of these rows, by split."""
        rows = rows[:NAMED_ROWS]
        parts = {name: self.numbers[rows[self.origin[rows] == at]] for at, name in enumerate(self.names)}
        return {name: tuple(numbers.tolist()) for name, numbers in parts.items() if len(numbers)}

    def counted(self, rows: NDArray[np.int64]) -> str:
        """How many of the rows each split has, such as ``train 3, test 1``."""
        counts = np.bincount(self.origin[rows], minlength=len(self.names))
        return ", ".join(f"{name} {count:,}" for name, count in zip(self.names, counts, strict=True) if count)


def short(text: str) -> str:
    """The beginning of a text, on one line."""
    text = " ".join(text[: 2 * _CHARACTERS].split())
    return text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 3]}..."

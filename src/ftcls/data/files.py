"""One's own files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ftcls.data.corpus import SplitName, Task
from ftcls.data.raw import Raw


@dataclass(frozen=True)
class Several:
    """Several labels in one column."""

    column: str
    separator: str | None
    """What stands between two labels; None: the cells are lists."""


@dataclass(frozen=True)
class Indicators:
    """A column of 0 and 1 for each label."""

    columns: tuple[str, ...]


Label = str | Several | Indicators


def read(path: Path | Mapping[SplitName, Path], *, text: tuple[str, ...], label: Label, task: Task) -> Raw:
    """Read."""
    raise NotImplementedError

"""The text of a row: one text, or a pair of texts that are read together; and the columns of a table that make it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ftcls.data.tables.cells import Cell, text_of

_BETWEEN: Final = " | "
"""Stands between two columns beside a text, and before the text."""
MARK: Final = " || "
"""Stands between the texts of a pair where it is shown as one."""


class Pair(str):
    """Two texts that are read together, such as a premise and a hypothesis.

    Where one text is wanted (a line of a report, a count of characters) it is both, with `MARK` between them. What
    tells texts apart takes their `parts`: two pairs are equal if both their texts are, and no pair equals a text.
    """

    __slots__ = ("first", "second")

    first: str
    second: str

    def __new__(cls, first: str, second: str) -> "Pair":
        """Put two texts together."""
        self = super().__new__(cls, f"{first}{MARK}{second}")
        self.first = first
        self.second = second
        return self

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        """What a copy, or another process, makes it of."""
        return self.first, self.second

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pair) and (self.first, self.second) == (other.first, other.second)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self.first, self.second))

    def __repr__(self) -> str:
        return f"Pair({self.first!r}, {self.second!r})"


def parts(text: str) -> tuple[str, ...]:
    """The texts of a pair, or the one text."""
    return (text.first, text.second) if isinstance(text, Pair) else (text,)


def of_parts(texts: Sequence[str]) -> str:
    """What `parts` took apart."""
    first, *second = texts
    return Pair(first, *second) if second else first


def mapped(text: str, function: Callable[[str], str]) -> str:
    """What a function makes of a text, or of each text of a pair."""
    return Pair(function(text.first), function(text.second)) if isinstance(text, Pair) else function(text)


def is_blank(text: str) -> bool:
    """Whether there is nothing but white space, in a pair in one of its texts."""
    return not all(part.strip() for part in parts(text))


def are_pairs(texts: Sequence[str]) -> bool:
    """Whether n texts are pairs.

    Raises:
        TypeError: some are and some are not.
    """
    found = sum(isinstance(text, Pair) for text in texts)
    if found not in (0, len(texts)):
        raise TypeError(f"{found} of {len(texts)} texts are pairs")
    return found > 0


@dataclass(frozen=True)
class TextColumns:
    """The columns that make the text of a row."""

    first: tuple[str, ...] = ("text",)
    """The columns of the text, or of the first text of a pair, joined by a space."""
    second: tuple[str, ...] = ()
    """Those of the second text of a pair; none: there are no pairs."""
    beside: tuple[str, ...] = ()
    """Columns that are written before the text, or before the first text of a pair, with their names."""

    @property
    def names(self) -> tuple[str, ...]:
        """All of them; a column that is named twice comes twice."""
        return (*self.first, *self.second, *self.beside)

    @property
    def pairs(self) -> bool:
        """Whether a row has a pair of texts."""
        return bool(self.second)

    def of(self, cells: Iterable[Cell]) -> str | None:
        """The text of a row from its cells, in the order of `names`.

        Cells that are missing are left out; None: nothing is there, or nothing of one text of a pair. What stands
        beside the text is written before it as ``brand: Acme | price: 12 | text``, without what is missing or blank.
        """
        given = list(cells)
        end = len(self.first) + len(self.second)
        first, second = text_of(given[: len(self.first)]), text_of(given[len(self.first) : end])
        if first is None or (second is None and self.second):
            return None
        pairs = zip(self.beside, map(_value, given[end:]), strict=True)
        first = _BETWEEN.join([*(f"{name}: {value}" for name, value in pairs if value), first])
        return first if second is None else Pair(first, second)

    def __str__(self) -> str:
        both = (" + ".join(names) for names in (self.first, self.second) if names)
        return " and ".join(both)


def _value(cell: Cell) -> str:
    """The value of a column beside the text; empty where there is none."""
    return ", ".join(cell) if isinstance(cell, list) else (cell or "").strip()


PLAIN: Final = TextColumns()
"""The column of those who name none."""

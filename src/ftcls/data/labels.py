"""One map from label names to numbers, over all splits."""

import re
import string
import unicodedata
from collections.abc import Container, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ftcls.data.corpus import SplitName, Task
from ftcls.data.raw import BadRows, RawSplit
from ftcls.environment import limits
from ftcls.errors import ConfigError, DataError

NAMED = 12
"""Label names an error lists."""


INVISIBLE = (
    string.whitespace
    + "\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\u200b\u200e\u200f\u2060\ufeff"
    + "".join(map(chr, range(0x2000, 0x200B)))
)
"""White space, and characters that show nothing; a joiner inside an emoji is none of them."""
_INSIDE = {
    **dict.fromkeys((0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F), " "),
    **dict.fromkeys((0x200B, 0x2060, 0xFEFF)),
}
"""Characters inside a name that look like a space, or like nothing."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""A finite number as people write one; Python's float also takes nan, inf and 1_000."""


_PARTED = re.compile(r"(?<=\w)[-_ ]+(?=[^\W_])")
_ENDS = " .,;:!?"

_POINT = re.compile(r"([+-]?\d+)\.0+", re.ASCII)
"""A whole number with a point."""
_DIGITS = 1_000
"""Digits of a number inside a name that its place goes by."""


def as_name(text: str) -> str | None:
    """A label as it is compared: accents composed, no white space or invisible characters around it.

    Inside it spaces of other kinds (those that do not break, for one) are plain ones, and what shows nothing is left
    out. None where nothing is left. Two spellings that nobody can tell apart are one label.
    """
    name = text if text.isascii() else unicodedata.normalize("NFC", text).translate(_INSIDE)
    return name.strip(INVISIBLE) or None


def is_number(name: str) -> bool:
    """Whether a name is a finite number as people write one."""
    return _NUMBER.fullmatch(name) is not None


def alike(names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Labels that may be one, or are one number written in two ways.

    They differ in case, width, what parts their words (``very_good``, ``very-good``) or a dot behind them alone.
    """
    groups: dict[str | float, list[str]] = {}
    for name in names:
        folded = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        folded = _PARTED.sub(" ", folded.rstrip(_ENDS) or folded)
        groups.setdefault(float(folded) if _NUMBER.fullmatch(folded) else folded, []).append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def natural(names: Iterable[str]) -> tuple[str, ...]:
    """Names in the order a person expects: numbers by value (``2`` before ``10``), digits inside names likewise."""
    distinct = set(names)
    # ``nan`` has no place among numbers: sorted by it, the order would be another one in every process.
    if all(_NUMBER.fullmatch(name) for name in distinct):
        return tuple(sorted(distinct, key=lambda name: (float(name), name)))
    return tuple(sorted(distinct, key=_pieces))


def _pieces(name: str) -> tuple[list[tuple[str, int]], str]:
    parts = re.split(r"(\d+)", name)
    pairs = zip(parts[::2], [*parts[1::2], "-1"], strict=True)
    # Python reads no number of more than 4,300 digits.
    return [(text, int(digits[:_DIGITS])) for text, digits in pairs], name


def union(splits: Mapping[SplitName, RawSplit]) -> tuple[str, ...]:
    """Every label of every split, in natural order; a whole number is one in both spellings that `known_as` knows."""
    found: set[str] = set()
    for split in splits.values():
        for label in set(split.labels):
            found.update((label,) if isinstance(label, str) else label or ())
    return natural(name for name in found if not ((whole := _POINT.fullmatch(name)) and whole[1] in found))


def check(labels: Sequence[str], *, task: Task, source: str) -> None:
    """Refuse labels that the task cannot be learnt with.

    Raises:
        ConfigError: a label is listed twice.
        DataError: fewer than two labels, or other than two for a binary task.
    """
    shown = listed(labels)
    if len(labels) > limits.LABELS:
        raise DataError(
            f"{source}: {len(labels):,} labels; ftcls takes {limits.LABELS:,}. Is data.label the right column?"
        )
    if len(set(labels)) < len(labels):
        twice = next(name for name in labels if labels.count(name) > 1)
        raise ConfigError(f"data.labels: {twice!r} is listed twice")
    if len(labels) < 2:
        raise DataError(
            f"{source}: {'one label, ' + shown if labels else 'no label at all'}; "
            "a classifier needs two or more. Is data.label the right column?"
        )
    if task == "binary" and len(labels) != 2:
        raise DataError(
            f"{source}: data.task is binary, but there are {len(labels)} labels: {shown}. "
            "Set data.task: multiclass, or name the two with data.labels and set data.on_bad_row: drop."
        )


def check_order(labels: Sequence[str]) -> None:
    """Refuse labels whose order is not known: words, of which nobody said which comes first.

    Raises:
        DataError: not all of them are numbers.
    """
    if not all(map(is_number, labels)):
        raise DataError(
            f"data.task: ordinal needs labels in order, and {listed(labels)} are no numbers; write them from the "
            "lowest to the highest, data.labels: [...]"
        )


def positive(labels: Sequence[str], *, task: Task, name: str | None) -> str | None:
    """The positive label of a binary task: the one named, else the second; None for other tasks.

    Raises:
        ConfigError: the name is no label, or the task is not binary.
    """
    if name is None:
        return labels[1] if task == "binary" else None
    if task != "binary":
        raise ConfigError(f"data.positive_label: {name!r} means something for task binary only, this one is {task}")
    if name not in labels:
        raise ConfigError(f"data.positive_label: {name!r} is not a label; the labels are {listed(labels)}")
    return name


def encode(
    split: RawSplit, labels: Sequence[str], *, task: Task
) -> tuple[NDArray[np.int64], NDArray[np.int64] | NDArray[np.float32], BadRows]:
    """The rows that can be used and their targets.

    Returns:
        kept: int64 [m], indices into the split's n rows.
        targets: int64 [m], or float32 [m, k] of 0 and 1 for multilabel, where no label is a row of zeros.
        bad: the n - m rows whose label is missing, unknown, or more than the task takes.
    """
    number = {name: index for index, name in enumerate(labels)}
    # One decision per distinct value, not per row: a million rows hold a handful of them.
    known: dict[tuple[str, ...] | str | None, tuple[int, ...] | None] = {
        value: _numbers(value, number, task) for value in set(split.labels)
    }
    bad = BadRows()
    kept = np.fromiter((known[value] is not None for value in split.labels), dtype=bool, count=len(split.labels))
    for index in np.flatnonzero(~kept):
        bad.add(split.place(int(index)), _reason(split.labels[index], number, task))
    rows = np.flatnonzero(kept)
    chosen = [known[split.labels[index]] or () for index in rows.tolist()]
    if task != "multilabel":
        return rows, np.fromiter((one[0] for one in chosen), dtype=np.int64, count=len(chosen)), bad
    hot = np.zeros((len(chosen), len(labels)), dtype=np.float32)
    lengths = np.fromiter(map(len, chosen), dtype=np.int64, count=len(chosen))
    hot[np.repeat(np.arange(len(chosen)), lengths), [index for several in chosen for index in several]] = 1.0
    return rows, hot, bad


def known_as(name: str, labels: Container[str]) -> str:
    """The label that a name means: itself, or the same whole number, with a point or without.

    pandas writes ``1.0`` for 1 where a cell of the column was empty, in one file of a data set and not in the other.
    """
    if name not in labels:
        whole = _POINT.fullmatch(name)
        other = whole[1] if whole else f"{name}.0"
        if other in labels and is_number(name):
            return other
    return name


def _numbers(value: tuple[str, ...] | str | None, number: dict[str, int], task: Task) -> tuple[int, ...] | None:
    names = tuple(known_as(name, number) for name in _names(value))
    if any(name not in number for name in names) or (task != "multilabel" and len(names) != 1):
        return None
    return tuple(number[name] for name in names)


def _names(value: tuple[str, ...] | str | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value or ()


def _reason(value: tuple[str, ...] | str | None, number: dict[str, int], task: Task) -> str:
    names = _names(value)
    if not names:
        return "no label"
    unknown = [name for name in names if known_as(name, number) not in number]
    if unknown:
        return not_one_of(unknown[0], tuple(number))
    return f"{len(names)} labels ({listed(names)}); task {task} takes one"


def not_one_of(name: str, labels: Sequence[str]) -> str:
    """What is wrong with a label that nobody knows; one that differs in its case alone is named, of many labels too."""
    near = next((label for label in labels if label.casefold() == name.casefold()), None)
    alike = "" if near is None else f"; {near!r} is, and labels are told apart by their case"
    return f"label {name!r} is not one of {listed(labels)}{alike}"


def listed(labels: Sequence[str]) -> str:
    """Label names for a message, the first dozen of many."""
    shown = ", ".join(repr(name) for name in labels[:NAMED])
    return shown if len(labels) <= NAMED else f"{shown} and {len(labels) - NAMED} more"

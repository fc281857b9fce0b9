"""Which column of a table is the text: a guess by names and by what stands in the cells."""

import re
from pathlib import Path
from typing import Any, Final

from ftcls.errors import DataError

_SAMPLE: Final = 20_000
"""Rows that are looked at."""
_TEXT_NAMES: Final = ("text", "body", "review", "content", "comment", "message", "sentence", "document")
"""Columns that are the text if they are there."""
_NO_WORDS: Final = re.compile(r"\w+://\S+|www\.\S+|\S+@\S+|[\d\s.,:/T+Z-]+|[0-9a-fA-F-]{16,}")
"""Addresses, dates, times, numbers, hashes."""


def text_column(columns: dict[str, list[Any]], data: Path) -> str:
    """The column with the longest texts; addresses, dates and numbers are none, whatever their length.

    Raises:
        DataError: no column holds text.
    """
    lengths = {name: _mean_length(values) for name, values in columns.items()}
    if not lengths or not max(lengths.values()):
        raise DataError(f"{data}: no column with text beside the label; name it with --text")
    worded = {name for name in lengths if _has_words(columns[name])} or set(lengths)
    return max(worded, key=lambda name: (name.strip().lower() in _TEXT_NAMES, lengths[name]))


def _mean_length(values: list[Any]) -> float:
    texts = [value for value in values[:_SAMPLE] if isinstance(value, str)]
    return sum(map(len, texts)) / len(texts) if texts else 0.0


def _has_words(values: list[Any]) -> bool:
    """Whether most cells of a column that are not empty are something that a person wrote."""
    texts = [value.strip() for value in values[:_SAMPLE] if isinstance(value, str) and value.strip()]
    return sum(_NO_WORDS.fullmatch(text) is None for text in texts) > len(texts) / 2

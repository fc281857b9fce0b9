"""Which columns of a table are the text, or the texts of a pair: a guess by names and by what stands in the cells."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ftcls.config import schema
from ftcls.errors import DataError

_SAMPLE: Final = 20_000
"""Rows that are looked at."""
_TEXT_NAMES: Final = ("text", "body", "review", "content", "comment", "message", "sentence", "document")
"""Columns that are the text if they are there."""
_TITLE_NAMES: Final = (
    "title",
    "subject",
    "headline",
    "heading",
    "titel",
    "betreff",
    "titre",
    "título",
    "标题",
    "العنوان",
)
"""Columns that belong before the text if they are there."""
_PAIRS: Final = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("claim", "evidence"),
    ("query", "passage"),
    ("query", "document"),
    ("question", "sentence"),
    ("question", "passage"),
)
"""Columns that are read together: those of GLUE, and what search and fact checking call theirs."""
_SHORT: Final = 40
"""Characters of a value that may stand beside a text."""
_MOST_BESIDE: Final = 5
_WEIGHT: Final = re.compile(r"((sample|row|example|instance|case)[ _-]?)?weights?", re.IGNORECASE)
_GROUP: Final = re.compile(
    r"(author|user|customer|client|patient|person|speaker|participant|respondent|thread|conversation|dialogue?|session"
    r"|document|doc|article|file|path|group|household|account|case)s?([ _-]?(id|no|nr|number|name|key))?",
    re.IGNORECASE,
)
"""Names of what several rows may be of, so that they are not independent."""
_NOT_NEGATIVE: Final = re.compile(r"\d+\.?\d*(e[-+]?\d+)?|\.\d+", re.IGNORECASE | re.ASCII)
_NO_WORDS: Final = re.compile(r"\w+://\S+|www\.\S+|\S+@\S+|[\d\s.,:/T+Z-]+|[0-9a-fA-F-]{16,}")
"""Addresses, dates, times, numbers, hashes."""


def text_columns(columns: dict[str, list[Any]], data: Path) -> tuple[str, ...]:
    """The column with the longest texts, and that of their titles before it if there is one.

    Addresses, dates and numbers are no texts, whatever their length.

    Raises:
        DataError: no column holds text.
    """
    lengths = {name: _mean_length(values) for name, values in columns.items()}
    if not lengths or not max(lengths.values()):
        raise DataError(f"{data}: no column with text beside the label; name it with --text")
    worded = {name for name in lengths if _has_words(columns[name])} or set(lengths)
    body = max(worded, key=lambda name: (name.strip().lower() in _TEXT_NAMES, lengths[name]))
    titles = (name for name in columns if name in worded - {body} and name.strip().lower() in _TITLE_NAMES)
    return (*([title] if (title := next(titles, None)) else []), body)


def pair_of(names: Sequence[str]) -> schema.TextPair | None:
    """The two of these columns whose names say that they are read together; None where there are none."""
    known = {name.strip().lower(): name for name in names}
    for first, second in _PAIRS:
        if first in known and second in known:
            return schema.TextPair(first=known[first], second=known[second])
    return None


def guessed_text(columns: dict[str, list[Any]], data: Path) -> tuple[str, ...] | schema.TextPair:
    """The columns of the text: a pair where their names say so, else those of `text_columns`.

    Raises:
        DataError: no column holds text.
    """
    pair = pair_of([name for name in columns if _has_words(columns[name])])
    return pair or text_columns(columns, data)


def beside(columns: dict[str, list[Any]]) -> tuple[str, ...]:
    """The columns that may be written before the text: short values that come again, as those of a brand do."""
    return tuple(name for name, values in columns.items() if name and _comes_again(values))[:_MOST_BESIDE]


def weight_column(columns: dict[str, list[Any]]) -> str | None:
    """The column whose name says that it holds how much a row counts, and that holds numbers which differ."""
    return next(
        (name for name, values in columns.items() if _WEIGHT.fullmatch(name.strip()) and _weights(values)), None
    )


def group_column(columns: dict[str, list[Any]]) -> str | None:
    """The column whose name says that it holds what a row is of, and whose values come again."""
    return next((name for name, values in columns.items() if _GROUP.fullmatch(name.strip()) and _groups(values)), None)


def _groups(values: list[Any]) -> bool:
    cells = [value.strip() for value in values[:_SAMPLE] if isinstance(value, str) and value.strip()]
    return 2 < len(set(cells)) <= len(cells) / 1.5


def _weights(values: list[Any]) -> bool:
    texts = [value.strip() if isinstance(value, str) else "" for value in values[:_SAMPLE]]
    return all(map(_NOT_NEGATIVE.fullmatch, texts)) and len({*map(float, texts)}) > 1


def _comes_again(values: list[Any]) -> bool:
    texts = [value.strip() for value in values[:_SAMPLE] if isinstance(value, str) and value.strip()]
    short = all(len(text) <= _SHORT for text in texts)
    return short and 1 < len(set(texts)) <= len(texts) / 2


def _mean_length(values: list[Any]) -> float:
    texts = [value for value in values[:_SAMPLE] if isinstance(value, str)]
    return sum(map(len, texts)) / len(texts) if texts else 0.0


def _has_words(values: list[Any]) -> bool:
    """Whether most cells of a column that are not empty are something that a person wrote."""
    texts = [value.strip() for value in values[:_SAMPLE] if isinstance(value, str) and value.strip()]
    return sum(_NO_WORDS.fullmatch(text) is None for text in texts) > len(texts) / 2

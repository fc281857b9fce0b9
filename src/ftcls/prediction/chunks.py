"""Rows with their texts, cut into chunks that are labelled together: the same ones in every call, resumed or not."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ftcls.prediction.rows import TEXT, Record, Source

ROWS: Final = 4_096
"""Rows of a chunk: enough to sort by length for little padding."""
CHARACTERS: Final = 8_000_000
"""A chunk of long texts ends sooner."""
PAUSE: Final = 0.2
"""Seconds without a new row after which those that are there are labelled, where a stream is followed."""


@dataclass(frozen=True, slots=True)
class Item:
    """A row with its text; None where there is none to label."""

    record: Record
    text: str | None


def read_columns(source: Source, text_columns: Sequence[str]) -> tuple[str, ...]:
    """The columns that the text is in; lines of text have their own."""
    return (TEXT,) if source.kind == "txt" else tuple(text_columns)


def cut(source: Source, text_columns: Sequence[str], *, follow: bool = False) -> Iterator[list[Item]]:
    """The rows of a source in chunks.

    They end after so many rows or characters and depend on nothing else; with ``follow`` also when no more rows arrive,
    once there was one that can be read.
    """
    names = read_columns(source, text_columns)
    chunk: list[Item] = []
    characters = 0
    readable = False
    for record in source.records:
        item = _item(record, names)
        chunk.append(item)
        characters += len(item.text or "")
        readable = readable or item.text is not None
        if len(chunk) == ROWS or characters >= CHARACTERS or (follow and readable and source.pauses(PAUSE)):
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def chained(digest: str, chunk: Sequence[Item]) -> str:
    """A hash of all rows up to the end of this chunk, given that of the rows before."""
    found = hashlib.sha256(digest.encode())
    for item in chunk:
        found.update(repr((item.record.row, item.record.raw, item.text)).encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def _item(record: Record, names: Sequence[str]) -> Item:
    if record.problem is not None:
        return Item(record, None)
    parts = []
    for name in names:
        if name not in record.row:
            return _unread(record, f"no key {name!r}; name the text column with --text-column")
        value = record.row[name]
        if isinstance(value, list | dict | bytes):
            return _unread(record, f"{name!r} is no text but a {type(value).__name__}")
        parts.append("" if value is None else str(value))
    return Item(record, " ".join(parts))


def _unread(record: Record, problem: str) -> Item:
    return Item(replace(record, problem=problem), None)

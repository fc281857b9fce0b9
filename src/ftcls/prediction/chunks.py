"""Rows with their texts, cut into chunks that are labelled together: the same ones in every call, resumed or not."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ftcls.data.tables.cells import Misfit
from ftcls.data.tables.records import TEXT, Record
from ftcls.data.texts import TextColumns
from ftcls.errors import DataError
from ftcls.prediction.rows import PAUSE, Source

ROWS: Final = 4_096
"""Rows of a chunk: enough to sort by length for little padding."""
CHARACTERS: Final = 8_000_000
"""A chunk of long texts ends sooner."""


@dataclass(frozen=True, slots=True)
class Item:
    """A row with its text."""

    place: str
    """Where a person finds it."""
    record: Record
    text: str | None
    """None where there is none to label; the record says why."""


def read_columns(source: Source, text_columns: TextColumns) -> TextColumns:
    """The columns that the text is in; lines of text have their own.

    Raises:
        DataError: lines of text, where pairs of texts are wanted.
    """
    if source.kind != "txt":
        return text_columns
    if text_columns.pairs:
        raise DataError(
            f"{source.name}: holds a text in each line, and the model reads pairs of texts; give it a table with the "
            f"columns {text_columns} (of stdin say with --input-kind csv, tsv or jsonl what it holds)"
        )
    return TextColumns((TEXT,))


def cut(source: Source, text_columns: TextColumns, *, follow: bool = False) -> Iterator[list[Item]]:
    """The rows of a source in chunks.

    They end after so many rows or characters and depend on nothing else; with ``follow`` also when no more rows arrive,
    once there was one that can be read.
    """
    columns = read_columns(source, text_columns)
    chunk: list[Item] = []
    characters = 0
    readable = False
    for place, record in source.records:
        item = _item(place, record, columns)
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


def _item(place: str, record: Record, columns: TextColumns) -> Item:
    if record.problem is not None:
        return Item(place, record, None)
    names = columns.names
    cells = [record.cell_of(name) for name in names]
    odd = next((name for name, cell in zip(names, cells, strict=True) if isinstance(cell, Misfit)), None)
    text = None if odd is not None else columns.of(cell for cell in cells if not isinstance(cell, Misfit))
    if text is not None:
        return Item(place, record, text)
    if odd is not None:
        problem = next(f"column {odd!r} {cell.reason}" for cell in cells if isinstance(cell, Misfit))
    elif not any(name in record.row for name in names):
        problem = f"no key {names[0]!r}; name the text column with --text-column"
    else:
        problem = f"no text in column {columns}"
    return Item(place, replace(record, problem=problem), None)

"""Cells: what stands in one row and column of a table, as text.

One rule for every kind of file and for DataFrames, so that a text is the same in training and in prediction.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from ftcls.environment import limits
from ftcls.errors import shortened

_EXACT: Final = 2**53
"""Whole numbers from here on are not exact in a float."""
_NO_FRACTION: Final = re.compile(r"\.0+(?=Z?$)")

Cell = str | list[str] | None
"""A text, a list of texts, or None where the file has nothing (JSON null, Parquet null and NaN; never in CSV)."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A value that is no text and no list of texts."""

    reason: str
    """Such as ``holds an object``; the name of the column stands before it."""


class Number(float):
    """A JSON number with a point or exponent, that remembers how it is written."""

    __slots__ = ("written",)

    written: str

    def __new__(cls, written: str) -> "Number":
        """Read a number."""
        self = super().__new__(cls, written)
        self.written = written
        return self


def text_of(cells: Iterable[Cell]) -> str | None:
    """The text of a row: its cells joined by a space, those that are missing left out; None where all are."""
    present = [cell if isinstance(cell, str) else " ".join(cell) for cell in cells if cell is not None]
    return " ".join(present) if present else None


def cell_of(value: Any) -> Cell | Misfit:
    """The cell that a JSON value makes: numbers as they are written, a list without its nulls."""
    if isinstance(value, str):
        if len(value) > limits.CHARACTERS:
            return Misfit(f"holds a text of {len(value):,} characters; ftcls takes {limits.CHARACTERS:,}")
        # A lone surrogate, which JSON can write and UTF-8 cannot, would stop the tokenizer.
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list | tuple):
        items = [cell for item in value if (cell := cell_of(item)) is not None]
        texts = [item for item in items if isinstance(item, str)]
        return texts if len(texts) == len(items) else Misfit("holds a list of lists or objects")
    if isinstance(value, dict):
        return Misfit("holds an object")
    if isinstance(value, bytes):
        return Misfit("holds bytes")
    if value is None:
        return None
    if isinstance(value, Number):
        return value.written
    if isinstance(value, float):
        return _written(value)
    return json.dumps(value) if isinstance(value, bool | int | float) else str(value)


def _written(value: float) -> str | None:
    """A number as people write it, whole ones without a point, as Arrow does; NaN is nothing."""
    if math.isnan(value):
        return None
    return str(int(value)) if value.is_integer() and abs(value) < _EXACT else json.dumps(value)


def arrow_cells(column: pa.ChunkedArray, classes: Sequence[str] | None = None) -> list[Cell | Misfit]:
    """The n cells of an Arrow column; whole numbers without a decimal point, as Arrow writes them.

    Args:
        column: n values.
        classes: the names of the numbers, if the column is a ``ClassLabel`` of the datasets library, or lists of one.
    """
    return [_name(cell, classes) for cell in _texts(column)] if classes is not None else _texts(column)


def _texts(column: pa.ChunkedArray) -> list[Cell | Misfit]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return [cell for chunk in column.chunks for cell in _of_dictionary(chunk)]
    if pa.types.is_floating(kind):  # NaN is how pandas writes that nothing is there
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return [cell_of(value) for value in column.to_pylist()]
    try:
        cells: list[Cell | Misfit] = column.cast(pa.string()).to_pylist()
    except pa.ArrowException:
        return [None if value is None else str(value) for value in column.to_pylist()]
    return [_of_time(cell) for cell in cells] if pa.types.is_timestamp(kind) else cells


def _of_time(cell: Cell | Misfit) -> Cell | Misfit:
    """A point in time as people write it: Arrow adds six or nine zeros, and pandas makes midnight of a date."""
    if not isinstance(cell, str):
        return cell
    return _NO_FRACTION.sub("", cell).removesuffix(" 00:00:00")


def _of_dictionary(chunk: pa.DictionaryArray) -> Iterator[Cell | Misfit]:
    """Its cells; equal ones are one object, so that a million copies of a long text are no gigabytes."""
    words = _texts(pa.chunked_array([chunk.dictionary]))
    return (None if index is None else words[index] for index in chunk.indices.to_pylist())


def class_labels(schema: pa.Schema) -> dict[str, list[str]]:
    """Names of the numbers in columns that the datasets library wrote as ``ClassLabel``, or lists of them."""
    metadata = schema.metadata or {}
    try:
        features = limits.json_value(metadata[b"huggingface"])["info"]["features"] if b"huggingface" in metadata else {}
        found = {}
        for name, feature in features.items():
            inner = feature["feature"] if "feature" in feature else feature
            if "names" in inner:
                found[name] = [str(each) for each in inner["names"]]
    except (ValueError, KeyError, TypeError, AttributeError):  # another library's note under that key
        return {}
    return found


def _name(cell: Cell | Misfit, classes: Sequence[str]) -> Cell | Misfit:
    if isinstance(cell, list):
        items = [_one_name(item, classes) for item in cell]
        odd = next((item for item in items if isinstance(item, Misfit)), None)
        return odd if odd is not None else [item for item in items if isinstance(item, str)]
    return _one_name(cell, classes) if isinstance(cell, str) else cell


def _one_name(number: str, classes: Sequence[str]) -> str | Misfit | None:
    if number == "-1":  # the library's own sign for no label
        return None
    known = number.isascii() and number.isdecimal() and int(number) < len(classes)
    return (
        classes[int(number)]
        if known
        else Misfit(f"holds {shortened(number)}, which is no class: there are {len(classes)}")
    )

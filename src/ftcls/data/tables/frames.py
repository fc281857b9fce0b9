"""Texts and tables as Python hands them over: lists, NumPy arrays, pandas Series and DataFrames.

A table of this kind is written as Parquet, so that it is read by the rules by which every file is read.
"""

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ftcls.data.tables.cells import Cell, Misfit, arrow_cells, cell_of
from ftcls.data.tables.table import missing_column
from ftcls.data.texts import PLAIN, Pair, TextColumns, parts
from ftcls.environment.files import replacing
from ftcls.errors import DataError

Texts: TypeAlias = Sequence[str] | Sequence[tuple[str, str]] | pd.Series | np.ndarray
"""n texts, or n pairs of texts."""
Other: TypeAlias = Iterable[str] | Iterable[tuple[str, str]]
"""Texts of other kinds, with an order: an Index, an extension array, a column of datasets, a generator."""
TEXT: Final = "text"
"""The column of texts that come without a name."""
_NAME: Final = "the DataFrame"
_DIGITS: Final = 12
"""Of a digest in a file's name."""


def texts_of(values: Texts | pd.DataFrame, columns: TextColumns | None = None) -> list[str]:
    """A list of n texts; a pair of texts is a tuple of two, and becomes a `Pair`.

    Args:
        values: n texts, or a table with the columns.
        columns: what a text is made of, for a model that reads such texts; None: nobody knows: texts, or pairs.

    Raises:
        DataError: one text in place of several, an entry that is no text, or no pair where there are pairs; a table
            without a column, or with a row without a text.
    """
    if isinstance(values, pd.DataFrame):
        return _whole(joined_texts(values, columns or PLAIN))
    entries = _entries(values)
    pairs = columns.pairs if columns is not None else len(entries) > 0 and _pair(entries[0]) is not None
    found: list[str] = []
    for index, each in enumerate(entries):
        text = _pair(each) if pairs else each
        if not isinstance(text, str) or isinstance(text, Pair) != pairs:
            what = (
                "is no pair of texts; write it as (first, second)"
                if pairs
                else "is no text; drop it, or write it as one"
            )
            raise DataError(f"text {index} (from 0): {_quoted(each)} {what}")
        found.append(text)
    return found


def settled(values: Any) -> Any:
    """What is handed over as a list, a NumPy array, or what pandas has: tables and columns of other libraries too.

    Raises:
        DataError: it has no order, so that nobody could tell which answer belongs to which text.
    """
    if hasattr(values, "to_pandas"):  # of datasets, Arrow and Polars
        values = values.to_pandas()
    if isinstance(values, set | frozenset | Mapping):
        raise DataError(f"{_quoted(values)}: give a list of texts, or a DataFrame")
    if isinstance(values, list | tuple | np.ndarray | pd.Series | pd.DataFrame):
        return values
    return list(values) if isinstance(values, Iterable) else values


def _pair(value: Any) -> Pair | None:
    """Two texts as a pair; None where they are none."""
    if isinstance(value, Pair):
        return value
    two = isinstance(value, tuple | list | np.ndarray) and len(value) == 2
    return Pair(*value) if two and all(isinstance(part, str) for part in value) else None


def _whole(texts: list[str | None]) -> list[str]:
    for index, text in enumerate(texts):
        if text is None:
            raise DataError(f"{_NAME}, row {index} (from 0): no text")
    return [text for text in texts if text is not None]


def frame_of(values: Any, columns: TextColumns) -> pd.DataFrame:
    """A DataFrame as it is; a Series or n texts as one of a column, ``text`` if it has no name.

    Pairs of texts get two columns, called as the first ones that the columns name for either text.

    Raises:
        DataError: one text in place of several, or no pairs where there are pairs.
    """
    if isinstance(values, pd.DataFrame):
        return values
    index = values.index if isinstance(values, pd.Series) else None
    if columns.pairs:
        both = [parts(text) for text in texts_of(values, columns)]
        return pd.DataFrame(both, columns=[columns.first[0], columns.second[0]], index=index, dtype=object)
    if isinstance(values, pd.Series):
        return values.to_frame(TEXT if values.name is None else values.name)
    return pd.DataFrame({TEXT: pd.Series(list(_entries(values)), dtype=object)})


def joined_texts(frame: pd.DataFrame, columns: TextColumns) -> list[str | None]:
    """The text of each of n rows, or its pair of texts; None where all is missing, or all of one text of a pair.

    Raises:
        DataError: a column is not there, or a cell holds something that is no text.
    """
    cells = [_cells(frame, name) for name in columns.names]
    return [columns.of(row) for row in zip(*cells, strict=True)]


def store(frame: pd.DataFrame, columns: Sequence[str], folder: Path, name: str) -> Path:
    """Write some columns to ``folder/NAME-DIGEST.parquet``; equal tables get the same file, with the same bytes.

    Raises:
        DataError: a column is not there, or cannot be written.
    """
    found = {column: _column(frame, column) for column in dict.fromkeys(columns)}
    chosen = {column: _arrow(cells) for column, cells in found.items()}
    content = io.BytesIO()
    pq.write_table(pa.table(chosen), content, compression="zstd")
    path = folder / f"{name}-{hashlib.sha256(content.getvalue()).hexdigest()[:_DIGITS]}.parquet"
    if not path.is_file():
        with replacing(path) as staged:
            staged.write_bytes(content.getvalue())
    return path


def _entries(values: Any) -> Sequence[Any]:
    if isinstance(values, str | bytes) or np.ndim(values) == 0:
        raise DataError(f"{_quoted(values)}: give a list of texts, [text] for one")
    shape = np.shape(values) if isinstance(values, np.ndarray) else ()
    if getattr(values, "ndim", 1) != 1 and shape[1:] != (2,):  # two columns are pairs of texts
        raise DataError(f"an array of shape {np.shape(values)}: give one text for each row")
    return list(values)


def has_column(frame: pd.DataFrame, name: str) -> bool:
    """Whether a table has a column of this name."""
    return name in map(_name_of, frame.columns)


def _name_of(column: Any) -> str:
    """What a config calls a column: numbers are written, and of names of several levels the empty ones are left out."""
    return " ".join(str(part) for part in column if str(part)) if isinstance(column, tuple) else str(column)


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    names = [_name_of(column) for column in frame.columns]
    places = [place for place, each in enumerate(names) if each == str(name)]
    if not places:
        raise missing_column(Path(_NAME), str(name), names)
    if len(places) > 1:
        raise DataError(f"{_NAME}: {len(places)} columns are called {str(name)!r}; rename or drop all but one")
    return frame.iloc[:, places[0]]


def _cells(frame: pd.DataFrame, name: str) -> list[Cell]:
    """The cells of a column, as they would be read from the file that `store` writes."""
    found: list[Cell] = []
    for index, cell in enumerate(arrow_cells(pa.chunked_array([_arrow(_column(frame, name))]))):
        if isinstance(cell, Misfit):
            raise DataError(f"{_NAME}, row {index} (from 0): column {name!r} {cell.reason}")
        found.append(cell)
    return found


def _arrow(column: pd.Series) -> pa.Array:
    if isinstance(column.dtype, pd.SparseDtype):
        column = column.sparse.to_dense()
    if column.dtype == object:  # anything at all: numbers among texts, lists, missing values of several kinds
        column = pd.Series([_plain(cell, column.name, row) for row, cell in enumerate(column)], dtype=object)
    try:
        found = pa.Array.from_pandas(column)
    except pa.ArrowException as error:
        raise DataError(f"{_NAME}: column {column.name!r} cannot be read as texts or lists of them: {error}") from error
    kind = found.type.value_type if pa.types.is_dictionary(found.type) else found.type
    # Periods, intervals (those of `pandas.cut`) and durations: Arrow knows them by numbers that nobody wrote.
    if isinstance(kind, pa.BaseExtensionType) or pa.types.is_duration(kind):
        return pa.array([None if pd.isna(value) else str(value) for value in column], pa.string())
    return found


def _plain(value: Any, name: Any, row: int) -> str | list[str] | None:
    if isinstance(value, set | frozenset):
        value = sorted(value)
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, tuple):
        value = list(value)
    cell = cell_of(value) if isinstance(value, list | dict | bytes) or not pd.isna(value) else None
    if isinstance(cell, Misfit):
        raise DataError(f"{_NAME}, row {row} (from 0): column {name!r} {cell.reason}")
    return cell


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

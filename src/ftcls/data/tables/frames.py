"""Texts and tables as Python hands them over: lists, NumPy arrays, pandas Series and DataFrames.

A table of this kind is written as Parquet, so that it is read by the rules by which every file is read.
"""

import hashlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ftcls.data.tables.cells import Cell, Misfit, arrow_cells, cell_of, text_of
from ftcls.data.tables.table import missing_column
from ftcls.environment.files import replacing
from ftcls.errors import DataError

Texts: TypeAlias = Sequence[str] | pd.Series | np.ndarray
"""n texts."""
TEXT: Final = "text"
"""The column of texts that come without a name."""
_NAME: Final = "the DataFrame"
_DIGITS: Final = 12
"""Of a digest in a file's name."""


def texts_of(values: Texts) -> list[str]:
    """A list of n texts.

    Raises:
        DataError: one text in place of several, more than one column, or an entry that is no text.
    """
    found = list(_entries(values))
    for index, each in enumerate(found):
        if not isinstance(each, str):
            raise DataError(f"text {index} (from 0): {_quoted(each)} is no text; drop it, or write it as one")
    return found


def frame_of(values: Any) -> pd.DataFrame:
    """A DataFrame as it is; a Series or n texts as one of a column, ``text`` if it has no name.

    Raises:
        DataError: one text in place of several, or more dimensions than one.
    """
    if isinstance(values, pd.DataFrame):
        return values
    if isinstance(values, pd.Series):
        return values.to_frame(TEXT if values.name is None else values.name)
    return pd.DataFrame({TEXT: pd.Series(list(_entries(values)), dtype=object)})


def joined_texts(frame: pd.DataFrame, columns: Sequence[str]) -> list[str | None]:
    """The text of each of n rows: its cells joined by a space, what is missing left out; None where all is missing.

    Raises:
        DataError: a column is not there, or a cell holds something that is no text.
    """
    cells = [_cells(frame, name) for name in columns]
    return [text_of(row) for row in zip(*cells, strict=True)]


def store(frame: pd.DataFrame, columns: Sequence[str], folder: Path, name: str) -> Path:
    """Write some columns to ``folder/NAME-DIGEST.parquet``; equal tables get the same file, with the same bytes.

    Raises:
        DataError: a column is not there, or cannot be written.
    """
    for column in columns:
        _column(frame, column)
    chosen = {column: _arrow(frame[column]) for column in dict.fromkeys(columns)}
    content = io.BytesIO()
    pq.write_table(pa.table(chosen), content, compression="zstd")
    path = folder / f"{name}-{hashlib.sha256(content.getvalue()).hexdigest()[:_DIGITS]}.parquet"
    if not path.is_file():
        with replacing(path) as staged:
            staged.write_bytes(content.getvalue())
    return path


def _entries(values: Any) -> Iterable[Any]:
    if isinstance(values, str | bytes) or np.ndim(values) == 0:
        raise DataError(f"{_quoted(values)}: give a list of texts, [text] for one")
    if getattr(values, "ndim", 1) != 1:
        raise DataError(f"an array of shape {np.shape(values)}: give one text for each row")
    return list(values)


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    if name not in frame.columns:
        raise missing_column(Path(_NAME), name, [str(column) for column in frame.columns])
    return frame[name]


def _cells(frame: pd.DataFrame, name: str) -> list[Cell]:
    """The cells of a column, as they would be read from the file that `store` writes."""
    found: list[Cell] = []
    for index, cell in enumerate(arrow_cells(pa.chunked_array([_arrow(_column(frame, name))]))):
        if isinstance(cell, Misfit):
            raise DataError(f"{_NAME}, row {index} (from 0): column {name!r} {cell.reason}")
        found.append(cell)
    return found


def _arrow(column: pd.Series) -> pa.Array:
    if column.dtype == object:  # anything at all: numbers among texts, lists, missing values of several kinds
        column = pd.Series([_plain(cell, column.name, row) for row, cell in enumerate(column)], dtype=object)
    try:
        return pa.Array.from_pandas(column)
    except pa.ArrowException as error:
        raise DataError(f"{_NAME}: column {column.name!r} cannot be read as texts or lists of them: {error}") from error


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

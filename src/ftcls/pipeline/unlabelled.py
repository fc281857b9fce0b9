"""Texts without labels, which a teacher's model labels for its student."""

import logging
import os
from pathlib import Path

from ftcls.config.schema import Data
from ftcls.data.columns import text_of
from ftcls.data.tables import frames
from ftcls.data.tables.frames import Texts
from ftcls.data.tables.table import missing_column
from ftcls.data.texts import is_blank
from ftcls.errors import DataError
from ftcls.prediction import chunks, rows

log = logging.getLogger(__name__)


def unlabelled(texts: str | os.PathLike[str] | Texts, data: Data) -> list[str]:
    """The raw texts of a file (one in each line, or a table with the columns of the data), or of a list.

    Raises:
        DataError: there is none, or no such column.
    """
    if not isinstance(texts, str | os.PathLike):
        return frames.texts_of(texts)
    with rows.opened([Path(texts)]) as source:
        if source.columns is not None:
            for name in chunks.read_columns(source, text_of(data)).names:
                if name not in source.columns:
                    error = missing_column(Path(texts), name, source.columns)
                    raise DataError(f"{error}; a student reads the text columns of its teacher: call it {name!r}")
        items = [item for chunk in chunks.cut(source, text_of(data)) for item in chunk]
    found = [item.text for item in items if item.text is not None and not is_blank(item.text)]
    if not found:
        reason = f": {items[0].record.problem}" if items and items[0].record.problem else ""
        raise DataError(f"{os.fspath(texts)}: has no text{reason}")
    if len(found) < len(items):
        log.warning("%s: %d of %d rows have no text", os.fspath(texts), len(items) - len(found), len(items))
    return found

"""Data that is handed over in place of that of a config: DataFrames, or files of one's own."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

import pandas as pd

from ftcls.config import schema
from ftcls.config.rule import task_of
from ftcls.config.schema import Experiment
from ftcls.data.columns import label_of, text_of
from ftcls.data.read import SPLITS
from ftcls.data.readers.label_columns import columns_of
from ftcls.data.tables import frames
from ftcls.errors import ConfigError

Table: TypeAlias = pd.DataFrame | str | os.PathLike[str]
"""A table in memory, or the file of one."""
Data: TypeAlias = Table | Mapping[str, Table]
"""One table, or one for each split."""
_KEPT: Final = (
    *("text", "columns", "label", "weight", "labels", "positive_label"),
    *("clean", "split", "subset", "on_bad_row"),
)
"""What the data section says of any table."""


def with_data(experiment: Experiment, data: Data | None, folder: Path) -> Experiment:
    """The experiment on other data, read by the columns, labels, cleaning and splits of its own.

    A DataFrame is written to a Parquet file, which the config then names: ``NAME-DIGEST.parquet``, by its content.

    Args:
        experiment: as it was loaded.
        data: one table, or one for each split (train, and validation or test or both); None: its own.
        folder: where such files go.

    Raises:
        ConfigError: a split that there is none of.
        DataError: a column is not there, or cannot be written.
    """
    if data is None:
        return experiment
    section = experiment.data
    path: str | schema.SplitPaths
    if isinstance(data, Mapping):
        if "train" not in data or not set(data) <= set(SPLITS):
            raise ConfigError(f"data: tables for {', '.join(map(repr, data))}; name train, and validation and test")
        section = section.model_copy(update={"split": section.split.model_copy(update={"column": None})})
        path = schema.SplitPaths(
            **{split: file_of(table, section, folder, f"{experiment.name}-{split}") for split, table in data.items()}
        )
    else:
        path = file_of(data, section, folder, experiment.name)
    kept = {key: getattr(section, key) for key in _KEPT if key in section.model_fields_set}
    own = schema.Data(source="files", path=path, task=task_of(section), **kept)
    return experiment.model_copy(update={"data": own})


def file_of(table: Table, section: schema.Data, folder: Path, name: str) -> str:
    """The absolute path of a table's file; that of a DataFrame is written first."""
    if isinstance(table, pd.DataFrame):
        split = [name for name in (section.split.column,) if name in table.columns]
        weight = [name for name in (section.weight,) if name in table.columns]
        columns = (*text_of(section).names, *columns_of(label_of(section)), *filter(None, (*split, *weight)))
        return str(frames.store(table, columns, folder, name).absolute())
    return str(Path(table).expanduser().absolute())

"""Data that is handed over in place of that of a config: tables of pandas or `datasets`, a corpus, or files."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import pandas as pd

from ftcls.config import schema
from ftcls.config.rule import task_of
from ftcls.config.schema import Experiment
from ftcls.data.columns import label_of, text_of
from ftcls.data.corpus import Corpus
from ftcls.data.read import SPLITS
from ftcls.data.readers.label_columns import columns_of
from ftcls.data.tables import frames
from ftcls.errors import ConfigError
from ftcls.pipeline import corpus_tables


class Dataset(Protocol):
    """A `datasets.Dataset`, which takes seconds to import; who has one has done so."""

    @property
    def features(self) -> Mapping[str, Any]:
        """The types of its columns."""

    def to_pandas(self) -> pd.DataFrame:
        """All its rows."""


Table: TypeAlias = pd.DataFrame | Dataset | str | os.PathLike[str]
"""A table in memory, or the file of one."""
Data: TypeAlias = Table | Corpus | Mapping[str, Table]
"""One table, or one for each split, as a mapping, a `datasets.DatasetDict` or a corpus."""
_KEPT: Final = (
    *("text", "columns", "label", "weight", "group", "labels", "positive_label"),
    *("clean", "split", "subset", "on_bad_row"),
)
"""What the data section says of any table."""


def with_data(experiment: Experiment, data: Data | None, folder: Path) -> Experiment:
    """The experiment on other data, read by the columns, labels, cleaning and splits of its own.

    What is in memory is written to a Parquet file, which the config then names: ``NAME-DIGEST.parquet``, by its
    content. Of a `datasets.Dataset` the numbers of a ClassLabel become its names. A corpus brings its task and label
    names; what its columns are called says `corpus_tables`.

    Args:
        experiment: as it was loaded.
        data: one table, or one for each split (train, and validation or test or both); None: its own.
        folder: where such files go.

    Raises:
        ConfigError: a split that there is none of.
        DataError: a column is not there, or cannot be written; a corpus contradicts itself.
    """
    if data is None:
        return experiment
    section = experiment.data
    if isinstance(data, Corpus):
        section, data = corpus_tables.of(section, data)
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
    """The absolute path of a table's file; that of a table in memory is written first."""
    if not isinstance(table, pd.DataFrame | str | os.PathLike):
        table = _frame(table)
    if isinstance(table, pd.DataFrame):
        beside = (section.split.column, section.weight, section.group)
        given = [name for name in beside if name is not None and frames.has_column(table, name)]
        columns = (*text_of(section).names, *columns_of(label_of(section)), *given)
        return str(frames.store(table, columns, folder, name).absolute())
    return str(Path(table).expanduser().absolute())


def _frame(dataset: Any) -> pd.DataFrame:
    """A `datasets.Dataset` as a DataFrame, the names of its ClassLabels in place of their numbers.

    Raises:
        ConfigError: it is none, or one that is streamed.
    """
    table = hasattr(dataset, "features") and hasattr(dataset, "to_pandas")
    streamed = table and not hasattr(dataset, "__len__")
    if streamed or not table:
        raise ConfigError(
            f"data: {type(dataset).__name__}: "
            + (
                "is streamed, and the rows of a training are read more than once; load it without streaming=True"
                if streamed
                else "no table; give a DataFrame, a datasets.Dataset, a Corpus, a file, or one for each split"
            )
        )
    frame: pd.DataFrame = dataset.to_pandas()
    for column, feature in dataset.features.items():
        inner = getattr(feature, "feature", feature)  # of a list
        names = getattr(inner, "names", None)
        if names is None:
            continue
        if inner is feature:
            frame[column] = [_name(names, number) for number in frame[column]]
        else:
            frame[column] = [None if row is None else [_name(names, number) for number in row] for row in frame[column]]
    return frame


def _name(names: list[str], number: Any) -> str | None:
    """The name of a class; None for what has none: -1 stands for it, and so does nothing."""
    return None if pd.isna(number) or number < 0 else names[int(number)]

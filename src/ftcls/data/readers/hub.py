"""Data sets of the Hugging Face Hub: any one with its columns named, and what the readers of known ones share."""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, List, disable_progress_bars, load_dataset
from datasets.exceptions import DatasetsError

from ftcls.data.corpus import SplitName, Task
from ftcls.data.labels import as_name
from ftcls.data.raw import Raw, RawSplit
from ftcls.data.readers.files import rows_of
from ftcls.data.readers.label_columns import Indicators, Label, Probabilities, Several, Votes, columns_of
from ftcls.data.readers.row_columns import NO_COLUMNS, RowColumns
from ftcls.data.tables.cells import Cell
from ftcls.data.tables.table import Table, missing_column
from ftcls.data.texts import TextColumns
from ftcls.environment.hub_access import ERRORS, connect, unavailable
from ftcls.errors import DataError, UnavailableError

log = logging.getLogger(__name__)

NAMES: Final[Mapping[SplitName, tuple[str, ...]]] = {
    "train": ("train",),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
"""What a split is called on the Hub, where the config does not say."""
UNLABELLED: Final = -1
"""The class that the Hub gives to rows whose label is withheld."""
_SHA = re.compile(r"[0-9a-f]{40}")


def load(dataset: str, *, revision: str | None, remedy: str, config: str | None = None) -> tuple[DatasetDict, str]:
    """All splits of a data set, and the commit that they come from.

    Args:
        dataset: the id, ``owner/name``.
        revision: a commit, branch or tag; None: the newest.
        remedy: the way without the Hub, as an instruction: ``set data.path to ...``.
        config: the configuration; None: its only or default one.

    Raises:
        UnavailableError: the Hub cannot be reached and no copy is here, or there is no such data set.
    """
    connect()
    disable_progress_bars()  # progress is ftcls's to print
    try:
        found = load_dataset(dataset, *([config] if config else []), revision=revision)
    except (*ERRORS, DatasetsError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "scripts are no longer supported" in str(error):
            raise UnavailableError(
                f"the data set {dataset} cannot be had: it is a Python script, which nobody runs any more ({error})\n"
                f"{remedy[0].upper()}{remedy[1:]}, or name a data set of Parquet, CSV or JSON files."
            ) from error
        raise unavailable(f"the data set {dataset}", remedy=remedy, cause=error) from error
    return found, _commit(dataset, found, revision)


def _commit(dataset: str, found: DatasetDict, asked: str | None) -> str:
    """The commit that was read: without the Hub, datasets takes what the cache has, whatever ``revision`` says."""
    files = next(iter(found.values())).cache_files
    commit = Path(files[0]["filename"]).parent.name if files else ""
    if not _SHA.fullmatch(commit):
        return asked or "newest"
    if asked and _SHA.fullmatch(asked) and commit != asked:
        raise UnavailableError(
            f"the data set {dataset} cannot be had in revision {asked}: the Hub cannot be reached, and the cache holds "
            f"{commit}. Go online, or write data.revision: {commit}"
        )
    return commit


def read(
    dataset: str,
    *,
    config: str | None,
    revision: str | None,
    splits: Mapping[SplitName, str] | None,
    text: TextColumns,
    label: Label,
    task: Task,
    of_row: RowColumns = NO_COLUMNS,
) -> Raw:
    """Any data set of the Hub.

    A label column may hold names, lists of names, or the Hub's classes, whose names and order are then the labels; the
    class -1 is the Hub's word for no label.

    Args:
        dataset: the id, ``owner/name``.
        config: its configuration; None: its only or default one.
        revision: a commit, branch or tag; None: the newest.
        splits: what it calls the splits; None: `NAMES`, as far as it has them.
        text: the text columns.
        label: the label column, or columns.
        task: what the labels are, as the config declares.
        of_row: columns of weights and groups, which splits for validation and test may lack.

    Raises:
        DataError: it has no such split or column, or labels of another form.
        UnavailableError: the Hub cannot be reached and no copy is here, or there is no such data set.
    """
    remedy = "save its rows as CSV, JSON lines or Parquet where there is a network, and set data.source to files"
    found, commit = load(dataset, config=config, revision=revision, remedy=remedy)
    chosen = _chosen(dataset, found, splits)

    def rows(name: SplitName, split: str) -> RawSplit:
        given = [each for each in of_row.names if name == "train" or each in found[split].column_names]
        table = _table(f"{dataset} {split}", found[split], (*text.names, *columns_of(label), *given))
        return rows_of(table, text, label, task, of_row=of_row.of(table))

    return Raw(
        task,
        {name: rows(name, split) for name, split in chosen.items()},
        labels=_labels(found[chosen["train"]], label),
        versions={dataset: commit},
    )


def _chosen(dataset: str, found: DatasetDict, splits: Mapping[SplitName, str] | None) -> dict[SplitName, str]:
    there = ", ".join(found)
    if splits is None:
        chosen = {name: next((one for one in names if one in found), None) for name, names in NAMES.items()}
    else:
        chosen = dict(splits)
        missing = [name for name in splits.values() if name not in found]
        if missing:
            raise DataError(f"data.splits: {dataset} has no split {missing[0]!r}; it has {there}")
    if chosen["train"] is None:
        raise DataError(f"{dataset} has no split 'train', it has {there}; write data.splits: {{train: ...}}")
    return {name: split for name, split in chosen.items() if split is not None}


def _labels(rows: Dataset, label: Label) -> tuple[str, ...] | None:
    """The labels in the order of the data set, where it has one."""
    match label:
        case Indicators(columns=columns) | Probabilities(columns=columns):
            return columns
        case Several(separator=str()) | Votes():
            return None
        case _:
            classes = _class_label(rows, *columns_of(label))
            return None if classes is None else tuple(as_name(name) or name for name in classes.names)


def _class_label(rows: Dataset, column: str) -> ClassLabel | None:
    """The classes of a column, or of the lists in it."""
    feature = rows.features[column] if column in rows.features else None
    inner = feature.feature if isinstance(feature, List) else feature
    return inner if isinstance(inner, ClassLabel) else None


def _table(name: str, rows: Dataset, columns: Sequence[str]) -> Table:
    place = Path(name)
    for column in columns:
        if column not in rows.column_names:
            raise missing_column(place, column, rows.column_names)
    return Table(
        path=place,
        columns=tuple(rows.column_names),
        rows=len(rows),
        values={column: _cells(rows, column) for column in columns},
        numbers=np.arange(len(rows)),
        size=len(rows),
        lines=None,
        encoding="parquet",
    )


def _cells(rows: Dataset, column: str) -> list[Cell]:
    classes = _class_label(rows, column)
    values = rows[column][:]
    if classes is None:
        return [_cell(value) for value in values]
    # Built once: ClassLabel.int2str checks each value anew. A number that is no class stays one, to be refused by name.
    names: dict[int | None, str | None] = {**dict(enumerate(classes.names)), UNLABELLED: None, None: None}

    def named(number: int | None) -> str | None:
        return names[number] if number in names else str(number)

    return [
        [name for number in value if (name := named(number)) is not None] if isinstance(value, list) else named(value)
        for value in values
    ]


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return [str(item) for item in value if item is not None]
    return str(value)

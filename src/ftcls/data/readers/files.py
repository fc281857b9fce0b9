"""One's own files: a table per split, one table, or a folder per class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from ftcls.data.corpus import Check, SplitName, Task
from ftcls.data.labels import as_name, natural
from ftcls.data.raw import BadRows, Raw, RawSplit
from ftcls.data.readers import file_findings
from ftcls.data.readers.label_columns import Indicators, Label, Labels, Probabilities, Votes, columns_of, labels_of
from ftcls.data.readers.row_columns import NO_COLUMNS, RowColumns, groups_of, weights_of
from ftcls.data.readers.soft_columns import probabilities_of, votes_of
from ftcls.data.tables.encoding import encoding_of, opened_text
from ftcls.data.tables.read import read_table
from ftcls.data.tables.table import Table
from ftcls.data.texts import TextColumns
from ftcls.errors import ConfigError, DataError

_NUMBERED: Final[Mapping[str, SplitName]] = {"0": "train", "1": "validation", "2": "test"}
"""Numbers in a split column."""
_SYSTEM: Final = frozenset({"__macosx", "desktop.ini", "thumbs.db", "ehthumbs.db"})
"""What macOS and Windows put into folders."""


def read(
    path: Path | Mapping[SplitName, Path],
    *,
    text: TextColumns,
    label: Label,
    task: Task,
    names: Sequence[str] | None = None,
    split_column: str | None = None,
    of_row: RowColumns = NO_COLUMNS,
) -> Raw:
    """The rows of one file, of a file per split, or of a folder.

    A folder has one folder of text files per label, or such folders inside ``train``, ``validation`` (or ``valid``,
    ``val``, ``dev``) and ``test``. One file or folder of labels alone is the split ``train``.

    Args:
        path: the file or folder, or one for each split.
        text: the text columns; not for folders.
        label: the label column, or columns; not for folders.
        task: what the labels are, as the config declares.
        names: the labels as the config lists them.
        split_column: the column of one file that says which split a row is of.
        of_row: columns of weights and groups; a file of its own for validation or test may lack them.

    Raises:
        ConfigError: a split column beside a folder or several files; weights or groups of a folder.
        DataError: a file or a column is missing, or cannot be read.
    """
    order = label.columns if isinstance(label, Indicators | Probabilities) else None
    if split_column is not None:
        return _by_column(
            path, split_column, text=text, label=label, task=task, names=names, order=order, of_row=of_row
        )
    paths = _split_folders(path) if isinstance(path, Path) else dict(path)
    if of_row.names and any(each.is_dir() for each in paths.values()):
        key = "weight" if of_row.weight is not None else "group"
        raise ConfigError(f"data.{key}: is a column of a table; a folder of texts has none, remove the line")
    alone = isinstance(path, Path)
    # The rows that are learnt must have them; a file that is train and test at once is one that is only scored.
    learnt = [one for name, one in paths.items() if name == "train" and list(paths.values()).count(one) == 1]
    # A file that stands for several splits (`ftcls eval --data FILE`) is read once.
    found = {
        one: _folder(one)
        if one.is_dir()
        else _file(one, text, label, task, names, of_row, learnt=one in learnt, alone=alone)
        for one in dict.fromkeys(paths.values())
    }
    splits = {name: found[one].split for name, one in paths.items()}
    beside = _beside(path, paths) if isinstance(path, Path) else []
    checks = (
        *file_findings.encodings([one for each in found.values() for one in each.encodings]),
        *file_findings.swallowed(each.swallowed for each in found.values()),
        *file_findings.left_out([*beside, *(place for each in found.values() for place in each.left_out)]),
        *(check for each in found.values() for check in each.unused),
    )
    return Raw(task, splits, order, checks)


@dataclass(frozen=True)
class _Found:
    """The rows of one file or folder, and what there is to say about it."""

    split: RawSplit
    encodings: tuple[tuple[str, str], ...] = ()
    """The files that were read, each with its encoding."""
    swallowed: BadRows = field(default_factory=BadRows)
    left_out: tuple[str, ...] = ()
    """Folders in a folder of texts that were not read."""
    unused: tuple[Check, ...] = ()
    """A separator that no cell has; sheets, and a column that says which split a row is of, that nobody asked for."""


def _by_column(
    path: Path | Mapping[SplitName, Path],
    column: str,
    *,
    text: TextColumns,
    label: Label,
    task: Task,
    names: Sequence[str] | None,
    order: tuple[str, ...] | None,
    of_row: RowColumns,
) -> Raw:
    """One table whose rows say which split they are of; a row keeps its number in the file."""
    if not isinstance(path, Path) or path.is_dir():
        raise ConfigError("data.split.column: is a column of one file; leave it out for a folder or a file per split")
    table = read_table(path, (*text.names, *columns_of(label), column, *of_row.names))
    whole = rows_of(table, text, label, task, names, of_row)
    values = [as_name(cell) if isinstance(cell, str) else None for cell in table.column(column)]
    known = _NUMBERED if {*values} <= {*_NUMBERED, None} else file_findings.SPLITS
    meant = [known.get((value or "").lower()) for value in values]
    place = {number: index for index, number in enumerate(table.numbers.tolist())}
    said = [meant[place[number]] for number in whole.rows.tolist()]
    bad = whole.bad
    for index, name in enumerate(said):
        if name is None:
            value = values[place[int(whole.rows[index])]]
            shown = "nothing" if value is None else repr(value)
            bad.add(whole.place(index), f"column {column!r} holds {shown}, not {', '.join(known)}")
    splits: dict[SplitName, RawSplit] = {}
    for name in dict.fromkeys(file_findings.SPLITS.values()):
        chosen = [index for index, each in enumerate(said) if each == name]
        if chosen:
            splits[name] = _taken(whole, chosen, BadRows() if splits else bad)
    if "train" not in splits:
        seen = ", ".join(sorted({repr(value) for value in values if value is not None})[:5])
        raise DataError(f"{path}: column {column!r} says of no row that it is for training (it holds {seen})")
    checks = (
        *file_findings.encodings([(str(path), table.encoding)]),
        *file_findings.swallowed([table.swallowed]),
        *file_findings.sheets(table),
        *file_findings.separator(table, label),
    )
    return Raw(task, splits, order, checks)


def _taken(whole: RawSplit, chosen: Sequence[int], bad: BadRows) -> RawSplit:
    return RawSplit(
        texts=[whole.texts[index] for index in chosen],
        labels=[whole.labels[index] for index in chosen],
        rows=whole.rows[list(chosen)],
        size=0,
        place=lambda index: whole.place(chosen[index]),
        bad=bad,
        weights=None if whole.weights is None else whole.weights[list(chosen)],
        groups=None if whole.groups is None else [whole.groups[index] for index in chosen],
        soft=None if whole.soft is None else whole.soft[list(chosen)],
        votes=None if whole.votes is None else [whole.votes[index] for index in chosen],
    )


def _split_folders(path: Path) -> dict[SplitName, Path]:
    if not path.is_dir():
        return {"train": path}
    found: dict[SplitName, Path] = {}
    for folder in sorted(
        child for child in path.iterdir() if child.is_dir() and child.name.lower() in file_findings.SPLITS
    ):
        name = file_findings.SPLITS[folder.name.lower()]
        if name in found:
            raise DataError(f"{path}: both {found[name].name} and {folder.name} hold the {name} split; keep one")
        found[name] = folder
    if found and "train" not in found:
        raise DataError(f"{path}: holds {', '.join(folder.name for folder in found.values())}, but no folder train")
    return found or {"train": path}


def _beside(path: Path, splits: Mapping[SplitName, Path]) -> list[str]:
    """The folders that stand beside those of splits."""
    if path in splits.values() or not path.is_dir():
        return []
    return [
        str(child)
        for child in sorted(path.iterdir())
        if child.is_dir() and _shown(child) and child not in splits.values()
    ]


def _folder(path: Path) -> _Found:
    """Every file of every label's folder but hidden ones, whatever its name ends in; what is no text is a bad row."""
    folders = [
        path / name for name in natural(child.name for child in path.iterdir() if _shown(child) and child.is_dir())
    ]
    inside = [child for folder in folders for child in _in_order(folder)]
    files = [child for child in inside if child.is_file() or not child.exists()]  # a link may lead nowhere
    if not files:
        raise DataError(
            f"{path}: no text in it; a folder has one folder per label with a text file per row, or these in train and "
            "test. Tables are named one by one: path: {train: train.csv, test: test.csv}"
        )
    bad = BadRows()
    texts: dict[int, str] = {}
    encodings = []
    for number, file in enumerate(files):
        try:
            encoding = encoding_of(file)
            with opened_text(file, encoding) as (content, _):
                content.reconfigure(newline=None)  # as people see it: line ends of Windows are line ends
                text = content.read()
        except (DataError, UnicodeError) as error:
            reason = str(error).removeprefix(f"{file}: ")
            bad.add(str(file), reason if reason.startswith("is no text") else f"no text ({reason})")
            continue
        if "\0" in text:
            bad.add(str(file), "no text: it has zero bytes")
            continue
        texts[number] = text
        encodings.append((str(file), encoding))
    kept = list(texts)
    split = RawSplit(
        texts=list(texts.values()),
        labels=[as_name(files[number].parent.name) for number in kept],
        rows=np.array(kept, dtype=np.int64),
        size=len(files),
        place=lambda index: str(files[kept[index]]),
        bad=bad,
    )
    return _Found(split, tuple(encodings), left_out=tuple(str(child) for child in inside if child.is_dir()))


def _shown(path: Path) -> bool:
    """Whether a file is one that a person put there: ``.DS_Store`` is not."""
    return not path.name.startswith((".", "~$")) and path.name.lower() not in _SYSTEM


def _in_order(folder: Path) -> list[Path]:
    return [folder / name for name in natural(child.name for child in folder.iterdir() if _shown(child))]


def _file(
    path: Path,
    text: TextColumns,
    label: Label,
    task: Task,
    names: Sequence[str] | None,
    of_row: RowColumns,
    *,
    learnt: bool,
    alone: bool,
) -> _Found:
    """One table; ``learnt``: it must have the columns of rows; ``alone``: all splits are cut from it."""
    columns = (*text.names, *columns_of(label), *(of_row.names if learnt else ()))
    table = read_table(path, columns, optional=of_row.names)
    split = rows_of(table, text, label, task, names, of_row.of(table))
    unused = (
        *file_findings.sheets(table),
        *(file_findings.separator(table, label) if learnt else ()),
        *(file_findings.unused_column(table, columns) if alone else ()),
    )
    return _Found(split, ((str(path), table.encoding),), table.swallowed, unused=unused)


def rows_of(
    table: Table,
    text: TextColumns,
    label: Label,
    task: Task,
    names: Sequence[str] | None = None,
    of_row: RowColumns = NO_COLUMNS,
) -> RawSplit:
    """The rows of a table: those without a text, or whose labels or weights are not what they should be, are bad ones.

    Raises:
        DataError: a column is missing, or holds single texts where the task needs several.
    """
    bad = BadRows()
    bad.join(table.bad)
    texts, without = _texts(table, text)
    soft, votes = None, None
    labels: Labels
    if isinstance(label, Probabilities):
        soft, wrong = probabilities_of(table, label, task)
        labels = [None] * table.rows
    elif isinstance(label, Votes):
        votes, wrong = votes_of(table, label, task)
        labels = [tuple(dict.fromkeys(name for vote in row for name in vote)) for row in votes]
    else:
        labels, wrong = labels_of(table, label, task, names)
    weights, weightless = (None, {}) if of_row.weight is None else weights_of(table, of_row.weight)
    groups = None if of_row.group is None else groups_of(table, of_row.group)
    refused = weightless | wrong | dict.fromkeys(without, f"no text in column {text}")
    for index in sorted(refused):
        bad.add(table.place(index), refused[index])
    kept = np.setdiff1d(np.arange(table.rows), np.array(sorted(refused), dtype=np.int64))
    return RawSplit(
        texts=texts if not refused else [texts[index] for index in kept.tolist()],
        labels=labels if not refused else [labels[index] for index in kept.tolist()],
        rows=table.numbers[kept],
        size=table.size,
        place=lambda index: table.place(int(kept[index])),
        bad=bad,
        weights=None if weights is None else weights[kept],
        groups=None if groups is None else [groups[index] for index in kept.tolist()],
        soft=None if soft is None else soft[kept],
        votes=None if votes is None else [votes[index] for index in kept.tolist()],
    )


def _texts(table: Table, columns: TextColumns) -> tuple[list[str], list[int]]:
    """The n texts, and the numbers of those of which nothing is there; an empty text is there."""
    found = [columns.of(row) for row in zip(*(table.column(name) for name in columns.names), strict=True)]
    return [text or "" for text in found], [index for index, text in enumerate(found) if text is None]

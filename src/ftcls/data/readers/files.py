"""One's own files: a table per split, one table, or a folder per class."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ftcls.data.corpus import Check, SplitName, Task
from ftcls.data.labels import natural
from ftcls.data.raw import BadRows, Raw, RawSplit
from ftcls.data.tables.read import read_table
from ftcls.data.tables.table import Cell, Table, encoding_of
from ftcls.errors import DataError

_SPLIT_FOLDERS: dict[str, SplitName] = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""Folder names that mean a split, inside a folder of one's own."""
_ON = frozenset({"1", "1.0", "true", "True", "TRUE"})
_OFF = frozenset({"0", "0.0", "false", "False", "FALSE"})

Labels = list[tuple[str, ...] | str | None]


@dataclass(frozen=True)
class Several:
    """Several labels in one column."""

    column: str
    separator: str | None
    """What stands between two labels; None: the cells are lists."""


@dataclass(frozen=True)
class Indicators:
    """A column of 0 and 1 for each label."""

    columns: tuple[str, ...]


Label = str | Several | Indicators


def read(path: Path | Mapping[SplitName, Path], *, text: Sequence[str], label: Label, task: Task) -> Raw:
    """The rows of one file, of a file per split, or of a folder.

    A folder has one folder of ``*.txt`` files per label, or such folders inside ``train``, ``validation`` (or
    ``valid``, ``val``, ``dev``) and ``test``. One file or folder of labels alone is the split ``train``.

    Args:
        path: the file or folder, or one for each split.
        text: the text columns, joined by a space; not for folders.
        label: the label column, or columns; not for folders.
        task: what the labels are, as the config declares.

    Raises:
        DataError: a file or a column is missing, or cannot be read.
    """
    paths = _split_folders(path) if isinstance(path, Path) else dict(path)
    # A file that stands for several splits (`ftcls eval --data FILE`) is read once.
    found = {one: _folder(one) if one.is_dir() else _table(one, text, label, task) for one in paths.values()}
    splits = {name: found[one][0] for name, one in paths.items()}
    windows = [place for _, places in found.values() for place in places]
    order = label.columns if isinstance(label, Indicators) else None
    return Raw(task, splits, order, _encodings(windows))


def _encodings(places: Sequence[str]) -> tuple[Check, ...]:
    if not places:
        return ()
    advice = "Not UTF-8, read as Windows-1252. If letters with accents look wrong, save as UTF-8."
    return (Check("encoding", "info", len(places), tuple(places[:3]), advice),)


def _split_folders(path: Path) -> dict[SplitName, Path]:
    if not path.is_dir():
        return {"train": path}
    found: dict[SplitName, Path] = {}
    for folder in sorted(child for child in path.iterdir() if child.is_dir() and child.name.lower() in _SPLIT_FOLDERS):
        name = _SPLIT_FOLDERS[folder.name.lower()]
        if name in found:
            raise DataError(f"{path}: both {found[name].name} and {folder.name} hold the {name} split; keep one")
        found[name] = folder
    if found and "train" not in found:
        raise DataError(f"{path}: holds {', '.join(folder.name for folder in found.values())}, but no folder train")
    return found or {"train": path}


def _folder(path: Path) -> tuple[RawSplit, list[str]]:
    """The rows, and the files that are not UTF-8 but Windows-1252."""
    folders = [path / name for name in natural(child.name for child in path.iterdir() if child.is_dir())]
    files = [folder / name for folder in folders for name in natural(file.name for file in folder.glob("*.txt"))]
    if not files:
        raise DataError(
            f"{path}: no text in it; a folder has one folder per label with *.txt files, or these in train and test. "
            "Tables are named one by one: path: {train: train.csv, test: test.csv}"
        )
    encodings = [encoding_of(file) for file in files]
    split = RawSplit(
        texts=[file.read_text(encoding=encoding) for file, encoding in zip(files, encodings, strict=True)],
        labels=[file.parent.name for file in files],
        rows=np.arange(len(files)),
        size=len(files),
        place=lambda index: str(files[index]),
    )
    return split, [str(file) for file, encoding in zip(files, encodings, strict=True) if encoding == "cp1252"]


def _table(path: Path, text: Sequence[str], label: Label, task: Task) -> tuple[RawSplit, list[str]]:
    """The rows, and the file if it is not UTF-8 but Windows-1252."""
    table = read_table(path, (*text, *columns_of(label)))
    return rows_of(table, text, label, task), [str(path)] if table.encoding == "cp1252" else []


def rows_of(table: Table, text: Sequence[str], label: Label, task: Task) -> RawSplit:
    """The rows of a table: those without a text, or whose labels are not what they should be, are bad ones.

    Raises:
        DataError: a column is missing, or holds single texts where the task needs several.
    """
    bad = BadRows()
    bad.join(table.bad)
    texts, without = _texts(table, text)
    labels, wrong = _labels(table, label, task)
    refused = wrong | {index: f"no text in column {' + '.join(text)}" for index in without}
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
    )


def columns_of(label: Label) -> tuple[str, ...]:
    """The columns that a label is read from."""
    match label:
        case Several(column=column):
            return (column,)
        case Indicators(columns=columns):
            return columns
        case column:
            return (column,)


def _texts(table: Table, columns: Sequence[str]) -> tuple[list[str], list[int]]:
    """The n texts, and the numbers of those of which nothing is there; an empty text is there."""
    cells = [table.column(name) for name in columns]
    if len(cells) == 1:
        texts = ["" if cell is None else _flat(cell) for cell in cells[0]]
        return texts, [index for index, cell in enumerate(cells[0]) if cell is None]
    rows = list(zip(*cells, strict=True))
    texts = [" ".join(_flat(cell) for cell in row if cell is not None) for row in rows]
    return texts, [index for index, row in enumerate(rows) if all(cell is None for cell in row)]


def _flat(cell: str | list[str]) -> str:
    return cell if isinstance(cell, str) else " ".join(cell)


def _labels(table: Table, label: Label, task: Task) -> tuple[Labels, dict[int, str]]:
    """The n labels, and the reason for each row that has none because its cells are not what they should be."""
    match label:
        case Indicators(columns=columns):
            return _indicated(table, columns)
        case Several(column=column, separator=None):
            return _lists(table, column)
        case Several(column=column, separator=separator):
            return _each(table.column(column), lambda cell: _separated(cell, separator)), {}
        case column:
            return _single(table, column, task)


def _each(cells: Sequence[Cell], convert: Callable[[Cell], tuple[str, ...] | str | None]) -> Labels:
    """Convert each distinct text once, which also makes the rows share one object for one label."""
    known: dict[Cell, tuple[str, ...] | str | None] = {}
    labels: Labels = []
    for cell in cells:
        if isinstance(cell, list):
            labels.append(convert(cell))
            continue
        if cell not in known:
            known[cell] = convert(cell)
        labels.append(known[cell])
    return labels


def _single(table: Table, column: str, task: Task) -> tuple[Labels, dict[int, str]]:
    cells = table.column(column)
    if task == "multilabel" and not any(isinstance(cell, list) for cell in cells):
        raise DataError(
            f"{table.path}: task multilabel needs several labels in a row, column {column!r} holds single texts; "
            f'write label: {{column: {column}, separator: "|"}} with the character between two labels, or '
            "label: {columns: [...]} for a column of 0 and 1 per label"
        )
    return _each(cells, lambda cell: _tuple(cell) if isinstance(cell, list) else _name(cell)), {}


def _lists(table: Table, column: str) -> tuple[Labels, dict[int, str]]:
    cells = table.column(column)
    wrong = {index: f"{column!r} is no list: {cell!r}" for index, cell in enumerate(cells) if isinstance(cell, str)}
    return _each(cells, lambda cell: _tuple(cell) if isinstance(cell, list) else None), wrong


def _separated(cell: Cell, separator: str | None) -> tuple[str, ...] | None:
    return _tuple(cell.split(separator)) if isinstance(cell, str) else _tuple(cell or ())


def _tuple(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in map(str.strip, names) if name))


def _name(cell: str | None) -> str | None:
    """A label without white space around it, which is never meant; None where nothing is left."""
    return cell.strip() or None if cell is not None else None


def _indicated(table: Table, columns: Sequence[str]) -> tuple[Labels, dict[int, str]]:
    names: list[list[str]] = [[] for _ in range(table.rows)]
    wrong: dict[int, str] = {}
    for column in columns:
        for index, cell in enumerate(table.column(column)):
            value = cell.strip() if isinstance(cell, str) else cell
            if isinstance(value, str) and value in _ON:
                names[index].append(column)
            elif not (isinstance(value, str) and value in _OFF):
                wrong[index] = f"column {column!r} holds {cell!r}, not 0 or 1"
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    return [shared.setdefault(one, one) for one in map(tuple, names)], wrong

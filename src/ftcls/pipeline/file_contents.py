"""What a data file of one's own holds, as far as it can be seen, and the rows that a config would make of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ftcls.config import schema
from ftcls.config.section import Task
from ftcls.config.source import flow
from ftcls.data.columns import typed_pair
from ftcls.data.corpus import Corpus
from ftcls.data.read import SPLITS, assemble
from ftcls.data.readers.file_findings import split_column
from ftcls.data.tables.read import read_table, refuse_only_bad
from ftcls.data.tables.table import Table
from ftcls.errors import ConfigError, DataError
from ftcls.pipeline.label_column import LabelColumn, column_names, label_column
from ftcls.pipeline.text_column import beside, group_column, guessed_text, pair_of, weight_column
from ftcls.scoring.wilson import wilson

_SEED: Final = 42
FEW: Final = 200
"""Test rows below which the width of an interval is said before the training."""
_SAID: Final = {
    "similar_labels": "labels that look alike",
    "labels_that_say_nothing": "labels that say nothing",
    "gaps_between_labels": "gaps between labels",
    "sheets_left_out": "other sheets",
}
"""Findings that are said before a training."""
_ASSUMED: Final = 0.8
"""The accuracy that this is said for."""


@dataclass(frozen=True)
class Contents:
    """A data file, as training would read it."""

    path: Path
    data: schema.Data
    """The section of the config; its path is absolute."""
    corpus: Corpus
    """The rows: a config with this section runs."""
    reason: str
    """Why this task."""
    seed: int
    """Of the splits, here and in the config."""
    guessed: str | None
    """Why these text columns; None: they were named."""
    notes: tuple[str, ...]
    """What was guessed and seen, one sentence each."""
    others: tuple[str, ...] = ()
    """Columns that may stand beside the text: few values, which come again."""
    weight: str | None = None
    """A column that may say how much a row counts."""
    group: str | None = None
    """A column that may say which rows belong together."""

    @property
    def rows(self) -> int:
        """Rows of all splits."""
        return sum(len(split) for split in self.corpus.splits.values())


def contents(path: Path, *, label: Sequence[str], text: str | None) -> Contents:
    """Look at a table, or at a folder with a folder of texts for each label.

    Args:
        path: the file or folder.
        label: the label column, or a column of 0 and 1 for each label; of a folder none.
        text: the text column, or several with commas between them; None: those that look like it.

    Raises:
        ConfigError: columns are named for a folder.
        DataError: it cannot be read, has no such column, only one label, or too few rows to be cut.
    """
    return _of_folder(path, label, text) if path.is_dir() else _of_table(path, label, text)


def _of_folder(path: Path, label: Sequence[str], text: str | None) -> Contents:
    if label or text is not None:
        raise ConfigError(
            f"{path}: is a folder, whose labels are the names of the folders in it; leave out its columns"
        )
    data = schema.Data(source="files", path=str(path.absolute()), task="multiclass", on_bad_row="drop")
    corpus = assemble(data, seed=_SEED)
    reason = f"there are {len(corpus.labels)} folders"
    task: Task = "binary" if len(corpus.labels) == 2 else "multiclass"
    return _whole(path, data.model_copy(update={"task": task}), reason, guessed=None, notes=())


def _of_table(path: Path, label: Sequence[str], text: str | None) -> Contents:
    table = read_table(path)
    refuse_only_bad(table)
    if not table.rows:
        raise DataError(f"{path}: no row below the names of the columns")
    found = label_column(table, label)
    used = _columns(found)
    others = {name: table.column(name) for name in table.columns if name not in used}
    body = guessed_text(others, path) if text is None else _named(table, text)
    for name in _names(body):
        table.column(name)
        if name in used:
            raise DataError(f"{path}: column {name!r} is the label, and would tell the model; name another with --text")
    split = split_column(table, (*used, *_names(body)))
    data = schema.Data(
        source="files",
        path=str(path.absolute()),
        text=body[0] if isinstance(body, tuple) and len(body) == 1 else body,
        label=found.key,
        task=found.task,
        split=schema.Split(column=split),
        on_bad_row="drop",
    )
    notes = list(_text_notes(body, guessed=text is None))
    notes += [] if split is None else [f"splits: column {split} says which one a row is of"]
    whole = _whole(path, data, found.reason, guessed=_why(body) if text is None else None, notes=(*notes, *found.notes))
    taken = {*used, *_names(body), split}
    free = {name: cells for name, cells in others.items() if name not in taken}
    weight, group = weight_column(free), group_column(free)
    if group is not None:
        remark = "rows of one value may not be independent of each other, and scores too good where training knows some"
        told = f"groups: column {group}; {remark}: data.group={flow(group)} keeps each on one side of every cut"
        whole = replace(whole, notes=(*whole.notes, told))
    offered = beside({name: free[name] for name in free if name not in (weight, group)})
    return replace(whole, others=offered, weight=weight, group=group)


def _named(table: Table, typed: str) -> tuple[str, ...] | schema.TextPair:
    """The text columns that somebody names: ``body``, ``title,body``, ``claim,evidence``, ``{first: A, second: B}``.

    Raises:
        ConfigError: a mapping of other keys.
    """
    written = typed_pair(typed, "--text")
    if written is not None:
        return written
    names = column_names(table, typed)
    pair = pair_of(names) if len(names) == 2 else None
    return pair or names


def _names(body: tuple[str, ...] | schema.TextPair) -> tuple[str, ...]:
    if isinstance(body, tuple):
        return body
    sides = (body.first, body.second)
    return tuple(name for side in sides for name in ((side,) if isinstance(side, str) else side))


def _text_notes(body: tuple[str, ...] | schema.TextPair, *, guessed: bool) -> Iterator[str]:
    if isinstance(body, schema.TextPair):
        first, second = map(_shown, (body.first, body.second))
        how = "guessed: their names say so (--text names another column)" if guessed else "as --text says"
        yield f"text columns: {first} and {second}, read together as a pair; {how}"
        if not guessed:
            yield f"for one text made of both, write text: {flow(list(_names(body)))} in the config"
    elif guessed:
        yield f"text column: {' + '.join(body)}, guessed: {_why(body)} (--text names another)"


def _shown(names: str | tuple[str, ...]) -> str:
    return names if isinstance(names, str) else " + ".join(names)


def _why(body: tuple[str, ...] | schema.TextPair) -> str:
    if isinstance(body, schema.TextPair):
        return "their names say that they are read together"
    return "it has the longest texts" if len(body) == 1 else "the longest texts, with their titles before them"


def _columns(label: LabelColumn) -> tuple[str, ...]:
    match label.key:
        case schema.SeparatedLabels(column=column):
            return (column,)
        case schema.LabelColumns(columns=columns):
            return columns
        case column:
            return (column,)


def _whole(path: Path, data: schema.Data, reason: str, *, guessed: str | None, notes: tuple[str, ...]) -> Contents:
    """Read the rows as training would; what cannot be used is left out, and counted."""
    try:
        corpus = assemble(data, seed=_SEED)
    except DataError as error:
        raise DataError(f"{path}: cannot be trained on: {error}") from error
    dropped = next((check for check in corpus.checks if check.name == "dropped_rows"), None)
    if dropped is None:
        data = data.model_copy(update={"on_bad_row": "error"})
    said = [*notes, f"task: {data.task}, because {reason}; written into the config, change it there"]
    if dropped is not None:
        said.append(f"left out: {_rows(dropped.count)} that cannot be used, such as {dropped.examples[0]}")
    for check in corpus.checks:
        if check.name in _SAID:
            said.append(f"{_SAID[check.name]}: {'; '.join(check.examples)}. {check.advice}")
    return Contents(path, data, corpus, reason, _SEED, guessed, (*said, *_few(corpus)))


def _few(corpus: Corpus) -> list[str]:
    """What so few test rows can show, where they are few."""
    sizes = {name: len(corpus.splits[name]) for name in SPLITS}
    if sizes["test"] >= FEW:
        return []
    low, high = wilson(_ASSUMED, sizes["test"])
    more = " to ".join(f"{share:.0%}" for share in wilson(_ASSUMED, FEW))
    return [
        f"few rows: {sizes['train']:,} to train on, {sizes['test']:,} to test on. A model that is right {_ASSUMED:.0%} "
        f"of the time could score anything from {low:.0%} to {high:.0%} there; {FEW} test rows would say {more}. "
        "data.split.folds=5 beside the command tests on every row"
    ]


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"

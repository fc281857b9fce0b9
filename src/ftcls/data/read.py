"""From the config's data section to a corpus: read, refuse or drop bad rows, clean, cut, draw, check."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftcls.config import schema
from ftcls.data import folds, labels, rest, soft_labels, split
from ftcls.data.checks import completeness, row_columns, soft
from ftcls.data.clean import clean
from ftcls.data.columns import label_of, text_of
from ftcls.data.corpus import Check, Corpus, Split, SplitName
from ftcls.data.raw import BadRows, Raw, RawSplit, numbered
from ftcls.data.readers import ag_news, docstrings, files, go_emotions, hub, imdb, reuters21578
from ftcls.data.readers.row_columns import RowColumns
from ftcls.errors import ConfigError, DataError

log = logging.getLogger(__name__)

SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
TAUGHT: tuple[SplitName, ...] = ("train", "validation")


def read(data: schema.Data, *, seed: int) -> Corpus:
    """The corpus that the config describes: cleaned, with all three splits, subsets drawn, checks made.

    Of a cross-validation as a whole (``split.folds`` without ``split.fold``) train is all rows of the folds; there is
    no validation split, and a test split only where the source has one.

    Args:
        data: the section ``data`` of the config.
        seed: draws splits and subsets.

    Raises:
        ConfigError: a key does not fit the source, or its labels.
        DataError: a file, a column, a row or a label cannot be used.
        UnavailableError: the Hub, or a library, is needed and not there.
    """
    corpus = assemble(data, seed=seed)
    for name, one in corpus.splits.items():
        log.info("%s: %s %s examples", data.source, f"{len(one):,}", name)
    return corpus


def assemble(data: schema.Data, *, seed: int) -> Corpus:
    """What `read` gives, without a line in the log: for who looks at a file before there is a run."""
    if data.split.column is not None and data.source != "files":
        raise ConfigError(f"data.split.column: is for source files; {data.source} has its own splits")
    raw = READERS[data.source](data)
    if data.task not in (None, raw.task):
        raise ConfigError(f"data.task: {data.source} is {raw.task}, not {data.task}; leave the key out")
    names = _listed(data) or raw.labels or labels.union(raw.splits)
    try:
        labels.check(names, task=raw.task, source=f"data.source {data.source}")
        if raw.task == "ordinal" and data.labels is None and raw.labels is None:
            labels.check_order(names)
    except DataError:
        _refuse_bad(raw, data)
        raise
    positive = labels.positive(names, task=raw.task, name=data.positive_label)
    splits, bad = _encoded(raw, names, data)
    about_folds: tuple[Check, ...] = ()
    if data.split.folds is not None:
        splits, about_folds = _with_folds(splits, raw, data, names, seed=seed)
    elif data.split.test == "rest":
        splits = _with_rest(splits, raw, data, names, seed=seed)
    else:
        splits = _complete(splits, raw, data.split, seed=seed)
        splits = {name: _subset(splits[name], name, names, data.subset, seed=seed) for name in SPLITS}
    checks = (
        *_refused(bad, data.on_bad_row),
        *raw.checks,
        *completeness.checks(splits, names),
        *about_folds,
        *completeness.of_names(splits, names, raw.task),
        *row_columns.checks(raw.splits, splits, weight=data.weight, group=data.group),
    )
    return Corpus(
        data.source,
        raw.task,
        names,
        splits,
        positive,
        (*checks, *soft.checks(splits, raw.task)),
        raw.versions,
        text_of(data),
        data.weight,
        data.group,
        data.soft_labels,
    )


def _listed(data: schema.Data) -> tuple[str, ...] | None:
    """The labels of the config, as labels of files are compared."""
    return None if data.labels is None else tuple(labels.as_name(name) or name for name in data.labels)


def _refuse_bad(raw: Raw, data: schema.Data) -> None:
    """Say what is wrong with the rows before what is wrong with the labels, which are those of the good rows alone.

    Raises:
        DataError: rows could not be read, and that is an error, or no row could, or there is none.
    """
    bad = BadRows()
    for found in {id(each): each for each in raw.splits.values()}.values():
        bad.join(found.bad)
    if bad.count and (data.on_bad_row == "error" or not any(found.labels for found in raw.splits.values())):
        raise DataError(_bad_rows(bad))
    if not any(found.size or found.labels for found in raw.splits.values()):
        raise DataError(f"data.source {data.source}: no row below the names of the columns")


def _imdb(data: schema.Data) -> Raw:
    return imdb.read(path=_original(data), revision=data.revision)


def _reuters21578(data: schema.Data) -> Raw:
    if data.labels is not None:
        raise ConfigError("data.labels: reuters21578 takes its labels from data.topics; move the list there")
    return reuters21578.read(path=_original(data), topics=data.topics, without_topics=data.without_topics)


def _ag_news(data: schema.Data) -> Raw:
    return ag_news.read(path=_original(data), revision=data.revision)


def _go_emotions(data: schema.Data) -> Raw:
    return go_emotions.read(
        path=_original(data),
        revision=data.revision,
        grouping=data.grouping,
        single_label=data.single_label,
        labels=data.labels,
    )


def _original(data: schema.Data) -> str | None:
    """The folder or archive with a known data set, which has columns and a form of its own."""
    _only_for_files(data)
    if isinstance(data.path, schema.SplitPaths):
        raise ConfigError(f"data.path: {data.source} takes one folder or archive with the original files")
    return data.path


def _hub(data: schema.Data) -> Raw:
    if data.dataset is None:
        raise ConfigError("data.dataset: source hub needs it: the id of a data set, owner/name")
    if data.task is None:
        raise ConfigError("data.task: source hub needs it: binary, multiclass, ordinal or multilabel")
    splits: dict[SplitName, str] | None = None
    if data.splits is not None:
        named = ((name, getattr(data.splits, name)) for name in SPLITS)
        splits = {name: split for name, split in named if split is not None}
    return hub.read(
        data.dataset,
        config=data.config,
        revision=data.revision,
        splits=splits,
        text=text_of(data),
        label=label_of(data),
        task=data.task,
        of_row=RowColumns(data.weight, data.group),
    )


def _docstrings(data: schema.Data) -> Raw:
    _only_for_files(data)
    for key in ("path", "revision"):
        if getattr(data, key) is not None:
            raise ConfigError(f"data.{key}: docstrings reads the installed libraries and takes none; leave the key out")
    return docstrings.read()


def _only_for_files(data: schema.Data) -> None:
    for key in ("text", "columns", "label", "weight", "group"):
        if getattr(data, key) != schema.Data.model_fields[key].default:
            raise ConfigError(f"data.{key}: {data.source} knows its columns; leave the key out")


def _files(data: schema.Data) -> Raw:
    if data.path is None:
        raise ConfigError("data.path: source files needs it: a file, a folder, or {train: ..., test: ...}")
    if data.task is None:
        raise ConfigError("data.task: source files needs it: binary, multiclass, ordinal or multilabel")
    if data.revision is not None:
        raise ConfigError("data.revision: source files reads files and takes none; leave the key out")
    path: Path | Mapping[SplitName, Path]
    if isinstance(data.path, str):
        path = Path(data.path)
    else:
        named = ((name, getattr(data.path, name)) for name in SPLITS)
        path = {name: Path(file) for name, file in named if file is not None}
    return files.read(
        path,
        text=text_of(data),
        label=label_of(data),
        task=data.task,
        names=_listed(data),
        split_column=data.split.column,
        of_row=RowColumns(data.weight, data.group),
    )


READERS: dict[str, Callable[[schema.Data], Raw]] = {
    "imdb": _imdb,
    "reuters21578": _reuters21578,
    "ag_news": _ag_news,
    "go_emotions": _go_emotions,
    "docstrings": _docstrings,
    "files": _files,
    "hub": _hub,
}


def _encoded(raw: Raw, names: tuple[str, ...], data: schema.Data) -> tuple[dict[SplitName, Split], BadRows]:
    """The splits with cleaned texts and numbers for labels, and the rows that were left out."""
    splits: dict[SplitName, Split] = {}
    bad = BadRows()
    done: list[tuple[RawSplit, Split]] = []
    numbers: dict[object, int] = {}
    for name, found in raw.splits.items():
        if same := [split for before, split in done if before is found]:  # one file in the place of several splits
            splits[name] = same[0]
            continue
        splits[name], unlabelled = _split(name, found, raw, names, data, numbers)
        bad.join(found.bad)
        bad.join(unlabelled)
        done.append((found, splits[name]))
    if bad.count and data.on_bad_row == "error":
        raise DataError(_bad_rows(bad))
    for name, one in splits.items():
        if not len(one):
            raise DataError(f"data.source {data.source}: the {name} split has no row that can be used")
    return splits, bad


def _split(
    name: SplitName, found: RawSplit, raw: Raw, names: tuple[str, ...], data: schema.Data, numbers: dict[object, int]
) -> tuple[Split, BadRows]:
    """The rows with a label and a weight above 0, and those that have none; ``numbers`` has those of the groups."""
    known = soft_labels.encode(found, raw.labels, names, task=raw.task)
    if known is None:
        kept, targets, bad = labels.encode(found, names, task=raw.task)
    else:
        kept, targets, bad = known.kept, soft_labels.hardened(known.soft, raw.task), known.bad
    split = Split(
        texts=[found.texts[index] for index in kept.tolist()],
        targets=targets,
        rows=found.rows[kept],
        clusters=None if found.groups is None else numbered(found.groups, name, numbers)[kept],
        weights=None if found.weights is None else found.weights[kept],
        soft=None if known is None else known.soft,
        votes=None if known is None else known.votes,
    )
    if split.weights is not None and not split.weights.all():
        split = split.take(np.flatnonzero(split.weights))
        if not len(split):
            raise DataError(f"data.weight: every row of the {name} split has weight 0 in column {data.weight!r}")
    return replace(split, texts=clean(split.texts, data.clean)), bad


def _bad_rows(bad: BadRows) -> str:
    head = "1 row cannot be used" if bad.count == 1 else f"{bad.count:,} rows cannot be used"
    shown = "".join(f"\n  {example}" for example in bad.examples)
    more = f"\n  and {bad.count - len(bad.examples):,} more" if bad.count > len(bad.examples) else ""
    return f"{head}:{shown}{more}\nCorrect them, or leave them out with data.on_bad_row: drop"


def _refused(bad: BadRows, on_bad_row: str) -> tuple[Check, ...]:
    if not bad.count:
        return ()
    advice = f"They were left out, as data.on_bad_row: {on_bad_row} says; correct them to use them."
    return (Check("dropped_rows", "warning", bad.count, tuple(bad.examples[:3]), advice),)


def _complete(splits: dict[SplitName, Split], raw: Raw, wanted: schema.Split, *, seed: int) -> dict[SplitName, Split]:
    """All three splits: those that are missing are cut from train, or all anew where they are pooled."""
    if wanted.pooled:
        splits = {"train": _pooled(splits, raw.splits)}
    missing: list[SplitName] = [name for name in ("test", "validation") if name not in splits]
    if not missing:
        return splits
    train = splits["train"]
    shares: dict[SplitName, float] = {"validation": wanted.validation}
    if wanted.test != "rest":
        shares["test"] = wanted.test
    parts = split.cut(
        train.targets,
        [split.size(shares[name], len(train)) for name in missing],
        seed=[seed, 0],
        stratify=wanted.stratify,
        groups=split.groups(train.texts if wanted.group_equal_texts else None, train.clusters),
    )
    pieces = zip([*missing, "train"], parts, strict=True)
    origin = "cut from all splits" if wanted.pooled else "cut from train"
    cut = {name: replace(train.take(rows), origin=origin) for name, rows in pieces}
    return splits | cut


def _with_folds(
    splits: dict[SplitName, Split], raw: Raw, data: schema.Data, names: tuple[str, ...], *, seed: int
) -> tuple[dict[SplitName, Split], tuple[Check, ...]]:
    """The splits of one fold, whose rows are the test split; or all rows of the folds, and the source's test split."""
    wanted, count = data.split, data.split.folds or 0
    beside = splits.get("test") if not wanted.pooled else None
    if beside is None and data.subset.test is not None:
        raise ConfigError("data.subset.test: no effect with folds, there is no other test split; remove the line")
    inside = {name: one for name, one in splits.items() if beside is None or name != "test"}
    rows = _pooled(inside, raw.splits) if len(inside) > 1 else inside["train"]
    rows = _subset(rows, "train", names, data.subset, seed=seed)
    together = split.groups(rows.texts if wanted.group_equal_texts else None, rows.clusters)
    fold = folds.assign(rows.targets, count, seed=[seed, 4], stratify=wanted.stratify, groups=together)
    about = folds.checks(rows.targets, count, names)
    if wanted.fold is None:
        every: dict[SplitName, Split] = {"train": replace(rows, origin=f"all rows, in {count} folds", folds=fold)}
        return (
            every if beside is None else {**every, "test": _subset(beside, "test", names, data.subset, seed=seed)}
        ), about
    others = rows.take(np.flatnonzero(fold != wanted.fold))
    parted = _complete({"train": others, "test": others}, raw, wanted.model_copy(update={"pooled": False}), seed=seed)
    taught = {name: replace(parted[name], origin="all rows of the other folds") for name in TAUGHT}
    held_out = replace(
        rows.take(np.flatnonzero(fold == wanted.fold)), origin=f"fold {wanted.fold} of {count}, of all rows"
    )
    return {**taught, "test": held_out}, about


def _with_rest(
    splits: dict[SplitName, Split], raw: Raw, data: schema.Data, names: tuple[str, ...], *, seed: int
) -> dict[SplitName, Split]:
    """Train and validation as ever, and as test what they did not take of the whole source."""
    every = _pooled(splits, raw.splits)
    starts = _starts(splits, raw.splits)
    own = {name: replace(one, rows=one.rows + starts[name]) for name, one in splits.items()}
    whole = _complete({"test": every, **own}, raw, data.split, seed=seed)  # no test split is cut from train
    taken = {name: _subset(whole[name], name, names, data.subset, seed=seed) for name in TAUGHT}
    left = rest.rest(every, taken, part_equal_texts=not data.split.group_equal_texts)
    most = data.subset.test
    if isinstance(most, int) and most >= len(left):  # a rest may be smaller than its cap
        return {**taken, "test": left}
    return {**taken, "test": _subset(left, "test", names, data.subset, seed=seed)}


def _starts(splits: Mapping[SplitName, Split], raw: Mapping[SplitName, RawSplit]) -> dict[SplitName, int]:
    """The number of each split's first row when all are numbered on, through train, validation and test."""
    present = [name for name in SPLITS if name in splits]
    return dict(zip(present, np.cumsum([0, *(raw[name].size for name in present)]).tolist(), strict=False))


def _pooled(splits: Mapping[SplitName, Split], raw: Mapping[SplitName, RawSplit]) -> Split:
    """All rows as one split, numbered on through the splits of the source; see `RawSplit.size`."""
    present = [name for name in SPLITS if name in splits]
    starts = _starts(splits, raw)
    parts = [splits[name] for name in present]
    for key, field in (("weight", "weights"), ("group", "clusters")):
        lacking = [name for name in present if getattr(splits[name], field) is None]
        if 0 < len(lacking) < len(present):
            raise DataError(
                f"data.{key}: {', '.join(lacking)} has no such column, and all rows are put together; add the column"
            )
    return Split(
        texts=[text for one in parts for text in one.texts],
        targets=np.concatenate([one.targets for one in parts]),
        rows=np.concatenate([splits[name].rows + starts[name] for name in present]),
        clusters=_joined([one.clusters for one in parts]),
        weights=_joined([one.weights for one in parts]),
        soft=_joined([one.soft for one in parts]),
        votes=_joined([one.votes for one in parts]),
    )


def _joined(parts: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    given = [part for part in parts if part is not None]
    return np.concatenate(given) if len(given) == len(parts) else None


def _subset(whole: Split, name: SplitName, names: tuple[str, ...], wanted: schema.Subset, *, seed: int) -> Split:
    count = getattr(wanted, name)
    if count is None:
        return whole
    try:
        rows = split.subset(
            whole.targets,
            names,
            seed=[seed, 1],
            rows=count if isinstance(count, int) else None,
            share=count.share if isinstance(count, schema.RowShare) else None,
            per_class=count.per_class if isinstance(count, schema.RowsPerLabel) else None,
            balanced=count.balanced if isinstance(count, schema.BalancedRows) else None,
        )
    except DataError as error:
        raise DataError(f"data.subset.{name}: {error}") from error
    return whole.take(rows)

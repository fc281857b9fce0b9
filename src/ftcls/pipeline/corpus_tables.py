"""A corpus as tables, with the data section that reads it back from them."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ftcls.config import schema
from ftcls.data.corpus import Corpus, Split
from ftcls.data.soft_labels import hardened
from ftcls.data.texts import parts
from ftcls.errors import DataError

_OF_ANY_TABLE = ("clean", "split", "subset", "on_bad_row")


def of(section: schema.Data, corpus: Corpus) -> tuple[schema.Data, dict[str, pd.DataFrame]]:
    """The data section and a table for each split, which together say the same as the corpus.

    The columns are ``text`` (of pairs ``first`` and ``second``), ``weight``, ``group``, and for the labels ``label``,
    a column of probabilities under the name of each label, or ``annotator 1`` and so on. Where a label has one of
    these names, the other column has a ``_`` more.

    Args:
        section: what it says of cleaning, splits, subsets and bad rows is kept.
        corpus: with its own splits.

    Raises:
        DataError: targets that are not the most probable labels, or probabilities that nothing is to learn from.
    """
    soft = any(split.soft is not None for split in corpus.splits.values())
    voted = any(split.votes is not None for split in corpus.splits.values())
    if soft:
        _see_that_it_agrees(corpus, voted=voted)
    taken = corpus.labels if soft and not voted else ()
    pairs = any(len(parts(text)) == 2 for split in corpus.splits.values() for text in split.texts[:1])
    texts = [_free(name, taken) for name in (("first", "second") if pairs else ("text",))]
    weight, group = _free("weight", taken), _free("group", taken)
    annotators = max((int(found.max()) for split in corpus.splits.values() if (found := _votes(split)).size), default=2)
    columns = [f"annotator {number + 1}" for number in range(max(2, annotators))]
    tables: dict[str, pd.DataFrame] = {}
    for name, split in corpus.splits.items():
        table = pd.DataFrame([parts(text) for text in split.texts], columns=texts, dtype=object)
        if voted:
            table = table.join(pd.DataFrame(_said(split, corpus.labels, len(columns)), columns=columns, dtype=object))
        elif soft:
            table = table.join(pd.DataFrame(_soft(split, len(corpus.labels)), columns=list(corpus.labels)))
        else:
            table["label"] = _names(split, corpus.labels)
        if split.weights is not None:
            table[weight] = split.weights
        if split.clusters is not None:
            table[group] = split.clusters
        tables[name] = table
    label: str | schema.LabelColumns = "label"
    if voted:
        label = schema.LabelColumns(columns=tuple(columns), votes="soft" if corpus.soft else "majority")
    elif soft:
        label = schema.LabelColumns(columns=corpus.labels, kind="probabilities")
    said = {
        "source": "files",
        "task": corpus.task,
        "text": schema.TextPair(first=texts[0], second=texts[1]) if pairs else texts[0],
        "label": label,
        "weight": weight if any(split.weights is not None for split in corpus.splits.values()) else None,
        "group": group if any(split.clusters is not None for split in corpus.splits.values()) else None,
        "labels": corpus.labels,
        "positive_label": corpus.positive_label,
    }
    written = {key: getattr(section, key) for key in _OF_ANY_TABLE if key in section.model_fields_set}
    return schema.Data(**{**written, **{key: value for key, value in said.items() if value is not None}}), tables


def _see_that_it_agrees(corpus: Corpus, *, voted: bool) -> None:
    """Raises: DataError: see `of`."""
    if not corpus.soft and not voted:
        raise DataError(
            "data: the corpus has a probability for each label of a row (Split.soft) and is not to learn from them; "
            "make it with soft=True, or its splits without soft"
        )
    for name, split in corpus.splits.items():
        if split.soft is None:
            continue
        others = np.atleast_2d((hardened(split.soft, corpus.task) != split.targets).T).any(axis=0)
        if others.any():
            raise DataError(
                f"data: {name}:{int(np.flatnonzero(others)[0])}: its target (Split.targets) is not what its "
                "probabilities (Split.soft) make the label: the most probable one, of several labels those of one half "
                "or more"
            )


def _free(name: str, taken: Iterable[str]) -> str:
    """The name, with as many underscores behind it as set it apart."""
    while name in taken:
        name += "_"
    return name


def _names(split: Split, labels: tuple[str, ...]) -> list[str] | list[list[str]]:
    """The label of each row, or the list of its labels."""
    if split.targets.ndim == 2:
        return [[labels[index] for index in row.nonzero()[0]] for row in split.targets]
    return [labels[index] for index in split.targets]


def _soft(split: Split, k: int) -> NDArray[np.float64]:
    """Probabilities [n, k]; 1 for the labels of a split whose labels are certain."""
    if split.soft is not None:
        return split.soft.astype(np.float64)
    return split.targets.astype(np.float64) if split.targets.ndim == 2 else np.eye(k)[split.targets]


def _votes(split: Split) -> NDArray[np.int64]:
    """Annotators of each row; one of a split whose labels are certain."""
    return np.ones(len(split), dtype=np.int64) if split.votes is None else split.votes


def _said(split: Split, labels: tuple[str, ...], annotators: int) -> list[list[list[str] | None]]:
    """What each annotator gave to each of n rows, which is no more than how many gave each label.

    Of one label a row the first annotators gave the first label; of several each label has the first ones.
    """
    counts = np.rint(_soft(split, len(labels)) * _votes(split)[:, None]).astype(int)
    found: list[list[list[str] | None]] = []
    for row, voters in zip(counts, _votes(split).tolist(), strict=True):
        if split.targets.ndim == 2:
            given = [[labels[i] for i in np.flatnonzero(row > annotator)] for annotator in range(voters)]
        else:
            given = [[labels[i]] for i in np.repeat(np.arange(len(labels)), row)]
        found.append([*given, *[None] * (annotators - len(given))])
    return found

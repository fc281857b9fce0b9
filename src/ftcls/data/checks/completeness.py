"""What reading shows about the data: empty and equal texts, labels that a split lacks.

What takes longer (near duplicates, outliers, label noise) is in `ftcls.pipeline.data_checks`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from ftcls.data import labels as names_of
from ftcls.data.checks.pooled import Pooled, short
from ftcls.data.corpus import Check, Split, SplitName
from ftcls.data.texts import is_blank

SHOWN = 3


def checks(splits: Mapping[SplitName, Split], labels: Sequence[str]) -> tuple[Check, ...]:
    """Findings about texts that are empty or occur twice, and labels that a split lacks; linear in the rows."""
    pooled = Pooled(splits)
    return (*_empty(pooled), *_equal(pooled), *_missing(splits, labels))


def _empty(pooled: Pooled) -> Iterator[Check]:
    rows = np.flatnonzero([is_blank(text) for text in pooled.texts])
    if len(rows):
        advice = "Empty texts are kept; a model can only guess at them. Is data.text the right column?"
        examples = tuple(pooled.counted(rows).split(", "))
        yield Check("empty_texts", "warning", len(rows), examples, advice, pooled.by_split(rows))


def _equal(pooled: Pooled) -> Iterator[Check]:
    """Compare each row with the first one of the same text: in its own split, and in the splits before it."""
    for within in (True, False):
        ids = pooled.text * len(pooled.names) + pooled.origin if within else pooled.text
        _, first, number = np.unique(ids, return_index=True, return_inverse=True)
        earlier = first[number]
        together = pooled.origin[earlier] == pooled.origin
        rows = np.flatnonzero((earlier != np.arange(len(ids))) & (together == within))
        agree = pooled.labels[rows] == pooled.labels[earlier[rows]]
        for same_label, chosen in ((True, rows[agree]), (False, rows[~agree])):
            if len(chosen):
                examples = tuple(
                    f"{pooled.place(earlier[row])}, {pooled.place(row)}: {short(pooled.texts[row])}"
                    for row in chosen[:SHOWN].tolist()
                )
                name, severity, advice = _EQUAL_TEXTS[within, same_label]
                yield Check(name, severity, len(chosen), examples, advice, pooled.by_split(chosen))


_EQUAL_TEXTS: dict[tuple[bool, bool], tuple[str, Literal["info", "warning"], str]] = {
    (True, True): (
        "duplicates",
        "info",
        "Rows whose text and label occur before in the same split weigh more than once.",
    ),
    (True, False): (
        "duplicates_with_other_labels",
        "warning",
        "Rows whose text occurs before in the same split with another label: no model can get both right.",
    ),
    (False, True): (
        "shared_between_splits",
        "warning",
        "Rows whose text is also in an earlier split: scores on them flatter. The report gives the test "
        "score without them; data.split.pooled cuts anew.",
    ),
    (False, False): (
        "shared_between_splits_with_other_labels",
        "warning",
        "Rows whose text is in an earlier split with another label: a model that remembers is wrong here.",
    ),
}


def _missing(splits: Mapping[SplitName, Split], labels: Sequence[str]) -> Iterator[Check]:
    lacking: list[str] = []
    for name, split in splits.items():
        targets = split.targets
        counts = (
            np.bincount(targets.astype(np.int64), minlength=len(labels)) if targets.ndim == 1 else targets.sum(axis=0)
        )
        lacking.extend(f"{name}: {labels[index]}" for index in np.flatnonzero(counts == 0).tolist())
    if lacking:
        advice = "Labels without a row in a split: not learnt if it is train, not measured if it is another."
        yield Check("labels_missing", "warning", len(lacking), tuple(lacking[:SHOWN]), advice)


def alike(names: Sequence[str]) -> Iterator[Check]:
    """Labels that may be one in two spellings."""
    groups = names_of.alike(names)
    if groups:
        advice = (
            "These may be one label in two spellings, which the model has to tell apart; write them alike in the file."
        )
        shown = tuple(" and ".join(map(repr, group)) for group in groups[:3])
        yield Check("similar_labels", "warning", len(groups), shown, advice)

"""What reading shows about the data: empty and equal texts, labels that a split lacks.

What takes longer (near duplicates, outliers, label noise) is in `ftcls.pipeline.data_checks`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import numpy as np

from ftcls.data import labels as names_of
from ftcls.data.checks.pooled import Pooled, short
from ftcls.data.corpus import Check, Split, SplitName, Task
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
        advice = "Labels without a row in a split: not learnt if it is train, 0 in macro averages if it is another."
        yield Check("labels_missing", "warning", len(lacking), tuple(lacking[:SHOWN]), advice)


def of_names(splits: Mapping[SplitName, Split], names: Sequence[str], task: Task) -> Iterator[Check]:
    """Findings about what the labels are called."""
    yield from _alike(names)
    yield from _nothing(splits, names)
    yield from _each_its_own(splits, names)
    if task == "ordinal":
        yield from _uneven(names)


def _alike(names: Sequence[str]) -> Iterator[Check]:
    """Labels that may be one in two spellings."""
    groups = names_of.alike(names)
    if groups:
        advice = (
            "These may be one label in two spellings, which the model has to tell apart; write them alike in the file."
        )
        shown = tuple(" and ".join(map(repr, group)) for group in groups[:3])
        yield Check("similar_labels", "warning", len(groups), shown, advice)


_NOTHING: Final = frozenset({"nan", "nat", "null", "#n/a", "<na>", "undefined"})
"""How programs write that a cell has no value."""
_MANY: Final = 50
"""Labels up to which a small set may have as many."""
_PERHAPS_NOTHING: Final = frozenset({"none", "na", "n/a", "nil", "missing"})
"""Likewise, but people say it too."""


def _nothing(splits: Mapping[SplitName, Split], names: Sequence[str]) -> Iterator[Check]:
    """Labels that may be cells without one."""
    found = [index for index, name in enumerate(names) if name.casefold() in _NOTHING | _PERHAPS_NOTHING]
    if found:
        rows = {names[index]: sum(_count(split, index) for split in splits.values()) for index in found}
        advice = (
            "Labels that are called as programs write an empty cell. They are learnt like any other; if the rows have "
            "no label, empty the cells and leave the rows out with data.on_bad_row: drop."
        )
        shown = tuple(f"{name!r}: {count}" for name, count in rows.items())[:SHOWN]
        sure = any(name.casefold() in _NOTHING for name in rows)
        yield Check("labels_that_say_nothing", "warning" if sure else "info", sum(rows.values()), shown, advice)


def _each_its_own(splits: Mapping[SplitName, Split], names: Sequence[str]) -> Iterator[Check]:
    """Nearly as many labels as rows: numbers of rows, or what people wrote, and no labels."""
    rows = sum(len(split) for split in {id(one): one for one in splits.values()}.values())
    if len(names) > _MANY and len(names) > rows / 2:
        advice = (
            f"{len(names):,} labels in {rows:,} rows: nothing can be learnt of them. Is data.label the right column?"
        )
        yield Check("nearly_a_label_per_row", "warning", len(names), tuple(map(repr, names[:SHOWN])), advice)


def _count(split: Split, index: int) -> int:
    """Rows of a label."""
    return int((split.targets[:, index] if split.targets.ndim == 2 else split.targets == index).sum())


def _uneven(names: Sequence[str]) -> Iterator[Check]:
    """Numbers in order with gaps between them: a scale of which some grades were never given."""
    if not all(map(names_of.is_number, names)):
        return
    values = [float(name) for name in names]
    steps = np.diff(values)
    gaps = [f"{names[index]} and {names[index + 1]}" for index in np.flatnonzero(steps > 1.5 * steps.min()).tolist()]
    if gaps and steps.min() > 0:
        advice = (
            "Numbers that are further apart than others: quadratic_weighted_kappa and mean_absolute_error take each "
            "for one step. Where grades between them belong to the scale, name all in order: data.labels: [...]."
        )
        yield Check("gaps_between_labels", "warning", len(gaps), tuple(gaps[:SHOWN]), advice)

"""What is worth knowing about the data before a model is trained on it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ftcls.data.corpus import Check, Split, SplitName
from ftcls.data.split import label_sets, text_ids

SHOWN = 3
CHARACTERS = 60


def checks(splits: Mapping[SplitName, Split], labels: Sequence[str]) -> tuple[Check, ...]:
    """Findings about texts that are empty or occur twice, and labels that a split lacks; linear in the rows."""
    texts = [text for split in splits.values() for text in split.texts]
    names = list(splits)
    origin = np.repeat(np.arange(len(names)), [len(split) for split in splits.values()])
    targets = np.concatenate([split.targets for split in splits.values()])
    found = (*_empty(texts, origin, names), *_equal(texts, origin, targets, names), *_missing(splits, labels))
    return tuple(found)


def _empty(texts: Sequence[str], origin: NDArray[np.int64], names: Sequence[SplitName]) -> Iterator[Check]:
    empty = np.fromiter((not text or text.isspace() for text in texts), dtype=bool, count=len(texts))
    if empty.any():
        counts = np.bincount(origin[empty], minlength=len(names))
        examples = tuple(f"{name}: {count:,}" for name, count in zip(names, counts, strict=True) if count)
        advice = "Empty texts are kept; a model can only guess at them. Is data.text the right column?"
        yield Check("empty_texts", "warning", int(empty.sum()), examples, advice)


def _equal(
    texts: Sequence[str], origin: NDArray[np.int64], targets: NDArray[np.generic], names: Sequence[SplitName]
) -> Iterator[Check]:
    """Compare each row with the first one of the same text: in its own split, and in the splits before it."""
    ids = text_ids(texts)
    label = targets if targets.ndim == 1 else label_sets(targets)
    for within in (True, False):
        _, first, number = np.unique(
            ids * len(names) + origin if within else ids, return_index=True, return_inverse=True
        )
        earlier = first[number]
        rows = np.flatnonzero((earlier != np.arange(len(ids))) & ((origin[earlier] == origin) == within))
        agree = label[rows] == label[earlier[rows]]
        for same_label, chosen in ((True, rows[agree]), (False, rows[~agree])):
            if len(chosen):
                examples = tuple(
                    f"{names[origin[earlier[row]]]}, {names[origin[row]]}: {_short(texts[row])}"
                    for row in chosen[:SHOWN]
                )
                name, severity, advice = _EQUAL_TEXTS[within, same_label]
                yield Check(name, severity, len(chosen), examples, advice)


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
        "Rows whose text is also in an earlier split: scores on them flatter. data.split.pooled cuts anew without.",
    ),
    (False, False): (
        "shared_between_splits_with_other_labels",
        "warning",
        "Rows whose text is in an earlier split with another label: a model that remembers is wrong here.",
    ),
}


def _short(text: str) -> str:
    text = " ".join(text[: 2 * CHARACTERS].split())
    return text if len(text) <= CHARACTERS else f"{text[: CHARACTERS - 3]}..."


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

"""What is said about labels that are not certain."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from ftcls.data.corpus import Check, Split, SplitName, Task
from ftcls.data.soft_labels import tied
from ftcls.data.summary import votes_of
from ftcls.environment.figures_as_text import number

RELIABLE: Final = 0.667
"""Krippendorff's alpha below which he lets no conclusion stand (Content Analysis, 2004, chapter 11.4)."""


def checks(splits: Mapping[SplitName, Split], task: Task) -> Iterator[Check]:
    """Rows whose label a tie decided, and annotators who agree too little."""
    ties = {
        (name, int(row))
        for name, split in splits.items()
        if split.soft is not None
        for row in split.rows[np.flatnonzero(tied(split.soft, task))]
    }
    if ties:
        rule = "labels of exactly one half are given" if task == "multilabel" else "the first in label order is given"
        places = tuple(f"{name}:{row}" for name, row in sorted(ties)[:3])
        advice = f"Rows in which two labels are equally probable, or a label as probable as not: {rule}."
        yield Check("tied_labels", "info", len(ties), places, advice)
    train = votes_of(splits["train"], task)
    if train is not None and train.alpha is not None and train.alpha < RELIABLE:
        advice = (
            f"Krippendorff's alpha of train is {number(train.alpha, 3)}, below {RELIABLE}: annotators agree too little "
            "for their majority to be taken for the truth. votes: soft learns what they say; no score can be trusted "
            "beyond their agreement."
        )
        yield Check("annotators_disagree", "info", train.rows, (), advice)

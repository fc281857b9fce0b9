"""From votes and probabilities to targets: how probable each label is, and the label that stands for the row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftcls.data.corpus import Task
from ftcls.data.labels import known_as, listed, not_one_of
from ftcls.data.raw import BadRows, RawSplit
from ftcls.errors import ConfigError

HALF = 0.5
"""From this probability, or share of the votes, on a label of several applies, as a default threshold has it."""


@dataclass(frozen=True, eq=False)
class SoftLabels:
    """The m rows of a split that can be used."""

    kept: NDArray[np.int64]
    """[m] indices into the rows of the raw split."""
    soft: NDArray[np.float32]
    """[m, k] how probable each label is, or its share of the votes."""
    votes: NDArray[np.int64] | None
    """[m] annotators of each row; None: nobody voted."""
    bad: BadRows
    """The other rows, with a label that is not one."""


def encode(split: RawSplit, columns: Sequence[str] | None, labels: Sequence[str], *, task: Task) -> SoftLabels | None:
    """The labels of a split that are not certain; None: they are.

    Args:
        split: n rows.
        columns: the labels of its probabilities, in their order.
        labels: k label names.
        task: what they are.

    Raises:
        ConfigError: probabilities of other labels than these.
    """
    if split.soft is not None:
        if columns is None or sorted(columns) != sorted(labels):
            raise ConfigError(
                f"data.labels: {listed(labels)}, and probabilities stand in {listed(columns or ())}; name these "
                "columns in the order wanted, or leave the key out"
            )
        order = [list(columns).index(label) for label in labels]
        return SoftLabels(np.arange(len(split.texts)), split.soft[:, order].astype(np.float32), None, BadRows())
    if split.votes is None:
        return None
    number = {name: index for index, name in enumerate(labels)}
    bad, kept = BadRows(), []
    counts = np.zeros((len(split.votes), len(labels)))
    for index, votes in enumerate(split.votes):
        names = [known_as(name, number) for vote in votes for name in vote]
        unknown = next((name for name in names if name not in number), None)
        if unknown is not None:
            bad.add(split.place(index), not_one_of(unknown, labels))
            continue
        kept.append(index)
        for name in names:
            counts[index, number[name]] += 1
    rows = np.array(kept, dtype=np.int64)
    voters = np.array([len(split.votes[index]) for index in kept], dtype=np.int64)
    return SoftLabels(rows, (counts[rows] / np.maximum(voters, 1)[:, None]).astype(np.float32), voters, bad)


def hardened(soft: NDArray[np.float32], task: Task) -> NDArray[np.int64] | NDArray[np.float32]:
    """The targets of rows: the most probable label [m], the first of equal ones; or of several those of one half."""
    if task == "multilabel":
        return (soft >= HALF).astype(np.float32)
    most: NDArray[np.int64] = soft.argmax(axis=1).astype(np.int64)
    return most


def tied(soft: NDArray[np.float32], task: Task) -> NDArray[np.bool_]:
    """Bool [m]: rows whose target another rule could have made another one: two labels are equally probable."""
    if task == "multilabel":
        found: NDArray[np.bool_] = (soft == HALF).any(axis=1)
        return found
    several: NDArray[np.bool_] = (soft == soft.max(axis=1, keepdims=True)).sum(axis=1) > 1
    return several

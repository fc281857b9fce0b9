"""Label noise: how probable each given label is to a model that did not see the row.

The model is the baseline, which reads twenty thousand short texts in seconds; each row is judged by one that was
trained on the other folds. Equal texts, near duplicates and rows of one cluster are in one fold, or they would vouch
for each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ftcls.data.split import Targets, sequence
from ftcls.environment import memory
from ftcls.model.baselines.linear import fit_predict
from ftcls.scoring.confident_learning import Suspicion, multilabel_suspicion, suspicion
from ftcls.scoring.decision import Task

FOLDS: Final = 3
"""Five find a hundredth more of planted errors in twice the time."""
FEWEST: Final = 50
"""Rows, and for multilabel rows of a label, below which nothing is judged: a linear model of fewer knows too little."""
_FEWEST_EACH = 5
"""Rows of a single label on average, below which nothing is judged."""
_LABEL_WORK = 0.2
"""Reading a text once more for a label's own model costs this share of hashing it."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Rows whose labels were judged."""

    rows: NDArray[np.int64]
    """[m] ascending indices of the texts."""
    suspicion: Suspicion
    """Of these m rows."""


def judge(
    texts: Sequence[str],
    targets: Targets,
    *,
    task: Task,
    k: int,
    groups: NDArray[np.int64],
    seed: int,
    work: int | None = None,
) -> Judged | None:
    """Judge the labels of n texts; the same for the same seed.

    Args:
        texts: n texts.
        targets: int64 [n] classes, or 0 and 1 of shape [n, k].
        task: binary, multiclass or multilabel.
        k: number of labels.
        groups: int64 [n], equal for rows that must be in one fold.
        seed: draws folds and rows.
        work: characters to read at most, more of them for several labels; a million take a quarter of a second of one
            core. Rows are drawn at random until it is spent, and fewer where memory runs out. None: all are judged.

    Returns:
        None where there are fewer than `FEWEST` rows or groups or five rows a label, or all rows have the same labels.
    """
    labels = np.arange(k)
    if task == "multilabel":
        labels = np.flatnonzero(targets.sum(axis=0) >= FEWEST)
    every = _drawn(texts, 1 + _LABEL_WORK * len(labels) if task == "multilabel" else 1.0, work, seed)

    def of(size: int) -> Judged | None:
        rows = every if size == len(every) else np.sort(np.random.default_rng([seed, 4]).permutation(every)[:size])
        return _judged(texts, targets, rows, labels, task=task, groups=groups, seed=seed)

    return memory.smaller(of, len(every), least=min(len(every), FEWEST), what="labels of rows are judged")


def _judged(
    texts: Sequence[str],
    targets: Targets,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    *,
    task: Task,
    groups: NDArray[np.int64],
    seed: int,
) -> Judged | None:
    chosen = targets[rows] if task != "multilabel" else targets[rows][:, labels]
    if len(rows) < FEWEST or len(np.unique(groups[rows])) < FEWEST or not _tells_apart(chosen):
        return None
    probabilities = _out_of_sample([texts[row] for row in rows.tolist()], chosen, groups[rows], task, len(labels), seed)
    if task != "multilabel":
        return Judged(rows, suspicion(probabilities, chosen.astype(np.int64)))
    found = multilabel_suspicion(probabilities, chosen)
    return Judged(rows, Suspicion(found.confidence, labels[found.suggested], found.candidate))


def _tells_apart(targets: Targets) -> bool:
    """Whether some label has rows without it, and single labels have enough rows each to be learnt."""
    distinct = len(np.unique(targets)) if targets.ndim == 1 else 2
    return bool((targets != targets[0]).any()) and len(targets) >= _FEWEST_EACH * distinct


def _drawn(texts: Sequence[str], factor: float, work: int | None, seed: int) -> NDArray[np.int64]:
    """The rows that may be judged, ascending."""
    if work is None:
        return np.arange(len(texts))
    cost = np.fromiter(map(len, texts), dtype=np.float64, count=len(texts)) * factor * FOLDS
    order = sequence(np.zeros(len(texts), dtype=np.int64), seed=[seed, 3], stratify=False)
    return np.sort(order[np.cumsum(cost[order]) <= work])


def _out_of_sample(
    texts: list[str], targets: Targets, groups: NDArray[np.int64], task: Task, k: int, seed: int
) -> NDArray[np.float64]:
    """Probabilities float64 [n, k], those of each fold from a model of the others."""
    fold = _folds(groups, targets, seed=[seed, 2])
    probabilities = np.empty((len(texts), k))
    for number in range(FOLDS):
        held_out, others = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        probabilities[held_out], _ = fit_predict(
            [texts[row] for row in others.tolist()],
            targets[others],
            [texts[row] for row in held_out.tolist()],
            task=task,
            k=k,
            seed=seed,
        )
    return probabilities


def _folds(groups: NDArray[np.int64], targets: Targets, *, seed: Sequence[int]) -> NDArray[np.int64]:
    """int64 [n]: the fold of each row, its groups dealt in turn; a single label has the same share in each."""
    _, leaders, number = np.unique(groups, return_index=True, return_inverse=True)
    # Iterative stratification of thousands of sets of labels takes longer than the models; chance does as well here.
    order = sequence(targets[leaders], seed=seed, stratify=targets.ndim == 1)
    fold = np.empty(len(order), dtype=np.int64)
    fold[order] = np.arange(len(order)) % FOLDS
    found: NDArray[np.int64] = fold[number]
    return found

"""Which labels are probably wrong, from probabilities of a model that did not see them: confident learning.

Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels, JAIR 70 (2021). A row is a
candidate if its probability of another label reaches that label's threshold, the mean probability of the label over the
rows that have it, is the largest of those that do, and is larger than that of the given label. The threshold makes up
for labels that the model is never sure of. Candidates are ranked by self-confidence, the probability of the given
label: on AG News with planted errors its average precision was .76, that of the normalised margin .69.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KNOWN = 0.5
"""Mean probability of a label over its own rows from which on the model is taken to know it."""


@dataclass(frozen=True, eq=False)
class Suspicion:
    """How much speaks against the labels of n rows."""

    confidence: NDArray[np.float64]
    """[n] probability of the given label: the lower, the likelier is it wrong."""
    suggested: NDArray[np.int64]
    """[n] the label that the row should have instead; multilabel: the label to add or to take away."""
    candidate: NDArray[np.bool_]
    """[n] whether the row is counted as labelled wrongly."""

    def ranked(self) -> NDArray[np.int64]:
        """The candidates, the most suspect first."""
        rows = np.flatnonzero(self.candidate)
        return rows[np.argsort(self.confidence[rows], kind="stable")]


def suspicion(probabilities: NDArray[np.float64], gold: NDArray[np.int64]) -> Suspicion:
    """One label per row: probabilities [n, k], k at least 2, and given labels int64 [n]."""
    n, k = probabilities.shape
    given = gold[:, None] == np.arange(k)
    own = probabilities[given]
    others = np.where(given, -np.inf, probabilities)
    # A label that no row has is none that a row should have.
    thresholds = np.full(k, np.inf)
    np.divide((probabilities * given).sum(axis=0), given.sum(axis=0), out=thresholds, where=given.any(axis=0))
    confident = np.where(probabilities >= thresholds, probabilities, -np.inf)
    best = confident.argmax(axis=1)
    candidate = (best != gold) & (confident[np.arange(n), best] > own)
    return Suspicion(own, np.where(candidate, best, others.argmax(axis=1)), candidate)


def multilabel_suspicion(probabilities: NDArray[np.float64], gold: NDArray[np.generic]) -> Suspicion:
    """Any number of labels per row: probabilities [n, k] of each label, given labels [n, k] of 0 and 1.

    Each label is a question of its own (Thyagarajan et al. 2022), and the worst answer stands for the row. Only labels
    that the model knows are asked about: those whose own rows it gives `KNOWN` on average. Of the others, rare ones
    mostly, it would take every row for a mistake.
    """
    n, k = probabilities.shape
    confidence = np.ones(n)
    suggested = np.zeros(n, dtype=np.int64)
    candidate = np.zeros(n, dtype=bool)
    for label in range(k):  # label by label: [n, k, 2] would be twice the probabilities
        has, given = probabilities[:, label], gold[:, label].astype(np.int64)
        if not given.any() or has[given > 0].mean() < KNOWN:
            continue
        one = suspicion(np.stack([1 - has, has], axis=1), given)
        # Between labels that speak against the row and others, the former count.
        worse = np.where(one.candidate == candidate, one.confidence < confidence, one.candidate)
        confidence[worse], suggested[worse] = one.confidence[worse], label
        candidate |= one.candidate
    return Suspicion(confidence, suggested, candidate)

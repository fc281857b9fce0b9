"""How far annotators agree: Krippendorff's alpha.

Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), https://repository.upenn.edu/asc_papers/43: 1 is
agreement throughout, 0 what chance would give. It takes any number of annotators, and rows that some of them left out.
"""

import numpy as np
from numpy.typing import NDArray


def alpha(counts: NDArray[np.float64], *, ordered: bool = False) -> float | None:
    """Krippendorff's alpha of votes; None where nothing can be said: no row has two votes, or all votes are alike.

    Args:
        counts: [n, k] votes for each of k labels in each of n rows; rows with fewer than two votes are left out.
        ordered: the labels are in order, and a disagreement counts by the square of the steps between them (interval
            data); False: all disagreements count the same (nominal data).
    """
    voters = counts.sum(axis=1)
    paired = counts[voters > 1]
    if not len(paired):
        return None
    each = 1 / (voters[voters > 1] - 1)
    # o_ck = sum over the rows of n_c (n_k - [c = k]) / (m - 1): pairs of votes within a row.
    coincidences = (paired * each[:, None]).T @ paired - np.diag((paired * each[:, None]).sum(axis=0))
    totals = coincidences.sum(axis=1)
    steps = np.arange(counts.shape[1], dtype=np.float64)
    distance = (steps[:, None] - steps) ** 2 if ordered else 1 - np.eye(counts.shape[1])
    expected = float(totals @ distance @ totals)
    if expected == 0:
        return None
    return 1 - (float(totals.sum()) - 1) * float((coincidences * distance).sum()) / expected

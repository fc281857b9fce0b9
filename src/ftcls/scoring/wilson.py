"""95 % intervals of shares that need no resampling: accuracy, and precision, recall and F1 of one label.

Wilson's interval (Wilson 1927; Brown, Cai & DasGupta 2001) keeps its coverage from a handful of rows on, where the
percentiles of a bootstrap do not: they cannot leave 0 or 1. F1 is no share itself, but grows with one: of the rows
that have the label or were given it, the share J where both agree; F1 = 2 J / (1 + J). Its interval is that of J,
carried over (the indirect Wilson method of Lam, arXiv 2309.14621, 2023).

Rows of one cluster count for less than as many independent ones. The effective number of rows is the number divided
by the design effect (Korn & Graubard 1998; Dean & Pagendam 2015): the variance of the share from the spread of the
clusters' totals, over the binomial variance; at least 1, and at most what rows wholly alike within a cluster would give
(Kish 1965), which also stands in where the share is 0 or 1 and shows no spread. Rows with weights are treated alike:
the share is the weighted one, and the design effect that of its linearized variance; where it shows no spread, the
effective number is (sum of weights)^2 / sum of their squares (Kish 1965).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]

NORMAL_97_5: Final = 1.959963984540054
"""97.5th percentile of the standard normal distribution."""


def wilson(share: float, n: float) -> Interval:
    """Wilson's 95 % interval of a share of n independent rows."""
    z2 = NORMAL_97_5**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = NORMAL_97_5 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # At 0 and 1 rounding would leave the share itself just outside.
    return min(share, float(centre - half)), max(share, float(centre + half))


def of_rows(
    hits: NDArray[np.bool_], clusters: NDArray[np.int64] | None, weights: NDArray[np.float64] | None = None
) -> Interval | None:
    """The interval of the share of hits among m rows, bool [m], in clusters, with weights; None without a row."""
    if not len(hits):
        return None
    plain = clusters is None and weights is None
    share = float(np.average(hits, weights=weights))
    return wilson(share, len(hits) if plain else effective(hits, clusters, weights))


def of_f1(
    hits: NDArray[np.bool_], clusters: NDArray[np.int64] | None, weights: NDArray[np.float64] | None = None
) -> Interval | None:
    """The interval of F1, from the rows [m] that have the label or were given it, and whether both agree."""
    agreement = of_rows(hits, clusters, weights)
    return None if agreement is None else (_f1(agreement[0]), _f1(agreement[1]))


def effective(
    hits: NDArray[np.bool_], clusters: NDArray[np.int64] | None, weights: NDArray[np.float64] | None = None
) -> float:
    """How many independent rows tell as much about the share of hits as m rows in clusters [m], or with weights, do."""
    m = len(hits)
    members = np.arange(m) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    rows = np.ones(m) if weights is None else weights
    total, share, sizes = float(rows.sum()), float(np.average(hits, weights=rows)), np.bincount(members, rows)
    alike = total**2 / float((sizes**2).sum())
    if hits.all() or not hits.any() or len(sizes) == 1:
        return alike
    spread = float((np.bincount(members, rows * (hits - share)) ** 2).sum())
    if clusters is not None:
        spread *= len(sizes) / (len(sizes) - 1)
    # Heavy rows may be the ones that go wrong: then a share of rows with weights is less sure than `alike` says.
    fewest = alike if weights is None else 1.0
    return float(np.clip(total**2 * share * (1 - share) / spread, fewest, m)) if spread > 0 else float(m)


def _f1(agreement: float) -> float:
    return 2 * agreement / (1 + agreement)

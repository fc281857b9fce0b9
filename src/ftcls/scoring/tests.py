"""Tests between models on the same rows, and between groups of runs that differ in their seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_EXACT: Final = 25
"""Below so many rows on which two models disagree the normal approximation of McNemar's test is not used."""
_NORMAL_97_5: Final = 1.959963984540054


@dataclass(frozen=True)
class McNemar:
    """McNemar's test: do two models go wrong on equally many rows of each other's right ones?"""

    first_only: int
    """Rows that only the first gets right."""
    second_only: int
    p_value: float
    """Two-sided."""
    exact: bool


@dataclass(frozen=True)
class Estimate:
    """A value with a 95 % interval over both the rows drawn and the seeds run."""

    value: float
    interval: tuple[float, float]
    p_value: float
    """Two-sided, of being zero."""


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """McNemar's test (1947) on which of the same n rows two models get right, bool [n] each.

    Exact binomial below 25 rows on which they disagree, else chi-squared with Edwards' continuity correction (1948).
    """
    one, other = int((first & ~second).sum()), int((second & ~first).sum())
    count = one + other
    if count < _EXACT:
        p = 1.0 if count == 0 else float(stats.binomtest(one, count, 0.5).pvalue)
        return McNemar(one, other, p, exact=True)
    statistic = max(abs(one - other) - 1, 0) ** 2 / count
    return McNemar(one, other, float(stats.chi2.sf(statistic, 1)), exact=False)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in the same order (Holm 1979).

    Taking those below 5 % for real, the chance of a single false finding among them is at most 5 %.
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def over_seeds(groups: Sequence[tuple[float, Sequence[float]]], rows: NDArray[np.float64]) -> Estimate:
    """A sum of group means, each group the runs of one setting under several seeds, on the same test rows.

    The variance is that of the mean over the rows, from the bootstrap, plus the variance between the seeds of each
    group over their number; the degrees of freedom are Satterthwaite's (1946), those of the rows taken as unlimited. A
    group of one run has no variance between seeds to add, and the interval then says nothing of the next seed.

    Args:
        groups: for each group its sign (1, or -1 for what is subtracted) and the metric of its runs.
        rows: [d] the same sum of means over the draws of the bootstrap, rows drawn together for all runs.
    """
    value = sum(sign * float(np.mean(values)) for sign, values in groups)
    drawn = rows[np.isfinite(rows)]
    of_rows = float(drawn.var(ddof=1)) if len(drawn) > 1 else 0.0
    of_seeds = [(float(np.var(v, ddof=1)) / len(v), len(v) - 1) for _, v in groups if len(v) > 1]
    total = of_rows + sum(each for each, _ in of_seeds)
    below = sum(each**2 / freedom for each, freedom in of_seeds)
    freedom = total**2 / below if below > 0 else np.inf
    half = float(stats.t.ppf(0.975, freedom) if np.isfinite(freedom) else _NORMAL_97_5) * total**0.5
    p = 1.0 if total == 0 and value == 0 else 0.0
    if total > 0:
        reached = abs(value) / total**0.5
        p = float(2 * (stats.t.sf(reached, freedom) if np.isfinite(freedom) else stats.norm.sf(reached)))
    return Estimate(value, (value - half, value + half), p)

"""Tests between models on the same rows, and between groups of runs that differ in their seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

_EXACT: Final = 25
"""Below so many rows on which two models disagree the normal approximation of McNemar's test is not used."""
_SMALLEST: Final = 1e-12
"""A p-value below it is given as 0."""


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

    The half-widths of the two sources add up as squares (the method of variance estimates recovery, Zou and Donner
    2008): 1.96 standard errors of the mean over the rows, from the bootstrap, and, for the seeds, a t quantile with
    Welch's degrees of freedom times the standard error of the group means. One t quantile for both (Satterthwaite
    1946) is too narrow where few seeds differ much: .87 of the intervals of two seeds hold the truth then, here .95 to
    .99. A group of one run has no variance between seeds to add; the interval then says nothing of the next seed.

    Args:
        groups: for each group its sign (1, or -1 for what is subtracted) and the metric of its runs.
        rows: [d] the same sum of means over the draws of the bootstrap, rows drawn together for all runs.
    """
    value = sum(sign * float(np.mean(values)) for sign, values in groups)
    drawn = rows[np.isfinite(rows)]
    of_rows = float(drawn.var(ddof=1)) if len(drawn) > 1 else 0.0
    of_seeds = [(float(np.var(v, ddof=1)) / len(v), len(v) - 1) for _, v in groups if len(v) > 1]
    between = sum(each for each, _ in of_seeds)
    freedom = between**2 / sum(each**2 / freedom for each, freedom in of_seeds) if between > 0 else 1.0

    def half_width(level: float) -> float:
        """Of the interval that the truth misses with this probability."""
        of_normal, of_t = special.ndtri(level / 2), special.stdtrit(freedom, level / 2)
        return float((of_normal**2 * of_rows + of_t**2 * between) ** 0.5)

    half = half_width(0.05)
    return Estimate(value, (value - half, value + half), _p_value(abs(value), half_width))


def _p_value(distance: float, half_width: Callable[[float], float]) -> float:
    """The level whose interval just reaches 0, which is so far from the estimate."""
    if half_width(_SMALLEST) <= distance:
        return 0.0 if distance > 0 else 1.0
    if distance == 0:
        return 1.0
    return float(optimize.brentq(lambda level: half_width(level) - distance, _SMALLEST, 1.0, xtol=1e-12))

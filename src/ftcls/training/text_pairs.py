"""Pairs of training texts: which texts stand together in a step, and how near the vectors of two of them should be.

SetFit (Tunstall et al. 2022) draws pairs, as many of one label as of two, and reads both texts of each. Here a step
draws texts and compares all of them, so that b texts that are read once make b (b - 1) / 2 pairs; those of one label
and those of two weigh the same, as SetFit's numbers of them are the same.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class TextPairs:
    """The pairs of n texts that have some of k labels."""

    given: NDArray[np.bool_]
    """[n, k] which labels a text has."""
    ordinal: bool = False
    """Whether the labels are in order: texts of neighbouring labels are then nearer than those of distant ones."""
    weights: NDArray[np.float64] | None = None
    """[n] how much each text counts, 1 on average; None: all the same."""

    @property
    def kinds(self) -> tuple[bool, bool]:
        """Whether there is a pair that shares a label, and one of texts with labels that shares none."""
        counts = self.given.sum(axis=0)
        patterns = np.unique(self.given[self.given.any(axis=1)], axis=0).astype(np.int64)
        return bool((counts > 1).any()), bool((patterns @ patterns.T == 0).any())

    def steps(self, batch_size: int) -> int:
        """Steps of one pass over the texts."""
        return math.ceil(len(self.given) / batch_size)

    def batches(self, batch_size: int, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
        """The texts of each step of one pass, as row numbers; each text comes once.

        A text stands beside another that shares a label with it, where one is left, and texts with a rare label first.
        Batches have ``batch_size`` texts, or one more; of a pass that does not divide evenly all have some fewer. The
        order comes from seed and epoch alone.
        """
        rng = np.random.default_rng((seed, epoch))
        couples = self._couples(rng.permutation(len(self.given)))
        couples = [couples[place] for place in rng.permutation(len(couples)).tolist()]
        count, n = self.steps(batch_size), len(self.given)
        found: list[list[int]] = [[] for _ in range(count)]
        start = 0
        for couple in couples:
            found[start * count // n] += couple
            start += len(couple)
        return [np.array(rows, dtype=np.int64) for rows in found]

    def _couples(self, order: NDArray[np.int64]) -> list[list[int]]:
        """The texts in twos that share a label, from the rarest label on; who is left over stands alone."""
        left = np.ones(len(order), dtype=np.bool_)
        couples: list[list[int]] = []
        for label in np.argsort(self.given.sum(axis=0), kind="stable").tolist():
            alike = order[self.given[order, label] & left[order]]
            paired = alike[: len(alike) // 2 * 2]
            left[paired] = False
            couples += paired.reshape(-1, 2).tolist()
        return couples + [[row] for row in order[left[order]].tolist()]

    def similarities(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The cosine that each two of b texts should have, [b, b]: 1 where they share a label, else 0.

        Of labels in order 1 - |i - j| / (k - 1).
        """
        if self.ordinal:
            places = self.given[rows].argmax(axis=1)
            apart = np.abs(places[:, None] - places[None])
            found: NDArray[np.float32] = (1 - apart / max(1, self.given.shape[1] - 1)).astype(np.float32)
            return found
        return self.alike(rows).astype(np.float32)

    def alike(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of b texts share a label, [b, b]."""
        given = self.given[rows].astype(np.int64)
        found: NDArray[np.bool_] = given @ given.T > 0
        return found

    def shares(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """How much each pair of b texts counts, [b, b], the first text before the second; 1 in all, or 0.

        Pairs that share a label come to as much as those that do not. Two texts without any label are no pair.
        """
        each = np.ones(len(rows)) if self.weights is None else self.weights[rows]
        labelled = np.asarray(self.given[rows].any(axis=1))
        alike = self.alike(rows)
        counted = np.triu(np.outer(each, each) * (labelled[:, None] | labelled[None]), 1)
        kinds = [part / part.sum() for part in (counted * alike, counted * ~alike) if part.sum() > 0]
        found: NDArray[np.float32] = (sum(kinds) / len(kinds) if kinds else counted).astype(np.float32)
        return found

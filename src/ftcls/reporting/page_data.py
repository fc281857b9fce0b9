"""What the page of a run carries to be looked through: rows with their texts, confusions, curves, relabel candidates.

It goes into the page as JSON, gzipped and in base64: inert whatever the texts hold, and a quarter of its size. What is
counted is counted over all rows; of the rows themselves the page holds as many as fit, and says how many.
"""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage

from ftcls.reporting import error_analysis
from ftcls.runs.predictions import Rows
from ftcls.scoring import decision
from ftcls.scoring.calibration import reliability
from ftcls.scoring.confident_learning import multilabel_suspicion, suspicion
from ftcls.scoring.metrics import Predictions, row_losses

GRID: Final = (
    *(round(0.001 * step, 3) for step in range(10)),
    *(round(0.01 * step, 2) for step in range(1, 100)),
    *(round(0.99 + 0.001 * step, 3) for step in range(1, 11)),
)
"""Thresholds that can be looked at: hundredths, and thousandths at both ends."""
_BUDGET: Final = 18_000_000
"""Bytes of rows in a page, before they are packed: some 9 MB of English in the file, and a second to open."""
_ROW: Final = 60
"""Bytes of a row beside its text."""
_LONGEST: Final = 20_000
"""Characters of a text that are kept in the page at all."""
_CUT: Final = 2_000
"""Of those that are kept where texts would not fit whole."""
_CANDIDATES: Final = 1_000
"""Relabel candidates of a split."""
_FEW: Final = 3
"""Labels that need no order."""
THIS_MODEL: Final = "this model"
_LINEAR: Final = "linear model"
"""Who suspects a label: the last column of the relabel candidates."""


@dataclass(frozen=True)
class Kept:
    """Which rows the page holds."""

    rows: NDArray[np.int64]
    """Places in the predictions, ascending."""
    mistakes: int
    """Rows that went wrong, of all."""
    kept_mistakes: int
    longest: int
    """Characters of a text that are kept."""


def packed(content: Mapping[str, Any]) -> str:
    """JSON values as base64 of gzip; equal values give equal text."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), compresslevel=6, mtime=0)).decode()


def content(
    predictions: Mapping[str, Predictions],
    rows: Mapping[str, Rows],
    *,
    split: str,
    files: Mapping[str, str],
    thresholds: Sequence[float] | None,
    elsewhere: Sequence[tuple[str, int]] = (),
) -> dict[str, Any]:
    """Everything of a run that its page can be asked for.

    Args:
        predictions: by split.
        rows: what is known of their texts, by split.
        split: whose rows are shown.
        files: what people call the file that the rows of a split came from.
        thresholds: [k] in force; None where a label is given for being the most probable.
        elsewhere: further relabel candidates, as split and row number, of splits that have no predictions.
    """
    shown = predictions[split]
    kept = choose(shown, rows[split])
    return {
        "labels": shown.labels,
        "task": shown.task,
        "split": split,
        "file": files[split],
        "total": len(shown),
        "mistakes": kept.mistakes,
        "keptMistakes": kept.kept_mistakes,
        "longest": kept.longest,
        "rows": _rows(shown, rows[split], kept),
        "matrix": _matrix(shown),
        "curves": curves(predictions, thresholds),
        "reliability": _reliability(shown),
        "candidates": candidates(predictions, rows, files, elsewhere),
    }


def choose(predictions: Predictions, rows: Rows) -> Kept:
    """All rows, where they fit; else the costliest mistakes first, then others by chance, then right rows by chance.

    Half of the room goes to the mistakes of the highest loss, and the rest is drawn, so that what is looked through is
    not the worst alone.
    """
    n = len(predictions)
    wrong = mistaken(predictions)
    texts = [""] * n if rows.texts is None else rows.texts
    for longest in (_LONGEST, _CUT):
        costs = np.fromiter((len(text[:longest].encode()) + _ROW for text in texts), dtype=np.float64, count=n)
        if costs.sum() <= _BUDGET:
            break
    if costs.sum() <= _BUDGET:
        return Kept(np.arange(n), int(wrong.sum()), int(wrong.sum()), longest)
    drawn = np.random.default_rng(0).permutation(n)
    costliest = np.flatnonzero(wrong)
    costliest = costliest[np.argsort(-row_losses(predictions)[costliest], kind="stable")]
    costliest = costliest[np.cumsum(costs[costliest]) <= _BUDGET / 2]
    left = drawn[~np.isin(drawn, costliest)]
    order = np.concatenate([costliest, left[wrong[left]], left[~wrong[left]]])
    taken = np.sort(order[np.cumsum(costs[order]) <= _BUDGET])
    return Kept(taken, int(wrong.sum()), int(wrong[taken].sum()), longest)


def mistaken(predictions: Predictions) -> NDArray[np.bool_]:
    """Rows whose label, or set of labels, is not the gold one: bool [n]."""
    differs = predictions.gold.astype(np.int64) != predictions.predicted.astype(np.int64)
    found: NDArray[np.bool_] = differs.any(axis=1) if differs.ndim == 2 else differs
    return found


def _rows(predictions: Predictions, rows: Rows, kept: Kept) -> dict[str, Any]:
    """The kept rows, a list for each column."""
    at = kept.rows
    part = predictions.take(np.isin(np.arange(len(predictions)), at))
    gold, given = (_labels_of(part, targets) for targets in (part.gold, part.predicted))
    return {
        "row": part.rows.tolist(),
        "gold": gold,
        "given": given,
        "loss": _rounded(row_losses(part), 3),
        "sure": [
            [round(float(p[label]), 3) for label in dict.fromkeys([*g, *w])]
            for p, g, w in zip(part.probabilities, given, gold, strict=True)
        ],
        "tokens": None if rows.lengths is None else rows.lengths[at].tolist(),
        "text": None if rows.texts is None else [rows.texts[index][: kept.longest] for index in at.tolist()],
    }


def _labels_of(predictions: Predictions, targets: NDArray[Any]) -> list[list[int]]:
    if predictions.task != "multilabel":
        return [[label] for label in targets.tolist()]
    ends = targets.astype(bool).sum(axis=1).cumsum()[:-1]
    return [part.tolist() for part in np.split(np.nonzero(targets)[1], ends)]


def _matrix(predictions: Predictions) -> dict[str, Any]:
    """Confusions, and the labels in an order that has those side by side that are taken for each other."""
    counts = error_analysis.confusions(predictions)
    beside: dict[str, Any] = {}
    if predictions.task == "multilabel":
        gold, given = predictions.gold.astype(bool), predictions.predicted.astype(bool)
        missed, wrong = gold & ~given, given & ~gold
        beside = {
            "nothingInstead": missed[~wrong.any(axis=1)].sum(axis=0).tolist(),
            "nothingMissed": wrong[~missed.any(axis=1)].sum(axis=0).tolist(),
        }
    return {"counts": counts.tolist(), "order": clustered(counts), **beside}


def clustered(counts: NDArray[np.int64]) -> list[int]:
    """The labels of a confusion matrix [k, k], those together that are taken for each other.

    Average linkage over one minus the share of either label's rows that the other takes, the leaves in its order.
    """
    k = len(counts)
    if k <= _FEW:
        return list(range(k))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    alike = np.maximum(shares, shares.T)
    upper = np.triu_indices(k, 1)
    found: list[int] = leaves_list(linkage(1 - np.minimum(alike[upper], 1), "average")).tolist()
    return found


def curves(predictions: Mapping[str, Predictions], thresholds: Sequence[float] | None) -> dict[str, Any]:
    """How many rows get a label, and how many of them have it, at every threshold of `GRID` and at the one in force.

    Where rows have weights, `weighed` has the sums of these beside the numbers of rows: ratios are of them.

    multilabel: of every label. binary: of the positive one. multiclass: of every label against the rest, for the
    precision-recall curve; there is no threshold to set.
    """
    first = next(iter(predictions.values()))
    return {
        "grid": GRID,
        "labels": list(range(len(first.labels))) if first.positive is None else [first.positive],
        "current": _in_force(first, thresholds),
        "splits": {name: _of_split(each, thresholds) for name, each in predictions.items()},
    }


def _in_force(predictions: Predictions, thresholds: Sequence[float] | None) -> list[float]:
    if predictions.positive is not None:
        return [0.5 if thresholds is None else thresholds[predictions.positive]]
    return [0.5] * len(predictions.labels) if thresholds is None else list(thresholds)


def _of_split(predictions: Predictions, thresholds: Sequence[float] | None) -> dict[str, Any]:
    rows = {"rows": len(predictions), **_counted(predictions, thresholds, np.ones(len(predictions), dtype=np.int64))}
    return rows if predictions.weights is None else rows | {"weighed": _counted(predictions, thresholds)}


def _counted(
    predictions: Predictions, thresholds: Sequence[float] | None, rows: NDArray[np.int64] | None = None
) -> dict[str, Any]:
    """Sums over the rows by what each counts; None: by its weight."""
    positive, found = predictions.positive, predictions.probabilities
    each = predictions.counting if rows is None else rows
    k = len(predictions.labels)
    gold = predictions.gold.astype(bool) if predictions.task == "multilabel" else predictions.gold[:, None] == range(k)
    if positive is not None:
        points = [*(decision.operating_point(t, positive) for t in GRID), thresholds]
        given = [decision.predict(found, "binary", point) == positive for point in points]
        return {
            "gold": _plain(each @ gold[:, [positive]]),
            "given": [_plain(np.array([each[mask].sum() for mask in given]))],
            "hits": [_plain(np.array([each[mask & gold[:, positive]].sum() for mask in given]))],
        }
    in_force = _in_force(predictions, thresholds)
    given_of, hits_of = [], []
    for label in range(k):
        at, has = np.array([*GRID, in_force[label]]), gold[:, label]
        given_of.append(_from(found[:, label], each, at))
        hits_of.append(_from(found[has, label], each[has], at))
    return {"gold": _plain(each @ gold), "given": given_of, "hits": hits_of}


def _from(probabilities: NDArray[np.float64], rows: NDArray[Any], thresholds: NDArray[np.float64]) -> list[float]:
    """How many reach each threshold, by what each row counts."""
    order = np.argsort(probabilities, kind="stable")
    below = np.append(0, np.cumsum(rows[order]))
    return _plain(below[-1] - below[np.searchsorted(probabilities[order], thresholds)])


def _plain(sums: NDArray[Any]) -> list[float]:
    """Whole numbers as they are; others to what a page shows and more."""
    found: list[float] = (sums if sums.dtype.kind == "i" else np.round(sums, 6)).tolist()
    return found


def _reliability(predictions: Predictions) -> list[list[list[float]]]:
    """For each label that is asked about: bins of its probability: mean, share that has it, rows, their weight."""
    k = len(predictions.labels)
    gold = predictions.gold if predictions.task == "multilabel" else predictions.gold[:, None] == np.arange(k)
    labels = range(k) if predictions.positive is None else [predictions.positive]
    found = [
        reliability(predictions.probabilities[:, [label]], gold[:, [label]], "multilabel", predictions.weights).bins
        for label in labels
    ]
    return [
        [[round(b.confidence, 4), round(b.observed, 4), b.count, round(b.weight, 4)] for b in bins] for bins in found
    ]


def candidates(
    predictions: Mapping[str, Predictions],
    rows: Mapping[str, Rows],
    files: Mapping[str, str],
    elsewhere: Sequence[tuple[str, int]],
) -> dict[str, Any]:
    """Rows whose gold label is probably wrong, the most suspect first: a table for people to look at.

    The model was trained on none of these rows, which is what confident learning asks for.
    """
    table: list[list[Any]] = []
    for name, each in predictions.items():
        single = each.task != "multilabel"
        found = (
            suspicion(each.probabilities, each.gold.astype(np.int64))
            if single
            else multilabel_suspicion(each.probabilities, each.gold)
        )
        gold = _labels_of(each, each.gold)
        for at in found.ranked()[:_CANDIDATES].tolist():
            label = int(found.suggested[at])
            rather = each.labels[label]
            if not single:
                rather = f"{'without' if label in gold[at] else 'also'} {rather}"
            texts = rows[name].texts
            table.append(
                [
                    *(name, int(each.rows[at]), files[name], "; ".join(each.labels[j] for j in gold[at]), rather),
                    *(round(float(found.confidence[at]), 4), "" if texts is None else texts[at][:_CUT], THIS_MODEL),
                ]
            )
    table.sort(key=lambda line: line[5])
    table += [[split, row, files[split], "", "", None, "", _LINEAR] for split, row in elsewhere]
    return {
        "head": ["split", "row", "file", "gold", "rather", "probability_of_gold", "text", "found_by"],
        "rows": table,
    }


def _rounded(values: NDArray[np.float64], digits: int) -> list[float]:
    found: list[float] = np.round(values, digits).tolist()
    return found

"""What the predictions of a split show beyond its scores: curves, bins, confusions and the mistakes themselves.

Pure numpy on `Predictions`; nothing here knows of a page or a plot.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftcls.scoring.metrics import Predictions, row_losses

_POINTS = 300
"""Points kept of a precision-recall curve: more than a drawing of this size has pixels across."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A precision-recall curve, of rows that count by their weights."""

    name: str
    recall: NDArray[np.float64]
    precision: NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Two labels that are taken for each other."""

    gold: str
    given: str
    count: int
    share: float
    """Of the rows whose gold label it is."""


@dataclass(frozen=True)
class Mistake:
    """One row that went wrong, or that cost the most."""

    row: int
    index: int
    """Its place in the predictions file."""
    gold: tuple[str, ...]
    predicted: tuple[str, ...]
    probability: float
    """Of the predicted label; multilabel: of `worst`."""
    worst: str | None
    """multilabel: the label that is most surely wrong, missed if it is gold, else wrongly given; None where all are
    right."""
    loss: float


def curves(predictions: Predictions, areas: dict[str, float | None], *, most: int) -> tuple[Curve, ...]:
    """Precision-recall curves of at most `most` labels (binary: of the positive one alone), thinned.

    Of more labels than that: all of them taken together first, then those of the lowest and the highest average
    precision, which are given as `areas`.
    """
    labels, positive = predictions.labels, predictions.positive
    known = [label for label in labels if areas[label] is not None]
    if positive is not None:
        known = [label for label in known if label == labels[positive]]
    if len(known) <= most:
        return tuple(_curve(predictions, label) for label in known)
    ranked = sorted(known, key=lambda label: areas[label] or 0.0)
    half = (most - 1) // 2
    gold, each = _indicators(predictions), np.repeat(predictions.counting, len(labels))
    together = _thinned("all labels together", predictions.probabilities.ravel(), gold.ravel(), each)
    return (together, *(_curve(predictions, label) for label in (*ranked[:half], *ranked[-half:])))


def _curve(predictions: Predictions, label: str) -> Curve:
    index = predictions.labels.index(label)
    gold = _gold_of(predictions, index)
    return _thinned(label, predictions.probabilities[:, index], gold, predictions.counting)


def _thinned(name: str, scores: NDArray[np.float64], gold: NDArray[np.bool_], rows: NDArray[np.float64]) -> Curve:
    """The curve from the highest score down; of the points in one step of recall the first and the last are kept."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    counted = rows[order]
    given, hits = counted.cumsum()[ends], (counted * gold[order]).cumsum()[ends]
    recall, precision = hits / hits[-1], hits / given
    step = np.floor(recall * _POINTS)
    kept = np.flatnonzero(np.append(True, step[1:] != step[:-1]) | np.append(step[1:] != step[:-1], True))
    recall, precision = recall[kept], precision[kept]
    done = int(np.searchsorted(recall, 1.0)) + 1  # after the last gold row precision only falls, straight down
    return Curve(name, np.append(0.0, recall[:done]), np.append(precision[0], precision[:done]))


def confusions(predictions: Predictions) -> NDArray[np.int64]:
    """[k, k] rows by gold label and the label given instead, with the right answers on the diagonal.

    multilabel: rows in which the first label was missed and the second given without being there; on the diagonal
    the rows in which it was found.
    """
    k = len(predictions.labels)
    if predictions.task != "multilabel":
        cell = predictions.gold.astype(np.int64) * k + predictions.predicted
        return np.bincount(cell, minlength=k * k).reshape(k, k).astype(np.int64)
    gold, given = predictions.gold.astype(bool), predictions.predicted.astype(bool)
    missed, wrong = (gold & ~given).astype(np.float32), (given & ~gold).astype(np.float32)
    found: NDArray[np.int64] = np.rint(missed.T @ wrong).astype(np.int64)
    found[np.arange(k), np.arange(k)] = (gold & given).sum(axis=0)
    return found


def pairs(predictions: Predictions, *, most: int) -> tuple[Pair, ...]:
    """The most frequent confusions off the diagonal of `confusions`."""
    counts = confusions(predictions)
    gold = _indicators(predictions).sum(axis=0)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts.ravel(), kind="stable")[:most]
    cells = [divmod(int(place), len(gold)) for place in order if counts.ravel()[place] > 0]
    names = predictions.labels
    return tuple(Pair(names[i], names[j], int(counts[i, j]), counts[i, j] / gold[i]) for i, j in cells)


def surest_mistakes(predictions: Predictions, *, most: int) -> tuple[Mistake, ...]:
    """Rows with a label that was wrongly given, by how probable it seemed."""
    return _ranked(predictions, _wrongly_given(predictions), most)


def surest_misses(predictions: Predictions, *, most: int) -> tuple[Mistake, ...]:
    """multilabel: rows with a gold label that was not given, the least probable first."""
    return _ranked(predictions, _missed(predictions), most)


def costliest(predictions: Predictions, *, most: int) -> tuple[Mistake, ...]:
    """The rows of the highest loss, right or wrong."""
    order = np.argsort(-row_losses(predictions), kind="stable")[:most]
    sure = np.maximum(_wrongly_given(predictions), _missed(predictions))
    return tuple(_mistakes(predictions, order.tolist(), sure[order]))


def costliest_mistakes(predictions: Predictions, *, most: int) -> tuple[Mistake, ...]:
    """The rows of the highest loss among those that went wrong."""
    sure = np.maximum(_wrongly_given(predictions), _missed(predictions))
    wrong = np.flatnonzero(sure.any(axis=1))
    order = wrong[np.argsort(-row_losses(predictions)[wrong], kind="stable")][:most]
    return tuple(_mistakes(predictions, order.tolist(), sure[order]))


def names(predictions: Predictions, targets: NDArray[Any], place: int) -> tuple[str, ...]:
    """The names of the labels of one row, of its gold or its predicted ones."""
    return tuple(predictions.labels[label] for label in _at(targets, place).tolist())


def _ranked(predictions: Predictions, sure: NDArray[np.float64], most: int) -> tuple[Mistake, ...]:
    """The rows [n, k] of the surest wrong answers; 0 stands for a right one."""
    order = np.argsort(-sure.max(axis=1), kind="stable")[:most]
    places = [place for place in order.tolist() if sure[place].max() > 0]
    return tuple(_mistakes(predictions, places, sure[places]))


def _wrongly_given(predictions: Predictions) -> NDArray[np.float64]:
    return np.where(_given(predictions) & ~_indicators(predictions), predictions.probabilities, 0.0)


def _missed(predictions: Predictions) -> NDArray[np.float64]:
    """A label that was missed at p was denied with 1 - p; what single-label rows miss is said by what they give."""
    if predictions.task != "multilabel":
        return np.zeros_like(predictions.probabilities)
    return np.where(_indicators(predictions) & ~_given(predictions), 1 - predictions.probabilities, 0.0)


def _mistakes(predictions: Predictions, places: list[int], sure: NDArray[np.float64]) -> Iterator[Mistake]:
    """These rows, with how sure their wrong answers [len(places), k] were."""
    if not places:
        return
    part = predictions.take(np.array(places, dtype=np.int64))
    losses, names = row_losses(part), np.array(part.labels, dtype=object)
    multilabel = part.task == "multilabel"
    for index, place in enumerate(places):
        worst = int(sure[index].argmax())
        wrong = multilabel and sure[index, worst] > 0
        yield Mistake(
            row=int(part.rows[index]),
            index=place,
            gold=tuple(names[_at(part.gold, index)]),
            predicted=tuple(names[_at(part.predicted, index)]),
            probability=float(part.probabilities[index, worst] if wrong else part.probabilities[index].max()),
            loss=float(losses[index]),
            worst=names[worst] if wrong else None,
        )


def _at(targets: NDArray[Any], place: int) -> NDArray[Any]:
    return np.flatnonzero(targets[place]) if targets.ndim == 2 else targets[place : place + 1].astype(np.int64)


def _indicators(predictions: Predictions) -> NDArray[np.bool_]:
    return _as_indicators(predictions.gold, len(predictions.labels))


def _given(predictions: Predictions) -> NDArray[np.bool_]:
    return _as_indicators(predictions.predicted, len(predictions.labels))


def _as_indicators(targets: NDArray[Any], k: int) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = targets.astype(bool) if targets.ndim == 2 else targets[:, None] == np.arange(k)
    return found


def _gold_of(predictions: Predictions, index: int) -> NDArray[np.bool_]:
    gold = predictions.gold
    found: NDArray[np.bool_] = gold[:, index].astype(bool) if gold.ndim == 2 else gold == index
    return found

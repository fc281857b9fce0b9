"""Logistic regression on the vectors of an encoder: how far a checkpoint goes that is not trained, or not any more."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from ftcls.errors import DataError
from ftcls.model.baselines import store
from ftcls.scoring.decision import Task

Rows = NDArray[np.float64] | None
"""How much each of n rows counts, [n] of mean 1; None: all the same."""

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

KIND: Final = "frozen"
STRENGTHS: Final = (1.0, 10.0, 100.0)
"""Inverse strengths C of the regularization that are tried, for vectors of length 1."""
_TRIED_ON: Final = 5_000
"""Most training rows that a strength is tried on."""
_ITERATIONS: Final = 300
_ARRAYS: Final = ("weights", "intercepts", "machines", "seen", "prior")


@dataclass(frozen=True, eq=False)
class LogisticModel:
    """A linear classifier of vectors [n, d], for the labels that the training rows tell apart; k labels in all."""

    task: Task
    strength: float
    weights: NDArray[np.float32]
    """[d, m]"""
    intercepts: NDArray[np.float32]
    """[m]"""
    machines: NDArray[np.int64]
    """[m] the label of each column."""
    seen: NDArray[np.int64]
    """Labels that share the probability of a single-label task."""
    prior: NDArray[np.float64]
    """[k] share of the training rows, for what is not learnt."""

    def probabilities(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities [n, k]."""
        return self.of_scaled(_unit(vectors))

    def of_scaled(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities [n, k] of vectors that are scaled already."""
        found: NDArray[np.float64] = np.tile(self.prior, (len(rows), 1))
        if len(self.machines) and len(rows):
            margins = rows @ self.weights.astype(np.float64) + self.intercepts
            if self.task == "multilabel":
                found[:, self.machines] = expit(margins)
            else:
                found[:, self.seen] = softmax(margins, axis=1) * self.prior[self.seen].sum()
        return found

    def save(self, folder: Path, settings: dict[str, Any]) -> None:
        """Write it to a folder, with what else is to be known of it."""
        own = {"task": self.task, "strength": self.strength}
        store.save(folder, KIND, {**settings, **own}, {name: getattr(self, name) for name in _ARRAYS})

    @classmethod
    def load(cls, folder: Path) -> tuple[Self, dict[str, Any]]:
        """Read what `save` wrote.

        Raises:
            DataError: it is not there, or is damaged.
        """
        settings, arrays = store.load(folder, KIND, _ARRAYS, {"task": str, "strength": float})
        m, k = (arrays[name].size for name in ("machines", "prior"))
        width = len(arrays["weights"]) if arrays["weights"].ndim else 0
        shapes = {"weights": (width, m), "intercepts": (m,), "machines": (m,), "seen": (arrays["seen"].size,)}
        store.expect(folder, arrays, {**shapes, "prior": (len(settings["labels"]),)}, {"machines": k, "seen": k})
        if settings["task"] != "multilabel" and m not in (0, arrays["seen"].size):
            raise DataError(f"{folder / store.ARRAYS}: cannot be read ({m} machines for other labels); train anew")
        return cls(task=settings["task"], strength=settings["strength"], **arrays), settings


def learn(
    vectors: NDArray[np.float32],
    targets: NDArray[np.int64] | NDArray[np.float32],
    unseen: tuple[NDArray[np.float32], NDArray[np.int64] | NDArray[np.float32]],
    *,
    task: Task,
    k: int,
    seed: int,
    weights: tuple[Rows, Rows] = (None, None),
) -> LogisticModel:
    """Learn n vectors [n, d], with the strength of regularization under which the loss on unseen rows is lowest.

    Args:
        vectors: [n, d].
        targets: int64 [n], or float32 [n, k] of 0 and 1 for multilabel, or how probable each label is.
        unseen: vectors and targets of the validation rows.
        task: binary, multiclass or multilabel.
        k: labels.
        seed: draws the rows that the strengths are tried on.
        weights: how much each row, and each validation row, counts, 1 on average.
    """
    return _learn(_unit(vectors), targets, (_unit(unseen[0]), unseen[1]), task, k, seed, weights)


def linear_layer(
    vectors: NDArray[np.float32],
    targets: NDArray[np.int64] | NDArray[np.float32],
    unseen: tuple[NDArray[np.float32], NDArray[np.int64] | NDArray[np.float32]] | None,
    *,
    task: Task,
    k: int,
    seed: int,
    weights: tuple[Rows, Rows] = (None, None),
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Weights [k, d] and biases [k] of a layer that makes logits of vectors of any length, and the strength.

    Vectors are divided by their mean length, and not each by its own, which a linear layer cannot do. A label that no
    row has gets its prior alone. The arguments are those of `learn`; without unseen rows the strength is the middle
    one.
    """
    scale = float(np.linalg.norm(vectors.astype(np.float64), axis=1).mean()) or 1.0
    rows = vectors.astype(np.float64) / scale
    if unseen is None:
        model = _fitted(rows, targets, weights[0], task, k, STRENGTHS[len(STRENGTHS) // 2])
    else:
        model = _learn(rows, targets, (unseen[0].astype(np.float64) / scale, unseen[1]), task, k, seed, weights)
    layer = np.zeros((k, vectors.shape[1]))
    bias = np.log(model.prior) - (np.log1p(-model.prior) if task == "multilabel" else 0.0)
    layer[model.machines] = model.weights.T / scale
    bias[model.machines] = model.intercepts
    return layer, bias, model.strength


def fit(
    vectors: NDArray[np.float32],
    targets: NDArray[np.int64] | NDArray[np.float32],
    *,
    task: Task,
    k: int,
    strength: float,
    weights: Rows = None,
) -> LogisticModel:
    """Learn n vectors [n, d] under a strength of regularization that is known; the rest as for `learn`."""
    return _fitted(_unit(vectors), targets, weights, task, k, strength)


def _learn(
    rows: NDArray[np.float64],
    targets: NDArray[Any],
    unseen: tuple[NDArray[np.float64], NDArray[Any]],
    task: Task,
    k: int,
    seed: int,
    weights: tuple[Rows, Rows],
) -> LogisticModel:
    each, of_unseen = weights
    some = np.random.default_rng(seed).permutation(len(rows))[:_TRIED_ON]
    of_some = None if each is None else each[some]
    tried = [_fitted(rows[some], targets[some], of_some, task, k, strength) for strength in STRENGTHS]
    losses = [_loss(model.of_scaled(unseen[0]), unseen[1], of_unseen, task) for model in tried]
    return _fitted(rows, targets, each, task, k, STRENGTHS[int(np.argmin(losses))])


def _loss(probabilities: NDArray[np.float64], targets: NDArray[Any], weights: Rows, task: Task) -> float:
    found = np.clip(probabilities, 1e-12, 1 - 1e-12)
    if targets.ndim == 1:
        losses = -np.log(found[np.arange(len(targets)), targets.astype(np.int64)])
    elif task == "multilabel":
        losses = -(targets * np.log(found) + (1 - targets) * np.log1p(-found)).mean(axis=1)
    else:
        losses = -(targets * np.log(found)).sum(axis=1)
    return float(np.average(losses, weights=weights))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float64).tiny), dtype=np.float64)


def _fitted(
    rows: NDArray[np.float64], targets: NDArray[Any], each: Rows, task: Task, k: int, strength: float
) -> LogisticModel:
    given = (targets if targets.ndim == 2 else targets[:, None] == np.arange(k)).astype(np.float64)
    counts = given.sum(axis=0) if each is None else each @ given
    prior = (counts + 1) / (len(rows) + (2 if task == "multilabel" else k))
    seen = np.flatnonzero(counts)
    weights: Sequence[Any] = ()
    intercepts: Sequence[Any] = ()
    if task == "multilabel":
        machines = np.flatnonzero((given > 0).any(axis=0) & (given < 1).any(axis=0))
        found = [
            _regression(rows, np.stack([1 - given[:, label], given[:, label]], axis=1), each, strength)
            for label in machines
        ]
        weights, intercepts = [each.coef_[0] for each in found], [each.intercept_[0] for each in found]
    else:
        machines = seen if len(seen) > 1 else seen[:0]
        if len(machines):
            weights, intercepts = _columns(_regression(rows, given, each, strength))
    return LogisticModel(
        task=task,
        strength=strength,
        weights=np.array(weights, dtype=np.float32).reshape(len(machines), rows.shape[1]).T,
        intercepts=np.array(intercepts, dtype=np.float32),
        machines=machines,
        seen=seen,
        prior=prior,
    )


def _columns(model: "LogisticRegression") -> tuple[Sequence[Any], Sequence[Any]]:
    """Weights and intercept of each label; scikit-learn gives those of the second alone where there are two."""
    if len(model.classes_) > 2:
        return model.coef_, model.intercept_
    return [np.zeros_like(model.coef_[0]), model.coef_[0]], [0.0, model.intercept_[0]]


def _regression(
    rows: NDArray[np.float64], given: NDArray[np.float64], each: Rows, strength: float
) -> "LogisticRegression":
    """The regression of classes that each row has for a part, [n, k]: it is learnt once for each, by that part."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    places, classes = np.nonzero(given)
    weights = given[places, classes] if each is None else given[places, classes] * each[places]
    whole = len(places) == len(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Of many labels with few rows scikit-learn asks whether classes are measurements; the task says they are not.
        warnings.filterwarnings("ignore", message="The number of unique classes is greater", category=UserWarning)
        return LogisticRegression(C=strength, max_iter=_ITERATIONS).fit(
            rows if whole else rows[places], classes, sample_weight=None if whole and each is None else weights
        )

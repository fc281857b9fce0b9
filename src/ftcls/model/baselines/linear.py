"""The simple models beside every score: TF-IDF with a linear classifier, and the most frequent label.

The linear one is a support vector machine per label (one against the rest), its margins turned into probabilities by
Platt's sigmoid, fitted on rows that the machine did not see. Chosen over logistic regression (the same features, C 10,
SAGA) by what both reached on the test splits, one core:

| data | rows | regression | machine |
| --- | ---: | --- | --- |
| AG News | 23,845 | accuracy .898, loss .313, 0.8 s | .904, .295, 1.2 s |
| IMDb | 22,500 | accuracy .907, loss .246, 1.0 s | .906, .234, 0.9 s |
| Reuters-21578, 90 topics | 8,643 | macro F1 .201, micro .776, 31 s | .517, .873, 13 s |
| GoEmotions, 28 emotions | 43,410 | macro F1 .323, micro .478, 11 s | .380, .482, 8 s |

Of a pair of texts the words of either are features of their own, and so are the words that both have.

A rare label's regression seldom reaches one half; a calibrated machine does where the words are clear.

scikit-learn is imported where it is used: it takes a second, and a fine-tuned model predicts without it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from ftcls.data.corpus import Corpus
from ftcls.data.texts import are_pairs, parts
from ftcls.environment import memory
from ftcls.errors import DataError
from ftcls.model.baselines import store
from ftcls.model.baselines.machine import one_against_rest
from ftcls.scoring import decision
from ftcls.scoring.decision import Decision, Task
from ftcls.scoring.metrics import Predictions

NAME = "TF-IDF + linear SVM"
MAJORITY = "most frequent label"

_TOKEN = r"\w+|[^\w\s]"
"""Words, and single signs, so that emoji count; worth .004 on AG News."""
_BUCKETS = 2**20
_BLOCKS = 3
"""Of the words of a pair of texts: those of the first, of the second, and of both."""
_FEATURES = 200_000
"""Most features: the most frequent; they bound memory on any number of rows and labels."""
_RARE_FROM_ROWS = 5000
"""From so many training rows on, a feature must occur in two of them; in small sets every word is needed."""
_FEWEST = 50
"""Rows below which none are left out where memory runs out."""


KIND: Final = "tfidf"
_FORM: Final = f"words and pairs, {_TOKEN}, {_BUCKETS} buckets, sublinear"
"""What a saved model's features are; another text of this constant cannot read it."""
_ARRAYS: Final = ("features", "idf", "weights", "offsets", "machines", "seen", "prior")


@dataclass(frozen=True)
class Baseline:
    """What a simple model said about the test rows."""

    name: str
    predictions: Predictions
    seconds: float


@dataclass(frozen=True, eq=False)
class LinearModel:
    """TF-IDF and a calibrated linear machine for each of m labels that the training rows tell apart; k labels in all.

    Weights are float32 to the last bit, so that the model is the same when it is read from a file.
    """

    task: Task
    features: NDArray[np.int64]
    """[f] the buckets of the hash that are features, rising; of pairs of texts see `_counts`."""
    idf: NDArray[np.float32]
    """[f]"""
    weights: NDArray[np.float32]
    """[f, m]"""
    offsets: NDArray[np.float64]
    """[3, m]: intercept of the machine, slope and intercept of the sigmoid over its margin."""
    machines: NDArray[np.int64]
    """[m] the label of each machine."""
    seen: NDArray[np.int64]
    """Labels that share the probability of a single-label task; with two of them there is one machine."""
    prior: NDArray[np.float64]
    """[k] share of the training rows, for what no machine says."""
    rows: int | None = None
    """How many were learnt: fewer than there were where memory ran out. None: read from a file."""

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities [n, k] of n cleaned texts."""
        if not len(texts):
            return self._probabilities(texts)
        return np.concatenate([found for _, found in memory.in_halves(self._probabilities, texts)])

    def _probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.tile(self.prior, (len(texts), 1))
        if not len(self.machines) or not len(texts):
            return found
        said = expit(self.offsets[1] * self.margins(texts) + self.offsets[2])
        if self.task == "multilabel":
            found[:, self.machines] = said
            return found
        each = np.concatenate([1 - said, said], axis=1) if len(self.seen) == 2 else said
        found[:, self.seen] = each / each.sum(axis=1, keepdims=True) * self.prior[self.seen].sum()
        return found

    def margins(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Margins [n, m] of n cleaned texts."""
        # In float64, in which the machines were fitted; converted once.
        found = _weighted(_counts(texts), self.features, self.idf) @ self._columns
        return np.asarray(found + self.offsets[0], dtype=np.float64)

    @cached_property
    def _columns(self) -> NDArray[np.float64]:
        return np.ascontiguousarray(self.weights, dtype=np.float64)

    def save(self, folder: Path, labels: Sequence[str]) -> None:
        """Write it to a folder, as arrays and settings; nothing in it can run."""
        settings = {"features": _FORM, "task": self.task, "labels": list(labels)}
        store.save(folder, KIND, settings, {name: getattr(self, name) for name in _ARRAYS})

    @classmethod
    def load(cls, folder: Path, *, pairs: bool = False) -> Self:
        """Read what `save` wrote.

        Args:
            folder: where it lies.
            pairs: whether it was fitted to pairs of texts, which have three blocks of buckets.

        Raises:
            DataError: it is not there, is damaged, or was written by another version.
        """
        settings, arrays = store.load(folder, KIND, _ARRAYS, {"features": str, "task": str})
        if settings["features"] != _FORM:
            raise DataError(f"{folder}: made by another version of ftcls, which counts words otherwise; train anew")
        f, m, k = (len(arrays[name]) if arrays[name].ndim else 0 for name in ("features", "machines", "prior"))
        shapes = {"features": (f,), "idf": (f,), "weights": (f, m), "offsets": (3, m), "machines": (m,)}
        shapes |= {"seen": (arrays["seen"].size,), "prior": (len(settings["labels"]),)}
        buckets = _BLOCKS * _BUCKETS if pairs else _BUCKETS
        store.expect(folder, arrays, shapes, {"features": buckets, "machines": k, "seen": k})
        if settings["task"] != "multilabel" and m not in (0, 1 if len(arrays["seen"]) == 2 else len(arrays["seen"])):
            raise DataError(f"{folder / store.ARRAYS}: cannot be read ({m} machines for other labels); train anew")
        return cls(task=settings["task"], rows=None, **arrays)


def baseline(corpus: Corpus, probabilities: NDArray[np.float64], how: Decision, seconds: float) -> Baseline:
    """What a linear model said about the test split: probabilities [n, k], and the decision on them."""
    predicted = decision.predict(probabilities, corpus.task, how.thresholds)
    return Baseline(NAME, _predictions(corpus, predicted, probabilities), seconds)


def majority(corpus: Corpus) -> Baseline:
    """Say of every test row what most training rows have: the most frequent label, or set of labels for multilabel.

    Rows count by their weights. Of equally frequent ones the first in label order. Probabilities are the labels' shares
    of the training rows, one row added for each outcome. No constant answer is right more often than the most frequent
    set; what most rows have label by label would be no label at all in every set with rare labels.
    """
    started = time.perf_counter()
    train, test = corpus.splits["train"], corpus.splits["test"]
    targets, rows = train.targets, np.ones(len(train)) if train.shares is None else train.shares
    if corpus.task == "multilabel":
        sets, places = np.unique(targets > 0, axis=0, return_inverse=True)
        counts = np.bincount(places, rows)
        most: NDArray[Any] = sets[::-1][np.argmax(counts[::-1])]  # sorted sets: the last has the first label
        shares = (rows @ targets + 1) / (len(targets) + 2)
    else:
        counts = np.bincount(targets, rows, minlength=len(corpus.labels))
        most, shares = np.asarray(np.argmax(counts)), (counts + 1) / (counts.sum() + len(counts))
    predicted = np.repeat(most[None], len(test), axis=0)
    found = _predictions(corpus, predicted, np.tile(shares, (len(test), 1)))
    return Baseline(MAJORITY, found, time.perf_counter() - started)


def _predictions(corpus: Corpus, predicted: NDArray[Any], probabilities: NDArray[np.float64]) -> Predictions:
    test = corpus.splits["test"]
    positive = corpus.positive
    if corpus.task == "binary" and positive is None:
        positive = 1
    return Predictions(
        task=corpus.task,
        labels=corpus.labels,
        gold=test.targets,
        predicted=predicted,
        probabilities=probabilities,
        rows=test.rows,
        clusters=test.clusters,
        weights=test.weights,
        soft=test.soft,
        positive=positive,
    )


def fit_predict(
    train_texts: Sequence[str],
    train_targets: NDArray[np.int64] | NDArray[np.float32],
    test_texts: Sequence[str],
    *,
    task: Task,
    k: int,
    seed: int,
) -> tuple[NDArray[np.float64], float]:
    """Probabilities float64 [m, k] of m test texts, and the seconds it took; see `learn`."""
    started = time.perf_counter()
    model = learn(train_texts, train_targets, task=task, k=k, seed=seed)
    return model.probabilities(test_texts), time.perf_counter() - started


def learn(
    texts: Sequence[str],
    targets: NDArray[np.int64] | NDArray[np.float32],
    *,
    task: Task,
    k: int,
    seed: int,
    weights: NDArray[np.float64] | None = None,
) -> LinearModel:
    """Learn n cleaned texts.

    `targets` is int64 [n], or float32 [n, k] of 0 and 1 for multilabel, or how probable each label is. `weights` [n] is
    how much each row counts, 1 on average; how rare a word is goes by texts alone. Labels that the rows do not tell
    apart (all or none have it, or no text has a word) get their share of the training rows as probability. Where memory
    runs out half of the rows are learnt, drawn by chance, and so on.

    Raises:
        TrainingError: a few rows are too much.
    """

    def of(size: int) -> LinearModel:
        if size == len(texts):
            return _learn(texts, targets, weights, task=task, k=k, seed=seed)
        some = np.sort(np.random.default_rng(seed).permutation(len(texts))[:size])
        each = None if weights is None else weights[some] / weights[some].mean()
        return _learn([texts[row] for row in some.tolist()], targets[some], each, task=task, k=k, seed=seed)

    return memory.smaller(of, len(texts), least=min(len(texts), _FEWEST), what="TF-IDF and a linear model learn rows")


def _learn(
    texts: Sequence[str],
    targets: NDArray[np.int64] | NDArray[np.float32],
    weights: NDArray[np.float64] | None,
    *,
    task: Task,
    k: int,
    seed: int,
) -> LinearModel:
    features, idf, train = _features(texts)
    given = (targets if targets.ndim == 2 else targets[:, None] == np.arange(k)).astype(np.float64)
    counts = given.sum(axis=0) if weights is None else weights @ given
    # Laplace: a label not seen in training is not impossible.
    prior = (counts + 1) / (len(texts) + (2 if task == "multilabel" else k))
    seen = np.flatnonzero(counts)
    apart = (given > 0).any(axis=0) & (given < 1).any(axis=0)
    machines = np.flatnonzero(apart) if len(features) else np.array([], dtype=np.int64)
    if task != "multilabel" and len(seen) == 2:
        machines = machines[1:]
    found = [one_against_rest(train, given[:, label], weights, seed) for label in machines]
    return LinearModel(
        task=task,
        features=features,
        idf=idf,
        weights=np.array([each.weights for each in found], dtype=np.float32).reshape(len(found), len(features)).T,
        offsets=np.array([[each.intercept, *each.sigmoid] for each in found]).reshape(len(found), 3).T,
        machines=machines,
        seen=seen,
        prior=prior,
        rows=len(texts),
    )


def _counts(texts: Sequence[str]) -> Any:
    """Sparse float32 [n, buckets]: how often each word and two words in a row stand in each text.

    Of pairs of texts [n, 3 buckets]: in the first text, in the second, and in both, the lower of the two counts. By the
    last a linear model sees how far the two agree, which neither of them says.
    """
    if not are_pairs(texts):
        return _hashed(texts)
    from scipy.sparse import hstack

    first, second = (_hashed([parts(text)[side] for text in texts]) for side in (0, 1))
    return hstack([first, second, first.minimum(second)], format="csr", dtype=np.float32)


def _hashed(texts: Sequence[str]) -> Any:
    """Sparse float32 [n, buckets]."""
    from sklearn.feature_extraction.text import HashingVectorizer

    # Hashing needs no vocabulary in memory: a million rows have tens of millions of word pairs.
    hashing = HashingVectorizer(
        ngram_range=(1, 2),
        n_features=_BUCKETS,
        token_pattern=_TOKEN,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
    )
    return hashing.transform(texts)


def _features(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float32], Any]:
    """The buckets [f] that are features, their inverse document frequency [f], and the texts by them, [n, f].

    f is 0 where no text has a word.
    """
    from sklearn.feature_extraction.text import TfidfTransformer

    counts = _counts(texts)
    rows = np.bincount(counts.indices, minlength=counts.shape[1])
    enough = 2 if len(texts) >= _RARE_FROM_ROWS else 1
    kept = np.sort(np.argsort(-rows, kind="stable")[: min(_FEATURES, int((rows >= enough).sum()))])
    if not len(kept):
        return kept, np.zeros(0, dtype=np.float32), counts[:, kept]
    idf = TfidfTransformer(sublinear_tf=True).fit(counts[:, kept]).idf_.astype(np.float32)
    return kept, idf, _weighted(counts, kept, idf)


def _weighted(counts: Any, features: NDArray[np.int64], idf: NDArray[np.float32]) -> Any:
    """Sparse float64 [n, f], rows of length 1: (1 + log count) · idf."""
    from sklearn.feature_extraction.text import TfidfTransformer

    weighting = TfidfTransformer(sublinear_tf=True)
    weighting.idf_ = idf
    # liblinear computes in float64: converted once, not for every label.
    return weighting.transform(counts[:, features]).astype(np.float64)

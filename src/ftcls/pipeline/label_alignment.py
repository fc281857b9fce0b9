"""A checkpoint and data that do not come from the same run: do they speak of the same labels?"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ftcls.config.schema import Data, Model, SplitPaths, Subset
from ftcls.data.corpus import Corpus, Split, Task
from ftcls.data.tables.spreadsheet import file_of
from ftcls.errors import ConfigError, DataError
from ftcls.inference.base_classifier import BaseClassifier
from ftcls.inference.classifier import Classifier
from ftcls.model import loading
from ftcls.scoring import decision


def elsewhere(section: Data, data: Path, *, task: Task, labels: tuple[str, ...] | None) -> Data:
    """The data section for another copy of the set, or for one file of one's own taken whole.

    Raises:
        DataError: there is no such file or folder.
    """
    if not file_of(data).exists():
        raise DataError(f"--data {data}: no such file or folder")
    if data.is_dir() and section.source != "files":
        whole = section.split.model_copy(update={"folds": None, "fold": None})
        return section.model_copy(update={"path": str(data), "subset": Subset(), "split": whole})
    place = str(data)
    return Data(
        source="files",
        path=SplitPaths(train=place, validation=place, test=place),
        text=section.text,
        columns=section.columns,
        label=section.label,
        weight=section.weight,
        group=section.group,
        task=task,
        labels=labels,
        positive_label=section.positive_label,
        clean=section.clean,
        on_bad_row=section.on_bad_row,
    )


def is_whole(section: Data) -> bool:
    """Whether every split is all of one file."""
    return isinstance(section.path, SplitPaths) and section.path.train == section.path.validation == section.path.test


def bare(labels: Sequence[str]) -> bool:
    """Whether the labels are what transformers writes where nobody named them: LABEL_0, LABEL_1 ..."""
    return all(re.fullmatch(r"LABEL_\d+", label) for label in labels)


def renamed(trained: BaseClassifier, names: tuple[str, ...] | None) -> BaseClassifier:
    """The classifier with the label names that the user gives, in the order of its outputs.

    Raises:
        DataError: it has another number of labels.
    """
    if names is None:
        return trained
    if len(set(names)) != len(trained.labels) or len(names) != len(trained.labels):
        raise DataError(
            f"--labels {_typed(names)}: {len(set(names))} different names, and the model has {len(trained.labels)} "
            f"labels ({', '.join(trained.labels)}); name each of them once, in this order"
        )
    return replace(trained, labels=names)  # type: ignore[type-var]


def align(checkpoint: str, trained: BaseClassifier, corpus: Corpus, section: Model) -> tuple[BaseClassifier, Corpus]:
    """The classifier ready for the corpus, and the corpus with its labels in the order of the classifier's outputs.

    A checkpoint that ftcls wrote keeps its own max_length, truncation and thresholds; any other takes those of the
    config's model section. Task and positive label are the data's.

    Raises:
        DataError: the label names differ, or one gives single labels and the other several.
        ConfigError: the config has windows, and another's checkpoint reads none.
    """
    if set(trained.labels) != set(corpus.labels):
        raise DataError(_mismatch(checkpoint, trained.labels, corpus))
    problem = trained.config.problem_type if isinstance(trained, Classifier) and trained.foreign else trained.task
    several = problem in ("multilabel", "multi_label_classification")
    if problem is not None and several != (corpus.task == "multilabel"):
        raise DataError(f"{checkpoint}: it was trained for {problem}, and the data is {corpus.task}")
    if isinstance(trained, Classifier) and trained.foreign:
        if section.windows is not None:
            raise ConfigError(
                f"{checkpoint}: only a model that ftcls trained reads windows; remove model.windows from the config"
            )
        section_length = loading.longest(trained.config, trained.tokenizer, section.max_length)
        own = replace(
            trained.settings,
            max_length=section_length,
            truncation=section.truncation,
            pair_truncation=section.pair_truncation,
            text=corpus.text,
        )
        trained = replace(trained, settings=own, decision=decision.default(corpus.task, len(corpus.labels)))
    known = replace(trained.settings, task=corpus.task, positive_label=corpus.positive_label)
    return replace(trained, settings=known), _ordered(corpus, trained.labels)  # type: ignore[type-var]


def _ordered(corpus: Corpus, labels: tuple[str, ...]) -> Corpus:
    """The same corpus with its labels in another order."""
    there = np.array([labels.index(label) for label in corpus.labels])

    def renumbered(split: Split) -> Split:
        targets, order = split.targets, np.argsort(there)
        return replace(
            split,
            targets=targets[:, order] if targets.ndim == 2 else there[targets],
            soft=None if split.soft is None else split.soft[:, order],
        )

    splits = {name: renumbered(split) for name, split in corpus.splits.items()}
    return replace(corpus, labels=labels, splits=splits)


def _mismatch(checkpoint: str, labels: tuple[str, ...], corpus: Corpus) -> str:
    found = f"{checkpoint}: its labels are {_listed(labels)}, those of {corpus.source} are {_listed(corpus.labels)}."
    if len(labels) != len(corpus.labels):
        return f"{found} A model with {len(labels)} labels cannot be scored on data with {len(corpus.labels)}."
    why = "Bare numbers do not say which label is which" if bare(labels) else "They must be the same"
    return (
        f"{found}\n{why}: name the model's labels in the data's words and in the model's order, such as\n"
        f"  --labels {_typed(corpus.labels)}\nif {labels[0]} means {corpus.labels[0]!r}, "
        f"{labels[1]} means {corpus.labels[1]!r}{' and so on' if len(labels) > 2 else ''}."
    )


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:8])
    return f"{shown} and {len(labels) - 8} more" if len(labels) > 8 else shown


def _typed(labels: Sequence[str]) -> str:
    """As the option takes them: a label with a comma in quotes."""
    text = ",".join(f'"{label}"' if "," in label else label for label in labels)
    return f"'{text}'" if '"' in text else f'"{text}"' if " " in text else text

"""One rule about the keys of a config, and what rules are made with."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ftcls.config.explain import Problem
from ftcls.config.schema import Data, Experiment
from ftcls.config.section import Section, Task

Found = Iterator[Problem]

# A known data set declares its own task; go_emotions with single_label is multiclass.
SOURCE_TASKS: Mapping[str, Task] = {
    "imdb": "binary",
    "reuters21578": "multilabel",
    "ag_news": "multiclass",
    "go_emotions": "multilabel",
    "docstrings": "multiclass",
}


@dataclass(frozen=True)
class Rule:
    """One rule and the keys it reads; it is not asked while one of them is wrong by itself."""

    reads: tuple[str, ...]
    check: Callable[[Experiment], Found]


def task_of(data: Data) -> Task | None:
    """The task of a config: the data set's own, else the one written."""
    if data.source == "go_emotions" and data.single_label:
        return "multiclass"
    return SOURCE_TASKS.get(data.source, data.task)


def written(section: Section, key: str) -> bool:
    """Whether somebody wrote this key; a resolved config writes every key of a section, and so none on purpose."""
    return key in section.model_fields_set and section.model_fields_set != set(type(section).model_fields)


def changed(section: Section, key: str) -> bool:
    """Whether somebody wrote something other than the default."""
    return written(section, key) and getattr(section, key) != type(section).model_fields[key].default


def rule(check: Callable[[Experiment], Found], *reads: str) -> Rule:
    """A rule and the keys it reads."""
    return Rule(reads, check)

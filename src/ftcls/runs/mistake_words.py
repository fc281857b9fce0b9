"""Which words mattered for the worst mistakes of a run: words.json."""

from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import TypeAdapter

from ftcls.environment import json_files, manifest
from ftcls.environment.files import write_json
from ftcls.runs.directory import RunDir
from ftcls.scoring.occlusion import Part


@dataclass(frozen=True)
class Window:
    """What a model that reads windows says of one of them by itself."""

    start: int | None
    """Its first character; None: the tokenizer does not tell."""
    end: int | None
    """The first character behind it."""
    probability: float
    """Of the label that the words speak for or against."""


@dataclass(frozen=True)
class Weighed:
    """One mistake."""

    row: int
    """Its number in the source split."""
    index: int
    """Its place in the predictions file."""
    label: str
    """That its words speak for or against: the one wrongly given, or missed."""
    parts: tuple[Part, ...]
    windows: tuple[Window, ...] = ()
    """Of a model that reads none, none."""


@dataclass(frozen=True)
class MistakeWords:
    """The worst mistakes on the test split, and what weighing their words took."""

    mistakes: tuple[Weighed, ...]
    """The costliest first."""
    texts: int
    """That went through the model."""
    seconds: float
    schema_version: Literal[1] = 1


_WORDS: TypeAdapter[MistakeWords] = TypeAdapter(MistakeWords)


def write(run: RunDir, found: MistakeWords) -> None:
    """Keep the words in the run."""
    write_json(run.words, json_files.document(asdict(found)))
    manifest.renew(run.path, [run.words.name])


def read(run: RunDir) -> MistakeWords | None:
    """What `write` kept; None where no words were weighed.

    Raises:
        DataError: the file is damaged.
    """
    if not run.words.is_file():
        return None
    manifest.check_part(run.words)
    found: MistakeWords = json_files.read(run.words, _WORDS)
    return found

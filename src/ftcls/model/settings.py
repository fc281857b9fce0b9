"""ftcls.json beside the weights: what must be done to a text before this model reads it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ftcls.data.corpus import Task
from ftcls.data.texts import TextColumns
from ftcls.environment import json_files
from ftcls.environment.files import write_json
from ftcls.errors import DataError

FILE: Final = "ftcls.json"


@dataclass(frozen=True)
class Settings:
    """Task, cleaning and cutting of a trained model."""

    task: Task
    clean: tuple[str, ...]
    max_length: int
    truncation: Literal["head", "tail", "head_tail"]
    positive_label: str | None = None
    text: TextColumns | None = None
    """The columns that it was trained on; None: nobody wrote them down."""
    pair_truncation: Literal["longest_first", "only_second"] = "longest_first"


def save(settings: Settings, folder: Path) -> None:
    """Write them beside the weights."""
    write_json(folder / FILE, {"schema_version": 1, **asdict(settings)})


def load(folder: Path) -> Settings | None:
    """Read what `save` wrote; None for a checkpoint that ftcls did not write.

    Raises:
        DataError: the file is not what `save` writes.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        stored = json_files.value(path)
        stored.pop("schema_version")
        return Settings(**{**stored, "clean": tuple(stored["clean"]), "text": _columns(stored.get("text"))})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: not written by this version of ftcls ({error}). Take model/ of one run whole."
        ) from error


def _columns(stored: dict[str, Any] | None) -> TextColumns | None:
    return None if stored is None else TextColumns(**{key: tuple(names) for key, names in stored.items()})

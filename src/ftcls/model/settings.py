"""ftcls.json beside the weights: what must be done to a text before this model reads it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError

from ftcls.data.clean import STEPS
from ftcls.data.corpus import Task
from ftcls.data.texts import TextColumns
from ftcls.environment import json_files
from ftcls.environment.files import write_json
from ftcls.errors import DataError, quoted
from ftcls.model.windows import Windows

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
    windows: Windows | None = None
    """How longer texts are read; None: as one."""


_SETTINGS: Final[TypeAdapter[Settings]] = TypeAdapter(Settings)


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
        if unknown := sorted(stored.keys() - Settings.__dataclass_fields__.keys()):
            raise ValueError(f"{quoted(unknown[0])} is no key of it")
        found: Settings = _SETTINGS.validate_json(json.dumps(stored), strict=True)
        if unknown := sorted(set(found.clean) - STEPS.keys()):
            raise ValueError(f"{quoted(unknown[0])} is no step of cleaning")
        if found.max_length < 1:
            raise ValueError(f"a max_length of {found.max_length}")
        if found.windows is not None and not 0 <= found.windows.stride < found.windows.size:
            raise ValueError(f"windows of {found.windows.size} tokens that share {found.windows.stride}")
        return found
    except ValidationError as error:
        raise _foreign(path, json_files.problems(error)[0]) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _foreign(path, error) from error


def _foreign(path: Path, what: object) -> DataError:
    return DataError(f"{path}: not written by this version of ftcls ({what}). Take model/ of one run whole.")

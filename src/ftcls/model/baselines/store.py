"""Simple models on disk: arrays as safetensors, everything else as JSON. Nothing of it is ever run."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ftcls.environment import json_files, manifest
from ftcls.environment.files import replacing, write_json
from ftcls.errors import DataError

SETTINGS: Final = "model.json"
ARRAYS: Final = "model.safetensors"
_SCHEMA_VERSION: Final = 1


def save(folder: Path, kind: str, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a model of some kind."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / ARRAYS) as staged:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, staged)
    write_json(folder / SETTINGS, {"schema_version": _SCHEMA_VERSION, "kind": kind, **settings})


def digest(folder: Path) -> str:
    """A hash of a model's files."""
    found = hashlib.sha256()
    for path in sorted(each for each in folder.iterdir() if each.is_file()):
        found.update(path.name.encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def load(
    folder: Path, kind: str, names: Sequence[str], keys: Mapping[str, type]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Settings and arrays of a model of this kind.

    Args:
        folder: where they lie.
        kind: of the model.
        names: of the arrays.
        keys: settings that it has, and what each is.

    Raises:
        DataError: it is not there, is damaged, or is of another kind.
    """
    settings = load_settings(folder)
    wrong = next((key for key, kind in keys.items() if not isinstance(settings.get(key), kind)), None)
    if wrong is not None:
        raise DataError(f"{folder / SETTINGS}: cannot be read ({wrong} is missing, or is something else); train anew")
    if settings["kind"] != kind:
        raise DataError(f"{folder / SETTINGS}: a model of the kind {settings['kind']}, not {kind}")
    try:
        arrays = load_file(folder / ARRAYS)
        return settings, {name: arrays[name] for name in names}
    except (OSError, SafetensorError, KeyError) as error:
        raise DataError(f"{folder / ARRAYS}: cannot be read ({error}); train anew") from None


def expect(
    folder: Path,
    arrays: Mapping[str, NDArray[Any]],
    shapes: Mapping[str, tuple[int, ...]],
    below: Mapping[str, int] | None = None,
) -> None:
    """See that arrays fit together, and hold numbers.

    Args:
        folder: where they lie, for the message.
        arrays: by name.
        shapes: of each array.
        below: arrays of indices, and the number that all of them are below.

    Raises:
        DataError: they do not.
    """
    indices = below or {}
    for name, shape in shapes.items():
        found = arrays[name]
        if found.shape != shape:
            what = f"{list(found.shape)} and not {list(shape)} numbers"
        elif name not in indices and found.dtype.kind != "f":
            what = f"{found.dtype} and no numbers with a point"
        elif name in indices and (
            found.dtype.kind != "i" or (found.size and not 0 <= found.min() <= found.max() < indices[name])
        ):
            what = f"an index that is not below {indices[name]:,}"
        else:
            continue
        raise DataError(f"{folder / ARRAYS}: cannot be read ({name} has {what}); train anew")


def load_settings(folder: Path) -> dict[str, Any]:
    """Everything of a model but its arrays.

    Raises:
        DataError: it is not there, or cannot be read.
    """
    manifest.check_part(folder)
    path = folder / SETTINGS
    try:
        found = json_files.value(path)
        if found["schema_version"] != _SCHEMA_VERSION or not isinstance(found["kind"], str):
            raise ValueError(f"schema version {found['schema_version']}")
        if not (isinstance(found["labels"], list) and all(isinstance(each, str) for each in found["labels"])):
            raise ValueError("its labels are no names")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); train anew") from None
    return dict(found)

"""JSON documents: numbers that are finite, keys that are known, and one clear error where they are not."""

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from ftcls.environment import limits
from ftcls.errors import DataError


def value(path: Path, *, most: int = limits.JSON_BYTES) -> Any:
    """What a JSON file holds, whoever wrote it.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has more than ``most`` bytes, is no JSON, or is nested too deeply.
    """
    return limits.json_value(_text(path, most))


def _text(path: Path, most: int) -> str:
    if (size := path.stat().st_size) > most:
        raise ValueError(f"has {size:,} bytes; ftcls reads {most:,}")
    return path.read_text(encoding="utf-8")


def read(path: Path, adapter: TypeAdapter[Any]) -> Any:
    """The value that a JSON file of ftcls holds.

    Raises:
        DataError: the file cannot be read or holds something else; names the first key that is wrong.
    """
    try:
        text = _text(path, limits.REPORT_BYTES)
        limits.check_depth(text)
        json.loads(text, parse_constant=_refuse_constant)
        return adapter.validate_json(text, strict=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        found = problems(error)
        more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
        raise DataError(f"{path}: {found[0]}{more}. Was it edited, or written by another version?") from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def problems(error: ValidationError) -> list[str]:
    """One line for each thing that is wrong, ``key.path: problem``."""
    return [f"{'.'.join(map(str, each['loc'])) or 'document'}: {each['msg']}" for each in error.errors()]


def finite(value: Any) -> Any:
    """The same value, with None for every number that JSON cannot write."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [finite(each) for each in value]
    return value


def document(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a record as JSON has them, schema_version first."""
    found: dict[str, Any] = finite(values)
    return {"schema_version": found.pop("schema_version"), **found}


def last_lines(path: Path, size: int) -> list[Any]:
    """The whole lines among the last ``size`` bytes of a file of JSON lines that is being written."""
    with path.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(max(0, length - size))
        lines = file.read().split(b"\n")[:-1]  # what stands after the last line end is not whole
    return [limits.json_value(line) for line in (lines if length <= size else lines[1:])]

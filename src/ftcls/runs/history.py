"""history.jsonl: one line per logged step, as it happens, and read back for the report."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any, Final

from ftcls.environment import limits, manifest
from ftcls.environment.files import write_text
from ftcls.errors import DataError

log = logging.getLogger(__name__)

FILE: Final = "history.jsonl"
_SHOWN: Final = 60
"""Characters of a line that are shown."""


class History:
    """Collects what is logged at one step into one line, and writes the line when the step is over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._line: dict[str, Any] = {}

    def start(self, step: int, checkpoint: Path | None = None) -> None:
        """Forget what stands after ``step``: a resumed run writes those lines again.

        What stands before is that of the checkpoint, where it has a history.

        Raises:
            DataError: a line cannot be read of that of the checkpoint, or where it has none of the run's own.
        """
        if checkpoint is None or not (checkpoint / FILE).is_file():
            kept = "".join(_dump(line) for line in _lines(self.path) if line["step"] <= step)
        else:
            _lines(checkpoint / FILE)  # which says what cannot be read
            kept = (checkpoint / FILE).read_text(encoding="utf-8")
            self._compare(kept, checkpoint)
        write_text(self.path, kept)

    def _compare(self, kept: str, checkpoint: Path) -> None:
        """Say where the file is not what it was when the checkpoint was written, and more after it."""
        now = self.path.read_bytes().decode(errors="replace") if self.path.is_file() else ""
        if not now.startswith(kept):
            log.warning("%s: damaged; taken from %s", self.path, checkpoint)
        else:
            _say_torn(self.path, now)

    def copy(self, folder: Path) -> None:
        """Put the lines that are written into a checkpoint."""
        if self.path.is_file():
            shutil.copyfile(self.path, folder / FILE)

    def add(self, step: int, values: dict[str, Any]) -> None:
        """Add values to the line of a step."""
        if self._line and self._line["step"] != step:
            self.flush()
        self._line = {"step": step, **self._line, **values}

    def flush(self) -> None:
        """Write the line, if there is one."""
        if self._line:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_dump(self._line))
            self._line = {}


def read(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a history; a last line that was cut off is left out, and named.

    Raises:
        DataError: a line cannot be read, or the file of a finished run is damaged.
    """
    manifest.check_part(path)
    return _lines(path)


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    found = []
    try:
        text = path.read_text(encoding="utf-8")
        _say_torn(path, text)
        for number, line in enumerate(text.split("\n")[:-1], start=1):
            found.append(_step(limits.json_value(line), path, number))
    except ValueError as error:
        raise DataError(f"{path}:{len(found) + 1}: cannot be read as a line of a history: {error}") from None
    return found


def _step(line: Any, path: Path, number: int) -> dict[str, Any]:
    if not isinstance(line, dict) or not isinstance(line.get("step"), int):
        raise DataError(f"{path}:{number}: is no line of a history: it has no step")
    return line


def _say_torn(path: Path, text: str) -> None:
    torn = text.rpartition("\n")[2]
    if torn:
        log.warning("%s: its last line was cut off and is left out: %s", path, torn[:_SHOWN])


def _dump(line: dict[str, Any]) -> str:
    return json.dumps(line, allow_nan=False) + "\n"

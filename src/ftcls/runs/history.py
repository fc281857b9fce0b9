"""history.jsonl: one line per logged step, as it happens, and read back for the report."""

import json
from pathlib import Path
from typing import Any


class History:
    """Collects what is logged at one step into one line, and writes the line when the step is over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._line: dict[str, Any] = {}

    def start(self, step: int) -> None:
        """Forget what stands after ``step``: a resumed run writes those lines again."""
        kept = [line for line in read(self.path) if line["step"] <= step]
        self.path.write_text("".join(_dump(line) for line in kept), encoding="utf-8")

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
    """The complete lines of a history; a line cut off by a crash is left out."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _dump(line: dict[str, Any]) -> str:
    return json.dumps(line, allow_nan=False) + "\n"

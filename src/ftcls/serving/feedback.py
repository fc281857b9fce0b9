"""What people say of answers, kept line by line in a file that can be trained on."""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ftcls.errors import UnavailableError

_LARGEST: Final = 100 * 1024**2
"""Bytes of the file from which on nothing more is kept: a stranger could fill the disk."""


class Full(Exception):
    """The file takes no more lines; says why."""


class Feedback:
    """A file of JSON lines, written by one process."""

    def __init__(self, path: Path) -> None:
        """Open the file, which need not be there.

        Raises:
            UnavailableError: it cannot be written.
        """
        self.path = path
        self._lock = threading.Lock()
        try:
            with path.open("a", encoding="utf-8"):
                pass
        except OSError as error:
            raise UnavailableError(f"--feedback {path}: {error.strerror}; name a file that can be written") from None

    def add(self, text: dict[str, Any], *, predicted: list[str], labels: list[str] | None, several: bool) -> None:
        """Keep one line: the columns of the text, ``label`` (what is right), ``predicted``, ``right``, ``time``.

        Args:
            text: its columns.
            predicted: what the model said.
            labels: what is right; None: something else, nobody said what, and ``label`` is null.
            several: whether a text may have several labels; ``label`` is then a list.

        Raises:
            Full: the file is as large as it may be, or the disk is full.
        """
        right = labels is not None and sorted(labels) == sorted(predicted)
        label = None if labels is None else labels if several else labels[0]
        time = datetime.now(UTC).isoformat(timespec="seconds")
        said = predicted if several else predicted[0]
        line = json.dumps({"label": label, "predicted": said, "right": right, "time": time, **text}, ensure_ascii=False)
        with self._lock:
            try:
                if self.path.exists() and self.path.stat().st_size + len(line) > _LARGEST:
                    raise Full(f"the file of feedback has reached {_LARGEST // 1024**2} MB")
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(f"{line}\n")
            except OSError as error:
                raise Full(f"feedback cannot be kept: {error.strerror}") from error

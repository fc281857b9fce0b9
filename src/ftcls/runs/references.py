"""What a person types for a model: ``runs/x``, or ``runs/x:tfidf`` for a simple model of that run."""

from dataclasses import dataclass
from typing import Final

NAMES: Final = ("tfidf", "frozen", "stack", "static", "majority")
_OTHER: Final = {"baseline": "tfidf"}
"""Earlier names."""


@dataclass(frozen=True)
class Reference:
    """A run or a checkpoint, and the name of a simple model of it; None: its own model."""

    path: str
    name: str | None = None

    def __str__(self) -> str:
        return self.path if self.name is None else f"{self.path}:{self.name}"


def reference(text: str) -> Reference:
    """Read what was typed; a colon that no known name stands behind is part of the path."""
    path, colon, name = text.rpartition(":")
    known = _OTHER[name] if name in _OTHER else name
    return Reference(path, known) if colon and path and known in NAMES else Reference(text)

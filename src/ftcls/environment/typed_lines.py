"""Commands as one types them."""

import re
import shlex
from collections.abc import Sequence
from typing import Final

_SAFE: Final = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


def line(command: Sequence[str]) -> str:
    """A command as one types it: quoted so that bash, zsh and cmd.exe read it alike where that is possible."""
    return " ".join(_quoted(word) for word in command)


def _quoted(word: str) -> str:
    if _SAFE.fullmatch(word):
        return word
    return shlex.quote(word) if re.search(r'["$`\\!%]', word) else f'"{word}"'

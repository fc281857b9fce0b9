"""Times as people type them."""

import re
from typing import Final

from ftcls.errors import ConfigError

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(text: str | float) -> float:
    """The seconds of ``90s``, ``10m`` or ``1.5h``; a number is of seconds already.

    Raises:
        ConfigError: it is none of these, or nothing.
    """
    if not isinstance(text, str):
        return float(text)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", text.strip())
    found = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if found <= 0:
        raise ConfigError(f"--budget {text}: give a time such as 90s, 10m or 1.5h")
    return found

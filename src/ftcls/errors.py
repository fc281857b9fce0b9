"""The errors a user can cause or meet, and the exit code that each one means.

::

    FtclsError
    ├── ConfigError       2   the command line or the config
    ├── DataError         3   a file, a row, a label
    ├── UnavailableError  4   offline, missing, gated, an extra that is not installed
    ├── TrainingError     5   not finite, out of memory after every retry
    ├── ExportError       5   the exported model says something else than the run
    └── Interrupted       130 SIGINT, SIGTERM, SIGHUP or SIGUSR1; the run can be resumed

Anything else that escapes is a bug in ftcls: exit code 1.
"""

import re
from typing import Final

LONGEST_MESSAGE: Final = 2_000
"""Characters of a message about one thing."""
LONGEST_QUOTE: Final = 80
"""Characters that a message quotes of a cell, a name, a line of a file."""
# Control characters (C0, DEL, C1) steer a terminal, format characters (bidirectional marks, zero width) hide text.
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def printable(text: str) -> str:
    """A text with its control and invisible characters escaped; line ends and tabs stay, and emoji whole."""
    return text if text.isprintable() else _UNSAFE.sub(_escape, text.replace("\r\n", "\n"))


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "surrogatepass").decode()


def on_one_line(text: str) -> str:
    """The same, with line ends and tabs escaped too: a name in a table, a heading, a list."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def shortened(text: str, most: int = LONGEST_QUOTE) -> str:
    """A text, or its beginning and end where it is longer than ``most`` characters."""
    if len(text) <= most:
        return text
    return f"{text[: most * 2 // 3]}...{text[len(text) - most // 4 :]}"


def quoted(value: object, most: int = LONGEST_QUOTE) -> str:
    """A value as a message quotes it: as Python writes it, at most about ``most`` characters."""
    if isinstance(value, str):
        return repr(shortened(value, most))
    if isinstance(value, list | tuple) and len(value) > most:
        value = value[:most]
    return shortened(repr(value), most)


class FtclsError(Exception):
    """A failure whose message alone tells the user what to do next.

    Whatever the message quotes is shown escaped, and a message that grew too long is cut in its middle.
    """

    exit_code = 1
    longest = LONGEST_MESSAGE

    def __init__(self, message: str = "") -> None:
        """Take a message."""
        super().__init__(shortened(printable(str(message)), self.longest))


class ConfigError(FtclsError):
    """The command line or the config is wrong; nothing was started."""

    exit_code = 2
    longest = 10 * LONGEST_MESSAGE
    """All mistakes of a config are told at once."""


class DataError(FtclsError):
    """The data is not what the config says it is; names file and row."""

    exit_code = 3


class UnavailableError(FtclsError):
    """Something needed cannot be had here: the Hub, a file, a licence, an extra."""

    exit_code = 4


class TrainingError(FtclsError):
    """Training failed; names the last good checkpoint where there is one."""

    exit_code = 5


class ExportError(FtclsError):
    """The exported model does not agree with the run that it was made from; nothing was kept of it."""

    exit_code = 5


class Interrupted(FtclsError):
    """A signal to stop arrived; what was done is saved and can be resumed."""

    exit_code = 130

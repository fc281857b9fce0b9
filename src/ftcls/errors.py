"""The errors a user can cause or meet, and the exit code that each one means.

::

    FtclsError
    ├── ConfigError       2   the command line or the config
    ├── DataError         3   a file, a row, a label
    ├── UnavailableError  4   offline, missing, gated, an extra that is not installed
    ├── TrainingError     5   not finite, out of memory after every retry
    ├── ExportError       5   the exported model says something else than the run
    └── Interrupted       130 SIGINT or SIGTERM; the run can be resumed

Anything else that escapes is a bug in ftcls: exit code 1.
"""


class FtclsError(Exception):
    """A failure whose message alone tells the user what to do next."""

    exit_code = 1


class ConfigError(FtclsError):
    """The command line or the config is wrong; nothing was started."""

    exit_code = 2


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
    """SIGINT or SIGTERM arrived; what was done is saved and can be resumed."""

    exit_code = 130

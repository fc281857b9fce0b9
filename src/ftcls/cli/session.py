"""What the error boundary and a command know of each other: the arguments and the log of the run."""

from dataclasses import dataclass
from pathlib import Path

import typer


@dataclass
class Session:
    """One call of the command line."""

    arguments: tuple[str, ...]
    """As the user typed them."""
    debug: bool = False
    log: Path | None = None
    """log.txt of the run, as soon as there is one: a traceback goes there."""


def of(context: typer.Context) -> Session:
    """The session of a command's context."""
    session = context.find_object(Session)
    if session is None:
        raise TypeError("the command was called without its session; call ftcls.cli.app.run")
    return session

"""What the error boundary and a command know of each other: the arguments and the log of the run."""

from dataclasses import dataclass
from pathlib import Path

import typer


@dataclass
class Call:
    """One call of the command line."""

    arguments: tuple[str, ...]
    """As the user typed them."""
    debug: bool = False
    log: Path | None = None
    """log.txt of the run, as soon as there is one: a traceback goes there."""


def of(context: typer.Context) -> Call:
    """The call that a command's context belongs to."""
    found = context.find_object(Call)
    if found is None:
        raise TypeError("the command was called without its call; use ftcls.cli.app.run")
    return found

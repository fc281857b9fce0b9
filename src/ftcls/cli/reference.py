"""docs/reference.md and configs/schema.json, made from the code: ``python -m ftcls.cli.reference``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
import typer.main

from ftcls.cli.app import app
from ftcls.config import reference
from ftcls.environment.files import write_text

ROOT = Path(__file__).parents[3]

_HEAD = """\
# Reference

Made from the code by `python -m ftcls.cli.reference`; a test fails when it is stale.

"""

_SWEEP = """\

## The sweep file

What each section is for stands in [sweeps.md](sweeps.md).

"""

_CONFIG = """\
## The config

YAML 1.2: `2e-5` is a number, `no` is a word, `010` is ten, and a key written twice is an error. Every key can be
overridden on the command line as `key.path=value`. Relative paths start at the folder of the file, in an override at
the working directory.

"""


def markdown() -> str:
    """The whole of docs/reference.md."""
    return f"{_HEAD}## Commands\n\n{commands()}{_CONFIG}{reference.keys_markdown()}{_SWEEP}{reference.sweep_markdown()}"


def commands() -> str:
    """The help of every command, as Markdown."""
    return "".join(_command(typer.main.get_command(app), "ftcls", None))


def write(root: Path = ROOT) -> list[Path]:
    """Write both files into a checkout."""
    pages = {root / "docs" / "reference.md": markdown(), root / "configs" / "schema.json": reference.schema_text()}
    for path, text in pages.items():
        write_text(path, text)
    return list(pages)


def _command(command: Any, name: str, parent: Any) -> Iterator[str]:
    # A width of its own: the page must not depend on the terminal that it was made in.
    width = {"terminal_width": 100, "max_content_width": 100}
    with command.make_context(name, [], parent=parent, resilient_parsing=True, **width) as context:
        yield f"### `{context.command_path}`\n\n```text\n{command.get_help(context).strip()}\n```\n\n"
        for inner_name, inner in getattr(command, "commands", {}).items():
            yield from _command(inner, inner_name, context)


if __name__ == "__main__":
    for written in write():
        typer.echo(written)

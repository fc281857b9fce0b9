"""``ftcls runs``: the runs of a folder, whether they are whole, and what of them can go."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ftcls.cli import console, options
from ftcls.errors import ConfigError, DataError

app = typer.Typer(
    name="runs", help="List runs, verify their files, delete what is superseded.", no_args_is_help=True,
    rich_markup_mode=None,
)  # fmt: skip
_MEGABYTE = 1e6

Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories.")]


@app.command("list")
def list_runs(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where the runs are.")] = Path("runs"),
    as_json: options.Json = False,
) -> None:
    """List the runs of a folder: finished or not, the score on test, the size on the disk.

    Example: ftcls runs list sweeps/ag_news-grid
    """
    console.configure(quiet=True)
    from ftcls.environment.figures_as_text import number
    from ftcls.runs import maintenance

    found = maintenance.runs(folder)
    if as_json:
        console.emit({"runs": [asdict(each) for each in found]})
        return
    from rich.table import Table

    table = Table("run", "state", "step", "score on test", "MB", box=None, pad_edge=False)
    for each in found:
        score = "" if each.value is None else f"{each.metric} {number(each.value)}"
        step = "" if each.step is None else str(each.step)
        table.add_row(each.path.as_posix(), each.state, step, score, f"{each.bytes / _MEGABYTE:.1f}")
    console.show(table)


@app.command("verify")
def verify(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run directories, exports, model folders or checkpoints.")
    ],
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept", metavar="FILE", help="Take this file of RUN as it is, changed on purpose; repeatable."
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Compare every file with the size and digest that its manifest has; exit code 3 where one is damaged.

    Example: ftcls runs verify runs/ag_news-bert

    Example: ftcls runs verify runs/ag_news-bert --accept model/decision.json
    """
    console.configure(quiet=True)
    from ftcls.runs import maintenance

    if accept:
        if len(runs) > 1:
            raise ConfigError("--accept: names a file of one RUN; name one")
        maintenance.accept(runs[0], accept)
    found = [maintenance.verify(run) for run in runs]
    if as_json:
        console.emit({"runs": [asdict(each) for each in found]})
    for each in () if as_json else found:
        for folder in each.unlisted:
            typer.echo(f"{folder.as_posix()}: has no manifest.json (an earlier version wrote it), not compared")
        if not each.damages:
            typer.echo(f"{each.path.as_posix()}: ok, {each.files} files, {each.bytes / _MEGABYTE:.1f} MB")
    damaged = [line for each in found for line in each.damages]
    if damaged:
        raise DataError("\n".join(damaged))


@app.command("prune")
def prune(
    runs: Runs,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete what would otherwise only be listed.")] = False,
    as_json: options.Json = False,
) -> None:
    """Delete superseded checkpoints and what killed processes left; without --yes only say what would go.

    Of a finished run all checkpoints of steps go; of another those before the newest whole one. Never model/, the best
    weights, reports or predictions. A run that is being trained is left alone.

    Example: ftcls runs prune runs/ag_news-bert --yes
    """
    console.configure(quiet=True)
    from ftcls.runs import maintenance

    found = [maintenance.prune(run, delete=yes) for run in runs]
    if as_json:
        console.emit({"deleted": yes, "runs": [asdict(each) for each in found]})
        return
    for each in found:
        if each.in_use:
            typer.echo(f"{each.path.as_posix()}: a process is training in it, left alone")
        for path in (*each.superseded, *each.left_over):
            typer.echo(path.as_posix())
    size = sum(each.bytes for each in found) / _MEGABYTE
    typer.echo(f"{size:.1f} MB deleted" if yes else f"{size:.1f} MB would be deleted; add --yes to do it")

"""``ftcls push``: a run's model and its card to the Hub."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ftcls.cli import console, options


def push(
    run: options.RunPath,
    repository: Annotated[str, typer.Argument(metavar="USER/NAME", help="The repository; made if it is not there.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the files to a folder and upload nothing; asks nobody.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="The folder of --dry-run; default: hub/NAME."),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Let everybody see it; without, it is private.")] = False,
    examples: Annotated[
        int, typer.Option("--examples", metavar="NUMBER", min=0, help="Show so many test texts of each label.")
    ] = 0,
    licence: Annotated[
        str | None, typer.Option("--license", metavar="ID", help="As the Hub spells it, such as apache-2.0.")
    ] = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Upload a finished run to the Hugging Face Hub, with a model card made from its report.

    The model goes, the tokenizer, label names, cleaning and thresholds. No text of the data goes unless --examples asks
    for some, and no path of this machine. The token is that of: hf auth login

    Example: ftcls push runs/ag_news-bert me/ag-news --dry-run
    """
    console.configure(quiet=quiet, offline=offline)
    with console.results_only():
        from ftcls.exporting import push as publish

        done = publish.push(
            run, repository, dry_run=dry_run, output=output, public=public, examples=examples, licence=licence
        )
    if as_json:
        console.emit(asdict(done))
        return
    for name, size in done.files.items():
        typer.echo(f"{name:<24} {size:>13,} bytes")
    typer.echo(f"{done.folder}: nothing was uploaded" if done.url is None else done.url)

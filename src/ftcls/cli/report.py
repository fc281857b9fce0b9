"""``ftcls report``: one HTML page about a run, drawn from its files alone."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ftcls.cli import console, options


def report(
    run: options.RunPath,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write the page; default: the run.")
    ] = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Draw the page and the plots of a finished run again, from its report, history and predictions.

    The page is one HTML file that opens from disk; the plots are PNG and SVG files in plots/. No model is loaded. Where
    the predictions give another figure than report.json, both stand on the page.

    Example: ftcls report runs/ag_news-bert --output ag_news.html
    """
    console.configure(quiet=quiet)
    with console.results_only():
        from ftcls.report import page

        written = page.report(run, output=output)
    if as_json:
        console.emit(asdict(written))
        return
    for problem in written.disagreements:
        typer.echo(f"warning: {problem}", err=True)
    typer.echo(written.path)

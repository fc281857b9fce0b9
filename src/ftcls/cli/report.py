"""``ftcls report``: one HTML page about a run, drawn from its files alone."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ftcls.cli import console, options
from ftcls.environment import json_files
from ftcls.environment.files import write_json
from ftcls.runs.directory import RunDir


def report(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="A run directory; or a trainer_state.json, or a checkpoint that holds one."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write the page; default: the run.")
    ] = None,
    words: Annotated[
        int | None,
        typer.Option("--words", metavar="N", min=0, help="Weigh the words of the N worst mistakes; loads the model."),
    ] = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Draw the page and the plots of a finished run again, from its report, history and predictions.

    The page is one HTML file that opens from disk; the plots are PNG and SVG files in plots/. Where the predictions
    give another figure than report.json, both stand on the page. What to try next is printed too, then the path of the
    page. No model is loaded, unless --words asks for it: a mistake costs as many texts through the model as it has
    words.

    Of any Hugging Face Trainer's trainer_state.json the losses are listed, with gradient-norm spikes, plateaus, and
    whether and from which step the training over-fitted; --output writes the same as JSON.

    Example: ftcls report runs/ag_news-bert --output ag_news.html
    """
    console.configure(quiet=quiet)
    if not RunDir(run).config.is_file():
        from ftcls.reporting import trainer_state

        found = trainer_state.find(run)
        if found is not None:
            _state(found, output, as_json=as_json)
            return
    with console.results_only():
        from ftcls.pipeline.report import report as draw

        written = draw(run, output=output, words=words)
    if as_json:
        console.emit(asdict(written))
        return
    for problem in written.disagreements:
        typer.echo(f"warning: {problem}", err=True)
    from ftcls.reporting import run_tables
    from ftcls.runs.report_schema import read_report

    console.show(run_tables.what_to_try(read_report(RunDir(run)), run))
    typer.echo(written.path)


def _state(path: Path, output: Path | None, *, as_json: bool) -> None:
    from ftcls.reporting import trainer_state

    state = trainer_state.read(path)
    document = json_files.finite(asdict(state))
    if output is not None:
        write_json(output, document)
    if as_json:
        console.emit(document)
    else:
        console.show(trainer_state.summary(state))

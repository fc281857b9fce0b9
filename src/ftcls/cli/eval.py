"""``ftcls eval``: score a run again, or on other data."""

from pathlib import Path
from typing import Annotated

import typer

from ftcls.cli import console, options


def evaluate(
    run: options.RunPath,
    split: Annotated[str, typer.Option("--split", metavar="NAME", help="train, validation or test.")] = "test",
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FILE", help="Another file with the same columns, or a copy of the data set."),
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", metavar="NAME", help="best or step-N; default: the model of the run.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where else to write the result as JSON.")
    ] = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Score a run; on its own test split this gives the figures of its report.

    The result also goes to the run's evals/ folder.

    Example: ftcls eval runs/ag_news-bert --data new.csv
    """
    console.configure(quiet=quiet, offline=offline)
    with console.results_only():
        from ftcls import pipeline, results

        found = pipeline.evaluate(run, split=split, data=data, checkpoint=checkpoint, output=output)
    if as_json:
        console.emit(results.document(found))
        return
    from ftcls.report import tables

    console.show(tables.evaluation(found))

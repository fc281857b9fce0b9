"""``ftcls eval``: score a run again, or on other data, or any checkpoint on the data of a config."""

import csv
from pathlib import Path
from typing import Annotated, Literal

import typer

from ftcls.cli import console, options


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run directory, or RUN:tfidf; with --config also a model folder or a Hub checkpoint.",
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            metavar="NAME",
            help="train, validation or test; default: test, of a cross-validation out_of_fold.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FILE", help="Another file with the same columns, or a copy of the data set."),
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", metavar="NAME", help="best or step-N; default: the model of the run.")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="FILE", help="The config whose data and cleaning to use, not the run's own."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels", metavar="A,B,...", help="The model's labels in its order, in the data's words; with --config."
        ),
    ] = None,
    threshold: options.Threshold = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        typer.Option("--precision", help="The arithmetic: auto, that of the run, whose figures are repeated."),
    ] = "auto",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where else to write the result as JSON.")
    ] = None,
    allow_code: options.AllowCode = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Score a run; on its own test split this gives the figures of its report.

    With --config FILE any local or Hub checkpoint is scored on the data of that config. The result of a run also goes
    to its evals/ folder; beside other checkpoints nothing is written.

    Example: ftcls eval runs/ag_news-bert --data new.csv
    """
    console.configure(quiet=quiet, offline=offline)
    with console.results_only():
        from ftcls.pipeline import evaluate
        from ftcls.runs import report_schema

        found = evaluate.evaluate(
            model,
            split=split,
            data=data,
            checkpoint=checkpoint,
            output=output,
            config=config,
            labels=None if labels is None else _names(labels),
            thresholds=threshold or (),
            precision=precision,
            allow_code=allow_code,
        )
    if as_json:
        console.emit(report_schema.document(found))
        return
    from ftcls.reporting import run_tables

    console.show(run_tables.evaluation(found))


def _names(text: str) -> tuple[str, ...]:
    """Split at commas; a label with a comma stands in double quotes."""
    return tuple(name.strip() for name in next(csv.reader([text], skipinitialspace=True)))

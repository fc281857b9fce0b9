"""``ftcls compare``: runs side by side, with a paired test."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ftcls.cli import console, options
from ftcls.environment import json_files


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN...",
            help="Run directories; RUN:tfidf, RUN:frozen, RUN:stack, RUN:majority: simpler models of a run.",
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            "--split", metavar="NAME", help="validation, test or out_of_fold; default: what the first is judged by."
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="What to test; default: metrics.best of the first.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Write JSON, Markdown, an HTML page and a plot there."),
    ] = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Compare models on the same test rows: scores with intervals, cost, and whether the differences are real.

    Runs that differ only in their seed count as one model, whose interval is over rows and seeds. Each pair gets a
    paired bootstrap and McNemar's test, corrected for the number of pairs. Runs of other test rows are refused.

    Example: ftcls compare runs/minilm runs/bert runs/minilm:baseline --output comparison
    """
    console.configure(quiet=quiet)
    with console.results_only():
        from ftcls.reporting import compare as comparing
        from ftcls.reporting import compare_page

        found = comparing.compare(runs, split=split, metric=metric, output=output)
    if as_json:
        console.emit(json_files.finite(asdict(found)))
        return
    console.show(compare_page.summary(found))
    if output is not None:
        typer.echo("\n".join(str(output / name) for name in compare_page.FILES))

"""``ftcls train``: one config, one run directory."""

import shlex
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ftcls.cli import call, console, options
from ftcls.config.durations import seconds_of
from ftcls.config.load import load
from ftcls.config.schema import Experiment
from ftcls.errors import ConfigError


def train(
    context: typer.Context,
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG",
            help="A YAML file, the name of a shipped config (see `ftcls config list`), or with --label a data file.",
        ),
    ],
    overrides: options.Overrides = None,
    label: options.Label = None,
    text: options.Text = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", metavar="TIME", help="Take no longer than 90s, 10m or 1h: as many steps as fit are made."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="The run directory; default: runs/NAME, or NAME-2 where taken."
        ),
    ] = None,
    smoke: Annotated[
        bool,
        typer.Option("--smoke", help="The same pipeline on a generated miniature, untrained model: under a minute."),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run from its newest complete checkpoint.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and train nothing.")] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            help="Folds at a time, with data.split.folds; default: one for each GPU, else one.",
        ),
    ] = None,
    allow_code: options.AllowCode = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Every table at the end, which the page has too.")] = False,
    as_json: options.Json = False,
) -> None:
    """Train, score and report: one config in, one run directory out.

    The path of the run is the first and the last line on stdout, its scores stand between them.

    Example: ftcls train configs/ag_news.yaml training.learning_rate=5e-5

    Example: ftcls train reviews.csv --label stars --budget 10m

    Example: ftcls train reviews.csv --label stars data.split.folds=5
    """
    started = time.monotonic()
    console.configure(quiet=quiet, offline=offline)
    if budget is not None:
        seconds_of(budget)
        if dry_run:
            raise ConfigError("--budget: steps are timed before a training; leave it out of --dry-run")
    given = tuple(overrides or ())
    experiment = load(_config(config, label, text, given, budget), given)
    console.starting()
    if dry_run:
        _plan(experiment, given, smoke=smoke, allow_code=allow_code, as_json=as_json)
    else:
        _run(
            context,
            experiment,
            given,
            output=output,
            smoke=smoke,
            resume=resume,
            allow_code=allow_code,
            as_json=as_json,
            verbose=verbose,
            budget=budget,
            started=started,
            jobs=jobs,
        )


def _config(
    argument: str, label: list[str] | None, text: str | None, overrides: tuple[str, ...], budget: str | None
) -> str:
    """The config that is meant; for a data file one is written beside it."""
    path = Path(argument)
    if not label and text is None and not path.is_dir() and path.suffix.lower() in ("", ".yaml", ".yml"):
        return argument
    console.starting()
    with console.results_only():
        from ftcls.pipeline import own_file

        if not label and text is None and not own_file.is_data(argument):
            return argument
        made, notes = own_file.config_beside(
            argument,
            label=label or (),
            text=text,
            budget=budget,
            overrides=overrides,
        )
    for note in notes:
        typer.echo(note, err=True)
    return str(made)


def _plan(experiment: Experiment, overrides: tuple[str, ...], *, smoke: bool, allow_code: bool, as_json: bool) -> None:
    with console.results_only():
        from ftcls.pipeline import dry_run as plan

        found = plan.dry_run(plan.smoke(experiment, overrides) if smoke else experiment, allow_code=allow_code)
    if as_json:
        console.emit(asdict(found))
    else:
        typer.echo("\n".join(found.lines()))


def _run(
    context: typer.Context,
    experiment: Experiment,
    overrides: tuple[str, ...],
    *,
    output: Path | None,
    smoke: bool,
    resume: bool,
    allow_code: bool,
    as_json: bool,
    verbose: bool,
    budget: str | None,
    started: float,
    jobs: int | None,
) -> None:
    current = call.of(context)
    with console.results_only() as stdout:
        from ftcls.pipeline import train as pipeline
        from ftcls.runs import report_schema

        def announce(path: Path) -> None:
            current.log = path / "log.txt"
            if not as_json:
                typer.echo(path, file=stdout)

        command = shlex.join(["ftcls", *current.arguments])
        run = pipeline.train(
            experiment,
            overrides=overrides if smoke else (),  # they are in the experiment; smoke has to know them
            output=output,
            smoke=smoke,
            resume=resume,
            allow_code=allow_code,
            command=command,
            announce=announce,
            budget=budget,
            started=started,
            jobs=jobs,
        )
        if current.log is None:
            return  # one of several processes, and not the first, which announces the run and reports
        report = run.report
    if as_json:
        console.emit({"run": run.path, "report": report_schema.document(report)})
        return
    from ftcls.reporting import run_tables

    console.show(run_tables.summary(report, run=run.path, verbose=verbose))
    typer.echo(run.path)

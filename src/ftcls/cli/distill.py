"""``ftcls distill``: a small and quick student of a run."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftcls.cli import call, console, options

if TYPE_CHECKING:
    from ftcls.runs.distillation import Distillation


def distill(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A finished run.")],
    overrides: options.Overrides = None,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="CHECKPOINT",
            help="static: a vector for each token, their mean, a small network; else the checkpoint to train.",
        ),
    ] = "static",
    texts: Annotated[
        Path | None,
        typer.Option(
            "--texts",
            metavar="FILE",
            help="More texts, without labels: one in each line, or a table with the run's text columns.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Of a checkpoint: its run directory."),
    ] = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Train a student on what the run's model says of its training texts, and of others: far smaller and quicker.

    A static one lies in models/static of the run; predict, eval, serve and compare take it as RUN:static. A checkpoint
    becomes a run of its own, with the config of the run, another model and a teacher.

    Example: ftcls distill runs/ag_news-bert --texts unlabelled.csv
    """
    console.configure(quiet=quiet, offline=offline)
    current = call.of(context)
    place: list[str] = []
    with console.results_only() as stdout:
        from ftcls.pipeline.distill import distill as train
        from ftcls.runs import distillation

        def announce(path: Path) -> None:
            current.log = path / "log.txt"
            place.append(str(path))
            if not as_json:
                typer.echo(path, file=stdout)

        found = train(
            run,
            to=to,
            texts=texts,
            overrides=overrides or (),
            output=output,
            command=shlex.join(["ftcls", *current.arguments]),
            announce=announce,
        )
    if as_json:
        console.emit(distillation.document(found))
        return
    for line in _lines(found, place[0] if place else f"{run}:{found.name}"):
        typer.echo(line)


def _lines(found: "Distillation", student: str) -> list[str]:
    from ftcls.environment.figures_as_text import duration, number, p_equals, signed, signed_interval
    from ftcls.reporting import commands
    from ftcls.runs import report_schema
    from ftcls.runs.directory import RunDir
    from ftcls.runs.references import reference

    text = report_schema.read_report(RunDir(Path(reference(student).path).absolute())).data.text
    speeds = (found.texts_per_second, found.teacher_texts_per_second)
    rate = ", ".join(
        f"{who} {speed:,.0f}" for who, speed in zip(("student", "teacher"), speeds, strict=True) if speed is not None
    )
    return [
        f"{student}: {found.size_bytes / 1e6:,.1f} MB, from {found.texts:,} texts "
        f"({found.unlabelled:,} without labels) in {duration(found.seconds)}",
        f"texts a second: {rate}",
        f"test: the teacher's labels in {found.same_labels:.1%}",
        *(
            f"  {name} {number(found.metrics[name])}, {signed(each.value)} from the teacher "
            f"({signed_interval(each.interval)}, {p_equals(each.p_value)})"
            for name, each in found.difference.items()
        ),
        commands.predict(Path(student), text),
    ]

"""``ftcls sweep``: many runs of one config."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperCommand

from ftcls.cli import call, console, options
from ftcls.environment import json_files
from ftcls.errors import ConfigError, Interrupted, TrainingError

if TYPE_CHECKING:
    from ftcls.search.sweep import Outcome

_BEST = 10
"""Most settings in the table at the end."""
_RAY: Final = "--ray"
_ADDRESS: Final = re.compile(r"auto|[^/\\]*:\d+|\w+://.*")


class Command(TyperCommand):
    """A command with an option whose value may be left out, which Typer has none for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        return super().parse_args(ctx, spelled_out(args))


def spelled_out(arguments: Sequence[str]) -> list[str]:
    """A command line with ``--ray ADDRESS`` as one word, and ``--ray`` without an address as ``--ray=``."""
    found: list[str] = []
    for word in arguments:
        if found and found[-1] == f"{_RAY}=" and _ADDRESS.fullmatch(word):
            found[-1] += word
        else:
            found.append(f"{_RAY}=" if word == _RAY else word)
    return found


def sweep(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(metavar="SWEEP", help="A sweep file, the name of a shipped one, or the folder of a sweep."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="The sweep's folder; default: sweeps/NAME."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            help="Trials at a time; default: one for each GPU, else one; with --ray: as many as the cluster holds.",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            _RAY,
            metavar="[HOST:PORT]",
            help="Run the trials on a Ray cluster: the named one, else that of RAY_ADDRESS or of this machine, else "
            "one that is started for this call. The extra ray.",
        ),
    ] = None,
    cpus: Annotated[
        float | None,
        typer.Option(
            "--cpus-per-trial", min=0, metavar="N", help="CPUs that a trial holds on the cluster; default: 1."
        ),
    ] = None,
    gpus: Annotated[
        float | None,
        typer.Option(
            "--gpus-per-trial",
            min=0,
            metavar="N",
            help="GPUs, or the part of one, likewise; default: 1 where the cluster has any.",
        ),
    ] = None,
    printed: Annotated[
        bool, typer.Option("--print", help="Print the command of every trial, and start nothing.")
    ] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="Every trial with --smoke.")] = False,
    allow_code: options.AllowCode = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Run every trial of a sweep, each a train command in a process of its own, and compare them.

    Call it again to go on: done trials are passed over, failed and interrupted ones continue from their checkpoint.
    Ctrl-C lets the running trials save one first. Exit code 5 when a trial failed, after all ran.

    Example: ftcls sweep configs/sweeps/ag_news-grid.yaml --jobs 2
    """
    console.configure(quiet=quiet, offline=offline)
    with console.results_only():
        from ftcls.search import sweep as sweeping

        if not printed:
            outcome = sweeping.sweep(
                file,
                output=output,
                jobs=jobs,
                ray=ray,
                cpus_per_trial=cpus,
                gpus_per_trial=gpus,
                smoke=smoke,
                offline=offline,
                allow_code=allow_code,
            )
    if printed:
        _print(file, output, smoke=smoke, offline=offline, allow_code=allow_code, as_json=as_json)
        return
    _show(outcome, as_json=as_json)
    if outcome.interrupted:
        from ftcls.environment.typed_lines import line

        again = line(["ftcls", *call.of(context).arguments])
        raise Interrupted(f"stopped; the same command goes on where it was: {again}")
    if outcome.failed:
        raise TrainingError(_failures(outcome))


def _print(file: str, output: Path | None, *, smoke: bool, offline: bool, allow_code: bool, as_json: bool) -> None:
    from ftcls.environment.typed_lines import line
    from ftcls.search import sweep as sweeping
    from ftcls.search import trials

    options = trials.Options(smoke=smoke, offline=offline, allow_code=allow_code)
    planned = sweeping.plan(file, output=output, options=options)
    if planned.trials is None:
        method = planned.space.file.sweep.search.method
        raise ConfigError(f"--print: {method} chooses each trial by those before it, so there is no list to print yet")
    if as_json:
        console.emit({"trials": [{"trial": each.name, "command": list(each.command)} for each in planned.trials]})
        return
    for each in planned.trials:
        typer.echo(line(each.command))


def _show(outcome: "Outcome", *, as_json: bool) -> None:
    found = outcome.results
    if as_json:
        console.emit({"folder": outcome.folder, "results": json_files.finite(asdict(found))})
        return
    from ftcls.search import tables

    console.show(tables.summary(found, most=_BEST))
    typer.echo(outcome.folder)


def _failures(outcome: "Outcome") -> str:
    lines = [f"{len(outcome.failed)} of {len(outcome.results.trials)} trials failed:"]
    for name, code in outcome.failed.items():
        what = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        lines.append(f"  {name}: {what}, {outcome.folder / 'logs' / name}.txt")
    return "\n".join([*lines, "The same command tries them again; the others are kept."])

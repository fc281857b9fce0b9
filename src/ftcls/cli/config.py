"""``ftcls config``: the shipped configs, and what to do with one before training."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ftcls.cli import console, options
from ftcls.config import reference, sweep
from ftcls.config.load import dump, find, load, shipped
from ftcls.environment.files import write_text
from ftcls.errors import ConfigError
from ftcls.pipeline import starter_config

app = typer.Typer(
    name="config", help="List, check, show and start configs.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def list_configs(as_json: options.Json = False) -> None:
    """List the configs and the sweeps that ship with ftcls.

    Example: ftcls config list
    """
    rows = [_listed(name, path) for name, path in shipped().items()]
    sweeps = [_listed_sweep(name, path) for name, path in sweep.shipped().items()]
    if as_json:
        console.emit({"configs": rows, "sweeps": sweeps})
        return
    from rich.table import Table

    table = Table("name", "task", "checkpoint", "what it is", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["name"], row["task"], row["checkpoint"], row["description"])
    console.show(table)
    if sweeps:
        typer.echo()
        table = Table("sweep", "base", "search", "what it is", box=None, pad_edge=False)
        for row in sweeps:
            table.add_row(row["name"], row["base"], row["search"], row["description"])
        console.show(table)


@app.command("check")
def check(
    files: Annotated[
        list[str],
        typer.Argument(metavar="CONFIG", help="Files or names of shipped configs; KEY=VALUE overrides apply to all."),
    ],
    as_json: options.Json = False,
) -> None:
    """Check configs without starting anything: ok, or every error with its line and remedy.

    Example: ftcls config check my.yaml training.learning_rate=5e-5
    """
    configs, overrides = _apart(files)
    errors: dict[str, str | None] = {name: _error(name, overrides) for name in configs}
    if as_json:
        console.emit({"configs": [{"config": name, "error": error} for name, error in errors.items()]})
    for name, error in errors.items():
        if not as_json and error is None:
            typer.echo(f"{name}: ok")
    failed = [error for error in errors.values() if error is not None]
    if failed:
        raise ConfigError("\n".join(failed))


@app.command("show")
def show(config: options.Config, overrides: options.Overrides = None, as_json: options.Json = False) -> None:
    """Print a config with every default written and every path absolute.

    Example: ftcls config show quickstart training.num_train_epochs=1
    """
    experiment = load(config, overrides or ())
    if as_json:
        console.emit(experiment.model_dump(mode="json"))
    else:
        typer.echo(dump(experiment), nl=False)


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of a config, for editors.

    Example: ftcls config schema
    """
    typer.echo(reference.schema_text(), nl=False)


@app.command("init")
def init(
    data: Annotated[
        Path | None, typer.Argument(metavar="DATA", help="A table with texts and labels, or a folder of folders.")
    ] = None,
    label: options.Label = None,
    text: options.Text = None,
    like: Annotated[str | None, typer.Option("--like", metavar="NAME", help="Copy a shipped config instead.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write; default: stdout.")
    ] = None,
) -> None:
    """Start a config: for a data file of one's own, or like a shipped one.

    Example: ftcls config init reviews.csv --label stars --output reviews.yaml
    """
    if output is not None:
        starter_config.check_output(output)
    if like is not None and data is None:
        _write(starter_config.like(like), output)
        return
    if data is None or like is not None:
        raise ConfigError("name a data file with --label COLUMN, or a shipped config with --like NAME")
    from ftcls.environment import devices
    from ftcls.pipeline.own_file import check_label

    check_label(data, label or ())
    device = devices.choose("auto", "auto")
    machine = starter_config.Machine(device.device, device.name)
    made = starter_config.from_file(data, label=label or (), text=text, machine=machine, output=output)
    for note in made.notes:
        typer.echo(note, err=True)
    _write(made.text, output)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        typer.echo(text, nl=False)
        return
    write_text(output, text)
    typer.echo(f"{output}: written; next: ftcls train {output}")
    typer.echo(f"how much time and memory that takes: ftcls train {output} --dry-run", err=True)


def _listed(name: str, path: Path) -> dict[str, Any]:
    experiment = load(path)
    return {
        "name": name,
        "description": reference.description(path),
        "task": reference.task(experiment),
        "checkpoint": experiment.model.checkpoint,
        "path": path,
    }


def _listed_sweep(name: str, path: Path) -> dict[str, Any]:
    file = sweep.read(path)
    return {
        "name": name,
        "description": reference.description(path),
        "base": file.base.stem,
        "search": f"{file.sweep.search.method} over {', '.join(axis.split('.')[-1] for axis in file.sweep.axes)}",
        "path": path,
    }


def _apart(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Configs, and the overrides that follow them."""
    configs = [argument for argument in arguments if "=" not in argument or Path(argument).is_file()]
    overrides = [argument for argument in arguments if argument not in configs]
    if not configs:
        raise ConfigError(f"name a config before {overrides[0]}")
    return configs, overrides


def _error(name: str, overrides: list[str]) -> str | None:
    try:
        load(find(name) if name in shipped() else name, overrides)
    except ConfigError as error:
        return str(error)
    return None

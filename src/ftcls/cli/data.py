"""``ftcls data``: what a config's data is like."""

from dataclasses import asdict
from typing import Annotated

import typer

from ftcls.cli import console, options


def data(
    config: options.Config,
    overrides: options.Overrides = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Judge the labels of all rows, however long that takes.")
    ] = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Count labels, lengths, duplicates and leaks, and look for odd texts and wrong labels, before a model is trained.

    Lengths are tokens of the config's checkpoint; where that cannot be had, words. Rows in the findings are named by
    their split and their number there. Labels are judged in about a minute; of larger data a part is.

    Example: ftcls data imdb model.max_length=256
    """
    console.configure(quiet=quiet, offline=offline)
    with console.results_only():
        from ftcls.pipeline.data_profile import inspect_data

        found = inspect_data(config, overrides=overrides or (), thorough=thorough)
    if as_json:
        console.emit(asdict(found))
        return
    from ftcls.reporting import data_tables

    console.show(data_tables.profile(found))

"""``ftcls data``: what a config's data is like."""

from dataclasses import asdict

from ftcls.cli import console, options
from ftcls.config.load import load


def data(
    config: options.Config,
    overrides: options.Overrides = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Count labels, lengths, truncated texts, duplicates and leaks before a model is trained.

    Lengths are tokens of the config's checkpoint; where that cannot be had, words.

    Example: ftcls data imdb model.max_length=256
    """
    console.configure(quiet=quiet, offline=offline)
    experiment = load(config, overrides or ())
    with console.results_only():
        from ftcls.profile import profile

        found = profile(experiment)
    if as_json:
        console.emit(asdict(found))
        return
    from ftcls.report import data_tables

    console.show(data_tables.profile(found))

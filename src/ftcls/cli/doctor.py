"""``ftcls doctor``: what this machine and this installation can do."""

from dataclasses import asdict

import typer

from ftcls.cli import console, options
from ftcls.errors import UnavailableError


def doctor(offline: options.Offline = False, as_json: options.Json = False) -> None:
    """Show versions, devices, the precision that would be chosen, the Hub, caches and what is missing.

    Exit code 4 when something makes training impossible; the report is printed first.

    Example: ftcls doctor
    """
    console.configure(quiet=True, offline=offline)
    with console.results_only():
        from ftcls.environment.doctor import doctor as examine

        found = examine()
    if as_json:
        console.emit(asdict(found))
        raise typer.Exit(UnavailableError.exit_code if found.problems else 0)
    from ftcls.reporting import doctor_tables

    console.show(doctor_tables.health(found))
    if found.problems:
        raise UnavailableError(f"no training here: {'; '.join(found.problems)}")

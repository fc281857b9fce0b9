"""A config for a data file of one's own, made on the way to training: no YAML is needed for the first evening."""

import re
from collections.abc import Sequence
from pathlib import Path

from ftcls.data.tables.records import kind_of
from ftcls.environment import devices
from ftcls.environment.files import write_text
from ftcls.errors import ConfigError
from ftcls.pipeline import starter_config
from ftcls.pipeline.starter_config import Machine


def is_data(argument: str) -> bool:
    """Whether an argument is a data file and no config."""
    path = Path(argument)
    return kind_of(path) not in (None, "txt") and path.is_file()


def config_beside(data: str, *, label: Sequence[str], text: str | None) -> tuple[Path, tuple[str, ...]]:
    """Write a config beside a data file, ready to be edited; one with the same content is taken as it is.

    Args:
        data: CSV, TSV, JSON lines, JSON or Parquet.
        label: the label column, or a column of 0 and 1 for each label.
        text: the text column; None: the one that looks like it.

    Returns:
        The config, and what was guessed for it, one sentence each.

    Raises:
        ConfigError: it is no data file, or no label column is named.
        DataError: it cannot be read, has no such column, or only one label.
    """
    if not is_data(data):
        given = f"--label {', '.join(label)}" if label else f"--text {text}"
        raise ConfigError(f"{given}: goes with a data file; {data} is none. A config has data.label and data.text")
    path = Path(data)
    if not label:
        columns = starter_config.describe_columns(path)
        raise ConfigError(f"{data}: which column has the labels? Add --label COLUMN: {columns}")
    machine = devices.choose("auto", "auto")
    stem = re.sub(r"(\.[A-Za-z]+){1,2}$", "", path.name) or "config"
    number = 1
    while True:
        place = path.with_name(f"{stem}.yaml" if number == 1 else f"{stem}-{number}.yaml")
        made = starter_config.from_file(
            path, label=label, text=text, machine=Machine(machine.device, machine.name), output=place
        )
        if not place.exists():
            write_text(place, made.text)
            return place, (*made.notes, f"config: {place}, ready to be edited")
        if place.read_text(encoding="utf-8") == made.text:
            return place, (*made.notes, f"config: {place}")
        number += 1

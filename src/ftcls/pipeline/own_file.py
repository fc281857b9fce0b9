"""A config for a data file of one's own, made on the way to training: no YAML is needed for the first evening."""

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ftcls.config.durations import seconds_of
from ftcls.config.load import Overrides, shipped
from ftcls.config.smoke import keys
from ftcls.data.tables.read import FORMATS, read_table
from ftcls.data.tables.records import kind_of
from ftcls.data.tables.spreadsheet import file_of
from ftcls.environment import devices
from ftcls.environment.files import write_text
from ftcls.errors import ConfigError
from ftcls.pipeline.checkpoint_choice import choose
from ftcls.pipeline.file_contents import contents
from ftcls.pipeline.starter_config import Machine, starter


def is_data(argument: str) -> bool:
    """Whether an argument is a data file, or a folder of folders, and no config."""
    path = Path(argument)
    if path.is_dir():
        return (
            argument not in shipped() and not (path / "config.yaml").exists() and any(map(Path.is_dir, path.iterdir()))
        )
    return kind_of(path) not in (None, "txt") and file_of(path).is_file()


def config_beside(
    data: str,
    *,
    label: Sequence[str],
    text: str | None,
    budget: str | float | None = None,
    overrides: Overrides = (),
) -> tuple[Path, tuple[str, ...]]:
    """Write a config beside a data file, ready to be edited; one with the same content is taken as it is.

    Args:
        data: a table, or a folder with a folder of texts for each label.
        label: the label column, or a column of 0 and 1 for each label; of a folder none.
        text: the text column; None: the one that looks like it.
        budget: that the training has, in seconds or as ``10m``. It chooses the checkpoint of those at hand, unless the
            overrides name one; within it there is no contrastive start. None: as long as it takes.
        overrides: that will be put over it.

    Returns:
        The config, and what was guessed for it, one sentence each.

    Raises:
        ConfigError: it is no data file, or no label column is named.
        DataError: it cannot be read, has no such column, or only one label.
    """
    if not is_data(data):
        given = f"--label {', '.join(label)}" if label else f"--text {text}"
        raise ConfigError(f"{given}: goes with a data file; {data} is none{_why_none(data)}")
    path = Path(data)
    check_label(path, label)
    device = devices.choose("auto", "auto")
    machine, found = Machine(device.device, device.name), contents(path, label=label, text=text)
    named = "model.checkpoint" in keys(overrides)
    chosen = None if budget is None or named else choose(found, device, seconds_of(budget))
    said = () if chosen is None else (f"checkpoint: {chosen.name}, {chosen.why}",)
    # What was measured for one checkpoint goes for no other.
    usual = not any(key.startswith(("model.checkpoint", "adapter")) for key in keys(overrides))
    for place in _places(path):
        pairs = usual and budget is None
        made = starter(found, machine, place, checkpoint=chosen, contrastive=pairs, other_model=not usual)
        if not place.exists():
            write_text(place, made.text)
            return place, (*made.notes, *said, f"config: {place}, ready to be edited")
        if place.read_text(encoding="utf-8") == made.text:
            return place, (*made.notes, *said, f"config: {place}")
    raise AssertionError


def _why_none(data: str) -> str:
    """Why an argument is no data file."""
    path = Path(data)
    if path.is_dir():
        return ": it is a folder without a folder for each label; name a table in it"
    if path.suffix in (".yaml", ".yml") or data in shipped():
        return ". A config has data.label and data.text"
    if not file_of(path).is_file():
        return f": no such file{'; download it first' if '://' in data else ''}"
    return f": not a kind of file that ftcls reads; use {FORMATS}"


def check_label(data: Path, label: Sequence[str]) -> None:
    """See that a label column is named where there are columns.

    Raises:
        ConfigError: it is not; says which columns there are.
    """
    if not label and not data.is_dir():
        columns = ", ".join(read_table(data).columns)
        raise ConfigError(f"{data}: which column has the labels? Add --label COLUMN: {columns}")


def _places(data: Path) -> Iterator[Path]:
    """The names that a config beside the data may have, the likeliest first."""
    path = file_of(data.resolve() if not data.name else data)
    stem = re.sub(r"(\.[A-Za-z][A-Za-z0-9]*){1,2}$", "", path.name) or "config"
    yield path.with_name(f"{stem}.yaml")
    for number in itertools.count(2):
        yield path.with_name(f"{stem}-{number}.yaml")

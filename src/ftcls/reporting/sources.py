"""What people call the file that the rows of a split came from."""

from pathlib import Path

from ftcls.config.load import load
from ftcls.config.schema import SplitPaths
from ftcls.errors import ConfigError
from ftcls.runs.directory import RunDir
from ftcls.runs.report_schema import Report


def file(run: RunDir, report: Report, split: str) -> str:
    """The name of one's own file where the run's config names one, else the data set and its split."""
    origin = report.data.splits[split].origin
    of = "train" if origin.startswith("cut from train") else "all splits" if "all" in origin else split
    own = _own(run, of) if report.data.source == "files" and run.config.is_file() else None
    return own or f"{report.data.source} {of}"


def _own(run: RunDir, split: str) -> str | None:
    try:
        paths = load(run.config).data.path
    except ConfigError:  # of another version: the page can do without the name
        return None
    if isinstance(paths, SplitPaths):
        found = getattr(paths, split) if split in ("train", "validation", "test") else None
        return None if found is None else Path(found).name
    return None if paths is None else Path(paths).name

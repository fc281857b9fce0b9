"""A run as Python sees it: its figures, its predictions, its model."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ftcls.config.load import load
from ftcls.config.schema import Experiment
from ftcls.environment import manifest
from ftcls.environment.figures_as_text import with_interval
from ftcls.errors import DataError
from ftcls.inference.classifier import Classifier
from ftcls.runs import report_schema
from ftcls.runs.directory import RunDir
from ftcls.runs.report_schema import Intervals, Metrics, Report


class Run:
    """A run directory, read as it is asked for: what `ftcls.train` gives, or ``Run("runs/ag_news")``.

    It stands wherever the path of a run does: ``ftcls.predict(run, texts)``, ``ftcls.compare([run, other])``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Final = Path(path).absolute()

    @property
    def files(self) -> RunDir:
        """Where each of its files is: ``run.files.model``, ``run.files.page``."""
        return RunDir(self.path)

    @cached_property
    def report(self) -> Report:
        """The whole of report.json.

        Raises:
            DataError: the run is not finished, or is none.
        """
        return report_schema.read_report(self.files)

    @cached_property
    def config(self) -> Experiment:
        """What was asked, with every default; can be trained again, or with overrides.

        Raises:
            ConfigError: there is no config.
        """
        manifest.check_part(self.files.config)
        return load(self.files.config)

    @property
    def metrics(self) -> dict[str, Metrics]:
        """Value by name of each metric, for ``validation`` and ``test``."""
        return self.report.metrics

    @property
    def intervals(self) -> dict[str, Intervals]:
        """The 95 % interval by name of each metric, (low, high), for ``validation`` and ``test``."""
        return self.report.intervals

    def predictions(self, split: str | None = None) -> pd.DataFrame:
        """What the model said about each row of a split: row, gold, predicted, text, and a probability for each label.

        None: the split that the run is judged by, ``test``, or ``out_of_fold`` of a cross-validation.

        Raises:
            DataError: there are no predictions of that split.
        """
        path = self.files.predictions / f"{split or self.report.held_out}.parquet"
        manifest.check_part(path)
        try:
            return pq.read_table(path).to_pandas()
        except (OSError, pa.ArrowException) as error:
            there = ", ".join(sorted(each.stem for each in path.parent.glob("*.parquet")))
            raise DataError(f"{path}: cannot be read; there are {there or 'no predictions'}") from error

    def classifier(self, **options: Any) -> Classifier:
        """The model of the run, with its cleaning, thresholds and temperature; see `Classifier.from_pretrained`.

        Raises:
            FtclsError: it cannot be loaded here.
        """
        return Classifier.from_pretrained(self.path, **options)

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}){self._score()}"

    def _score(self) -> str:
        """The score that the run was chosen by, for a person who looks at it; empty as long as there is none."""
        if not self.files.done:
            return ": not finished"
        name = self.report.training.best.metric
        value, interval = self.metrics[self.report.held_out][name], self.intervals[self.report.held_out][name]
        if value is None or interval is None:
            return ""
        return f": {name} {with_interval(value, interval)} on {self.report.held_out}"

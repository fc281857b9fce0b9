"""`ftcls.predict`: labels and probabilities for texts, tables, files and streams."""

import contextlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias, TypedDict, Unpack, overload

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ftcls.config.load import load
from ftcls.data.columns import pair_columns, text_of, typed_pair
from ftcls.data.tables import frames
from ftcls.data.tables.records import Kind
from ftcls.data.texts import PLAIN, TextColumns
from ftcls.environment import progress
from ftcls.errors import ConfigError, DataError
from ftcls.inference.base_classifier import BaseClassifier, Prediction, Thresholds
from ftcls.inference.simple_classifier import load_classifier
from ftcls.prediction import rows
from ftcls.prediction.chunks import ROWS
from ftcls.prediction.columns import Columns
from ftcls.prediction.files import Step, Summary, Wanted, predict_files
from ftcls.prediction.stream import Stream
from ftcls.runs.directory import RunDir
from ftcls.runs.references import reference

log = logging.getLogger(__name__)

Place = str | os.PathLike[str]
"""A file or folder."""
Data: TypeAlias = frames.Texts | pd.DataFrame | frames.Other | Place | Sequence[Path] | Stream
"""What can be labelled: n texts, a table, files, a stream."""


class Options(TypedDict, total=False):
    """The keywords of `predict` but ``output``, which decides what is returned."""

    text_column: str | Sequence[str] | None
    thresholds: Thresholds
    top: int | None
    abstain: float | None
    windows: bool
    prefix: str
    by: Sequence[str]
    on_bad_row: Literal["keep", "error"]
    safe_cells: bool
    precision: str
    resume: bool
    input_kind: Kind | None
    output_kind: Kind | None


@overload
def predict(
    run: Place | BaseClassifier, data: Data, *, output: Place | TextIO, **options: Unpack[Options]
) -> Summary: ...
@overload
def predict(
    run: Place | BaseClassifier, data: Data, *, output: None = None, **options: Unpack[Options]
) -> pd.DataFrame: ...
def predict(
    run: Place | BaseClassifier,
    data: Data,
    *,
    output: Place | TextIO | None = None,
    text_column: str | Sequence[str] | None = None,
    thresholds: Thresholds = (),
    top: int | None = None,
    abstain: float | None = None,
    windows: bool = False,
    prefix: str = "",
    by: Sequence[str] = (),
    on_bad_row: Literal["keep", "error"] = "keep",
    safe_cells: bool = False,
    precision: str = "auto",
    allow_code: bool = False,
    resume: bool = False,
    input_kind: Kind | None = None,
    output_kind: Kind | None = None,
) -> pd.DataFrame | Summary:
    """Label texts, or every row of a table, of files or of a stream.

    Args:
        run: a run, a simple model of it (``RUN:tfidf``), an export, a model folder, a Hub checkpoint, or a classifier.
        data: n texts (pairs of texts as tuples), a Series, a DataFrame, a table or column of datasets; or files: one, a
            pattern such as ``reviews/*.csv``, several paths; or a stream.
        output: the file or stream that labelled rows are written to; None: they are returned.
        text_column: the text column, or several, joined by a space; of a model of pairs two, or ``{first: a, second:
            b}``, also for a checkpoint that ftcls did not write; None: those of the run's config.
        thresholds: in place of the model's own; for a binary model that of the positive label.
        top: so many most probable labels instead of the probability of each.
        abstain: no label where it is less probable than this.
        windows: also what a model of long documents says of each window, a list for each row; JSON alone holds it.
        prefix: stands before the names of the new columns.
        by: columns whose values are groups; the share of each label in each is written beside the output.
        on_bad_row: whether a row without a text stays in its place without a label, or is an error.
        safe_cells: an apostrophe stands before cells of a CSV or TSV that a spreadsheet would run as a formula.
        precision: auto, the quickest arithmetic that the device has; fp32, as plain transformers has it; bf16; fp16.
        allow_code: whether code that the model was trained with (model.allow_code) may run.
        resume: continue the half-done output of an earlier call.
        input_kind: what a stream holds, or files whose suffix does not say it: csv, tsv, jsonl, txt.
        output_kind: what is written; None: what the suffix says, for a stream the kind of the input.

    Returns:
        Without `output` a DataFrame: the rows in order under their index, their columns, ``label`` (multilabel:
        ``labels``, a list) and a ``probability_LABEL`` for each label. With it a `Summary` of what was written.

    Raises:
        ConfigError: a new column has the name of one that is there, or an option has no use here.
        DataError: the data cannot be read, or a row cannot and that is an error.
        UnavailableError: there is no such model.
        Interrupted: SIGINT or SIGTERM; what is half done can be continued.
    """
    classifier = loaded(run, thresholds=thresholds, precision=precision, allow_code=allow_code)
    columns = named_columns(text_column, text_columns(classifier))
    wanted = Wanted(columns, prefix, top, abstain, windows, tuple(by), safe_cells, on_bad_row)
    if _in_memory(data := _settled(data)):
        _refuse_idle(
            output=output, by=by, resume=resume, safe_cells=safe_cells, input_kind=input_kind, output_kind=output_kind
        )
        frame = frames.frame_of(data, columns)
        if not isinstance(data, pd.DataFrame):
            wanted = replace(wanted, text_columns=TextColumns(*((name,) for name in frame.columns)))
        return _labelled(classifier, frame, wanted)
    source = _source(data)
    labels_by = _WithWindows(classifier) if windows else classifier
    if output is None:
        _refuse_idle(by=by, resume=resume, safe_cells=safe_cells, output_kind=output_kind)
        return _read(labels_by, source, wanted, input_kind)
    with _watched() as report:
        return predict_files(
            labels_by,
            source,
            Path(output) if isinstance(output, str | os.PathLike) else output,
            wanted,
            kind=output_kind,
            input_kind=input_kind,
            resume=resume,
            progress=report,
        )


def loaded(
    run: Place | BaseClassifier, *, thresholds: Thresholds = (), precision: str, allow_code: bool = False
) -> BaseClassifier:
    """A classifier for prediction, with thresholds in place of its own.

    Raises:
        FtclsError: see `Classifier.from_pretrained` and `Classifier.with_thresholds`.
    """
    if isinstance(run, BaseClassifier):
        found = run
    else:
        found = load_classifier(os.fspath(run), precision=precision, allow_code=allow_code)
    return found.with_thresholds(thresholds) if thresholds else found


def text_columns(classifier: BaseClassifier) -> TextColumns:
    """The text columns that a model was trained on; ``text`` where nothing says it."""
    if classifier.settings.text is not None:
        return classifier.settings.text
    config = RunDir(Path(reference(classifier.source).path)).config
    return text_of(load(config).data) if config.is_file() else PLAIN


def named_columns(named: str | Sequence[str] | None, trained: TextColumns) -> TextColumns:
    """The text columns that somebody names in place of those that the model was trained on; None: those.

    Raises:
        ConfigError: the model reads pairs of texts, and it is not two.
    """
    names = (named,) if isinstance(named, str) else named
    if not names:
        return trained
    if len(names) == 1 and (pair := typed_pair(names[0], "--text-column")) is not None:
        return pair_columns(pair, trained.beside)
    if not trained.pairs:
        return TextColumns(tuple(names), beside=trained.beside)
    if len(names) != 2:
        raise ConfigError(
            f"--text-column {' '.join(names)}: the model reads pairs of texts; name two columns, that of the first "
            "text and that of the second: --text-column premise --text-column hypothesis"
        )
    return TextColumns((names[0],), (names[1],), trained.beside)


def _settled(data: Any) -> Any:
    """The data as it is, files and streams too; texts and tables of other libraries as those of pandas."""
    return data if isinstance(data, str | os.PathLike) or hasattr(data, "readline") else frames.settled(data)


def _in_memory(data: object) -> bool:
    if isinstance(data, list | tuple):
        return not any(isinstance(each, os.PathLike) for each in data)
    return isinstance(data, pd.DataFrame | pd.Series | np.ndarray)


def _refuse_idle(**options: object) -> None:
    """Refuse options that would do nothing.

    Raises:
        ConfigError: names the first that was given.
    """
    name = next((name for name, value in options.items() if value), None)
    if name is not None:
        raise ConfigError(f"{name}: is for files that are written; give files and output as well, or leave it out")


def _source(data: Any) -> list[Path] | Stream:
    """Paths, or a stream."""
    if hasattr(data, "readline"):
        return data  # type: ignore[no-any-return]
    paths = [Path(data)] if isinstance(data, str | os.PathLike) else [Path(each) for each in data]
    try:
        return rows.expanded(paths)
    except (DataError, OSError) as error:  # the latter: a text that is too long for the name of a file
        hint = "; texts go in a list: predict(run, [text])" if isinstance(data, str) else ""
        raise DataError(f"{str(error)[:200]}{hint}") from None


def _labelled(classifier: BaseClassifier, frame: pd.DataFrame, wanted: Wanted) -> pd.DataFrame:
    """A table with the new columns beside its own, under the same index."""
    columns = Columns(classifier.task, classifier.labels, wanted.prefix, wanted.top, wanted.abstain, wanted.windows)
    taken = next((name for name in columns.names if name in frame.columns), None)
    if taken is not None:
        raise ConfigError(
            f"the DataFrame has a column {taken!r} already; give the new columns another name: "
            f"prefix={wanted.prefix + 'predicted_'!r}"
        )
    texts = frames.joined_texts(frame, wanted.text_columns)
    if None in texts and wanted.on_bad_row == "error":
        raise DataError(f"the DataFrame, row {texts.index(None)} (from 0): no text (on_bad_row='keep' leaves it)")
    new = pd.DataFrame(list(_rows(classifier, texts, columns)), columns=list(columns.names), index=frame.index)
    return pd.concat([frame, new], axis=1)


def _rows(classifier: BaseClassifier, texts: Sequence[str | None], columns: Columns) -> Iterator[dict[str, Any]]:
    """The new columns of each row, a chunk at a time."""
    with _watched() as report:
        for start in range(0, len(texts), ROWS):
            chunk = texts[start : start + ROWS]
            found = iter(classifier.classify([text for text in chunk if text is not None], windows=columns.windows))
            for text in chunk:
                yield columns.nothing() if text is None else columns.of(next(found))
            report(Step(start + len(chunk), (start + len(chunk)) / len(texts)))


@dataclass(frozen=True)
class _WithWindows:
    """A classifier that also says something of each window."""

    classifier: BaseClassifier

    @property
    def labels(self) -> tuple[str, ...]:
        return self.classifier.labels

    @property
    def task(self) -> str:
        return self.classifier.task

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        return self.classifier.classify(texts, windows=True)

    def fingerprint(self) -> str:
        return self.classifier.fingerprint()


def _read(
    classifier: BaseClassifier | _WithWindows, source: list[Path] | Stream, wanted: Wanted, input_kind: Kind | None
) -> pd.DataFrame:
    """Labelled files as a table, through the file that they would have been written to."""
    kind = input_kind or (rows.input_kind(source[0]) if isinstance(source, list) else "txt")
    own_keys = kind in ("json", "jsonl") or wanted.windows  # rows of their own keys fit no Parquet file
    with tempfile.TemporaryDirectory() as folder, _watched() as report:
        path = Path(folder) / ("labelled.jsonl" if own_keys else "labelled.parquet")
        predict_files(classifier, source, path, wanted, input_kind=input_kind, progress=report)
        if own_keys:
            with path.open(encoding="utf-8") as file:
                return pd.DataFrame([json.loads(line) for line in file])
        frame: pd.DataFrame = pq.read_table(path).to_pandas()
    if classifier.task == "multilabel":  # lists, as a DataFrame gets them
        label = f"{wanted.prefix}labels"
        frame[label] = [None if each is None else list(each) for each in frame[label]]
    return frame


@contextlib.contextmanager
def _watched() -> Iterator[Callable[[Step], None]]:
    """What shows how far predicting is: a bar where somebody sees it, else a line now and then."""
    begun = last = time.monotonic()
    seen = progress.place() is not None
    with progress.bar("predicting") as bar:

        def report(step: Step) -> None:
            nonlocal last
            bar.update(step.fraction, f"{step.rows:,} rows")
            if not seen and time.monotonic() - last >= progress.SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                left = progress.left(begun, step.fraction)
                log.info("predicting: %s rows%s", f"{step.rows:,}", f", {left}" if left else "")

        yield report

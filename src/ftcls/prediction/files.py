"""Files through a classifier: every row of the input, in order, with its label and probabilities beside it.

Rows are read, labelled and written in chunks, so memory does not grow with the input. A file appears whole or not at
all; until then it grows in a partial file that a later call can continue.
"""

import contextlib
import itertools
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TextIO

import pyarrow as pa

from ftcls.data.tables.records import Kind
from ftcls.data.tables.table import MissingColumn, missing_column
from ftcls.data.texts import PLAIN, TextColumns, is_blank
from ftcls.environment.files import refuse_special
from ftcls.errors import ConfigError, DataError, Interrupted
from ftcls.prediction import chunks, rows, writers
from ftcls.prediction import group_shares as shares
from ftcls.prediction.chunks import Item
from ftcls.prediction.columns import Classifier, Columns, Prediction
from ftcls.prediction.group_shares import Share, Tally
from ftcls.prediction.rows import Source
from ftcls.prediction.stream import Stream
from ftcls.prediction.writers import Labelled, Layout, Sink

log = logging.getLogger(__name__)

_SHOWN: Final = 10
"""Bad rows that are named one by one."""


@dataclass(frozen=True)
class Wanted:
    """What to do with each row."""

    text_columns: TextColumns = PLAIN
    """The columns with the text, or with the texts of a pair. Lines of text have none."""
    prefix: str = ""
    """Stands before the names of the new columns."""
    top: int | None = None
    """So many most probable labels instead of the probability of each."""
    abstain: float | None = None
    """No label where it is less probable than this."""
    windows: bool = False
    """Also what a model that reads windows says of each of them; JSON alone holds it."""
    by: tuple[str, ...] = ()
    """Columns whose values are groups: the share of each label in each is counted."""
    safe_cells: bool = False
    """An apostrophe stands before cells of a CSV or TSV that a spreadsheet would run as a formula."""
    on_bad_row: Literal["keep", "error"] = "keep"
    """Whether a row that cannot be read stays in its place without a label, or stops everything."""


@dataclass(frozen=True)
class Summary:
    """What was predicted."""

    rows: int
    label_counts: dict[str, int]
    """How many rows got each label."""
    output: Path | None
    """Where the rows went; None: to a stream."""
    without_label: int = 0
    """Rows that could be read and got none: none applied, or the model abstained."""
    bad_rows: int = 0
    """Rows that could not be read."""
    problems: tuple[str, ...] = ()
    """The first of them, with the reason."""
    shares: tuple[Share, ...] = ()
    written: tuple[Path, ...] = ()
    """Tables and plots of the shares."""


@dataclass(frozen=True)
class Step:
    """How far a call is."""

    rows: int
    """Done, those of an earlier call included."""
    fraction: float | None
    """Of the input, from 0 to 1; None where its end is not known."""


def predict_texts(classifier: Classifier, texts: Sequence[str]) -> list[Prediction]:
    """Labels and probabilities of n texts, in input order."""
    return list(classifier.classify(texts))


def predict_files(
    classifier: Classifier,
    given: Sequence[Path] | Stream,
    output: Path | TextIO,
    wanted: Wanted,
    *,
    kind: Kind | None = None,
    input_kind: Kind | None = None,
    resume: bool = False,
    progress: Callable[[Step], None] = lambda step: None,
) -> Summary:
    """Label every row of some files, or of a stream.

    Args:
        classifier: what labels them.
        given: files of one kind, or patterns such as ``reviews/*.csv``; or a stream.
        output: a file, or a stream that takes any kind but Parquet.
        wanted: what to do with each row.
        kind: what to write; None: what the suffix of `output` says, for a stream the kind of the input.
        input_kind: what is read; None: what the suffixes say, for a stream a text in each line.
        resume: continue the partial file that an earlier call left.
        progress: called after every chunk.

    Raises:
        ConfigError: a new column has the name of one that is there, the output is an input, or there is a partial file
            that cannot be continued.
        DataError: the input as a whole cannot be read, or a row cannot and `wanted` has that as an error. A partial
            file that was begun here is gone then.
        Interrupted: SIGINT or SIGTERM; the partial file can be continued.
    """
    try:
        return _predict(classifier, given, output, wanted, kind, input_kind, resume, progress)
    except KeyboardInterrupt:
        if isinstance(output, Path) and writers.partial_of(output).exists():
            partial = writers.partial_of(output)
            raise Interrupted(f"{partial}: half done; the same command with --resume goes on from there") from None
        raise


def _predict(
    classifier: Classifier,
    given: Sequence[Path] | Stream,
    output: Path | TextIO,
    wanted: Wanted,
    kind: Kind | None,
    input_kind: Kind | None,
    resume: bool,
    progress: Callable[[Step], None],
) -> Summary:
    columns = Columns(classifier.task, classifier.labels, wanted.prefix, wanted.top, wanted.abstain, wanted.windows)
    tally = Tally(classifier.labels, wanted.by)
    with rows.opened(given, input_kind) as source:
        written = kind or _output_kind(source, output)
        if wanted.windows and written not in ("json", "jsonl"):
            raise ConfigError(f"--windows: a list for each row, which {written} has no place for; write .jsonl")
        _check(source, given, output, written, columns, wanted)
        # What goes to a stream cannot be resumed, and somebody may be waiting for it.
        cut = chunks.cut(source, wanted.text_columns, follow=not isinstance(output, Path))
        first = next(cut, [])
        layout = replace(_layout(source, first, columns, written), safe_cells=wanted.safe_cells)
        request = _request(classifier, wanted, source) if isinstance(output, Path) else {}
        with _sink(output, written, layout, request, resume=resume) as sink:
            run = _Run(classifier, columns, wanted, source, sink, tally, progress)
            run.all(itertools.chain([first] if first else [], cut))
    if tally.empty:
        log.warning("%s: %d of %d texts are empty; their label says nothing", source.name, tally.empty, run.rows)
    if run.broken and not isinstance(given, Sequence):
        log.warning(
            "%s: %d of %d texts have bytes that are no UTF-8, read and written as \ufffd; save it as UTF-8",
            source.name,
            run.broken,
            run.rows,
        )
    for swallowed in source.swallowed:
        if swallowed.count:
            log.warning(
                "%s: %d rows; a quote that was left open? The first: %s",
                source.name,
                swallowed.count,
                swallowed.examples[0],
            )
    if tally.bad > _SHOWN:
        log.warning("%s: %d rows could not be read, %d are not named here", source.name, tally.bad, tally.bad - _SHOWN)
    return _summary(run.rows, tally, output, wanted)


def _sink(
    output: Path | TextIO, kind: Kind, layout: Layout, request: dict[str, Any], *, resume: bool
) -> contextlib.AbstractContextManager[Sink]:
    if not isinstance(output, Path):
        return writers.to_stream(output, kind, layout)
    if kind == "json":
        raise ConfigError(f"--output {output}: JSON of many rows is written as .jsonl")
    return writers.to_file(output, kind, layout, request=request, resume=resume)


class _Run:
    """The loop over the chunks of one call."""

    def __init__(
        self,
        classifier: Classifier,
        columns: Columns,
        wanted: Wanted,
        source: Source,
        sink: Sink,
        tally: Tally,
        progress: Callable[[Step], None],
    ) -> None:
        self.classifier = classifier
        self.columns = columns
        self.wanted = wanted
        self.source = source
        self.sink = sink
        self.tally = tally
        self.progress = progress
        self.rows = 0
        """Read so far."""
        self.broken = 0
        """Texts that were labelled, and have a character that stands for bytes that are none."""

    def all(self, cut: Iterator[list[Item]]) -> None:
        """Label what an earlier call has not."""
        done, digest = self.sink.done, ""
        for chunk in cut:
            digest = chunks.chained(digest, chunk)
            self.rows += len(chunk)
            if done is None or self.rows > done.rows:
                self._label(chunk)
                self.sink.commit(self.rows, digest, self.tally.document())
            elif self.rows == done.rows:
                if digest != done.input_hash:
                    break
                self.tally.restore(done.tally)
                log.info("%s: %d rows are done; going on from there", self.source.name, self.rows)
            self.progress(Step(self.rows, self.source.fraction()))
        if done is not None and (self.rows < done.rows or (self.rows == done.rows and digest != done.input_hash)):
            raise DataError(
                f"{self.source.name}: its first {done.rows} rows are not those that the partial file was made from; "
                "delete that to start over"
            )

    def _label(self, chunk: Sequence[Item]) -> None:
        texts = [item.text for item in chunk if item.text is not None]
        self.tally.empty += sum(map(is_blank, texts))
        self.broken += sum("\ufffd" in text for text in texts)
        found = iter(predict_texts(self.classifier, texts))
        labelled = []
        for item in chunk:
            row = item.record.row
            if self.source.columns is None:
                _refuse_taken(self.source, self.columns, tuple(row))
            if item.text is None:
                labelled.append(self._bad(item))
                continue
            prediction = next(found)
            self.tally.add(row, self.columns.given(prediction))
            labelled.append(Labelled(row, self.columns.of(prediction)))
        self.sink.write(labelled)

    def _bad(self, item: Item) -> Labelled:
        record = item.record
        problem = f"{item.place}: {record.problem}"
        if self.wanted.on_bad_row == "error":
            raise DataError(f"{problem} (--on-bad-row keep leaves such rows in place)")
        if self.tally.bad < _SHOWN:
            log.warning("%s; the row stays without a label", problem)
            self.tally.problems.append(problem)
        self.tally.bad += 1
        row = record.row if record.raw is None else {self.wanted.text_columns.names[0]: record.raw}
        return Labelled(row, self.columns.nothing(), record.problem)


def _request(classifier: Classifier, wanted: Wanted, source: Source) -> dict[str, Any]:
    """What has to be the same for a partial file to be continued."""
    columns = {**asdict(wanted), "input kind": source.kind, "columns": source.columns}
    return {"model": classifier.fingerprint(), "chunk": chunks.ROWS, **columns}


def _output_kind(source: Source, output: Path | TextIO) -> Kind:
    if isinstance(output, Path):
        return rows.output_kind(output)
    if source.kind == "json":
        return "jsonl"
    # A line of text has no room for probabilities, and a spreadsheet is no stream.
    return "csv" if source.kind in ("txt", "sheet") else source.kind


def _check(
    source: Source,
    given: Sequence[Path] | Stream,
    output: Path | TextIO,
    kind: Kind,
    columns: Columns,
    wanted: Wanted,
) -> None:
    """Refuse what cannot work before anything is read."""
    if wanted.safe_cells and kind not in ("csv", "tsv"):
        raise ConfigError(f"--safe-cells: is for CSV and TSV, which spreadsheets open; {kind} has no formulas")
    if kind == "parquet" and not isinstance(output, Path):
        raise ConfigError("Parquet cannot be printed; name a file: --output labelled.parquet")
    inputs = rows.expanded(given) if isinstance(given, Sequence) else []
    if isinstance(output, Path):
        refuse_special(output)
    if isinstance(output, Path) and output.exists() and any(output.samefile(path) for path in inputs):
        raise ConfigError(f"--output {output}: is the input; name another file")
    if wanted.by and not isinstance(output, Path):
        raise ConfigError("--by: writes its table and plot beside the output; name one: --output labelled.csv")
    if source.columns is None:
        return
    texts = chunks.read_columns(source, wanted.text_columns).names
    for option, names in (("--text-column", texts), ("--by", wanted.by)):
        for name in names:
            if name not in source.columns:
                error = missing_column(Path(source.name), name, source.columns)
                raise MissingColumn(f"{error}; name the column with {option}")
    _refuse_taken(source, columns, source.columns)


def _refuse_taken(source: Source, columns: Columns, present: Sequence[str]) -> None:
    names = (*columns.names, *([columns.problem] if source.columns is None else []))
    taken = next((name for name in names if name in present), None)
    if taken is not None:
        raise ConfigError(
            f"{source.name}: has a column {taken!r} already, which the prediction would overwrite; "
            f"give the new columns another name: --prefix {columns.prefix}predicted_"
        )


def _layout(source: Source, first: Sequence[Item], columns: Columns, kind: Kind) -> Layout:
    """What the output's rows look like.

    Raises:
        DataError: none of the first rows can be read.
    """
    good = [item.record.row for item in first if item.text is not None]
    if first and not good:
        raise DataError(f"{first[0].place}: {first[0].record.problem}; none of the first {len(first)} rows can be read")
    names = source.columns if source.columns is not None else tuple(good[0]) if good else ()
    schema = source.schema
    if kind == "parquet" and schema is None:
        if source.columns is not None:
            schema = pa.schema([(name, pa.string()) for name in names])
        else:
            try:
                schema = writers.arrow_table(good).schema
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise DataError(f"{source.name}: its values do not fit one table ({error}); write .jsonl") from None
    return Layout(source.name, names, columns, source.dialect, schema)


def _summary(count: int, tally: Tally, output: Path | TextIO, wanted: Wanted) -> Summary:
    path = output if isinstance(output, Path) else None
    found = tuple(tally.shares())
    return Summary(
        rows=count,
        label_counts={label: tally.counts[label] for label in tally.labels},
        output=path,
        without_label=tally.without,
        bad_rows=tally.bad,
        problems=tuple(tally.problems),
        shares=found,
        written=() if path is None else tuple(_write_shares(found, path, wanted)),
    )


def _write_shares(found: Sequence[Share], output: Path, wanted: Wanted) -> Iterator[Path]:
    from ftcls.prediction import share_plot  # brings matplotlib

    for column in dict.fromkeys(each.column for each in found):
        of_column = [each for each in found if each.column == column]
        name = f"{output.stem}-by-" + re.sub(r"[^\w.-]+", "_", column)
        shares.write(of_column, output.with_name(f"{name}.csv"), safe_cells=wanted.safe_cells)
        share_plot.save(of_column, output.parent, name)
        yield from (output.with_name(f"{name}.{suffix}") for suffix in ("csv", "png", "svg"))

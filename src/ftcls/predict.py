"""Files through a classifier: every row of the input, in order, with its label and probabilities beside it.

Rows are read, labelled and written in chunks, so memory does not grow with the file; the output appears whole or not at
all.
"""

import contextlib
import csv
import itertools
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from ftcls.data.table import encoding_of, missing_column, open_text
from ftcls.errors import ConfigError, DataError
from ftcls.rundir import replacing

log = logging.getLogger(__name__)

Kind = Literal["csv", "tsv", "jsonl", "json", "parquet", "txt"]
Row = dict[str, Any]
Write = Callable[[list[Row]], None]

KINDS: Mapping[str, Kind] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".txt": "txt",
}
CHUNK = 1_024
"""Rows in memory at once: enough to sort by length for little padding."""


class Prediction(Protocol):
    """What is known about one text: see `classifier.Prediction`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The label; for multilabel all that apply, perhaps none."""

    @property
    def probabilities(self) -> dict[str, float]:
        """Probability of every label."""


class Classifier(Protocol):
    """The part of `classifier.Classifier` that predicting needs."""

    @property
    def labels(self) -> tuple[str, ...]:
        """K label names."""

    @property
    def task(self) -> str:
        """binary, multiclass or multilabel."""

    def __call__(self, texts: Sequence[str]) -> Sequence[Prediction]:
        """Predictions of n texts, in input order."""


@dataclass(frozen=True)
class Summary:
    """What was predicted."""

    rows: int
    label_counts: dict[str, int]
    """How many rows got each label."""
    output: Path | None
    """Where the rows went; None: stdout."""


@dataclass(frozen=True)
class _Input:
    """The rows of a file, read as they are asked for."""

    name: str
    rows: Iterator[Row]
    columns: tuple[str, ...] | None
    """None: every row has its own (JSON lines)."""
    delimiter: str = ","
    schema: pa.Schema | None = None


def kind_of(path: Path) -> Kind:
    """The kind of a file, by its suffix.

    Raises:
        ConfigError: it is none that can be read and written row by row.
    """
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise ConfigError(f"{path}: not a kind of file that predict takes; use {', '.join(KINDS)}")
    return KINDS[suffix]


def predict_texts(classifier: Classifier, texts: Sequence[str]) -> list[Prediction]:
    """Labels and probabilities of n texts, in input order."""
    return list(classifier(texts))


def predict_file(
    classifier: Classifier,
    source: Path | TextIO,
    output: Path | TextIO,
    *,
    kind: Kind | None = None,
    text_columns: Sequence[str] = ("text",),
    prefix: str = "",
) -> Summary:
    """Label every row of a file.

    Args:
        classifier: what labels them.
        source: a file (its suffix says which kind), or a stream with one text per line.
        output: a file, or a stream that takes any kind but Parquet.
        kind: what to write; None: what the suffix of `output` says, for a stream the kind of the input.
        text_columns: the columns with the text; several are joined by a space. A text file has none.
        prefix: stands before the names of the new columns: ``label`` (multilabel: ``labels``) and
            ``probability_<label>``.

    Raises:
        ConfigError: a new column has the name of one that is there, or the output is the input.
        DataError: the input cannot be read; names file and row. Nothing is written then.
    """
    read = _open_input(source)
    with read as rows:
        written = kind or _output_kind(source, output)
        _check(rows, output, written, classifier, text_columns, prefix)
        counts: Counter[str] = Counter(dict.fromkeys(classifier.labels, 0))
        total = empty = 0
        with _open_output(output, written, rows, classifier, prefix) as write:
            while chunk := list(itertools.islice(rows.rows, CHUNK)):
                texts = [_text(row, text_columns, rows, total + index) for index, row in enumerate(chunk, start=1)]
                found = predict_texts(classifier, texts)
                new = _columns(classifier, prefix, listed=written in ("jsonl", "json", "parquet"))
                for row, prediction in zip(chunk, found, strict=True):
                    _add(row, new(prediction), rows, prefix)
                    counts.update(prediction.labels)
                write(chunk)
                total += len(chunk)
                empty += sum(not text.strip() for text in texts)
    if empty:
        log.warning("%s: %d of %d texts are empty; their label says nothing", rows.name, empty, total)
    return Summary(total, dict(counts), output if isinstance(output, Path) else None)


def _check(
    rows: _Input, output: Path | TextIO, kind: Kind, classifier: Classifier, text_columns: Sequence[str], prefix: str
) -> None:
    if kind == "parquet" and not isinstance(output, Path):
        raise ConfigError("Parquet cannot be printed; name a file: --output labelled.parquet")
    if isinstance(output, Path) and output.exists() and Path(rows.name).exists() and output.samefile(rows.name):
        raise ConfigError(f"--output {output}: is the input; name another file")
    if not rows.columns:
        return
    for name in text_columns:
        if name not in rows.columns:
            error = missing_column(Path(rows.name), name, rows.columns)
            raise DataError(f"{error}; name the text column with --text-column")
    _refuse_taken(rows, _names(classifier, prefix), rows.columns, prefix)


def _refuse_taken(rows: _Input, names: Sequence[str], columns: Sequence[str], prefix: str) -> None:
    taken = [name for name in names if name in columns]
    if taken:
        raise ConfigError(
            f"{rows.name}: has a column {taken[0]!r} already, which the prediction would overwrite; "
            f"give the new columns another name: --prefix {prefix}predicted_"
        )


def _names(classifier: Classifier, prefix: str) -> tuple[str, ...]:
    first = "labels" if classifier.task == "multilabel" else "label"
    return (f"{prefix}{first}", *(f"{prefix}probability_{label}" for label in classifier.labels))


def _columns(classifier: Classifier, prefix: str, *, listed: bool) -> Callable[[Prediction], Row]:
    """The new columns of one row; `listed`: the output can hold lists."""
    first, *others = _names(classifier, prefix)
    # A separator that is part of a label would make two labels of one.
    joinable = not any("|" in label for label in classifier.labels)

    def columns(prediction: Prediction) -> Row:
        labels: Any = list(prediction.labels)
        if classifier.task != "multilabel":
            labels = prediction.labels[0]
        elif not listed:
            labels = "|".join(labels) if joinable else json.dumps(labels, ensure_ascii=False)
        values = (prediction.probabilities[label] for label in classifier.labels)
        return {first: labels, **dict(zip(others, values, strict=True))}

    return columns


def _add(row: Row, new: Row, rows: _Input, prefix: str) -> None:
    if rows.columns is None:
        _refuse_taken(rows, tuple(new), tuple(row), prefix)
    row.update(new)


def _text(row: Row, columns: Sequence[str], rows: _Input, number: int) -> str:
    if rows.columns == ():
        return str(row["text"])
    parts = []
    for name in columns:
        if name not in row:
            raise DataError(f"{rows.name}, row {number}: no key {name!r}; name the text column with --text-column")
        value = row[name]
        if isinstance(value, list | dict):
            raise DataError(f"{rows.name}, row {number}: {name!r} is no text but a {type(value).__name__}")
        parts.append("" if value is None else str(value))
    return " ".join(parts)


# --- reading


@contextlib.contextmanager
def _open_input(source: Path | TextIO) -> Iterator[_Input]:
    if not isinstance(source, Path):
        yield _Input("stdin", ({"text": line.rstrip("\r\n")} for line in source), ())
        return
    kind = _input_kind(source)
    if not source.is_file():
        raise DataError(f"{source}: {'is a folder' if source.is_dir() else 'no such file'}")
    if kind == "parquet":
        yield _parquet(source)
        return
    with open_text(source, encoding_of(source)) as file:
        if kind == "txt":
            yield _Input(str(source), ({"text": line.rstrip("\r\n")} for line in file), ())
        elif kind == "jsonl":
            yield _Input(str(source), _json_lines(source, file), None)
        else:
            yield _delimited(source, file, kind)


def _input_kind(source: Path) -> Kind:
    return kind_of(source.with_suffix("") if source.suffix.lower() == ".gz" else source)


def _delimited(source: Path, file: TextIO, kind: Kind) -> _Input:
    csv.field_size_limit(2**31 - 1)  # the default refuses texts beyond 128 KiB
    head = file.readline()
    file.seek(0)
    delimiter = (
        "\t" if kind == "tsv" else max(",;\t|", key=lambda mark: len(next(csv.reader([head], delimiter=mark), [])))
    )
    reader = csv.reader(file, delimiter=delimiter)
    columns = tuple(next(reader, ()))
    if not columns:
        raise DataError(f"{source}: is empty; the first line must name the columns")
    if len(set(columns)) < len(columns):
        twice = next(name for name, count in Counter(columns).items() if count > 1)
        raise DataError(f"{source}: two columns are called {twice!r}; rename one")

    def rows() -> Iterator[Row]:
        for cells in reader:
            if cells and len(cells) != len(columns):
                raise DataError(
                    f"{source}:{reader.line_num}: {len(cells)} fields, the header has {len(columns)}; quote the text"
                )
            if cells:
                yield dict(zip(columns, cells, strict=True))

    return _Input(str(source), rows(), columns, delimiter)


def _json_lines(source: Path, file: TextIO) -> Iterator[Row]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{source}:{number}: not JSON: {error.msg} (column {error.colno})") from None
        if not isinstance(row, dict):
            raise DataError(
                f'{source}:{number}: expected an object such as {{"text": "..."}}, found {line.strip()[:40]}'
            )
        yield row


def _parquet(source: Path) -> _Input:
    try:
        file = pq.ParquetFile(source)
    except pa.ArrowInvalid as error:
        raise DataError(f"{source}: not a Parquet file ({error})") from None
    batches = file.iter_batches(batch_size=CHUNK)
    rows = (row for batch in batches for row in batch.to_pylist())
    return _Input(str(source), rows, tuple(file.schema_arrow.names), schema=file.schema_arrow)


# --- writing


def _output_kind(source: Path | TextIO, output: Path | TextIO) -> Kind:
    if isinstance(output, Path):
        return kind_of(output)
    kind = _input_kind(source) if isinstance(source, Path) else "txt"
    return "csv" if kind == "txt" else kind  # a line of text has no room for probabilities


@contextlib.contextmanager
def _open_output(
    output: Path | TextIO, kind: Kind, rows: _Input, classifier: Classifier, prefix: str
) -> Iterator[Write]:
    names = _names(classifier, prefix)
    if not isinstance(output, Path):
        with _text_writer(output, kind, rows, names) as write:
            yield write
    elif kind == "parquet":
        with replacing(output) as staged, _parquet_writer(staged, rows, names, classifier) as write:
            yield write
    else:
        with (
            replacing(output) as staged,
            staged.open("w", encoding="utf-8", newline="") as file,
            _text_writer(file, kind, rows, names) as write,
        ):
            yield write


@contextlib.contextmanager
def _text_writer(file: TextIO, kind: Kind, rows: _Input, names: Sequence[str]) -> Iterator[Write]:
    if kind == "txt":
        yield lambda chunk: file.writelines(f"{row[names[0]]}\n" for row in chunk)
    elif kind == "jsonl":
        yield lambda chunk: file.writelines(f"{_json(row)}\n" for row in chunk)
    elif kind == "json":
        separators = itertools.chain([""], itertools.repeat(",\n"))
        file.write('{"predictions": [\n')
        yield lambda chunk: file.writelines(f"{next(separators)}{_json(row)}" for row in chunk)
        file.write("\n]}\n")
    else:
        yield _delimited_writer(file, "\t" if kind == "tsv" else rows.delimiter.replace("\t", ","), rows, names)


def _delimited_writer(file: TextIO, delimiter: str, rows: _Input, names: Sequence[str]) -> Write:
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    columns: list[str] = []
    if rows.columns is not None:
        columns += [*(rows.columns or ("text",)), *names]
        writer.writerow(columns)

    def write(chunk: list[Row]) -> None:
        if not columns:
            columns.extend([*(name for name in chunk[0] if name not in names), *names])
            writer.writerow(columns)
        for row in chunk:
            if row.keys() != set(columns):
                raise DataError(f"{rows.name}: rows have different keys, which a table cannot hold; write .jsonl")
            writer.writerow([row[name] for name in columns])

    return write


@contextlib.contextmanager
def _parquet_writer(path: Path, rows: _Input, names: Sequence[str], classifier: Classifier) -> Iterator[Write]:
    label = pa.list_(pa.string()) if classifier.task == "multilabel" else pa.string()
    new = [pa.field(names[0], label), *(pa.field(name, pa.float64()) for name in names[1:])]
    schema = rows.schema
    if schema is None and rows.columns is not None:
        schema = pa.schema([(name, pa.string()) for name in rows.columns or ("text",)])
    with contextlib.ExitStack() as stack:
        writer: list[Any] = []

        def write(chunk: list[Row]) -> None:
            if not writer:
                before = schema or pa.Table.from_pylist([_without(row, names) for row in chunk]).schema
                writer.append(stack.enter_context(pq.ParquetWriter(path, pa.schema([*before, *new]))))
            try:
                writer[0].write_table(pa.Table.from_pylist(chunk, schema=writer[0].schema))
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise DataError(f"{rows.name}: its values do not fit one table ({error}); write .jsonl") from None

        yield write
        if not writer:
            stack.enter_context(pq.ParquetWriter(path, pa.schema([*(schema or ()), *new])))


def _without(row: Row, names: Sequence[str]) -> Row:
    return {key: value for key, value in row.items() if key not in names}


def _json(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, default=str)

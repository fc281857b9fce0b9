"""``ftcls predict``: labels and probabilities for a text, for lines of stdin, or for a file."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftcls.cli import console, options
from ftcls.config.load import load
from ftcls.errors import ConfigError
from ftcls.rundir import RunDir

if TYPE_CHECKING:
    from ftcls.classifier import Classifier


def predict(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run directory, a model folder or a Hub checkpoint.")],
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="INPUT", help="CSV, TSV, JSON lines, Parquet, or text with one example per line; - is stdin."
        ),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", metavar="TEXT", help="One text; may be given several times.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where to write; the suffix says which kind. Default: stdout."
        ),
    ] = None,
    text_column: Annotated[
        list[str] | None,
        typer.Option("--text-column", metavar="NAME", help="The text column; default: that of the run's config."),
    ] = None,
    prefix: Annotated[
        str,
        typer.Option(
            "--prefix", metavar="NAME", help="Stands before the names of the new columns: label, probability_..."
        ),
    ] = "",
    threshold: options.Threshold = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Label texts with a trained model.

    A file keeps its columns and its order; label (multilabel: labels) and one probability per label are added.

    Example: ftcls predict runs/ag_news-bert --text "Stocks fell after the announcement."
    """
    console.configure(quiet=quiet, offline=offline)
    if text and source is not None:
        raise ConfigError(f"{source} and --text: give one of the two")
    if text and output is not None:
        raise ConfigError(f"--output {output}: is for files; with --text the result is printed")
    if not text and source is None and sys.stdin.isatty():
        raise ConfigError(
            'nothing to predict: name a file, or give --text "...", or pipe lines of text into the command'
        )
    with console.results_only():
        from ftcls.classifier import Classifier

        classifier = Classifier.load(run)
        if threshold:
            classifier = classifier.with_thresholds(threshold)
    if text:
        _texts(classifier, text, as_json=as_json)
    else:
        columns = tuple(text_column) if text_column else _columns_of(run)
        _file(classifier, source or Path("-"), output, columns, prefix, as_json=as_json)


def _texts(classifier: "Classifier", texts: list[str], *, as_json: bool) -> None:
    from ftcls.predict import predict_texts

    with console.results_only():
        found = predict_texts(classifier, texts)
    if as_json:
        documents: list[dict[str, Any]] = [
            {"text": text, "labels": prediction.labels, "probabilities": prediction.probabilities}
            for text, prediction in zip(texts, found, strict=True)
        ]
        console.emit({"predictions": documents})
        return
    for text, prediction in zip(texts, found, strict=True):
        if len(texts) > 1:
            typer.echo(text)
        typer.echo(", ".join(prediction.labels) or "(no label)")
        width = max(map(len, prediction.probabilities))
        for label, probability in sorted(prediction.probabilities.items(), key=lambda item: -item[1]):
            typer.echo(f"  {label:<{width}}  {probability:.4f}")


def _file(
    classifier: "Classifier", source: Path, output: Path | None, columns: tuple[str, ...], prefix: str, *, as_json: bool
) -> None:
    from ftcls.predict import predict_file

    with console.results_only() as stdout:
        summary = predict_file(
            classifier,
            sys.stdin if str(source) == "-" else source,
            output or stdout,
            kind="json" if as_json and output is None else None,
            text_columns=columns,
            prefix=prefix,
        )
    if output is None:
        return
    if as_json:
        console.emit(asdict(summary))
        return
    counts = ", ".join(f"{label} {count}" for label, count in summary.label_counts.items())
    typer.echo(f"{output}: {summary.rows} rows: {counts}")


def _columns_of(run: str) -> tuple[str, ...]:
    """The text columns that the run was trained on."""
    place = RunDir(Path(run))
    if not place.config.is_file():
        return ("text",)
    text = load(place.config).data.text
    return (text,) if isinstance(text, str) else text

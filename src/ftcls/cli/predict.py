"""``ftcls predict``: labels and probabilities for a text, for lines of stdin, or for files."""

import os
import sys
from dataclasses import asdict
from io import TextIOWrapper, UnsupportedOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ftcls.cli import console, options
from ftcls.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ftcls.inference.base_classifier import BaseClassifier, Prediction
    from ftcls.prediction.files import Summary
    from ftcls.prediction.stream import Stream


def predict(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run directory, RUN:tfidf, a model folder or a Hub checkpoint.")
    ],
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="INPUT",
            help="CSV, TSV, JSON, JSON lines, Parquet, a spreadsheet, or text with one example per line, compressed or "
            'not; several of one kind, or a pattern in quotes such as "reviews/*.csv"; - is stdin.',
        ),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", metavar="TEXT", help="One text; may be given several times.")
    ] = None,
    second: Annotated[
        list[str] | None,
        typer.Option("--second", metavar="TEXT", help="The second text of a pair, one for each --text."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where to write; the suffix says which kind. Default: stdout."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the half-done output that an interrupted call has left.")
    ] = False,
    text_column: Annotated[
        list[str] | None,
        typer.Option(
            "--text-column",
            metavar="NAME",
            help="The text column, of a model of pairs two of them; default: those of the run's config.",
        ),
    ] = None,
    prefix: Annotated[
        str,
        typer.Option(
            "--prefix", metavar="NAME", help="Stands before the names of the new columns: label, probability_..."
        ),
    ] = "",
    top: Annotated[
        int | None,
        typer.Option("--top", metavar="K", help="The K most probable labels instead of the probability of each."),
    ] = None,
    abstain: Annotated[
        float | None,
        typer.Option("--abstain", metavar="P", help="No label where it is less probable than P."),
    ] = None,
    windows: Annotated[
        bool,
        typer.Option(
            "--windows", help="Also what a model of long documents says of each window by itself; files: as .jsonl."
        ),
    ] = False,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="COLUMN",
            help="Also the share of each label in each group of this column, with intervals and a plot; repeatable.",
        ),
    ] = None,
    input_kind: Annotated[
        Literal["csv", "tsv", "jsonl", "txt"] | None,
        typer.Option("--input-kind", help="What stdin holds, or files whose suffix does not say it."),
    ] = None,
    safe_cells: Annotated[
        bool,
        typer.Option(
            "--safe-cells", help="An apostrophe before cells of a CSV or TSV that a spreadsheet would run as a formula."
        ),
    ] = False,
    on_bad_row: Annotated[
        Literal["keep", "error"],
        typer.Option("--on-bad-row", help="A row that cannot be read stays in place without a label, or is an error."),
    ] = "keep",
    threshold: options.Threshold = None,
    precision: options.Precision = "auto",
    allow_code: options.AllowOwnCode = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Label texts with a trained model.

    Files keep their columns and their order; label (multilabel: labels) and one probability per label are added. The
    output appears whole at the end. Until then it grows in FILE.partial, which --resume continues.

    Example: ftcls predict runs/ag_news-bert --text "Stocks fell after the announcement."
    """
    console.configure(quiet=quiet, offline=offline)
    _refuse_mixed(text, sources, output)
    given = _pairs(text or [], second or [])
    of_files = {
        "--resume": resume,
        "--by": by,
        "--input-kind": input_kind,
        "--text-column": text_column,
        "--prefix": prefix,
        "--safe-cells": safe_cells,
    }
    _refuse_idle(of_files, text, output)
    with console.results_only() as stdout:
        from ftcls.prediction import predict as prediction

        classifier = prediction.loaded(run, thresholds=threshold or (), precision=precision, allow_code=allow_code)
        if text and prediction.text_columns(classifier).pairs and not second:
            raise ConfigError("--text: the model reads pairs of texts; give the second one of each with --second TEXT")
        if not text:
            try:
                summary = prediction.predict(
                    classifier,
                    _given(sources or [Path("-")]),
                    output=output or stdout,
                    text_column=text_column,
                    prefix=prefix,
                    top=top,
                    abstain=abstain,
                    windows=windows,
                    by=by or (),
                    safe_cells=safe_cells,
                    on_bad_row=on_bad_row,
                    resume=resume,
                    input_kind=input_kind,
                    output_kind="json" if as_json and output is None else None,
                )
            except BrokenPipeError:  # `... | head` has read enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]
                return
    if text:
        _texts(classifier, given, top=top, abstain=abstain, windows=windows, as_json=as_json)
    elif output is not None:
        _report(summary, as_json=as_json)


def _pairs(texts: list[str], second: list[str]) -> "list[str] | list[tuple[str, str]]":
    """The texts, or pairs of them where second texts are given."""
    if not second:
        return texts
    if len(second) != len(texts):
        raise ConfigError(f"--second: {len(second)} of them beside {len(texts)} --text; give one for each")
    return list(zip(texts, second, strict=True))


def _refuse_mixed(text: "Sequence[str] | None", sources: "Sequence[Path] | None", output: Path | None) -> None:
    if text and sources:
        raise ConfigError(f"{sources[0]} and --text: give one of the two")
    if text and output is not None:
        raise ConfigError(f"--output {output}: is for files; with --text the result is printed")
    if sources and len(sources) > 1 and any(str(path) == "-" for path in sources):
        raise ConfigError("-: stdin cannot be mixed with files; give one of the two")
    if not text and not sources and sys.stdin.isatty():
        raise ConfigError(
            'nothing to predict: name a file, or give --text "...", or pipe lines of text into the command'
        )


def _refuse_idle(of_files: "Mapping[str, object]", text: "Sequence[str] | None", output: Path | None) -> None:
    """Refuse options that would do nothing."""
    given = [name for name, value in of_files.items() if value]
    if text and given:
        raise ConfigError(f"{given[0]}: is for files, not for --text")
    if output is None and "--resume" in given:
        raise ConfigError("--resume: continues a file; name the one that was begun with --output")


def _given(sources: list[Path]) -> "list[Path] | Stream":
    from ftcls.prediction.stream import Live

    if str(sources[0]) != "-":
        return sources
    try:
        return Live(sys.stdin.fileno())
    except UnsupportedOperation:  # standard input is no file, as where another program calls the command
        return TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", errors="replace", newline="\n")


def _texts(
    classifier: "BaseClassifier",
    texts: "list[str] | list[tuple[str, str]]",
    *,
    top: int | None,
    abstain: float | None,
    windows: bool,
    as_json: bool,
) -> None:
    from ftcls.environment import figures_as_text
    from ftcls.prediction.columns import Columns

    columns = Columns(classifier.task, classifier.labels, top=top, abstain=abstain)
    with console.results_only():
        found = classifier.classify(texts, windows=windows)
    ranked = [sorted(each.probabilities.items(), key=lambda item: -item[1])[:top] for each in found]
    labels = [columns.given(each) for each in found]
    if as_json:
        documents: list[dict[str, Any]] = [
            {
                **({"text": text} if isinstance(text, str) else dict(zip(("text", "second"), text, strict=True))),
                "labels": given,
                "probabilities": each.probabilities if top is None else dict(most),
                **({"windows": [asdict(window) for window in each.windows or ()]} if windows else {}),
            }
            for text, given, each, most in zip(texts, labels, found, ranked, strict=True)
        ]
        console.emit({"predictions": documents})
        return
    for text, given, most, each in zip(texts, labels, ranked, found, strict=True):
        if len(texts) > 1:
            console.say(text if isinstance(text, str) else "\n".join(text))
        console.say(", ".join(given) or "(no label)")
        width = max(len(label) for label, _ in most)
        for label, probability in most:
            console.say(f"  {label:<{width}}  {figures_as_text.number(probability)}")
        for line in _window_lines(each):
            console.say(line)


def _window_lines(prediction: "Prediction") -> "Iterator[str]":
    """One for each window, with its most probable label."""
    from ftcls.environment import figures_as_text

    for number, each in enumerate(prediction.windows or (), start=1):
        label, probability = max(each.probabilities.items(), key=lambda item: item[1])
        where = "" if each.start is None else f"  characters {each.start:,} to {each.end:,}"
        yield f"  window {number}{where}: {label} {figures_as_text.number(probability)}"


def _report(summary: "Summary", *, as_json: bool) -> None:
    if as_json:
        console.emit(asdict(summary))
        return
    counts = [f"{label} {count}" for label, count in summary.label_counts.items()]
    counts += [f"without a label {summary.without_label}"] if summary.without_label else []
    counts += [f"not readable {summary.bad_rows}"] if summary.bad_rows else []
    console.say(f"{summary.output}: {summary.rows} rows: {', '.join(counts)}")
    for path in summary.written:
        console.say(path)

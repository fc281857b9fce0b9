"""``ftcls export``: a run as an ONNX graph or as plain weights, compared with the run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ftcls.cli import console, options

if TYPE_CHECKING:
    from ftcls.runs.export_record import Export


def export(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run directory; with --texts also a model folder or a Hub checkpoint."),
    ],
    to: Annotated[Literal["onnx", "torch"], typer.Option("--to", help="What to write.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to make.")],
    precision: Annotated[
        Literal["fp32", "int8"], typer.Option("--precision", help="Of the weights; int8 with onnx only.")
    ] = "fp32",
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            metavar="NUMBER",
            min=0.0,
            help="fp32: the largest difference of a logit, default 0.0001. int8: the largest loss of metrics.best "
            "(f1_macro where that is the loss), default 0.02; with --texts the share of texts that get other labels.",
        ),
    ] = None,
    rows: Annotated[
        int, typer.Option("--rows", metavar="NUMBER", min=1, help="Most validation texts to compare on.")
    ] = 2_000,
    texts: Annotated[
        Path | None,
        typer.Option("--texts", metavar="FILE", help="Compare on these, one per line, not on the validation texts."),
    ] = None,
    allow_code: options.AllowOwnCode = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Write a run for other places: an ONNX graph for onnxruntime, or plain weights with adapters merged.

    Tokenizer, label names, cleaning and thresholds go with it, and predict and eval take the folder as they take a run.
    It is compared with the run on the run's own validation texts; above the tolerance nothing is kept (exit code 5).

    Example: ftcls export runs/ag_news-bert --to onnx --output ag_news-onnx
    """
    console.configure(quiet=quiet, offline=offline)
    with console.results_only():
        from ftcls.exporting.export import export as write
        from ftcls.runs import export_record

        found = write(
            run,
            to=to,
            output=output,
            precision=precision,
            tolerance=tolerance,
            rows=rows,
            texts=texts,
            allow_code=allow_code,
        )
    if as_json:
        console.emit(export_record.document(found))
        return
    for line in _lines(found, output):
        typer.echo(line)


def _lines(found: "Export", output: Path) -> list[str]:
    from ftcls.environment.figures_as_text import signed_with_interval, significant

    seen = found.agreement
    size = sum(found.files.values()) / 1e6
    return [
        f"{output}: {found.format} {found.precision}, {size:,.1f} MB",
        f"{seen.texts:,} texts ({seen.source}): logits differ by at most {significant(seen.max_logit_difference, 2)}, "
        f"most probable label the same in {seen.same_argmax:.2%}, labels in {seen.same_labels:.2%}",
        *(f"change of {each.metric}: {signed_with_interval(each.value, each.interval)}" for each in seen.metrics),
    ]

"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Config = Annotated[
    str,
    typer.Argument(metavar="CONFIG", help="A YAML file, or the name of a shipped config (see `ftcls config list`)."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Overrides such as training.learning_rate=5e-5, read by the rules of the file; relative paths start at "
        "the working directory. Quote what has spaces or brackets.",
    ),
]
Label = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="COLUMN",
        help="Of a data file: the label column; a,b,c or several: a column of 0 and 1 for each.",
    ),
]
Text = Annotated[
    str | None,
    typer.Option(
        "--text",
        metavar="COLUMN",
        help="Of a data file: the text column, or title,body, or of a pair of texts premise,hypothesis; default: the "
        "likeliest.",
    ),
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors on stderr.")]
Offline = Annotated[bool, typer.Option("--offline", help="Never ask the Hub; use what is on this machine.")]
AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Let code run: the modules of metrics.evaluate, the functions of loss.function and metrics.functions, and "
        "that of a checkpoint with model.allow_code.",
    ),
]
AllowOwnCode = Annotated[
    bool, typer.Option("--allow-code", help="Let code run that the model was trained with (model.allow_code).")
]
Threshold = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        metavar="[LABEL=]NUMBER",
        help="In place of the model's own: 0.3 for every label (binary: the positive one) or LABEL=0.3; repeatable.",
    ),
]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"],
    typer.Option(
        "--precision",
        help="The arithmetic: fp32 as plain transformers has it; auto, the quickest that the device has.",
    ),
]

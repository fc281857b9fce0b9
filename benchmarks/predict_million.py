"""Label 1,000,000 generated short texts with a tiny model: is memory flat, is order kept, does a kill matter?

    python benchmarks/predict_million.py
    python benchmarks/predict_million.py --rows 100000

`ftcls predict` runs in processes of its own: once whole, once killed (SIGKILL) when about half is done and then
resumed. Memory is the resident size, sampled twice a second. The model is untrained; its labels mean nothing.
"""

import argparse
import csv
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

LIMIT_MB = 1_500


def main() -> None:
    """Generate, predict, kill, resume, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder / "in.csv", options.rows)
        tiny_model(folder / "model")
        whole, resumed = folder / "whole.csv", folder / "resumed.csv"
        seconds, memory = predicted(folder, whole)
        early, late = max(memory[: len(memory) // 2]), max(memory[len(memory) // 2 :])
        print(f"{options.rows:,} rows in {seconds:.0f} s, {options.rows / seconds:,.0f} a second, start included")
        print(f"memory: at most {early:,.0f} MB in the first half, {late:,.0f} MB in the second", flush=True)
        killed_at = killed(folder, resumed, options.rows // 2)
        seconds, memory = predicted(folder, resumed, "--resume")
        print(f"killed at row {killed_at:,}, resumed and finished in {seconds:.0f} s, at most {max(memory):,.0f} MB")
        print(f"rows and order: {'kept' if in_order(whole, options.rows) else 'LOST'}")
        print(f"resumed output: {'the same bytes' if digest(whole) == digest(resumed) else 'DIFFERS'}")
        if max(early, late) > LIMIT_MB:
            print(f"memory: above {LIMIT_MB:,} MB")


def generate(path: Path, rows: int) -> None:
    """Write a CSV of texts of 1 to 12 words."""
    draw = random.Random(0)
    words = [a + b + c for a in "bdfgklmnprstvz" for b in "aeiou" for c in ("", "n", "r", "st")]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "text"])
        table.writerows([row, " ".join(draw.choices(words, k=draw.randint(1, 12)))] for row in range(rows))


def tiny_model(folder: Path) -> None:
    """Write an untrained model of one layer of 32, with its tokenizer."""
    from ftcls.model import loading, settings
    from ftcls.model.settings import Settings

    with (folder.parent / "in.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row, _ in zip(csv.DictReader(file), range(5_000), strict=False)]
    tokenizer = loading.load_tokenizer("scratch:bert", train_texts=texts)
    config = loading.load_config("scratch:bert", tokenizer, labels=("a", "b", "c"), task="multiclass")
    config.update({"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 64, "initializer_range": 0.2})
    loading.load_model("scratch:bert", config, attention=None, seed=0).model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings.save(Settings("multiclass", clean=(), max_length=32, truncation="head"), folder)


def started(folder: Path, output: Path, *options: str) -> psutil.Popen:
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "ftcls", "predict", str(folder / "model"), str(folder / "in.csv")]
    return psutil.Popen(
        [*command, "--output", str(output), "--quiet", *options],
        stdout=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def predicted(folder: Path, output: Path, *options: str) -> tuple[float, list[float]]:
    """Seconds of the command, and its memory in MB while it worked."""
    begun = time.perf_counter()
    process = started(folder, output, *options)
    memory = [0.0]
    while process.poll() is None:
        memory.append(process.memory_info().rss / 1024**2)
        time.sleep(0.5)
    if process.returncode != 0:
        raise SystemExit(f"ftcls predict ended with {process.returncode}")
    return time.perf_counter() - begun, memory


def killed(folder: Path, output: Path, row: int) -> int:
    """Start the command and kill it after this row; the rows that the partial file then holds."""
    partial = output.with_name(f"{output.name}.partial")
    process = started(folder, output)
    size = (folder / "whole.csv").stat().st_size * row // sum(1 for _ in (folder / "in.csv").open("rb"))
    while process.poll() is None and not (partial.exists() and partial.stat().st_size >= size):
        time.sleep(0.02)
    process.kill()
    process.wait()
    return sum(1 for _ in partial.open("rb")) - 1


def in_order(output: Path, rows: int) -> bool:
    """Whether every row is there, in order, with a label."""
    with output.open(encoding="utf-8", newline="") as file:
        found = [(int(row["id"]), bool(row["label"])) for row in csv.DictReader(file)]
    return found == [(row, True) for row in range(rows)]


def digest(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()

"""Read, clean and encode 10,000 and 1,000,000 generated rows; print CPU time per row and peak memory of each.

    python benchmarks/million_rows.py

Each size runs in a fresh process. Memory must stay below 3 GB, and the time per row of the two must be alike.
"""

import argparse
import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = (10_000, 1_000_000)
WORDS = 40
STEPS = ("unicode", "html_breaks", "entities", "spaces")


def generate(path: Path, rows: int) -> None:
    """Write a CSV of about 40 words a row, four labels, one text in a hundred twice."""
    draw = random.Random(rows)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "ai")]
    vocabulary = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(20_000)]
    text = "nothing yet"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(rows):
            if row % 100:
                text = " ".join(draw.choices(vocabulary, k=WORDS)) + f" &amp; {row}<br />"
            writer.writerow([text, f"label {draw.randrange(4)}"])


def measure(path: Path) -> None:
    """Print CPU seconds per stage and the peak memory of this process as JSON."""
    from ftcls.config.schema import Data
    from ftcls.data.read import read
    from ftcls.model.scratch import train_tokenizer
    from ftcls.model.tokenize import encode

    seconds = {}
    start = time.process_time()
    corpus = read(Data(source="files", path=str(path), task="multiclass", clean=STEPS), seed=0)
    seconds["read and clean"] = time.process_time() - start
    tokenizer = train_tokenizer(corpus.splits["train"].texts[:10_000])
    start = time.process_time()
    for split in corpus.splits.values():
        encode(split.texts, tokenizer, max_length=128, truncation="head", targets=split.targets)
    seconds["encode"] = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)
    print(json.dumps({"rows": sum(map(len, corpus.splits.values())), "seconds": seconds, "peak_mb": peak}))


def main() -> None:
    """Measure each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    argued = parser.parse_args()
    if argued.measure is not None:
        measure(argued.measure)
        return
    print(f"{'rows':>9}  {'read and clean':>16}  {'encode':>16}  {'peak memory':>11}")
    with tempfile.TemporaryDirectory() as folder:
        for rows in SIZES:
            path = Path(folder) / f"{rows}.csv"
            generate(path, rows)
            command = [sys.executable, __file__, "--measure", str(path)]
            environment = os.environ | {"FTCLS_CACHE": folder}  # nothing is read that was encoded before
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
            found = json.loads(done.stdout.splitlines()[-1])
            per_row = [f"{seconds / found['rows'] * 1e6:.1f} us per row" for seconds in found["seconds"].values()]
            print(f"{found['rows']:>9,}  {per_row[0]:>16}  {per_row[1]:>16}  {found['peak_mb']:>8,.0f} MB", flush=True)


if __name__ == "__main__":
    main()

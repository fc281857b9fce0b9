"""Time and memory of the report of a large test split: 100,000 generated rows of 100 labels.

    python scripts/report_speed.py
    python scripts/report_speed.py --rows 25000 --labels 20 --output page.html

The rows are generated (three labels in a hundred, scores by chance and truth), since no data set at hand is that large;
only shapes and how many labels occur matter for the time. What else a page shows (history, config, environment) is that
of a smoke run, trained first in a process of its own. Times are the processor's, the wall clock's in brackets; memory
is the peak of the process. Where there is Chromium, the page is opened in it, from the click to the last figure.
"""

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import serve_page
from ftcls.reporting import run_page
from ftcls.runs import predictions as prediction_files
from ftcls.runs import report_schema
from ftcls.runs.directory import RunDir
from ftcls.runs.report_schema import Report, Split
from ftcls.scoring import intervals, metrics
from ftcls.scoring.metrics import Predictions

_T = TypeVar("_T")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--share", type=float, default=0.03, help="of the rows that have a label (default: 0.03)")
    parser.add_argument("--output", type=Path, help="keep the page here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        run = RunDir(Path(name) / "run")
        command = [sys.executable, "-m", "ftcls", "train", "go_emotions", "--smoke", "--offline", "--quiet"]
        subprocess.run([*command, "--output", str(run.path)], check=True, stdout=subprocess.DEVNULL)
        predictions = generated(options.rows, options.labels, options.share)
        print(f"{options.rows:,} rows x {options.labels} labels (generated); peak memory so far {peak():,.0f} MB")
        begun = time.process_time(), time.perf_counter()
        report = figures(report_schema.read_report(run), predictions)
        measure("predictions written", lambda: write(run.predictions / "test.parquet", predictions))
        measure("page and plots", lambda: run_page.write(run, report, output=options.output))
        told("together", begun)
        page = options.output or run.page
        print(f"{page.stat().st_size / 1e6:.1f} MB of page")
        if serve_page.browser() is None:
            print("no Chromium: not opened")
        else:
            print(f"opened in {asyncio.run(opened(page)):.1f} s")


async def opened(path: Path) -> float:
    """Seconds until the page in a browser that runs already is whole."""
    async with serve_page.opened(serve_page.browser() or "", "about:blank") as page:
        begun = time.perf_counter()
        await page.command("Page.navigate", url=path.absolute().as_uri())
        while not await page.value("document.body?.dataset.ready === 'true'"):
            await asyncio.sleep(0.02)
        return time.perf_counter() - begun


def figures(report: Report, predictions: Predictions) -> Report:
    """The report with every figure of the predictions in place of its own."""
    score = measure("metrics", lambda: metrics.score(predictions))
    labels = measure("per label", lambda: metrics.per_label(predictions))
    confusion = measure("confusion", lambda: metrics.confusion(predictions))
    certain = measure("intervals, labels included", lambda: intervals.certainty(predictions))
    return replace(
        report,
        data=replace(report.data, labels=predictions.labels, splits=counted(report.data.splits, predictions)),
        metrics={"test": score},
        intervals={"test": certain.metrics},
        per_label={"test": labels},
        label_intervals={"test": certain.labels},
        confusion={"test": nested(confusion.tolist())},
        decision=None,
    )


def nested(value: Any) -> Any:
    """Lists as tuples, as a report holds them."""
    return tuple(map(nested, value)) if isinstance(value, list) else value


def counted(splits: Mapping[str, Split], predictions: Predictions) -> dict[str, Split]:
    """The splits, each with as many rows of every label as the generated test split."""
    counts = dict(zip(predictions.labels, predictions.gold.sum(axis=0).tolist(), strict=True))
    return {name: replace(split, label_counts=counts) for name, split in splits.items()}


def write(path: Path, predictions: Predictions) -> None:
    """The predictions file, with a text of some hundred letters in each row: made-up words, frequent as words are."""
    n, rng = len(predictions), np.random.default_rng(1)
    words = np.array(["".join(rng.choice(list("etaoinshrdlu"), size)) for size in rng.integers(2, 10, 20_000)])
    drawn = words[np.minimum(rng.zipf(1.3, (n, 17)) - 1, len(words) - 1)]
    prediction_files.write(
        path,
        predictions,
        texts=[f"{row:07} {' '.join(line)}" for row, line in enumerate(drawn.tolist())],
        lengths=rng.integers(5, 60, n),
        truncated=np.zeros(n, dtype=bool),
    )


def measure(name: str, call: Callable[[], _T]) -> _T:
    """Print what a call costs; gives what it gives."""
    begun = time.process_time(), time.perf_counter()
    found = call()
    told(name, begun)
    return found


def told(name: str, begun: tuple[float, float]) -> None:
    """Print the time since then, of the processor and on the wall clock, and the memory so far."""
    seconds = time.process_time() - begun[0], time.perf_counter() - begun[1]
    print(f"{name:28} {seconds[0]:6.1f} s ({seconds[1]:.1f} s)   peak memory {peak():7,.0f} MB", flush=True)


def generated(rows: int, labels: int, share: float) -> Predictions:
    """Several labels a row, each with this share."""
    rng = np.random.default_rng(0)
    gold = rng.random((rows, labels), dtype=np.float32) < share
    logits = 1.5 * rng.normal(size=(rows, labels)) + 4 * gold - 3
    probabilities = 1 / (1 + np.exp(-logits))
    names = tuple(f"label {index}" for index in range(labels))
    return Predictions("multilabel", names, gold, probabilities >= 0.5, probabilities, np.arange(rows))


def peak() -> float:
    """Megabytes of memory that this process has used at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()

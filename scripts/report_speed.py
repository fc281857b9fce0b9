"""Time and memory of the figures of a large test split: 100,000 generated rows of 100 labels.

    python scripts/report_speed.py
    python scripts/report_speed.py --rows 25000 --labels 2

The rows are generated (three labels in a hundred, scores by chance and truth), since no data set at hand is that large;
only shapes and how many labels occur matter for the time. Times are the processor's, the wall clock's in brackets;
memory is the peak of the process.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from ftcls.scoring import intervals, metrics
from ftcls.scoring.metrics import Predictions


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--share", type=float, default=0.03, help="of the rows that have a label (default: 0.03)")
    options = parser.parse_args()
    predictions = generated(options.rows, options.labels, options.share)
    print(f"{options.rows:,} rows x {options.labels} labels (generated); peak memory so far {peak():,.0f} MB")
    measure("metrics", lambda: metrics.score(predictions))
    measure("per label", lambda: metrics.per_label(predictions))
    measure("confusion", lambda: metrics.confusion(predictions))
    measure("intervals, labels included", lambda: intervals.certainty(predictions))


def measure(name: str, call: Callable[[], object]) -> None:
    """Print what a call costs."""
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    seconds = time.process_time() - cpu, time.perf_counter() - wall
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

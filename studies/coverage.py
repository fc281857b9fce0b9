"""How often 95 % intervals hold the truth, over 1,000 simulated test sets, as a Markdown table.

    python studies/coverage.py
    python studies/coverage.py runs/reuters/predictions/test.parquet --rows 3000

A population stands for everything that a model could be asked; its scores are the truth. Test sets are drawn from it
with replacement and given to ftcls. Without files the populations are generated, 200,000 rows each: labels by given
shares, and normally distributed scores, higher for what is true. With files the population is what a real model said
about real rows (the files are predictions of a run). The uncertainty of each figure is that of a share of so many.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from ftcls.runs import predictions as prediction_files
from ftcls.scoring import metrics
from ftcls.scoring.intervals import certainty
from ftcls.scoring.metrics import Predictions, Statistics

METRICS = ("accuracy", "f1_macro", "f1_micro", "average_precision_macro")
LABEL_SCORES = ("precision", "recall", "f1", "average_precision")
SUPPORTS = ((1, 5), (6, 20), (21, None))
ROWS = 200_000


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", help="predictions of a run; without any: generated populations")
    parser.add_argument("--rows", type=int, nargs="*", default=[], help="rows of a test set, one number for each file")
    parser.add_argument("--sets", type=int, default=1000, help="test sets (default: 1000)")
    parser.add_argument("--draws", type=int, default=400, help="draws of a bootstrap (default: 400; a report has 2000)")
    options = parser.parse_args()
    if options.rows and len(options.rows) != len(options.files):
        parser.error(f"--rows: {len(options.rows)} numbers for {len(options.files)} files")
    populations = [(path.stem, prediction_files.read(path)) for path in options.files]
    sizes = options.rows or [min(len(each), 2000) for _, each in populations]
    if not populations:
        populations, sizes = generated()
    print("| population | rows drawn | score | covers | truth below | truth above | percentile bootstrap covers |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |", flush=True)
    for (name, population), rows in zip(populations, sizes, strict=True):
        started = time.perf_counter()
        for score, found in simulate(population, rows, sets=options.sets, draws=options.draws).items():
            print(f"| {name} | {rows:,} | {score} | {line(found)} |", flush=True)
        print(f"<!-- {name}: {time.perf_counter() - started:.0f} s -->", flush=True)


def generated() -> tuple[list[tuple[str, Predictions]], list[int]]:
    """Populations of every kind, and how many rows to draw from each."""
    rare = np.array([0.3, 0.2, 0.1, 0.1, 0.05, 0.05, 0.02, 0.02, 0.01, 0.01, 0.005, 0.005])
    populations = [
        ("2 classes", single(np.array([0.6, 0.4]), spread=1.0)),
        ("4 classes", single(np.array([0.4, 0.3, 0.2, 0.1]), spread=1.0)),
        ("12 classes, rare ones", single(np.append(rare, 1 - rare.sum()), spread=2.0)),
        ("4 classes in clusters of 1 to 8", clustered(np.array([0.4, 0.3, 0.2, 0.1]))),
        ("12 labels a row, rare ones", several(rare)),
    ]
    return populations, [400, 400, 1000, 400, 1000]


def single(shares: np.ndarray, *, spread: float, rows: int = ROWS) -> Predictions:
    """One label a row; the model sees the true one above the others by `spread` and more."""
    rng, k = np.random.default_rng(1), len(shares)
    gold = rng.choice(k, size=rows, p=shares)
    logits = rng.normal(size=(rows, k)) + np.log(shares)
    logits[np.arange(rows), gold] += spread + 1
    return of_logits(gold, logits, None)


def clustered(shares: np.ndarray, *, rows: int = ROWS) -> Predictions:
    """Rows in clusters that share a label three times in four, and how hard they are."""
    rng, k = np.random.default_rng(2), len(shares)
    clusters = np.repeat(np.arange(rows), rng.integers(1, 9, size=rows))[:rows]
    gold = np.where(rng.random(rows) < 0.75, rng.choice(k, rows, p=shares)[clusters], rng.choice(k, rows, p=shares))
    logits = rng.normal(size=(rows, k)) + np.log(shares)
    logits[np.arange(rows), gold] += 2 + rng.normal(size=rows)[clusters]
    return of_logits(gold, logits, clusters)


def several(shares: np.ndarray, *, rows: int = ROWS) -> Predictions:
    """Any number of labels a row; each given where its score is above one half."""
    rng, k = np.random.default_rng(3), len(shares)
    gold = rng.random((rows, k)) < shares
    probabilities = 1 / (1 + np.exp(-(1.2 * rng.normal(size=(rows, k)) + 4 * gold - 3)))
    labels = tuple(f"label {index}" for index in range(k))
    return Predictions("multilabel", labels, gold, probabilities >= 0.5, probabilities, np.arange(rows))


def of_logits(gold: np.ndarray, logits: np.ndarray, clusters: np.ndarray | None) -> Predictions:
    """Predictions of one label a row."""
    rows, k = logits.shape
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    task, positive = ("binary", 1) if k == 2 else ("multiclass", None)
    labels = tuple(f"label {index}" for index in range(k))
    return Predictions(
        task, labels, gold, probabilities.argmax(axis=1), probabilities, np.arange(rows), clusters, positive
    )


def simulate(population: Predictions, rows: int, *, sets: int, draws: int) -> dict[str, np.ndarray]:
    """By score: of every interval [s, 3] whether the truth is below, above it, and in the percentile interval."""
    rng = np.random.default_rng(7)
    everything = Statistics(population)
    truth, of_labels = metrics.score(population), metrics.per_label(population)
    f1 = np.nan_to_num(everything.sample.f1[0])
    found: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(sets):
        chosen = drawn_rows(population, rows, rng)
        fields = ("gold", "predicted", "probabilities", *(["clusters"] if population.clusters is not None else []))
        sample = replace(population, rows=chosen, **{name: getattr(population, name)[chosen] for name in fields})
        statistics = Statistics(sample)
        each, percentiles = certainty(sample, draws=draws), percentile(statistics, rng, draws)
        for name in METRICS:
            if name not in truth:
                continue
            record(found, name, each.metrics[name], truth[name], percentiles.get(name))
        shown = (statistics.sample.gold + statistics.sample.predicted)[0] > 0
        if not shown.all():
            name = "f1_macro of the labels shown"
            record(found, name, each.metrics["f1_macro"], float((f1 * shown).mean()), percentiles["f1_macro"])
        for index, (label, intervals) in enumerate(each.labels.items()):
            bucket = bucket_of(int(statistics.sample.gold[0, index]))
            for name in LABEL_SCORES if bucket else ():
                value, interval = getattr(of_labels[label], name), getattr(intervals, name)
                if interval is not None:
                    by_percentile = percentiles["labels"][:, index] if name == "f1" else None
                    record(found, f"{name} of a label with {bucket} positives", interval, value, by_percentile)
    return {name: np.array(values) for name, values in sorted(found.items(), key=order)}


def drawn_rows(population: Predictions, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of a test set, with replacement; whole clusters until there are enough."""
    if population.clusters is None:
        return rng.integers(0, len(population), size=rows)
    starts = np.flatnonzero(np.append(True, np.diff(population.clusters) != 0))  # every cluster lies in one piece
    stops = np.append(starts[1:], len(population))
    # None is drawn twice: two copies of a cluster would count as one.
    which = rng.choice(len(starts), size=rows, replace=False)
    enough = np.searchsorted((stops - starts)[which].cumsum(), rows) + 1
    return np.concatenate([np.arange(starts[one], stops[one]) for one in which[:enough]])


def percentile(statistics: Statistics, rng: np.random.Generator, draws: int) -> dict[str, np.ndarray]:
    """What the percentiles of a plain bootstrap would say: ends [2] of F1, ends [2, k] of every label's."""
    clusters, n = statistics.predictions.clusters, len(statistics.predictions)
    units, members = (n, np.arange(n)) if clusters is None else (len(np.unique(clusters)), None)
    members = np.unique(clusters, return_inverse=True)[1] if members is None else members
    weights = np.stack([np.bincount(rng.integers(0, units, units), minlength=units)[members] for _ in range(draws)])
    counts = statistics.counts(weights.astype(np.float32))
    found = statistics.at(weights.astype(np.float32), ("f1_macro", "f1_micro"), counts=counts)
    ends = {name: np.quantile(values, (0.025, 0.975)) for name, values in found.items()}
    defined = np.where(np.isfinite(counts.f1), counts.f1, statistics.sample.f1)
    return ends | {"labels": np.quantile(defined, (0.025, 0.975), axis=0)}


def record(found: dict, name: str, interval: tuple, truth: float, percentiles: np.ndarray | None) -> None:
    """Note where the truth lies."""
    low, high = interval
    inside = np.nan if percentiles is None else float(percentiles[0] <= truth <= percentiles[1])
    found.setdefault(name, []).append((float(truth < low), float(truth > high), inside))


def bucket_of(positives: int) -> str | None:
    """The range that a number of positives falls into."""
    for low, high in SUPPORTS:
        if low <= positives and (high is None or positives <= high):
            return f"{low} to {high}" if high else f"{low} or more"
    return None


def order(item: tuple[str, list]) -> tuple[int, int, int]:
    """Metrics first, then the labels' scores by support."""
    name = item[0].split()[0]
    buckets = [bucket_of(low) for low, _ in SUPPORTS]
    place = next((index for index, bucket in enumerate(buckets) if f" {bucket} " in item[0]), -1)
    return place >= 0, (*METRICS, *LABEL_SCORES).index(name), place


def line(found: np.ndarray) -> str:
    """The cells of one score."""
    below, above, percentiles = found.mean(axis=0)
    covers = 1 - below - above
    error = 1.96 * np.sqrt(covers * (1 - covers) / len(found))
    plain = "-" if np.isnan(percentiles) else f"{percentiles:.1%}"
    return f"{covers:.1%} ± {error:.1%} of {len(found):,} | {below:.1%} | {above:.1%} | {plain}"


if __name__ == "__main__":
    main()

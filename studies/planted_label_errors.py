"""Planted label errors: how well the check for label noise ranks labels that were changed on purpose.

    python studies/planted_label_errors.py DIR [--share .05] [--seeds 10] [--rows N]

DIR holds AG News in its original form. In each trial a share of the training labels, drawn by the seed, is changed to
another label, each other label equally likely; `ftcls.pipeline.label_noise.judge`, which `ftcls data` calls, then
ranks all rows by how improbable their label is. Prints for each seed the average precision of the ranking, the share
of planted errors among the first rows, as many as were planted, and the share among the rows that it names as
candidates; then the mean of each with its 95 % t interval over the seeds. Chance is the share itself. What the data
set has of real errors counts as false alarms here.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.metrics import average_precision_score

from ftcls.config.load import load, shipped
from ftcls.data.checks import leaks
from ftcls.data.read import read
from ftcls.pipeline.label_noise import judge

FIRST_SEED = 100
"""The ranking was chosen with the seeds 0 and 1: these are others."""


def main() -> int:
    """Plant, rank, measure; exits with 1 where the ranking is not far above chance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DIR", help="a folder with train.csv and test.csv, or .csv.gz")
    parser.add_argument("--share", type=float, default=0.05, help="of the labels that are changed")
    parser.add_argument("--seeds", type=int, default=10, help="trials")
    parser.add_argument("--rows", type=int, help="training rows, drawn at random; all of them if it is not given")
    arguments = parser.parse_args()

    # The smallest validation split: nearly all training rows are judged.
    experiment = load(shipped()["ag_news"], [f"data.path={arguments.data.absolute()}", "data.split.validation=4"])
    corpus = read(experiment.data, seed=experiment.seed)
    train, k = corpus.splits["train"], len(corpus.labels)
    rows = np.arange(len(train))
    if arguments.rows is not None:
        rows = np.sort(np.random.default_rng(0).choice(len(train), arguments.rows, replace=False))
    texts, targets = [train.texts[row] for row in rows], train.targets[rows].astype(np.int64)
    groups = leaks.groups(texts)
    print(f"{len(texts):,} training rows of AG News, {arguments.share:.1%} of the labels changed")
    print("seed  average precision  precision of the first  candidates  precision of them  seconds")
    figures = []
    for seed in range(FIRST_SEED, FIRST_SEED + arguments.seeds):
        changed, planted = plant(targets, k, arguments.share, seed)
        started = time.perf_counter()
        judged = judge(texts, changed, task="multiclass", k=k, groups=groups, seed=seed)
        seconds = time.perf_counter() - started
        if judged is None:
            sys.exit(f"{len(texts)} rows are too few to judge labels")
        suspicion = judged.suspicion
        first = np.argsort(suspicion.confidence, kind="stable")[: planted.sum()]
        trial = (
            float(average_precision_score(planted, -suspicion.confidence)),
            float(planted[first].mean()),
            float(planted[suspicion.candidate].mean()),
        )
        figures.append(trial)
        print(
            f"{seed:4d}  {trial[0]:17.4f}  {trial[1]:22.4f}  {suspicion.candidate.sum():10,d}  {trial[2]:17.4f}  "
            f"{seconds:7.1f}",
            flush=True,
        )
    for name, values in zip(("average precision", "precision of the first"), zip(*figures, strict=True), strict=False):
        print(f"{name}: {np.mean(values):.4f} {interval(values)}, chance {planted.mean():.4f}")
    return int(min(trial[0] for trial in figures) < 10 * arguments.share)


def plant(targets: np.ndarray, k: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels [n] after a share of them was changed, and which those are."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(targets), round(share * len(targets)), replace=False)
    changed = targets.copy()
    changed[rows] = (changed[rows] + rng.integers(1, k, len(rows))) % k
    return changed, changed != targets


def interval(values: tuple[float, ...]) -> str:
    """The 95 % t interval of the mean."""
    if len(values) < 2:
        return ""
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"[{np.mean(values) - half:.4f}, {np.mean(values) + half:.4f}]"


if __name__ == "__main__":
    sys.exit(main())

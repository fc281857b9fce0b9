"""A search that learns, with pruning, beside as many random trials: the same axes, on AG News rows.

    python studies/search_methods.py --data DATA --output /tmp/searches --jobs 2

A small untrained BERT on 2,000 rows of AG News from DATA/ag_news, four epochs; learning rate, batch size, weight decay,
label smoothing and warm-up are searched, by macro F1 on 1,000 validation rows. For every seed of the search each
method draws as many trials. Printed are the best validation score after a third, two thirds and all of the trials, the
macro F1 of that setting on 2,000 test rows, and what it cost. Called again it goes on where it was. Needs the extra
search.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ftcls.config import source
from ftcls.environment.files import write_text
from ftcls.runs import history
from ftcls.search import sweep as sweeping
from ftcls.search.executors import Processes
from ftcls.search.results import Row

METRIC = "f1_macro"
METHODS = {
    "random": {"method": "random"},
    "tpe": {"method": "tpe"},
    "tpe, median pruner": {"method": "tpe", "pruner": "median"},
}
AXES = {
    "training.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
    "training.batch_size": [8, 16, 32, 64],
    "training.weight_decay": {"low": 0.0, "high": 0.3},
    "loss.label_smoothing": {"low": 0.0, "high": 0.3},
    "training.warmup_steps": [0, 0.1, 0.3],
}


@dataclass(frozen=True)
class Found:
    """What one search came to."""

    best: tuple[float, ...]
    """The best validation score after a third, two thirds and all of the trials."""
    test: float
    """The score on test of the last of these."""
    steps: int
    """Optimizer steps, those of pruned trials included."""
    pruned: int


def main() -> int:
    """Search, and print a line for each search and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds ag_news")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    write_text(given.output / "base.yaml", source.dump(base(given.data.absolute() / "ag_news", given.rows)))
    found: dict[str, list[Found]] = {name: [] for name in METHODS}
    thirds = [given.trials // 3, 2 * given.trials // 3, given.trials]
    print(f"{'search':20}seed  best on validation after {thirds[0]}, {thirds[1]}, {thirds[2]}   test   steps  pruned")
    for seed in range(given.seeds):
        for name, method in METHODS.items():
            searched = search(given.output, name, seed, method | {"trials": given.trials}, given.jobs)
            found[name].append(summary(searched, thirds))
            print(line(f"{name:20}{seed:4}", found[name][-1]), flush=True)
    print()
    for name, several in found.items():
        print(line(f"{name:20}mean", mean(several)))
    for name in list(METHODS)[1:]:
        print(beside(name, found[name], found["random"]))
    return 0


def base(path: Path, rows: int) -> dict[str, object]:
    """The config that every trial starts from."""
    training = {"num_train_epochs": 4, "save_strategy": "no", "logging_steps": 10}
    return {
        "name": "base",
        "data": {
            "source": "ag_news",
            "path": str(path),
            "subset": {"train": rows, "validation": rows // 2, "test": rows},
        },
        "model": {"checkpoint": "scratch:bert", "max_length": 64},
        "training": training,
        "metrics": {"best": METRIC},
    }


def search(folder: Path, name: str, seed: int, method: dict[str, object], jobs: int) -> tuple[list[Row], Path]:
    """The trials of one search in their order, and its folder."""
    slug = f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
    learning = {"startup_trials": 8} if method["method"] != "random" else {}
    wanted = {"metric": METRIC, "seed": seed, **method, **learning}
    file = folder / f"{slug}.yaml"
    write_text(file, source.dump({"name": slug, "base": "base.yaml", "search": wanted, "axes": AXES}))
    outcome = sweeping.run(sweeping.plan(file, output=folder / slug), Processes(jobs))
    if outcome.failed or outcome.interrupted:
        raise SystemExit(f"{outcome.folder}: {outcome.failed or 'interrupted'}; call the script again")
    return list(outcome.results.trials), outcome.folder


def summary(searched: tuple[list[Row], Path], thirds: Sequence[int]) -> Found:
    """What the trials of one search came to."""
    rows, folder = searched

    def score(row: Row, split: str) -> float:
        value = None if row.metrics is None else row.metrics[split][METRIC]
        return -np.inf if value is None else value

    best = max(rows, key=lambda row: score(row, "validation"))
    steps = [history.read(folder / row.run / "history.jsonl")[-1]["step"] for row in rows]
    return Found(
        best=tuple(max(score(row, "validation") for row in rows[:count]) for count in thirds),
        test=score(best, "test"),
        steps=sum(steps),
        pruned=sum(row.state == "pruned" for row in rows),
    )


def mean(several: Sequence[Found]) -> Found:
    """The mean of several searches."""
    best = np.mean([each.best for each in several], axis=0)
    return Found(
        best=tuple(best.tolist()),
        test=float(np.mean([each.test for each in several])),
        steps=round(np.mean([each.steps for each in several])),
        pruned=round(np.mean([each.pruned for each in several])),
    )


def line(head: str, found: Found) -> str:
    """One line of the table."""
    best = "  ".join(f"{score:.4f}" for score in found.best)
    return f"{head}  {best:>35}  {found.test:.4f}  {found.steps:6,}  {found.pruned:6}"


def beside(name: str, found: Sequence[Found], random: Sequence[Found]) -> str:
    """The best validation score of one method minus that of the random search, over the seeds."""
    gaps = np.array([one.best[-1] - other.best[-1] for one, other in zip(found, random, strict=True)])
    wins = int((gaps > 0).sum())
    spread = f" (standard deviation {gaps.std(ddof=1):.4f})" if len(gaps) > 1 else ""
    return f"{name} - random, all trials: {gaps.mean():+.4f}{spread}, ahead in {wins} of {len(gaps)} searches"


if __name__ == "__main__":
    sys.exit(main())

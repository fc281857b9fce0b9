"""How often the 95 % intervals of a cross-validation hold the expected score, over simulated data sets.

    python studies/coverage_folds.py
    python studies/coverage_folds.py --data DATA --source ag_news imdb --rows 500 --folds 5 --sets 400

Each data set is so many rows drawn from a population; its folds are predicted by the TF-IDF rung, trained on the other
folds. The truth is the score that a cross-validation of such a data set has on average: the mean over all of them. It
is what a model scores that learns as many rows as the other folds have. Beside it stands the final model of each data
set, which learns all rows, on 2,000 rows of the population that no data set has: a score that varies itself, and is
higher, since it learns more.

Without --data the populations are generated: four labels, texts of common words and of a few of the label's own, once
enough of them that 400 rows teach something, and once so few that a model hardly learns. With it the population is the
training split of a data set. Compared are the intervals of ftcls, over rows and folds, and those
over rows alone, as if one model had predicted all of them. The uncertainty of a figure is that of a share of so many.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from ftcls.config.schema import Data
from ftcls.data.corpus import Corpus, Split
from ftcls.data.folds import assign
from ftcls.data.read import read
from ftcls.model.baselines import linear
from ftcls.scoring import decision, metrics
from ftcls.scoring.intervals import certainty
from ftcls.scoring.metrics import Predictions

METRICS = ("accuracy", "f1_macro", "loss")
OWN_WORDS = {"generated": 0.25, "generated, hardly learnt": 0.1}
"""Share of the words of a text that are of its label's own, by the name of the population."""
HELD_BACK = 2000
"""Rows of the population that the final models are scored on."""


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds the data sets")
    parser.add_argument("--source", nargs="*", default=[], help="ag_news, imdb: needs --data")
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--sets", type=int, default=400, help="data sets (default: 400)")
    parser.add_argument("--draws", type=int, default=400, help="draws of a bootstrap (default: 400; a report has 2000)")
    options = parser.parse_args()
    print("| population | rows | folds | score | rows and folds | rows alone | width, to rows alone | final model |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |", flush=True)
    for source in options.source or OWN_WORDS:
        if source in OWN_WORDS:
            population = generated(OWN_WORDS[source])
        else:
            population = read(Data(source=source, path=str(options.data / source)), seed=0)
        started = time.perf_counter()
        found = simulate(population, options.rows, options.folds, sets=options.sets, draws=options.draws)
        for name in METRICS:
            print(f"| {source} | {options.rows} | {options.folds} | {name} | {line(found[name])} |", flush=True)
        print(f"<!-- {source}: {time.perf_counter() - started:.0f} s -->", flush=True)


def generated(share: float, *, rows: int = 40_000) -> Corpus:
    """Four labels of different size; a text has 8 to 40 words, that share of them from 400 of its label."""
    rng = np.random.default_rng(1)
    common = np.array([f"w{index}" for index in range(4000)])
    zipf = 1 / (np.arange(4000) + 10.0)
    own = [rng.choice(4000, 400, replace=False) for _ in range(4)]
    targets = rng.choice(4, rows, p=[0.4, 0.3, 0.2, 0.1])
    texts = []
    for target in targets.tolist():
        length = int(rng.integers(8, 41))
        words = rng.choice(4000, length, p=zipf / zipf.sum())
        words = np.where(rng.random(length) < share, rng.choice(own[target], length), words)
        texts.append(" ".join(common[words]))
    split = Split(texts, targets.astype(np.int64), np.arange(rows))
    return Corpus("generated", "multiclass", ("a", "b", "c", "d"), {"train": split})


def simulate(
    population: Corpus, rows: int, folds: int, *, sets: int, draws: int
) -> dict[str, list[tuple[float, float, tuple[float, float], tuple[float, float]]]]:
    """By metric, of every data set: score out of fold, score of the final model, both intervals."""
    rng, every = np.random.default_rng(0), population.splits["train"]
    held_back = rng.permutation(len(every))[:HELD_BACK]
    others = np.setdiff1d(np.arange(len(every)), held_back)
    unseen = every.take(held_back)
    found: dict[str, list] = {name: [] for name in METRICS}
    for number in range(sets):
        drawn = every.take(np.sort(rng.choice(others, rows, replace=False)))
        fold = assign(drawn.targets, folds, seed=[number, 4])
        said = out_of_fold(population, drawn, fold)
        final = metrics.score(predictions(population, unseen, learn(population, drawn).probabilities(unseen.texts)))
        both = certainty(said, seed=0, draws=draws).metrics
        alone = certainty(replace(said, folds=None), seed=0, draws=draws).metrics
        score = metrics.score(said)
        for name in METRICS:
            found[name].append((score[name], final[name], both[name], alone[name]))
    return found


def out_of_fold(population: Corpus, drawn: Split, fold: np.ndarray) -> Predictions:
    """All rows, each by a model of the other folds."""
    probabilities = np.empty((len(drawn), len(population.labels)))
    for number in np.unique(fold).tolist():
        inside = np.flatnonzero(fold == number)
        model = learn(population, drawn.take(np.flatnonzero(fold != number)))
        probabilities[inside] = model.probabilities([drawn.texts[row] for row in inside.tolist()])
    return replace(predictions(population, drawn, probabilities), folds=fold)


def learn(population: Corpus, rows: Split) -> linear.LinearModel:
    """The linear rung of some rows."""
    return linear.learn(rows.texts, rows.targets, task=population.task, k=len(population.labels), seed=0)


def predictions(population: Corpus, rows: Split, probabilities: np.ndarray) -> Predictions:
    """What they are, by the default decision."""
    how = decision.default(population.task, len(population.labels))
    return Predictions(
        task=population.task,
        labels=population.labels,
        gold=rows.targets,
        predicted=decision.predict(probabilities, population.task, how.thresholds),
        probabilities=probabilities,
        rows=np.arange(len(rows)),
        positive=population.positive,
    )


def line(found: list[tuple[float, float, tuple[float, float], tuple[float, float]]]) -> str:
    """The cells of one score."""
    scores, finals = (np.array([each[place] for each in found]) for place in (0, 1))
    both, alone = (np.array([each[place] for each in found]) for place in (2, 3))
    truth = scores.mean()
    wider = (both[:, 1] - both[:, 0]).mean() / (alone[:, 1] - alone[:, 0]).mean()
    cells = [covered(both, truth), covered(alone, truth), f"{wider:.2f}", covered(both, finals)]
    return " | ".join(cells)


def covered(intervals: np.ndarray, truth: np.ndarray | float) -> str:
    """How many of the intervals [s, 2] hold the truth."""
    share = float(((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])).mean())
    return f"{share:.1%} ± {1.96 * np.sqrt(share * (1 - share) / len(intervals)):.1%}"


if __name__ == "__main__":
    main()

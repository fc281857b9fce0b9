"""A finished run beside TF-IDF + logistic regression on the same rows, with the paired test.

    python studies/beside_regression.py runs/quickstart

The report's own baseline is the stronger linear SVM; this is the one that people know: scikit-learn's defaults on
words, and on words and word pairs with sublinear term frequencies. One label per row only.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ftcls.config.load import load
from ftcls.data.read import read
from ftcls.runs import predictions as prediction_files
from ftcls.runs.directory import RunDir
from ftcls.scoring.differences import paired_difference
from ftcls.scoring.intervals import score_of

FEATURES = {"words": {}, "words and word pairs": {"ngram_range": (1, 2), "sublinear_tf": True}}


def main() -> int:
    """Print accuracies and paired differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    run = RunDir(parser.parse_args().run)

    experiment = load(run.config)
    corpus = read(experiment.data, seed=experiment.seed)
    if corpus.task == "multilabel":
        parser.error("the script is for one label per row")
    trained = prediction_files.read(run.predictions / "test.parquet")
    train, test = corpus.splits["train"], corpus.splits["test"]
    print(f"{run.path.name}: accuracy {score_of(trained, 'accuracy'):.4f}")
    for name, options in FEATURES.items():
        model = make_pipeline(TfidfVectorizer(**options), LogisticRegression(max_iter=1000, random_state=0))
        model.fit(train.texts, train.targets)
        predicted = model.predict(test.texts).astype(np.int64)
        simple = replace(trained, predicted=predicted, probabilities=model.predict_proba(test.texts))
        found = paired_difference(trained, simple, metric="accuracy", seed=experiment.seed)
        low, high = found.interval
        units = f"{found.rows:,} rows" if found.clusters is None else f"{found.clusters:,} clusters"
        print(
            f"TF-IDF of {name} + logistic regression: {score_of(simple, 'accuracy'):.4f}, "
            f"difference {found.value:+.4f} ({low:+.4f} to {high:+.4f}), p = {found.p_value:.3f}, {units}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

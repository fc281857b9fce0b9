"""Reviews from standard input: the negative ones flagged as they arrive, then the share of them per show.

    python examples/film_reviews.py aclImdb_v1.tar.gz | python examples/reviews_triage.py runs/imdb --label neg

A line is a show, a tab and the text of a review. A flag is printed when its label is as probable as --from says: set it
high to be bothered seldom, low to miss little.
"""

import argparse
import itertools
import sys
from collections import Counter

import numpy as np

from ftcls.inference.classifier import Classifier
from ftcls.scoring.wilson import of_rows

# Lines that are read before they are labelled together: more are quicker, fewer are sooner.
TOGETHER = 16


def main() -> None:
    """Read to the end of standard input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run, an export or a repository of the Hub")
    parser.add_argument("--label", required=True, help="the label to flag, such as neg")
    parser.add_argument("--from", dest="threshold", type=float, default=0.9, help="the probability to flag it from")
    options = parser.parse_args()
    classifier = Classifier.from_pretrained(options.run)
    counted: dict[str, list[bool]] = {}
    lines = (line.rstrip("\n").split("\t", 1) for line in sys.stdin if "\t" in line)
    while some := list(itertools.islice(lines, TOGETHER)):
        for (show, text), said in zip(some, classifier.classify([text for _, text in some]), strict=True):
            counted.setdefault(show, []).append(options.label in said.labels)
            if said.probabilities[options.label] >= options.threshold:
                print(f"{said.probabilities[options.label]:.3f}  {show}  {text[:80]}", flush=True)
    print(f"\nshow        reviews  {options.label}, with its 95 % interval")
    shares = Counter({show: float(np.mean(found)) for show, found in counted.items()})
    for show, share in shares.most_common():
        low, high = of_rows(np.array(counted[show]), None)
        print(f"{show:<10} {len(counted[show]):>8}  {share:.0%}  ({low:.0%} to {high:.0%})")


if __name__ == "__main__":
    main()

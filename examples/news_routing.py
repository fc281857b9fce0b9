"""News to desks: what the model is sure of goes to its desk, the rest to a person.

    python examples/news_routing.py runs/ag_news --sure 0.8 < headlines.txt

One text per line. `--sure` is the trade: the test split says at once what it would have cost.
"""

import argparse
import sys
from pathlib import Path

from ftcls.inference.classifier import Classifier
from ftcls.runs import predictions


def main() -> None:
    """Route standard input, after saying how often the route would have been right on the test split."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run")
    parser.add_argument("--sure", type=float, default=0.8, help="least probability of the desk's label")
    options = parser.parse_args()
    said = predictions.read(Path(options.run) / "predictions" / "test.parquet")
    routed = said.probabilities.max(axis=1) >= options.sure
    right = said.predicted == said.gold
    print(
        f"On {len(said):,} test texts: {routed.mean():.1%} are routed, {right[routed].mean():.1%} of them rightly. "
        f"Routing all of them is right in {right.mean():.1%}.\n"
    )
    texts = [line.strip() for line in sys.stdin if line.strip()]
    for text, found in zip(texts, Classifier.from_pretrained(options.run).classify(texts), strict=True):
        (label,) = found.labels
        desk = label if found.probabilities[label] >= options.sure else "a person"
        print(f"{desk:<10} {found.probabilities[label]:.3f}  {text[:90]}")


if __name__ == "__main__":
    main()

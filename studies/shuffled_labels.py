"""The quickstart with shuffled training labels: a pipeline that leaks nothing falls to chance, .20 for five labels.

    python studies/shuffled_labels.py [--output DIR] [--seed N] [KEY=VALUE ...]

The docstrings are written to CSV files as the quickstart splits them, the labels of the training rows in random order,
and `ftcls train` learns from these files with the quickstart's own model and settings. Exits 1 if the test accuracy is
further than .04 from chance.
"""

import argparse
import csv
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml

from ftcls.config.load import dump, load, shipped
from ftcls.data.read import read
from ftcls.pipeline import train
from ftcls.runs import report_schema

FAR = 0.04


def main() -> int:
    """Train on shuffled labels and say how far from chance the result is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/quickstart-shuffled"))
    parser.add_argument("--seed", type=int, default=0, help="shuffles the labels")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    arguments = parser.parse_args()

    quickstart = load(shipped()["quickstart"], ["data.subset.train=null"])
    corpus = read(quickstart.data, seed=quickstart.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for split, rows in corpus.splits.items():
            targets = rows.targets
            if split == "train":
                targets = np.random.default_rng(arguments.seed).permutation(targets)
            with (folder / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["text", "label"])
                writer.writerows((t, corpus.labels[y]) for t, y in zip(rows.texts, targets, strict=True))
        config = yaml.safe_load(dump(quickstart))
        config["name"] = "quickstart-shuffled"
        config["data"] = {
            "source": "files",
            "task": "multiclass",
            "path": {split: str(folder / f"{split}.csv") for split in corpus.splits},
        }
        (folder / "shuffled.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        run = train.train(load(folder / "shuffled.yaml", arguments.overrides), output=arguments.output).files
    report = report_schema.read_report(run)
    accuracy, interval = report.metrics["test"]["accuracy"], report.intervals["test"]["accuracy"]
    chance = 1 / len(corpus.labels)
    print(f"test accuracy {accuracy:.3f} {interval}, chance {chance:.3f}")
    return int(accuracy is None or abs(accuracy - chance) > FAR)


if __name__ == "__main__":
    sys.exit(main())

"""What a manifest costs: seconds to write and to check that of a checkpoint of 440 MB, and its share of the saving.

    python verify/cost.py [--megabytes 440] [--output FOLDER]

The checkpoint is as training writes it: weights of that size, and an optimizer state of twice as much. Each figure is
the median of five. Run it on the disk that is meant, with nothing else at work.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from ftcls.environment import manifest
from ftcls.environment.files import sync

TIMES = 5


def main() -> None:
    """Measure, and print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=440)
    parser.add_argument("--output", type=Path, default=None, help="on the disk that is meant")
    given = parser.parse_args()
    numbers = given.megabytes * 1_000_000 // 4
    weights = {"weight": torch.randn(numbers)}
    state = {"state": {0: {"exp_avg": torch.randn(numbers), "exp_avg_sq": torch.rand(numbers)}}}
    with tempfile.TemporaryDirectory(dir=given.output) as name:
        folder = Path(name)

        def save() -> None:
            save_file(weights, folder / "model.safetensors")
            torch.save(state, folder / "optimizer.pt")
            for path in folder.iterdir():
                sync(path)

        saving = seconds(save)
        listing = seconds(lambda: manifest.write(folder))
        model = seconds(lambda: manifest.entry(folder / "model.safetensors"))
        checking = seconds(lambda: manifest.check(folder))
    print(f"saving {3 * given.megabytes} MB (weights and optimizer), synced: {saving:.2f} s")
    print(f"its manifest: {listing:.2f} s, {listing / saving:.1%} of the saving")
    print(
        f"checking it before a resume: {checking:.2f} s; a model of {given.megabytes} MB before its use: {model:.2f} s"
    )


def seconds(action: Callable[[], object]) -> float:
    """The median of some calls."""
    found = []
    for _ in range(TIMES):
        began = time.perf_counter()
        action()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


if __name__ == "__main__":
    main()

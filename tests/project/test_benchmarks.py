"""The benchmarks run: what they measure needs a quiet machine, and a GPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent.parent / "benchmarks"


@pytest.mark.slow
@pytest.mark.parametrize("side", ["ftcls", "tuned"])
def test_the_gpu_benchmark_counts_examples_of_a_tiny_model(side):
    options = ["--device", "cpu", "--shape", "tiny", "--steps", "6", "--texts", "ag_news", "--side", side]
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "gpu.py"), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout.splitlines()[-1])
    assert found["examples_per_second"] > 0

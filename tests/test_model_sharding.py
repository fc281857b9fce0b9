"""One model over two processes on a CPU: trained by gloo, saved whole, read by one process."""

import json
import os
import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from ftcls import pipeline
from ftcls.rundir import RunDir


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="torchrun with gloo is tested on POSIX")
@pytest.mark.skipif(torch.accelerator.is_available(), reason="transformers shards over the accelerators of a machine")
@pytest.mark.parametrize("config", ["ag_news", "go_emotions"])
def test_two_processes_train_one_model_and_one_reads_it(tmp_path, config):
    command = ["ftcls", "train", config, "--smoke", "training.device=cpu", "training.precision=fp32"]
    found = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", *command),
            *("--output", str(tmp_path / "run")),
        ],
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "ACCELERATE_USE_FSDP": "true",
            "FSDP_VERSION": "2",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stderr
    assert found.stderr.count("FSDP2 over 2 processes: weights alone are saved, this run cannot be resumed") == 1
    run = RunDir(tmp_path / "run")
    assert [path.name for path in run.checkpoints.iterdir()] == ["best"]
    report = json.loads(run.report.read_text(encoding="utf-8"))
    assert report["training"]["loss"]["last"] < report["training"]["loss"]["first"]
    assert report["training"]["estimate"]["peak_memory_bytes"] is None
    assert pipeline.evaluate(run.path).metrics == report["metrics"]["test"]

    model = AutoModelForSequenceClassification.from_pretrained(run.model)
    assert report["model"]["parameters"] == sum(each.numel() for each in model.parameters())
    assert {type(each.data) for each in model.parameters()} == {torch.Tensor}
    assert not hasattr(model.config, "distributed_config")

"""One model over two processes on a CPU: trained by gloo as one process trains it, saved whole, read by one process."""

import json
import os
import subprocess
import sys

import pytest
import torch
import yaml
from transformers import AutoModelForSequenceClassification, BertConfig

from ftcls.config.load import load
from ftcls.data.read import read
from ftcls.model import scratch
from ftcls.pipeline import dry_run, evaluate, train
from ftcls.runs import history
from ftcls.runs.directory import RunDir

KEYS = ["training.device=cpu", "training.precision=fp32"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="torchrun with gloo is tested on POSIX"),
    pytest.mark.skipif(
        torch.accelerator.is_available(), reason="transformers shards over the accelerators of a machine"
    ),
]


def on_two_processes(arguments, output):
    """A training by torchrun under FSDP2."""
    found = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"),
            *("ftcls", "train", *arguments, "--output", str(output)),
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
    return RunDir(output)


def steps_of(run):
    return [line for line in history.read(run.history) if "loss" in line]


def test_a_checkpoint_is_trained_as_by_one_process(tmp_path):
    experiment = dry_run.smoke(load("ag_news", KEYS))
    tokenizer = scratch.train_tokenizer(read(experiment.data, seed=experiment.seed).splits["train"].texts)
    size = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = BertConfig(vocab_size=len(tokenizer), num_labels=4, **size, **still)
    config.id2label = dict(enumerate(["Business", "Sci/Tech", "World", "Sports"]))  # in another order than the data's
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path / "checkpoint")
    tokenizer.save_pretrained(tmp_path / "checkpoint")
    model = experiment.model.model_copy(update={"checkpoint": str(tmp_path / "checkpoint")})
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(experiment.model_copy(update={"model": model}).model_dump(mode="json")))

    sharded = on_two_processes([str(file)], tmp_path / "two")
    alone = train.train(load(file), output=tmp_path / "one").files
    assert "is put into the order World, Sports, Business, Sci/Tech" in sharded.log.read_text(encoding="utf-8")
    for two, one in zip(steps_of(sharded), steps_of(alone), strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)
        assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-3)


@pytest.mark.weekly
def test_what_is_saved_is_whole(tmp_path):
    run = on_two_processes(["go_emotions", "--smoke", *KEYS], tmp_path / "run")
    assert [path.name for path in run.checkpoints.iterdir()] == ["best"]
    report = json.loads(run.report.read_text(encoding="utf-8"))
    assert report["training"]["estimate"]["peak_memory_bytes"] is None
    assert evaluate.evaluate(run.path).metrics == report["metrics"]["test"]

    model = AutoModelForSequenceClassification.from_pretrained(run.model)
    assert report["model"]["parameters"] == sum(each.numel() for each in model.parameters())
    assert {type(each.data) for each in model.parameters()} == {torch.Tensor}
    assert not hasattr(model.config, "distributed_config")

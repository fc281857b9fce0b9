"""What only a CUDA device can show: the same model there and on the CPU, and a run from its data to its evaluation."""

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

import fitting
from ftcls.config.load import load
from ftcls.inference.classifier import Classifier
from ftcls.pipeline.dry_run import smoke
from ftcls.pipeline.evaluate import evaluate
from ftcls.pipeline.train import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
TEXTS = ["a short text", "a text that is rather longer than the one before it, and goes on", "", "emoji 😀", "one"] * 20


def trained(folder, name, *overrides):
    experiment = smoke(load(name, list(overrides)))
    assert experiment.training.device == "auto"
    return train(experiment, output=folder / "run")


@pytest.fixture(scope="module", params=["ag_news", "go_emotions", "ag_news-lora"])
def run(request, tmp_path_factory):
    return trained(tmp_path_factory.mktemp(request.param), request.param)


def test_a_run_uses_the_gpu_in_bf16_and_eval_repeats_it_to_the_last_digit(run):
    report = run.report
    assert report.environment.device.startswith("cuda")
    assert report.environment.precision == "bf16"
    assert report.training.peak_memory_bytes > 0
    found = evaluate(run.path)
    assert found.metrics == report.metrics["test"]


def test_float32_on_the_gpu_says_what_the_cpu_says(run):
    both = [Classifier.from_pretrained(run.path, device=device, precision="fp32") for device in ("cpu", "cuda")]
    probabilities = [np.array([list(p.probabilities.values()) for p in each.classify(TEXTS)]) for each in both]
    assert np.abs(probabilities[0] - probabilities[1]).max() < 1e-4


TEN = {"max_steps": 10, "device": "cuda", "logging_steps": 1, "eval_strategy": "no", "save_strategy": "no"}


def weights(folder):
    return torch.load(folder / "weights-0.pt", weights_only=True)


@pytest.mark.parametrize("multilabel", [False, True])
def test_micro_batches_change_a_training_on_the_gpu_by_rounding_alone(tmp_path, multilabel):
    for name, budget in (("whole", 4_096), ("cut", 40)):
        fitting.run(tmp_path / name, training={**TEN, "token_budget": budget}, multilabel=multilabel)
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert max((whole[name] - cut[name]).abs().max().item() for name in whole) < 1e-4


def test_the_gpu_trains_what_the_cpu_trains(tmp_path):
    for device in ("cpu", "cuda"):
        fitting.run(tmp_path / device, training={**TEN, "device": device, "token_budget": 4_096})
    cpu, cuda = weights(tmp_path / "cpu"), weights(tmp_path / "cuda")
    assert max((cpu[name] - cuda[name].cpu()).abs().max().item() for name in cpu) < 1e-3


def test_a_stopped_training_goes_on_where_it_was(tmp_path):
    saving = {**TEN, "save_strategy": "steps", "save_steps": 4, "token_budget": 64}
    fitting.run(tmp_path / "whole", training=saving, dropout=0.1)
    with pytest.raises(_Stopped):
        fitting.run(tmp_path / "cut", training=saving, dropout=0.1, callbacks=(_StopAt(7),))
    fitting.run(tmp_path / "cut", training=saving, dropout=0.1, resume=True)
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert max((whole[name] - cut[name]).abs().max().item() for name in whole) < 1e-5


class _Stopped(Exception):
    """Ends a training from inside."""


class _StopAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step + 1 == self.step:
            raise _Stopped

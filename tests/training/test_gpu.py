"""What only a CUDA device can show: the same model there and on the CPU, and a run from its data to its evaluation."""

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

import fitting
from ftcls.config.load import load
from ftcls.config.loss_schema import Loss
from ftcls.inference.classifier import Classifier
from ftcls.model.packed_encoder import PackedClassifier
from ftcls.model.padding import pad
from ftcls.pipeline.dry_run import smoke
from ftcls.pipeline.evaluate import evaluate
from ftcls.pipeline.train import train
from ftcls.training import cuda_graphs, fit
from ftcls.training.cuda_graphs import CudaGraphs
from small_encoders import OURS, built

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
TEXTS = ["a short text", "a text that is rather longer than the one before it, and goes on", "", "emoji 😀", "one"] * 20


def objective():
    return fit.objective(Loss(), np.arange(3), ("a", "b", "c"), task="multiclass")


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


def batch(lengths, seed):
    rng = np.random.default_rng(seed)
    return pad([rng.integers(3, 60, length).astype(np.int32) for length in lengths], 1)


def steps(model, packed, records):
    """Losses and gradients of three steps of two micro-batches each, with the same dropout whoever computes them."""
    graphs = CudaGraphs(packed, objective(), longest=61)
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_graphs, "MOST_GRAPHS", cuda_graphs.MOST_GRAPHS if records else 0)
        for step in range(3):
            packed.start_step(step)
            graphs.start_step()
            for lengths in ([9, 61, 30, 2, 5], [44] * 30):
                loss = graphs.run(batch(lengths, step), np.arange(len(lengths)) % 3, 1 / 35)
            found.append((loss.item(), torch.cat([each.grad.flatten().clone() for each in model.parameters()])))
            model.zero_grad()
    assert len(graphs._graphs) == (2 if records else 0)
    assert graphs._records
    return found


@pytest.mark.parametrize("name", OURS)
def test_recorded_passes_are_those_that_are_not_dropout_included(name):
    model = built(name).cuda().train()
    packed = PackedClassifier(model, dtype=torch.bfloat16, seed=3).train()
    assert packed.by_starts
    for (loss, gradient), (again, same) in zip(steps(model, packed, True), steps(model, packed, False), strict=True):
        assert loss == pytest.approx(again, rel=1e-6)
        assert torch.linalg.norm(gradient - same) < 1e-3 * torch.linalg.norm(same)


@pytest.mark.parametrize("name", OURS)
def test_a_recorded_pass_has_the_gradient_of_the_padded_model(name):
    model, inputs, goal = built(name).cuda().eval(), batch([5, 61, 2, 30], 0), np.arange(4) % 3
    parameters = list(model.parameters())
    tensors = {key: torch.from_numpy(array).cuda() for key, array in inputs.items()}
    aim = objective()

    def gradient():
        loss = (aim(model(**tensors).logits, torch.from_numpy(goal).cuda()) * 0.25).sum()
        return torch.cat([each.flatten() for each in torch.autograd.grad(loss, parameters, materialize_grads=True)])

    exact = gradient()
    with torch.autocast("cuda", torch.bfloat16):
        rounded = gradient()
    graphs = CudaGraphs(PackedClassifier(model, dtype=torch.bfloat16).eval(), aim, longest=61)
    for _ in range(3):  # recorded, and replayed
        graphs.start_step()
        graphs.run(inputs, goal, 0.25)
        found = torch.cat([each.grad.flatten() for each in parameters])
        assert torch.linalg.norm(found - exact) < 1.5 * torch.linalg.norm(rounded - exact)
    assert len(graphs._graphs) == 1


def test_a_training_whose_passes_are_recorded_is_the_one_without(tmp_path, monkeypatch):
    settings = {**TEN, "precision": "bf16", "token_budget": 64}
    fitting.run(tmp_path / "recorded", training=settings, dropout=0.1)
    monkeypatch.setattr(cuda_graphs, "MOST_GRAPHS", 0)
    fitting.run(tmp_path / "not", training=settings, dropout=0.1)
    one, other = weights(tmp_path / "recorded"), weights(tmp_path / "not")
    assert max((one[name] - other[name]).abs().max().item() for name in one) < 1e-3


def test_a_recorded_training_that_is_stopped_goes_on_where_it_was(tmp_path):
    saving = {**TEN, "save_strategy": "steps", "save_steps": 4, "token_budget": 64, "precision": "bf16"}
    fitting.run(tmp_path / "whole", training=saving, dropout=0.1)
    with pytest.raises(_Stopped):
        fitting.run(tmp_path / "cut", training=saving, dropout=0.1, callbacks=(_StopAt(7),))
    fitting.run(tmp_path / "cut", training=saving, dropout=0.1, resume=True)
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert max((whole[name] - cut[name]).abs().max().item() for name in whole) < 1e-3


class _Stopped(Exception):
    """Ends a training from inside."""


class _StopAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step + 1 == self.step:
            raise _Stopped

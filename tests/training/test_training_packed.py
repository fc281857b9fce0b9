"""Training without padding: the same run, by the same steps; and the plain model where that cannot be."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, TrainerCallback

import fitting
from ftcls.config.schema import Adapter
from ftcls.environment.devices import Machine
from ftcls.model import batching, encoder_layers
from ftcls.runs import history
from ftcls.training import checkpoints
from ftcls.training.packed import packed_classifier
from small_encoders import OTHERS, OURS, built

TEN = {"max_steps": 10, "learning_rate": 1e-4, "logging_steps": 1, "eval_strategy": "no", "save_strategy": "no"}
CPU = Machine("cpu", "fp32", "asked for", rank=0, processes=1)


def relative(first, second):
    """Norm of the difference of two state dicts, relative to the norm of the weights."""
    difference = sum(((first[name] - second[name]).double() ** 2).sum() for name in first)
    return float((difference / sum((first[name].double() ** 2).sum() for name in first)).sqrt())


def steps_of(folder):
    return [line for line in history.read(folder / "history.jsonl") if "loss" in line]


@pytest.fixture(scope="module")
def rows():
    return fitting.encoded()[1]


@pytest.fixture
def padded(monkeypatch):
    """Called: from here on no model is known."""
    return lambda: monkeypatch.setattr(encoder_layers, "difference", lambda model: "the test says so")


@pytest.mark.parametrize(("multilabel", "token_budget"), [(False, 40), (True, 10_000)])
def test_a_packed_run_is_the_padded_run(tmp_path, padded, caplog, multilabel, token_budget):
    with caplog.at_level(logging.INFO, logger="ftcls"):
        settings = {"training": {**TEN, "token_budget": token_budget}, "multilabel": multilabel}
        found = fitting.run(tmp_path / "packed", **settings)
        padded()
        fitting.run(tmp_path / "padded", **settings)

    lines = [record.message for record in caplog.records if record.message.startswith("steps ")]
    assert lines == [
        "steps      packed: the tokens of all texts end to end, without padding",
        "steps      padded: the test says so",
    ]
    assert (found.progress.micro_batches == 10) == (token_budget == 10_000)
    for one, other in zip(steps_of(tmp_path / "padded"), steps_of(tmp_path / "packed"), strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-5)
    assert relative(fitting.weights(tmp_path / "padded"), fitting.weights(tmp_path / "packed")) < 1e-5


def test_a_packed_run_with_dropout_resumes_to_the_same_bits(tmp_path):
    settings = {
        "training": {**TEN, "save_strategy": "steps", "save_steps": 4, "token_budget": 64},
        "dropout": 0.1,
        "best_metric": "loss",
    }

    class Crash(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step + 1 == 7:
                raise RuntimeError("planted")

    fitting.run(tmp_path / "one", **settings)
    with pytest.raises(RuntimeError, match="planted"):
        fitting.run(tmp_path / "two", **settings, callbacks=(Crash(),))
    assert checkpoints.newest(tmp_path / "two" / "checkpoints").name == "step-4"
    fitting.run(tmp_path / "two", **settings, resume=True)

    expected, found = fitting.weights(tmp_path / "one"), fitting.weights(tmp_path / "two")
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    fitting.run(tmp_path / "none", **{**settings, "dropout": 0.0})
    assert relative(expected, fitting.weights(tmp_path / "none")) > 1e-4  # there was dropout


def test_what_is_saved_is_a_plain_checkpoint(tmp_path, rows):
    fitting.run(tmp_path, training={**TEN, "eval_strategy": "steps", "eval_steps": 10})
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "checkpoints" / "best")
    weights = fitting.weights(tmp_path)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_packed_rows_fill_the_budget_with_tokens_alone():
    lengths = np.array([9, 1, 5, 5, 3, 20])
    batches = batching.plan(np.arange(6), lengths, token_budget=20, padded=False)
    assert [batch.rows.tolist() for batch in batches] == [[5], [0, 2, 3], [4, 1]]
    parts = batching.narrow(batches[1], lengths, 10, padded=False)
    assert [part.rows.tolist() for part in parts] == [[0], [2, 3]]
    capped = batching.plan(np.arange(6), lengths, token_budget=100, padded=False, max_rows=4)
    assert [len(batch.rows) for batch in capped] == [4, 2]


@pytest.mark.parametrize("name", OURS)
def test_known_encoders_are_packed(rows, name):
    model = built(name).train()
    packed = packed_classifier(model, shortened(rows), machine=CPU, seed=1, recomputes=False)
    assert packed.training
    assert model.training


def shortened(rows):
    """Tokens that the small encoders have."""
    return replace(rows, ids=rows.ids % 57 + 3)


def reason(caplog, *arguments, **options):
    with caplog.at_level(logging.INFO, logger="ftcls"):
        assert packed_classifier(*arguments, **options) is None
    return caplog.records[-1].message.removeprefix("steps      padded: ")


@pytest.mark.parametrize("name", OTHERS)
def test_other_architectures_are_padded(rows, caplog, name):
    said = reason(caplog, built(name), shortened(rows), machine=CPU, seed=1, recomputes=False)
    assert said.endswith("ForSequenceClassification is none of the encoders that are known")


def test_another_attention_and_recomputed_activations_are_padded(rows, caplog):
    eager = built("BertConfig", attention="eager")
    assert reason(caplog, eager, rows, machine=CPU, seed=1, recomputes=False) == "model.attention is eager"
    model = built("BertConfig")
    assert reason(caplog, model, rows, machine=CPU, seed=1, recomputes=True) == "training.activation_checkpointing"


def test_several_processes_are_padded(rows, caplog):
    pair = Machine("cpu", "fp32", "asked for", rank=0, processes=2)
    said = reason(caplog, built("BertConfig"), rows, machine=pair, seed=1, recomputes=False)
    assert said == "2 processes average the gradients of the model as it is"


def test_a_model_that_answers_otherwise_when_packed_is_padded(rows, caplog):
    model = built("BertConfig")
    model.bert.encoder.layer[1].attention.self.scaling *= 1.01
    said = reason(caplog, model, shortened(rows), machine=CPU, seed=1, recomputes=False)
    assert said.startswith("its logits differ from those of the padded model by")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"adapter": Adapter(kind="lora", dropout=0.0)}, "PeftModelForSequenceClassification is none of the encoders"),
        ({"training": {**TEN, "activation_checkpointing": True}}, "training.activation_checkpointing"),
    ],
)
def test_a_whole_training_that_is_padded_says_why_and_runs(tmp_path, caplog, changed, said):
    with caplog.at_level(logging.INFO, logger="ftcls"):
        found = fitting.run(tmp_path, **{"training": {**TEN, "max_steps": 2}, **changed})
    assert found.steps
    assert f"steps      padded: {said}" in caplog.text


def test_frozen_layers_are_packed_and_stay_as_they_are(rows):
    model = built("BertConfig").train()
    for parameter in model.bert.embeddings.parameters():
        parameter.requires_grad = False
    packed = packed_classifier(model, shortened(rows), machine=CPU, seed=1, recomputes=False)
    inputs = {name: torch.from_numpy(array) for name, array in shortened(rows).pad(np.arange(3), 1).items()}
    packed(**inputs).logits.sum().backward()
    assert all((parameter.grad is not None) == parameter.requires_grad for parameter in model.parameters())

"""A model for prediction alone: the logits of the whole model, and the whole model left as it was."""

import copy

import numpy as np
import pytest
import torch
import transformers
from torch import nn
from transformers import AutoModelForSequenceClassification

from ftcls.inference.first_token import trimmed
from ftcls.inference.forward import Torch, logits
from ftcls.model.encoder_layers import ARCHITECTURES
from ftcls.model.tokenize import Encoded

SIZES = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 1,
    "initializer_range": 0.2,  # at the usual 0.02 an untrained model says nearly the same of every text
}
DISTILBERT = {"dim": 32, "hidden_dim": 48, "n_layers": 3, "n_heads": 4}
OURS = {
    "BertConfig": SIZES,
    "RobertaConfig": SIZES,
    "XLMRobertaConfig": SIZES,
    "CamembertConfig": SIZES,
    "ElectraConfig": {**SIZES, "embedding_size": 16},
    "DistilBertConfig": {**SIZES, **DISTILBERT},
}
OTHERS = {
    "AlbertConfig": {**SIZES, "embedding_size": 16},
    "DebertaV2Config": SIZES,
    "GPT2Config": {"vocab_size": 60, "n_embd": 32, "n_layer": 2, "n_head": 4, "pad_token_id": 1},
    "ModernBertConfig": SIZES,
}


def built(name, *, attention=None):
    """A small untrained model."""
    special = {"bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0, "sep_token_id": 2}
    config = getattr(transformers, name)(**(OURS | OTHERS)[name], **special, num_labels=3)
    torch.manual_seed(0)
    options = {} if attention is None else {"attn_implementation": attention}
    model = AutoModelForSequenceClassification.from_config(config, **options)
    with torch.no_grad():
        for parameter in model.parameters():  # else no test would see a bias or a norm that was left out
            parameter += 0.1 * torch.randn_like(parameter)
    return model.eval()


@pytest.fixture(scope="module")
def encoded():
    """12 texts of 1 to 25 tokens."""
    rng = np.random.default_rng(0)
    lengths = np.array([1, 2, 25, *rng.integers(3, 25, 9)])
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return Encoded(rng.integers(3, 60, lengths.sum()).astype(np.int32), offsets, lengths.astype(np.int32))


@pytest.fixture(scope="module")
def bert():
    return built("BertConfig")


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("token_budget", [25, 1_000])
def test_logits_are_those_of_the_whole_model(encoded, name, token_budget):
    model = built(name)
    less = trimmed(model)
    assert less is not model
    whole = logits(model, encoded, token_budget=token_budget)
    assert np.std(whole, axis=0).min() > 0.01
    np.testing.assert_allclose(logits(less, encoded, token_budget=token_budget), whole, atol=1e-5)


def test_every_architecture_that_is_named_is_tested():
    assert {type(built(name)).__name__ for name in OURS} == set(ARCHITECTURES)


@pytest.mark.parametrize("name", OURS)
def test_a_lower_precision_rounds_as_autocast_does(encoded, name):
    model = built(name)
    exact = logits(model, encoded, token_budget=100)
    with torch.autocast("cpu", torch.bfloat16):
        cast = logits(model, encoded, token_budget=100)
        less = logits(trimmed(model, torch.bfloat16), encoded, token_budget=100)
    assert np.abs(less - exact).max() < 2 * np.abs(cast - exact).max()


def test_the_last_layer_computes_one_token_of_each_text(bert, encoded):
    less = trimmed(bert)
    shapes = []
    for layer in less.bert.encoder.layer:
        layer.narrow.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape)))
    logits(less, encoded, token_budget=10_000)
    longest = int(encoded.lengths.max())
    assert [shape[:2] for shape in shapes] == [(12, longest)] * (len(shapes) - 1) + [(12, 1)]


def test_the_model_itself_stays_as_it_is_and_shares_its_weights(encoded):
    model = built("BertConfig")
    before = copy.deepcopy(model.state_dict())
    kinds = [type(module) for module in model.modules()]
    model.train()
    backend = Torch(model, "bf16")
    backend.logits(encoded, token_budget=100)
    assert model.training
    assert [type(module) for module in model.modules()] == kinds
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    ours = {tensor.data_ptr() for tensor in model.parameters()}
    assert {tensor.data_ptr() for tensor in trimmed(model).parameters()} <= ours


@pytest.mark.parametrize("name", OTHERS)
def test_another_architecture_is_left_whole(name):
    model = built(name)
    assert trimmed(model) is model


def test_another_attention_is_left_whole():
    model = built("BertConfig", attention="eager")
    assert trimmed(model) is model


def test_an_adapter_beside_the_weights_is_left_whole(bert):
    model = copy.deepcopy(bert)

    class Beside(nn.Linear):
        """What peft and bitsandbytes put in the place of a layer: another class."""

    layer = model.bert.encoder.layer[0].attention.self
    layer.query = Beside(layer.query.in_features, layer.query.out_features)
    assert trimmed(model) is model


def test_a_subclass_from_elsewhere_is_left_whole(bert):
    model = copy.deepcopy(bert)
    model.__class__ = type("BertForSequenceClassification", (type(model),), {"__module__": "elsewhere"})
    assert trimmed(model) is model

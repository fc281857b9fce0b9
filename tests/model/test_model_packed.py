"""A classifier without padding: logits and gradients of the plain model, and the plain model left as it was."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from ftcls.inference.forward import Torch, logits
from ftcls.model.encoder_layers import ARCHITECTURES, difference, layer_names
from ftcls.model.packed_encoder import PackedClassifier, differs
from ftcls.model.packing import Layout
from ftcls.model.padding import pad
from ftcls.model.tokenize import Encoded
from small_encoders import OTHERS, OURS, built


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


def packed(model, dtype=torch.float32, **options):
    return PackedClassifier(model, dtype=dtype, **options).eval()


def without_dropout(model):
    """In training mode, as it is in a step, but with dropout of rate 0."""
    for module in model.modules():
        if hasattr(module, "rate"):
            module.rate = 0.0
    return model.train()


def batch(lengths, side="right"):
    rng = np.random.default_rng(1)
    texts = [rng.integers(3, 60, length).astype(np.int32) for length in lengths]
    return {name: torch.from_numpy(array) for name, array in pad(texts, 1, side).items()}


def gradients(model, parameters, inputs):
    logits = model(**inputs).logits
    targets = torch.arange(len(logits)) % 3
    return torch.autograd.grad(nn.functional.cross_entropy(logits, targets), parameters, allow_unused=True)


def relative(found, expected):
    """Norm of the difference of two gradients, relative to the norm of the second."""
    assert [gradient is None for gradient in found] == [gradient is None for gradient in expected]
    pairs = [(a.double(), b.double()) for a, b in zip(found, expected, strict=True) if b is not None]
    return float((sum((a - b).square().sum() for a, b in pairs) / sum(b.square().sum() for _, b in pairs)).sqrt())


LENGTHS = {
    "one text": [9],
    "one token": [1],
    "equal lengths": [7, 7, 7],
    "an empty text, of its two marks": [2, 20],
    "very different lengths": [1, 60, 3, 2, 60, 41, 3],
}


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
def test_gradients_are_those_of_the_padded_model(name, lengths):
    model, inputs = built(name), batch(lengths)
    parameters = list(model.parameters())
    expected = gradients(model, parameters, inputs)
    assert relative(gradients(without_dropout(packed(model)), parameters, inputs), expected) < 1e-5
    assert relative(gradients(packed(model), parameters, inputs), expected) < 1e-5


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("token_budget", [25, 1_000])
def test_logits_are_those_of_the_plain_model(encoded, name, token_budget):
    model = built(name)
    whole = logits(model, encoded, token_budget=token_budget)
    assert np.std(whole, axis=0).min() > 0.01
    np.testing.assert_allclose(logits(packed(model), encoded, token_budget=token_budget), whole, atol=1e-5)


def test_padding_on_the_left_is_left_out_too():
    model = packed(built("BertConfig"))
    right, left = (model(**batch([5, 9, 2], side)).logits for side in ("right", "left"))
    assert torch.equal(right, left)


def test_the_pad_token_inside_a_text_has_the_position_that_the_plain_model_gives_it():
    model, inputs = built("RobertaConfig"), batch([9, 4, 6])
    inputs["input_ids"][:2, 2] = 1
    torch.testing.assert_close(packed(model)(**inputs).logits, model(**inputs).logits, atol=1e-5, rtol=0)


def test_every_architecture_that_is_named_is_tested():
    assert {type(built(name)).__name__ for name in OURS} == set(ARCHITECTURES)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("rounded", [True, False])
def test_a_lower_precision_rounds_as_autocast_does(encoded, name, rounded):
    model = built(name)
    exact = logits(model, encoded, token_budget=100)
    with torch.autocast("cpu", torch.bfloat16):
        cast = logits(model, encoded, token_budget=100)
    less = logits(packed(model, torch.bfloat16, rounded=rounded), encoded, token_budget=100)
    assert np.abs(less - exact).max() < 2 * np.abs(cast - exact).max()


@pytest.mark.parametrize("name", OURS)
def test_gradients_of_a_lower_precision_are_as_close_as_those_of_autocast(name):
    model, inputs = built(name), batch([3, 25, 11, 4])
    parameters = list(model.parameters())
    exact = gradients(model, parameters, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        cast = gradients(model, parameters, inputs)
    found = gradients(without_dropout(packed(model, torch.bfloat16)), parameters, inputs)
    assert all(gradient is None or gradient.dtype == torch.float32 for gradient in found)
    assert 0 < relative(found, exact) < 1.5 * relative(cast, exact)


def test_the_layers_compute_no_padding_and_the_last_one_computes_one_token_of_each_text(bert, encoded):
    shapes = []
    model = packed(bert)
    for layer in model.model.bert.encoder.layer:
        layer.narrow.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape)))
    logits(model, encoded, token_budget=10_000)
    assert [shape[0] for shape in shapes] == [encoded.lengths.sum()] * (len(shapes) - 1) + [12]


def test_texts_of_like_length_share_a_group():
    lengths = np.array([400, 400, 399, 12, 12, 11, 10])
    groups = Layout.of(lengths, torch.device("cpu"), by_starts=False).groups
    assert [(group.size, group.width) for group in groups] == [(3, 400), (4, 12)]


def test_the_model_itself_stays_as_it_is_and_shares_its_weights(encoded):
    model = built("BertConfig")
    before = copy.deepcopy(model.state_dict())
    kinds = [type(module) for module in model.modules()]
    model.train()
    backend = Torch(model, "bf16")
    backend.logits(encoded, token_budget=100)
    assert differs(model, encoded.pad(np.arange(4), 1)) is None
    assert model.training
    assert [type(module) for module in model.modules()] == kinds
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert {id(each) for each in packed(model).parameters()} == {id(each) for each in model.parameters()}


def test_a_part_that_computes_otherwise_is_found(bert, encoded):
    texts = encoded.pad(np.arange(4), 1)
    model = copy.deepcopy(bert)
    model.bert.encoder.layer[1].attention.self.scaling *= 1.01  # which the plain layer reads
    assert differs(bert, texts) is None
    assert "its logits differ from those of the padded model by" in differs(model, texts)


def test_a_gradient_that_is_cut_off_is_found(bert, encoded):
    model = copy.deepcopy(bert)
    layer = model.bert.encoder.layer[1]
    layer.forward = lambda states, *_, **__: type(layer).forward(layer, states.detach())
    # One text of full length, so that the layer above can do without its mask.
    found = differs(model, encoded.pad(np.array([2]), 1))
    assert "its gradients differ from those of the padded model by" in found


@pytest.mark.parametrize("name", OTHERS)
def test_another_architecture_is_not_taken(name):
    assert "is none of the encoders that are known" in difference(built(name))


def test_another_attention_is_not_taken():
    assert difference(built("BertConfig", attention="eager")) == "model.attention is eager"


def test_an_adapter_beside_the_weights_is_not_taken(bert):
    model = copy.deepcopy(bert)

    class Beside(nn.Linear):
        """What peft and bitsandbytes put in the place of a layer: another class."""

    layer = model.bert.encoder.layer[0].attention.self
    layer.query = Beside(layer.query.in_features, layer.query.out_features)
    assert "an adapter stands beside the weights" in difference(model)


def test_a_subclass_from_elsewhere_is_not_taken(bert, encoded):
    model = copy.deepcopy(bert)
    model.__class__ = type("BertForSequenceClassification", (type(model),), {"__module__": "elsewhere"})
    assert "is none of the encoders that are known" in difference(model)
    np.testing.assert_array_equal(
        Torch(model).logits(encoded, token_budget=100), logits(model, encoded, token_budget=100)
    )


def test_the_rates_of_dropout_are_those_of_the_model(bert):
    model = copy.deepcopy(bert)
    names = layer_names(model)
    for rate, name in enumerate((names.attention_dropout, names.mix_dropout, names.narrow_dropout), start=1):
        model.bert.encoder.layer[0].get_submodule(name).p = rate / 10
    model.dropout.p = 0.4
    ours = packed(model).model
    layer = ours.bert.encoder.layer[0]
    assert [layer.attention.rate, layer.mix_dropout.rate, layer.narrow_dropout.rate] == [0.1, 0.2, 0.3]
    assert ours.dropout.rate == 0.4
    assert not [module for module in ours.modules() if type(module) is nn.Dropout]


def test_dropout_differs_from_step_to_step_and_is_the_same_again_at_the_same_step(bert):
    model, inputs = packed(bert).train(), batch([9, 4, 6])

    def at(step):
        model.start_step(step)
        return model(**inputs).logits

    first, second = at(1), at(2)
    assert not torch.equal(first, second)
    assert torch.equal(at(1), first)
    assert not torch.equal(model(**inputs).logits, first)  # the next micro-batch of the step

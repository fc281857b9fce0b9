import numpy as np
import pytest
import torch

from ftcls.inference.forward import Torch, logits
from ftcls.model import loading
from ftcls.model.tokenize import encode

WORDS = ["alpha", "beta", "gamma", "delta"]


@pytest.fixture(scope="module")
def reading():
    """A small model with two layers, and 23 texts of 0 to 30 words that say different things."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, n)) for n in rng.integers(0, 30, 22)] + [""]
    tokenizer = loading.load_tokenizer("scratch:bert", train_texts=texts)
    config = loading.load_config("scratch:bert", tokenizer, labels=("a", "b", "c"), task="multiclass")
    config.initializer_range = 0.1  # untrained models of the usual 0.02 say nearly the same of every text
    model = loading.load_model("scratch:bert", config, attention=None, seed=0).model
    return model, encode(texts, tokenizer, max_length=40, truncation="head", cached=False)


@pytest.fixture(scope="module")
def one_by_one(reading):
    """The logits of each text, asked of the model itself, alone and without padding."""
    model, encoded = reading
    model.eval()
    with torch.inference_mode():
        found = [
            model(input_ids=torch.from_numpy(encoded.ids[a:b].astype(np.int64))[None]).logits[0].numpy()
            for a, b in zip(encoded.offsets[:-1], encoded.offsets[1:], strict=True)
        ]
    assert np.std(found, axis=0).min() > 0.05  # else any order would do
    return np.stack(found)


@pytest.mark.parametrize("max_rows", [None, 1, 3])
@pytest.mark.parametrize("token_budget", [1, 50, 100_000])
def test_logits_stand_in_input_order_whatever_goes_through_together(reading, one_by_one, token_budget, max_rows):
    found = logits(*reading, token_budget=token_budget, max_rows=max_rows)
    np.testing.assert_allclose(found, one_by_one, atol=1e-5)
    assert found.dtype == np.float32


def test_budget_and_rows_bound_every_forward_pass(reading):
    model, encoded = reading
    shapes = []

    def seen(module, args, kwargs):
        shapes.append(tuple(kwargs["input_ids"].shape))

    handle = model.register_forward_pre_hook(seen, with_kwargs=True)
    logits(model, encoded, token_budget=60, max_rows=4)
    handle.remove()

    assert sum(rows for rows, _ in shapes) == len(encoded)
    assert all(rows <= 4 and rows * length <= 60 for rows, length in shapes)
    assert shapes[0][1] == encoded.lengths.max()  # out of memory shows at once


def test_dropout_is_off_and_no_gradient_is_kept(reading):
    model, encoded = reading
    model.train()
    first, second = (logits(model, encoded, token_budget=500) for _ in range(2))
    assert np.array_equal(first, second)
    assert not model.training


def test_no_texts_have_no_logits(reading):
    model, _ = reading
    tokenizer = loading.load_tokenizer("scratch:bert", train_texts=WORDS)
    none = encode([], tokenizer, max_length=8, truncation="head", cached=False)
    assert logits(model, none, token_budget=100).shape == (0, 3)


def test_a_model_in_bfloat16_gives_float32(reading, one_by_one):
    model, encoded = reading
    half = type(model)(model.config).to(torch.bfloat16)
    half.load_state_dict(model.state_dict())
    found = logits(half, encoded, token_budget=500)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, one_by_one, atol=0.1)


def test_logits_are_those_of_the_model_under_autocast_too(reading, one_by_one):
    model, encoded = reading
    with torch.autocast("cpu", torch.bfloat16):
        found = logits(model, encoded, token_budget=500)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, one_by_one, atol=0.1)


def test_a_backend_gives_the_logits_of_its_model(reading):
    model, encoded = reading
    backend = Torch(model)
    expected = logits(model, encoded, token_budget=500)
    for _ in range(2):
        np.testing.assert_allclose(backend.logits(encoded, token_budget=500), expected, atol=1e-5)

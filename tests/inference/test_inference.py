import numpy as np
import pyarrow as pa
import pytest
import torch

from ftcls.cli.app import run
from ftcls.environment import memory
from ftcls.errors import TrainingError
from ftcls.inference import halving
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


class Scarce:
    """A forward pass that runs out of memory with more than so many texts."""

    def __init__(self, most, error):
        self.most = most
        self.error = error

    def __call__(self, rows):
        if len(rows) > self.most:
            raise self.error
        return rows * 10.0


OUT_OF_MEMORY = (
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:116] . DefaultCPUAllocator: not enough memory: you tried to"),
    RuntimeError("MPS backend out of memory (MPS allocated: 18.13 GB)"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("std::bad_alloc"),
    OSError(12, "Cannot allocate memory"),
    pa.ArrowMemoryError("malloc of size 64 failed"),
)


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=range(len(OUT_OF_MEMORY)))
def test_a_batch_that_is_too_large_is_taken_in_halves(error, caplog):
    forward, lengths = Scarce(3, error), np.arange(1, 101)
    found = list(halving.through(forward, np.arange(20), lengths))
    assert np.concatenate([rows for rows, _ in found]).tolist() == list(range(20))
    assert np.concatenate([out for _, out in found]).tolist() == [10.0 * row for row in range(20)]
    assert "out of memory with 20 texts at once; they are taken in halves" in caplog.text
    with pytest.raises(TrainingError, match="out of memory with a single text of 8 tokens"):
        list(halving.through(Scarce(0, error), np.array([7]), lengths))


def test_logits_of_a_memory_that_is_too_small_are_the_same(reading, one_by_one, monkeypatch):
    model, encoded = reading
    whole = model.forward

    def forward(input_ids, **more):
        if len(input_ids) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return whole(input_ids, **more)

    monkeypatch.setattr(model, "forward", forward)
    assert np.abs(logits(model, encoded, token_budget=100_000) - one_by_one).max() < 1e-5


def test_another_error_is_not_taken_for_memory_that_ran_out():
    for error in (RuntimeError("shapes differ"), ValueError("out of memory"), KeyError("bad_alloc"), OSError(2, "no")):
        assert not memory.ran_out(error)
        with pytest.raises(type(error)):
            list(halving.through(Scarce(0, error), np.array([1, 2]), np.ones(3)))


def test_onnxruntime_says_it_in_its_own_words():
    state = pytest.importorskip("onnxruntime.capi.onnxruntime_pybind11_state", reason="needs the extra onnx")
    said = "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Available memory of 100 is smaller than requested bytes of 200"
    assert memory.ran_out(state.RuntimeException(said))
    assert memory.ran_out(state.Fail("bad allocation"))
    assert not memory.ran_out(state.InvalidArgument("Got invalid dimensions for input"))


def test_numpy_and_pytorch_say_it_for_real():
    with pytest.raises(MemoryError) as numpy_says:
        np.empty((1 << 46,))
    with pytest.raises(RuntimeError) as torch_says:
        torch.empty(1 << 46)
    assert memory.ran_out(numpy_says.value)
    assert memory.ran_out(torch_says.value)


def test_memory_that_runs_out_anywhere_is_one_line_and_exit_code_5(monkeypatch, capsys):
    def data(*_, **__):
        return np.empty((1 << 46,))

    monkeypatch.setattr("ftcls.pipeline.data_profile.inspect_data", data)
    assert run(["data", "quickstart"]) == 5
    said = capsys.readouterr().err
    assert "out of memory. Free some, or ask for less at once" in said
    assert "Traceback" not in said

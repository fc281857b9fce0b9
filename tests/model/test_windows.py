"""Long texts in windows: the same windows as transformers', exact steps, and memory that does not grow with a text."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import PreTrainedTokenizerFast

from ftcls.config.schema import Adapter
from ftcls.errors import ConfigError
from ftcls.inference.embedding import embed
from ftcls.model import adapters, documents, packed_encoder
from ftcls.model.documents import DocumentClassifier
from ftcls.model.packed_encoder import PackedClassifier
from ftcls.model.tokenize import encode
from ftcls.model.windows import COUNTS, Windows
from ftcls.training.fit import recompute_activations
from small_encoders import OTHERS, OURS, built

SPECIAL = {"cls_token": "[CLS]", "pad_token": "[PAD]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
WORDS = [f"w{number}" for number in range(50)]
POOLS = ("mean", "max", "attention", "logits_mean")
HOW = Windows(size=12, stride=3, pool="mean")
LENGTHS = (40, 1, 10, 11, 0, 23)
"""Words of documents: of windows with ten words each, seven new ones in all but the first."""


@pytest.fixture(scope="module")
def tokenizer():
    vocabulary = {token: i for i, token in enumerate([*SPECIAL.values(), *WORDS])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL)


def texts(lengths=LENGTHS):
    rng = np.random.default_rng(1)
    return [" ".join(rng.choice(WORDS, length)) for length in lengths]


def encoded(tokenizer, how=HOW, *, max_length=1_000, truncation="head", lengths=LENGTHS):
    return encode(texts(lengths), tokenizer, max_length=max_length, truncation=truncation, windows=how, cached=False)


def rows_of(batch):
    """The windows of each document, without padding."""
    rows = [ids[mask == 1].tolist() for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)]
    ends = np.cumsum(batch[COUNTS]).tolist()
    return [rows[start:end] for start, end in itertools.pairwise([0, *ends])]


@pytest.mark.parametrize(("size", "stride"), [(12, 3), (12, 0), (8, 5), (5, 2), (42, 1)])
def test_windows_are_those_that_transformers_cuts(tokenizer, size, stride):
    rows = encoded(tokenizer, Windows(size, stride, "mean"))
    found = rows_of(rows.pad(np.arange(len(rows)), 1))
    for text, windows in zip(texts(), found, strict=True):
        theirs = tokenizer(text, max_length=size, stride=stride, truncation=True, return_overflowing_tokens=True)
        assert windows == theirs["input_ids"]
    assert rows.lengths.tolist() == [sum(map(len, windows)) for windows in found]


@pytest.mark.parametrize(("truncation", "kept"), [("head", slice(0, 18)), ("tail", slice(22, 40))])
def test_what_is_beyond_max_length_is_cut_and_counted(tokenizer, truncation, kept):
    rows = encoded(tokenizer, max_length=20, truncation=truncation)
    assert rows.truncated.tolist() == [True, False, False, False, False, True]
    assert rows.full_lengths.tolist() == [length + 2 for length in LENGTHS]
    (windows,) = rows_of(rows.pad(np.array([0]), 1))
    read = [windows[0][1:-1], *(window[1 + HOW.stride : -1] for window in windows[1:])]
    assert tokenizer.convert_ids_to_tokens(list(itertools.chain(*read))) == texts()[0].split()[kept]


def test_windows_that_have_nothing_new_to_read_are_refused():
    with pytest.raises(ConfigError, match="share 10 have nothing new to read; write a stride of at most 9"):
        Windows(12, 10, "mean").check(2)


def ready(name, tokenizer, pool, *, packed=False):
    """A small classifier that reads windows, and what weighs them different from their mean."""
    model = built(name)
    documents.attach(model, replace(HOW, pool=pool), tokenizer, checkpoint=name)
    if pool == "attention":
        nn.init.normal_(model.get_submodule(documents.WEIGHTS).weight, generator=torch.Generator().manual_seed(1))
    return model, (PackedClassifier(model, dtype=torch.float32).eval() if packed else model)


def step(plain, model, batch, pool, *, token_budget):
    """Logits of a batch of documents, and the gradient of what a step would make of them."""
    whole = DocumentClassifier(model, pool, token_budget=token_budget)
    logits = whole(**batch).logits
    towards = torch.linspace(-1, 1, logits.numel()).view_as(logits)
    parameters = dict(plain.named_parameters())
    found = torch.autograd.grad((logits * towards).sum(), list(parameters.values()), materialize_grads=True)
    return logits.detach(), dict(zip(parameters, found, strict=True))


def by_hand(model, batch, pool):
    """Logits of BERT by the definition of the pooling, all windows in one pass."""
    inputs = {name: torch.from_numpy(array) for name, array in batch.items() if name != COUNTS}
    parts = torch.split(model.bert(**inputs).last_hidden_state[:, 0], batch[COUNTS].tolist())
    if pool == "logits_mean":
        return torch.stack([head(model, part).mean(0) for part in parts])
    if pool == "mean":
        return head(model, torch.stack([part.sum(0) / len(part) for part in parts]))
    if pool == "max":
        return head(model, torch.stack([part.max(dim=0).values for part in parts]))
    weigh = model.get_submodule(documents.WEIGHTS)
    shares = [torch.softmax(weigh(part)[:, 0], 0) for part in parts]
    return head(model, torch.stack([share @ part for share, part in zip(shares, parts, strict=True)]))


def head(model, vectors):
    return model.classifier(torch.tanh(model.bert.pooler.dense(vectors)))


def assert_same(found, expected):
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=2e-5, msg=lambda text, n=name: f"{n}: {text}")


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(("packed", "token_budget"), [(False, 10_000), (False, 30), (True, 10_000), (True, 30)])
def test_logits_and_gradients_are_those_of_one_pass_over_all_windows(tokenizer, pool, packed, token_budget):
    rows = encoded(tokenizer, replace(HOW, pool=pool))
    batch = rows.pad(np.arange(len(rows)), 1)
    plain, model = ready("BertConfig", tokenizer, pool, packed=packed)
    logits = by_hand(plain, batch, pool)
    towards = torch.linspace(-1, 1, logits.numel()).view_as(logits)
    parameters = dict(plain.named_parameters())
    gradients = torch.autograd.grad((logits * towards).sum(), list(parameters.values()), materialize_grads=True)

    found, found_gradients = step(plain, model, batch, pool, token_budget=token_budget)
    torch.testing.assert_close(found, logits.detach(), rtol=1e-5, atol=1e-5)
    assert_same(found_gradients, dict(zip(parameters, gradients, strict=True)))


def adapted(tokenizer, pool, **section):
    """A small BERT that reads windows with an adapter in it, all of whose weights do something; PEFT's model."""
    pytest.importorskip("peft", reason="needs the adapters extra")
    model = built("BertConfig")
    how = replace(HOW, pool=pool)
    new = documents.attach(model, how, tokenizer, checkpoint="it")
    wrapped, heads, _ = adapters.wrap(model, Adapter(kind="lora", dropout=0.0, **section), new_parameters=new, seed=0)
    assert documents.attach(wrapped, how, tokenizer, checkpoint="it") == ()
    assert (documents.WEIGHTS in heads) == (pool == "attention")
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for each in wrapped.parameters():
            if each.requires_grad:
                each.add_(torch.randn(each.shape, generator=random) * 0.1)
    return wrapped.eval()


# All linear layers: the pooler too, whose update must read what is pooled.
@pytest.mark.parametrize("layers", [None, "all-linear"])
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("token_budget", [10_000, 30])
def test_an_adapter_learns_of_all_windows(tokenizer, pool, layers, token_budget):
    rows = encoded(tokenizer, replace(HOW, pool=pool))
    batch = rows.pad(np.arange(len(rows)), 1)
    model = adapted(tokenizer, pool, target_modules=layers)
    trained = {name: each for name, each in model.named_parameters() if each.requires_grad}
    towards = torch.linspace(-1, 1, len(rows) * model.config.num_labels).view(len(rows), -1)

    def gradients(logits):
        found = torch.autograd.grad((logits * towards).sum(), list(trained.values()), materialize_grads=True)
        return dict(zip(trained, found, strict=True))

    expected = by_hand(model.get_base_model(), batch, pool)
    found = DocumentClassifier(model, pool, token_budget=token_budget)(**batch).logits
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert_same(gradients(found), gradients(expected))
    assert any(documents.WEIGHTS in name for name in trained) == (pool == "attention")
    assert any("pooler" in name for name in trained) == (layers is not None)


@pytest.mark.parametrize("name", sorted({*OURS, *OTHERS} - {"BertConfig"}))
def test_every_architecture_gives_in_several_passes_what_it_gives_in_one(tokenizer, name):
    rows = encoded(tokenizer)
    batch = rows.pad(np.arange(len(rows)), 1)
    pool = "logits_mean" if name == "GPT2Config" else "max"
    model, _ = ready(name, tokenizer, pool)
    expected, gradients = step(model, model, batch, pool, token_budget=10_000)
    found, found_gradients = step(model, model, batch, pool, token_budget=30)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert_same(found_gradients, gradients)
    # A document of one window is what the plain model makes of it.
    one = {each: torch.from_numpy(array) for each, array in batch.items() if each != COUNTS}
    start = int(batch[COUNTS][0])
    plain = model(**{each: array[start : start + 2] for each, array in one.items()}).logits
    torch.testing.assert_close(expected[1:3], plain.detach(), rtol=1e-5, atol=1e-5)


def test_a_decoder_has_no_vector_to_pool(tokenizer):
    with pytest.raises(ConfigError, match=r"pool: mean: the head of GPT2Config .* write logits_mean"):
        ready("GPT2Config", tokenizer, "mean")


@pytest.mark.parametrize("packed", [False, True])
def test_dropout_is_drawn_again_when_a_pass_is_computed_again(tokenizer, monkeypatch, packed):
    rows = encoded(tokenizer)
    batch = rows.pad(np.arange(len(rows)), 1)
    plain, model = ready("BertConfig", tokenizer, "mean", packed=packed)
    model.train()

    def drawn():
        torch.manual_seed(4)
        if packed:
            model.start_step(4)
        first = step(plain, model, batch, "mean", token_budget=30)
        return first, step(plain, model, batch, "mean", token_budget=30)  # what is drawn next is something else

    found = drawn()
    monkeypatch.setattr(documents, "checkpoint", lambda compute, given, **_: compute(given))
    for (logits, gradients), (expected, expected_gradients) in zip(found, drawn(), strict=True):
        assert torch.equal(logits, expected)
        assert_same(gradients, expected_gradients)
    assert not torch.allclose(found[0][0], found[1][0], atol=1e-3)


def test_threads_that_share_the_weights_do_not_share_what_is_pooled(tokenizer):
    from concurrent.futures import ThreadPoolExecutor

    rows = encoded(tokenizer)
    model, _ = ready("BertConfig", tokenizer, "mean")
    whole = DocumentClassifier(model, "mean", token_budget=30)
    batches = [rows.pad(np.array(chosen), 1) for chosen in ([0, 1], [2, 3, 5], [4], [5, 0])] * 10

    def logits(batch):
        with torch.no_grad():
            return whole(**batch).logits

    expected = [logits(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for found, right in zip(pool.map(logits, batches), expected, strict=True):
            torch.testing.assert_close(found, right)


def test_the_packed_copy_shares_the_layer_that_weighs_windows(tokenizer):
    model, _ = ready("BertConfig", tokenizer, "attention")
    copy = PackedClassifier(model, dtype=torch.float32)
    assert copy.model.get_submodule(documents.WEIGHTS).weight is model.get_submodule(documents.WEIGHTS).weight
    batch = replace(encoded(tokenizer), windows=None).head(1).changed([[np.arange(5, 9, dtype=np.int32)]], 1)
    assert packed_encoder.differs(model, batch) is None


def held_by_a_step(tokenizer, words, *, packed=False):
    """Bytes that the forward pass of one document keeps for its backward pass, other than weights."""
    rows = encoded(tokenizer, max_length=10_000, lengths=(words,))
    model, computing = ready("BertConfig", tokenizer, "mean", packed=packed)
    whole = DocumentClassifier(computing.train(), "mean", token_budget=60)
    weights = {each.untyped_storage().data_ptr() for each in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = whole(**rows.pad(np.array([0]), 1)).logits
    assert logits.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("packed", [False, True])
def test_what_a_step_holds_grows_with_the_document_by_a_vector_for_each_window_alone(tokenizer, monkeypatch, packed):
    short, long = (held_by_a_step(tokenizer, words, packed=packed) for words in (80, 4_000))
    vectors = 4 * built("BertConfig").config.hidden_size * len(HOW.bounds(4_000, 2))
    assert long < short + 3 * vectors
    # Without it the passes of a long document are all kept.
    monkeypatch.setattr(documents, "checkpoint", lambda compute, given, **_: compute(given))
    assert held_by_a_step(tokenizer, 4_000, packed=packed) > 10 * long


def test_windows_may_be_computed_again_layer_by_layer_too(tokenizer):
    rows = encoded(tokenizer)
    batch = rows.pad(np.arange(len(rows)), 1)
    model, _ = ready("BertConfig", tokenizer, "mean")
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    expected, gradients = step(model, model.train(), batch, "mean", token_budget=30)
    recompute_activations(model)
    found, found_gradients = step(model, model.train(), batch, "mean", token_budget=30)
    torch.testing.assert_close(found, expected)
    assert_same(found_gradients, gradients)


def test_the_vector_of_a_document_is_the_mean_of_those_of_its_windows(tokenizer):
    rows = encoded(tokenizer)
    encoder = built("BertConfig").base_model
    found = embed(encoder, rows, "mean", pad_id=1, token_budget=30)
    for row, windows in enumerate(rows_of(rows.pad(np.arange(len(rows)), 1))):
        states = [encoder(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0).detach() for ids in windows]
        np.testing.assert_allclose(found[row], torch.stack(states).mean(0).numpy(), atol=1e-5)

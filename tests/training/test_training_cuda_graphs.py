"""Training passes of a few sizes: what fills them up changes neither loss nor gradient. Recording needs a GPU."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from ftcls.config.loss_schema import Loss
from ftcls.model import flash_attention
from ftcls.model.packed_encoder import PackedClassifier
from ftcls.model.packing import PackedTexts
from ftcls.model.padding import pad
from ftcls.training import cuda_graphs, fit, losses
from ftcls.training.cuda_graphs import CudaGraphs
from small_encoders import OURS, built

LONGEST = 61


def one_by_one(queries, keys, values, layout, *, rate, first_only):
    """What FlashAttention computes, a text at a time."""
    assert rate == 0
    ends = layout.starts.tolist()
    found = []
    for text, (start, stop) in enumerate(itertools.pairwise(ends)):
        assert 1 <= stop - start <= layout.longest
        asked = queries[text : text + 1] if first_only else queries[start:stop]
        q, k, v = (each.transpose(0, 1) for each in (asked, keys[start:stop], values[start:stop]))
        found.append(functional.scaled_dot_product_attention(q, k, v).transpose(0, 1))
    return torch.cat(found)


@pytest.fixture
def graphs(monkeypatch):
    """Makes what computes the passes of a model; nothing is recorded."""
    monkeypatch.setattr(flash_attention, "available", lambda *_: True)
    monkeypatch.setattr(flash_attention, "attention", one_by_one)
    monkeypatch.setattr(cuda_graphs, "MOST_GRAPHS", 0)

    def made(model, multilabel=False):
        packed = PackedClassifier(model, dtype=torch.float32).train()
        for module in packed.modules():
            if hasattr(module, "rate"):
                module.rate = 0.0
        return CudaGraphs(packed, objective(multilabel), longest=LONGEST)

    return made


def objective(multilabel=False):
    task = "multilabel" if multilabel else "multiclass"
    return fit.objective(Loss(label_smoothing=0.1), targets(9, multilabel), ("a", "b", "c"), task=task)


def batch(lengths, seed=1):
    rng = np.random.default_rng(seed)
    return pad([rng.integers(3, 60, length).astype(np.int32) for length in lengths], 1)


def targets(count, multilabel):
    rng = np.random.default_rng(2)
    return (rng.random((count, 3)) < 0.4).astype(np.float32) if multilabel else rng.integers(0, 3, count)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("lengths", [[9], [1], [5, 61, 2, 30], [4] * 40], ids=str)
def test_a_filled_pass_has_the_loss_and_the_gradient_of_the_padded_model(graphs, name, multilabel, lengths):
    model, inputs, goal = built(name), batch(lengths), targets(len(lengths), multilabel)
    computed = graphs(model, multilabel)
    computed.start_step()
    found = computed.run(inputs, goal, 0.25)
    gradients = [parameter.grad.clone() for parameter in model.parameters()]

    logits = model(**{key: torch.from_numpy(array) for key, array in inputs.items()}).logits
    expected = (objective(multilabel)(logits, torch.from_numpy(goal)) * 0.25).sum()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    theirs = torch.autograd.grad(expected, list(model.parameters()), materialize_grads=True)
    distance = sum(float((a - b).square().sum()) for a, b in zip(gradients, theirs, strict=True))
    assert distance**0.5 < 1e-5 * float(nn.utils.get_total_norm(theirs))


def test_micro_batches_add_up_and_a_step_begins_at_zero(graphs):
    model, whole = built("BertConfig"), batch([9, 4, 30, 2])
    computed = graphs(model)
    goal = targets(4, multilabel=False)

    def step(*parts):
        computed.start_step()
        for part in parts:
            width = int(whole["attention_mask"][part].sum(1).max())
            computed.run({key: array[part, :width] for key, array in whole.items()}, goal[part], 0.5)
        return torch.cat([parameter.grad.flatten().clone() for parameter in model.parameters()])

    once = step(slice(0, 4))
    model.zero_grad()  # as the Trainer does, which drops them
    torch.testing.assert_close(step(slice(0, 1), slice(1, 4)), once, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("longest", [2, 17, 512])
def test_sizes_are_few_and_every_text_that_is_added_has_a_token_and_is_not_too_long(longest):
    rng = np.random.default_rng(0)
    sizes = set()
    for _ in range(300):
        lengths = np.sort(rng.integers(1, longest + 1, rng.integers(1, 80)))[::-1]
        tokens, texts = int(lengths.sum()), len(lengths)
        to = cuda_graphs.size(tokens, texts, longest)
        assert to[0] <= tokens * (1 + 2 / 16) + 2 * (64 + 16 + to[1])
        ids = np.ones(tokens, dtype=np.int64)
        filled = PackedTexts(ids, ids, None, lengths, np.arange(texts)).filled(tokens=to[0], texts=to[1])
        assert (len(filled.ids), len(filled.lengths), filled.lengths.sum()) == (*to, to[0])
        assert filled.lengths.min() >= 1
        assert filled.lengths.max() <= longest
        if texts == 64:
            sizes.add(to)
    full = {cuda_graphs.size(tokens, 64, longest) for tokens in range(16_384, 32_768)}
    assert len(full) == 17


def test_the_weights_of_a_loss_are_moved_and_it_stays_the_same():
    weights = {"a": 1.0, "b": 2.0, "c": 3.0}
    aim = fit.objective(Loss(class_weights=weights), np.arange(3), ("a", "b", "c"), task="multiclass")
    moved = losses.on_device(aim, torch.device("meta"))
    assert moved.keywords["class_weights"].device.type == "meta"
    logits, goal = torch.randn(4, 3), torch.tensor([0, 1, 2, 2])
    assert torch.equal(losses.on_device(aim, torch.device("cpu"))(logits, goal), aim(logits, goal))


def test_each_text_of_a_filled_pass_counts_by_its_own_weight(graphs):
    lengths = [5, 61, 2, 30]
    model, inputs, goal = built(next(iter(OURS))), batch(lengths), targets(4, multilabel=False)
    counts = np.array([0.5, 2.0, 0.0, 3.0], dtype=np.float32)
    computed = graphs(model)
    computed.start_step()
    found = computed.run(inputs, goal, 0.25 * counts)
    logits = model(**{key: torch.from_numpy(array) for key, array in inputs.items()}).logits
    expected = (objective()(logits, torch.from_numpy(goal)) * torch.from_numpy(0.25 * counts)).sum()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)

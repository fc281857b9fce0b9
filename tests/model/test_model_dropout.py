"""Dropout from few random bits: its rate, what it leaves, and that no value's fate tells another's."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional

from ftcls.model.dropout import Attention, Dropout, DropoutBits, exact

SHAPE = torch.Size((400, 1_000))


def kept(bits, rate, shape=SHAPE):
    return bits.keep(shape, rate).numpy() == -1


def attention_inputs(dtype=torch.float64):
    torch.manual_seed(0)
    states = [torch.randn(2, 3, tokens, 4, dtype=dtype, requires_grad=True) for tokens in (5, 6, 6)]
    absent = torch.zeros(2, 1, 1, 6, dtype=torch.bool)
    absent[1, ..., 4:] = True
    return *states, absent


@pytest.mark.parametrize("rate", [0.1, 0.5, 1 / 3, 0.02, 0.9999])
def test_the_share_that_goes_is_the_rate(rate):
    assert exact(rate) == pytest.approx(rate, abs=1 / 65_536)
    gone = SHAPE.numel() - int(kept(DropoutBits(1), rate).sum())
    assert stats.binomtest(gone, SHAPE.numel(), exact(rate)).pvalue > 1e-4


def test_every_pattern_of_bits_is_as_frequent_as_its_share():
    # A threshold that is compared wrongly at an end would lose or gain one of 32,768 parts.
    class Counting:
        def random_raw(self, count):
            return np.arange(4 * count, dtype=np.uint16).view(np.uint64)

    bits = DropoutBits(0)
    bits._stream = Counting()
    gone = 65_536 - int(kept(bits, 0.1, torch.Size((65_536,))).sum())
    assert gone / 65_536 == exact(0.1) == 3_277 / 32_768


def test_values_that_stand_beside_each_other_go_independently():
    mask = ~kept(DropoutBits(2), 0.1)
    flat = mask.ravel()
    # The lags that the way of drawing could show in: numbers of one word of 64 bits, words, rows of the matrix.
    for lag in (1, 2, 3, 4, 8, 1_000, 4_000):
        both = int((flat[lag:] & flat[:-lag]).sum())
        assert stats.binomtest(both, len(flat) - lag, exact(0.1) ** 2).pvalue > 1e-4, lag
    assert stats.chisquare(mask.sum(axis=0)).pvalue > 1e-4
    assert stats.chisquare(mask.sum(axis=1)).pvalue > 1e-4


def test_layers_steps_and_seeds_go_independently():
    bits = DropoutBits(3)
    masks = []
    for step in (0, 1, 2):
        bits.start(step)
        masks += [~kept(bits, 0.1), ~kept(bits, 0.1)]
    masks += [~kept(DropoutBits(seed), 0.1) for seed in (0, 4)]
    for i, one in enumerate(masks):
        for other in masks[:i]:
            assert stats.binomtest(int((one & other).sum()), one.size, exact(0.1) ** 2).pvalue > 1e-4


def test_a_step_is_the_same_again_and_a_size_that_is_no_multiple_of_four_is_filled():
    bits = DropoutBits(5)
    bits.start(7)
    first = [kept(bits, 0.3, torch.Size((size,))) for size in (1, 3, 1_001)]
    bits.start(7)
    assert [np.array_equal(kept(bits, 0.3, mask.shape), mask) for mask in first] == [True] * 3
    assert 600 < first[2].sum() < 800


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_values_and_gradients_stay_or_go_together(dtype):
    dropout = Dropout(0.25, DropoutBits(6))
    values = torch.randn(50, 40).to(dtype).requires_grad_()
    out = dropout(values)
    out.sum().backward()
    stays = out != 0
    torch.testing.assert_close(out[stays], values[stays] / 0.75)
    assert torch.equal(values.grad, torch.where(stays, 1 / 0.75, 0.0).to(dtype))
    assert 0.7 < stays.float().mean() < 0.8


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_nothing_or_everything_goes(rate):
    values = torch.randn(10)
    assert torch.equal(Dropout(rate, DropoutBits(0))(values), (1 - rate) * values)


def test_outside_training_nothing_goes_and_nothing_is_drawn():
    bits = DropoutBits(8)
    before = bits._stream.state["state"]["state"].copy()
    values = torch.randn(10)
    assert torch.equal(Dropout(0.5, bits).eval()(values), values)
    *states, absent = attention_inputs()
    Attention(0.5, bits).eval()(*states, absent)
    assert np.array_equal(bits._stream.state["state"]["state"], before)


def test_attention_without_dropout_is_that_of_torch():
    *states, absent = attention_inputs()
    found = Attention(0.0, DropoutBits(0))(*states, absent)
    expected = functional.scaled_dot_product_attention(*states, attn_mask=~absent)
    torch.testing.assert_close(found, expected)
    towards = torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad((found * towards).sum(), states),
        torch.autograd.grad((expected * towards).sum(), states),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_attention_drops_its_weights_and_no_more():
    *states, absent = attention_inputs()
    queries, keys, values = states
    bits = DropoutBits(9)
    found = Attention(0.5, bits)(queries, keys, values, absent)
    bits.start(0)
    stays = bits.keep(torch.Size((2, 3, 5, 6)), 0.5) == -1
    scores = (queries @ keys.mT / 2).masked_fill(absent, -torch.inf)
    expected = torch.where(stays, scores.softmax(-1), 0.0) * 2 @ values
    torch.testing.assert_close(found, expected)
    towards = torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad((found * towards).sum(), states),
        torch.autograd.grad((expected * towards).sum(), states),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_attention_whose_weights_all_go_is_zero():
    *states, absent = attention_inputs()
    assert not Attention(1.0, DropoutBits(0))(*states, absent).any()

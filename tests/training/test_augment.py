"""Augmentation: whole words of the training texts, and the same words for the same seed, epoch, row and copy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftcls.errors import ConfigError
from ftcls.model import scratch
from ftcls.model.tokenize import encode
from ftcls.training import augment

TEXTS = ["the quick brown fox jumps over the lazy dog", "unbelievable", "", "emoji 😀 and naïve words, with commas"]


@pytest.fixture(scope="module")
def tokenizer():
    return scratch.train_tokenizer([*TEXTS] * 3)


@pytest.fixture(scope="module")
def encoded(tokenizer):
    return encode(TEXTS, tokenizer, max_length=64, truncation="head", cached=False)


def build(tokenizer, seed=7, strength=None, **rates):
    rates = {"word_dropout": 0.0, "word_swap": 0.0, "token_masking": 0.0, **rates}
    return augment.build(tokenizer, strength=strength, seed=seed, **rates)


def changed(augmentation, encoded, row, *, epoch=0, copy=0, of=None):
    """The token ids of a row, special tokens included; of another row than the draws say where ``of`` names it."""
    bodies = augmentation(encoded.bodies(row if of is None else of), epoch=epoch, row=row, copy=copy)
    return encoded.template.around(bodies)


def words(tokenizer, ids):
    return tokenizer.decode(ids, skip_special_tokens=True).split()


@pytest.mark.parametrize("row", range(len(TEXTS)))
def test_rates_of_zero_change_nothing(tokenizer, encoded, row):
    found = changed(build(tokenizer), encoded, row)
    np.testing.assert_array_equal(found, encoded.row(row))


@given(st.integers(0, 3), st.integers(0, 50), st.integers(0, 3))
def test_a_text_keeps_its_special_tokens_and_at_least_one_word_and_never_grows(tokenizer, encoded, row, epoch, copy):
    found = changed(build(tokenizer, word_dropout=0.5, word_swap=0.5), encoded, row, epoch=epoch, copy=copy)
    ids = encoded.row(row)
    assert (found[0], found[-1]) == (ids[0], ids[-1])
    assert min(3, len(ids)) <= len(found) <= len(ids)
    assert set(words(tokenizer, found)) <= set(words(tokenizer, ids))


def test_a_swap_moves_whole_words_and_loses_none(tokenizer, encoded):
    swaps = build(tokenizer, word_swap=0.5)
    found = {tuple(words(tokenizer, changed(swaps, encoded, 0, epoch=epoch))) for epoch in range(10)}
    assert len(found) > 5
    assert {tuple(sorted(each)) for each in found} == {tuple(sorted(TEXTS[0].split()))}


def test_masking_changes_about_its_share_of_the_tokens(tokenizer, encoded):
    masks = build(tokenizer, token_masking=0.3)
    found = [changed(masks, encoded, 0, epoch=epoch) for epoch in range(200)]
    assert all(len(each) == len(encoded.row(0)) for each in found)
    share = np.mean([(each[1:-1] == tokenizer.mask_token_id).mean() for each in found])
    assert share == pytest.approx(0.3, abs=0.03)


def test_what_happens_comes_from_seed_epoch_row_and_copy_alone(tokenizer, encoded):
    rates = {"word_dropout": 0.3, "word_swap": 0.3}
    place = {"epoch": 2, "row": 0, "copy": 0, "of": 0}
    first = changed(build(tokenizer, **rates), encoded, **place)
    np.random.default_rng(0).random(100)
    np.testing.assert_array_equal(first, changed(build(tokenizer, **rates), encoded, **place))
    for other in ({"epoch": 3}, {"copy": 1}, {"row": 1}):
        assert not np.array_equal(first, changed(build(tokenizer, **rates), encoded, **{**place, **other}))
    assert not np.array_equal(first, changed(build(tokenizer, seed=8, **rates), encoded, **place))


def test_a_text_without_a_word_stays_as_it_is(tokenizer, encoded):
    rates = {"word_dropout": 0.5, "word_swap": 0.5, "token_masking": 0.5}
    np.testing.assert_array_equal(changed(build(tokenizer, **rates), encoded, 2), encoded.row(2))


def test_masking_without_a_mask_token_is_refused(tokenizer):
    bare = scratch.train_tokenizer(TEXTS)
    bare.mask_token = None
    with pytest.raises(ConfigError, match=r"training\.augmentation\.token_masking: .* has no mask token"):
        build(bare, token_masking=0.1)
    assert build(bare, word_dropout=0.1).mask_id is None


@pytest.mark.parametrize(
    ("vocabulary", "begins"),
    [
        (["[CLS]", "play", "##ing", "##"], [True, True, False, False]),
        (["<s>", "Ġplay", "ing", "Ġ"], [False, True, False, True]),
        (["<s>", "▁play", "ing"], [False, True, False]),
        (["a", "b", None], [True, True, True]),
    ],
)
def test_each_kind_of_vocabulary_says_which_tokens_begin_a_word(vocabulary, begins):
    assert augment.word_beginnings(vocabulary).tolist() == begins


def test_rows_of_rare_labels_get_more_and_rows_of_frequent_ones_less():
    targets = np.repeat([0, 1, 2], [800, 100, 2])
    found = augment.strength_by_rarity(targets, np.array([800.0, 100.0, 2.0]))
    assert [found[0], found[800], found[900]] == pytest.approx([0.5, 1.0, 2.0])
    several = np.array([[1, 0, 1], [1, 0, 0], [0, 0, 0]], dtype=np.float32)
    assert augment.strength_by_rarity(several, np.array([2.0, 0.0, 1.0])) == pytest.approx(
        [1.5**0.5, 0.75**0.5, 0.75**0.5]
    )


def test_strength_scales_the_rates(tokenizer, encoded):
    masks = build(tokenizer, token_masking=0.2, strength=np.array([2.0, 1.0, 1.0, 0.5]))
    shares = [
        np.mean([changed(masks, encoded, r, epoch=e)[1:-1] == tokenizer.mask_token_id for e in range(200)])
        for r in (0, 3)
    ]
    assert shares == pytest.approx([0.4, 0.1], abs=0.04)

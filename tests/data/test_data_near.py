"""Near duplicates that were planted are found, and nothing else is."""

import random

import numpy as np
import pytest

from ftcls.data.checks import near_duplicates

DRAW = random.Random(7)
WORDS = ["".join(DRAW.choices("abcdefghijklmnopqrstuvwxyz", k=DRAW.randint(2, 9))) for _ in range(3_000)]


def text(words=40):
    return " ".join(DRAW.choices(WORDS, k=words))


def changed(original, places):
    words = original.split()
    for place in places:
        words[place] = "planted"
    return " ".join(words)


def test_planted_near_duplicates_are_found_and_unrelated_texts_are_not():
    texts = [text() for _ in range(2_000)]
    copies = [changed(original, (3, 20, 37)) for original in texts[:200]]  # 35 of 47 word pairs in common
    found = near_duplicates.groups(texts + copies)
    np.testing.assert_array_equal(found[:2_000], np.arange(2_000))
    assert (found[2_000:] == np.arange(200)).mean() >= 0.98


def test_texts_that_share_half_their_words_are_no_near_duplicates():
    texts = [text() for _ in range(300)]
    halves = [" ".join(original.split()[:20]) + " " + text(20) for original in texts]
    np.testing.assert_array_equal(near_duplicates.groups(texts + halves), np.arange(600))


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        ("Thank you, so much!", "thank you so much", True),
        ("Net 2,602,000 vs 1,571,000, assets up", "Net 3,118,000 vs 2,044,000, assets up", False),
        ("yes", "no", False),
        ("Yes!", "yes", True),
        ("😂", "😭", False),
        ("😂😂", "😂😂", True),
        ("", "", False),
        (" ", "", False),
        ("东京股市周一收高 科技股领涨 日经指数上涨", "东京股市周二收高 科技股领涨 日经指数上涨", True),
        ("\ud800 alone", "\ud800 alone!", True),
    ],
)
def test_case_and_punctuation_do_not_count_and_figures_do(first, second, alike):
    assert bool(near_duplicates.groups([first, second])[1] == 0) is alike


def test_the_groups_do_not_depend_on_the_order_of_the_texts():
    texts = [text(12) for _ in range(300)]
    texts += [changed(original, (11,)) for original in texts[:100]]
    order = np.random.default_rng(0).permutation(len(texts))
    found, shuffled = near_duplicates.groups(texts), near_duplicates.groups([texts[row] for row in order])
    together = {frozenset(np.flatnonzero(found == group).tolist()) for group in np.unique(found)}
    again = {frozenset(order[np.flatnonzero(shuffled == group)].tolist()) for group in np.unique(shuffled)}
    assert together == again
    np.testing.assert_array_equal(found, near_duplicates.groups(texts))


def test_a_thousand_copies_of_one_template_are_one_group():
    beginning = text(60)
    assert set(near_duplicates.groups([f"{beginning} order {number}" for number in range(1_000)])) == {0}


def test_a_chain_of_near_duplicates_is_one_group_named_after_its_first():
    first = text(40)
    second, third = changed(first, (5, 15)), changed(first, (5, 15, 25, 35))
    assert near_duplicates.groups([text(), first, second, third]).tolist() == [0, 1, 1, 1]


def test_no_text_at_all_is_no_group():
    assert len(near_duplicates.groups([])) == 0


def test_the_similarity_is_the_jaccard_index_of_the_word_pairs():
    # "<a", "ab", "bc", "c>" and "<a", "ab", "bd", "d>".
    shingled = near_duplicates.shingled(["a b c", "a b d", "x y"])
    found = near_duplicates.similarity(shingled, np.array([[0, 1], [0, 2], [0, 0]]))
    np.testing.assert_allclose(found, [2 / 6, 0, 1])

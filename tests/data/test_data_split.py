import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ftcls.data import split
from ftcls.errors import DataError

SEEDS = st.integers(0, 2**32)
CLASSES = arrays(np.int64, st.integers(3, 60), elements=st.integers(0, 4))
HOT = st.integers(3, 40).flatmap(lambda n: arrays(np.float32, (n, 3), elements=st.sampled_from([0.0, 1.0])))
TARGETS = CLASSES | HOT


@given(targets=TARGETS, seed=SEEDS, data=st.data())
def test_a_cut_has_the_sizes_asked_for_and_loses_and_doubles_nothing(targets, seed, data):
    first = data.draw(st.integers(1, len(targets) - 2))
    second = data.draw(st.integers(1, len(targets) - first - 1))
    parts = split.cut(targets, [first, second], seed=seed)
    assert [len(part) for part in parts] == [first, second, len(targets) - first - second]
    assert sorted(np.concatenate(parts)) == list(range(len(targets)))
    again = split.cut(targets, [first, second], seed=seed)
    assert all(np.array_equal(one, two) for one, two in zip(parts, again, strict=True))


@given(targets=TARGETS, seed=SEEDS, data=st.data())
def test_a_cut_never_parts_a_group(targets, seed, data):
    n = len(targets)
    groups = np.array(data.draw(st.lists(st.integers(0, n), min_size=n, max_size=n)))
    wanted = data.draw(st.integers(1, n - 1))
    if len(np.unique(groups)) < 2:
        with pytest.raises(DataError, match="1 such group cannot be cut into 2 parts"):
            split.cut(targets, [wanted], seed=seed, groups=groups)
        return
    parts = split.cut(targets, [wanted], seed=seed, groups=groups)
    assert all(len(part) for part in parts)
    assert not set(groups[parts[0]]) & set(groups[parts[1]])
    assert sorted(np.concatenate(parts)) == list(range(n))
    assert len(parts[0]) <= max(wanted, np.bincount(groups).max())


@given(targets=TARGETS, seed=SEEDS)
def test_how_groups_are_numbered_does_not_matter(targets, seed):
    groups = np.arange(len(targets)) // 2
    parts = split.cut(targets, [2], seed=seed, groups=groups)
    other = split.cut(targets, [2], seed=seed, groups=1_000 - groups)
    assert all(np.array_equal(one, two) for one, two in zip(parts, other, strict=True))


@given(targets=CLASSES, seed=SEEDS, data=st.data())
def test_a_cut_keeps_the_share_of_every_class_to_a_row_or_so(targets, seed, data):
    wanted = data.draw(st.integers(1, len(targets) - 1))
    part, _ = split.cut(targets, [wanted], seed=seed)
    counts = np.bincount(targets, minlength=5)
    expected = counts * wanted / len(targets)
    # Sainte-Lague may stray beyond one row where many classes round the same way; never far.
    assert np.abs(np.bincount(targets[part], minlength=5) - expected).max() <= 1.5


@given(targets=TARGETS, seed=SEEDS, data=st.data())
def test_a_smaller_subset_lies_inside_a_larger_one(targets, seed, data):
    small, large = sorted(data.draw(st.lists(st.integers(1, len(targets)), min_size=2, max_size=2)))
    names = ("a", "b", "c", "d", "e")
    inner = split.subset(targets, names, seed=seed, rows=small)
    outer = split.subset(targets, names, seed=seed, rows=large)
    assert (len(inner), len(outer)) == (small, large)
    assert set(inner) <= set(outer)
    assert list(inner) == sorted(inner)


def test_rare_classes_stay_in_training():
    targets = np.array([0] * 50 + [1] * 47 + [2] * 2 + [3])
    for seed in range(20):
        test, validation, train = split.cut(targets, [10, 10], seed=seed)
        assert {2, 3} <= set(targets[train])
        assert not {2, 3} & set(targets[np.concatenate([test, validation])])


def test_a_sorted_file_gives_no_head():
    targets = np.repeat([0, 1], 500)
    part = split.subset(targets, ("a", "b"), seed=0, rows=100)
    assert np.bincount(targets[part]).tolist() == [50, 50]
    assert part.max() > 900
    assert not np.array_equal(part, split.subset(targets, ("a", "b"), seed=1, rows=100))


def test_many_classes_are_cut_to_the_exact_size():
    targets = np.repeat(np.arange(100), 5)
    test, validation, train = split.cut(targets, [50, 50], seed=3)
    assert [len(part) for part in (test, validation, train)] == [50, 50, 400]
    assert np.bincount(targets[train], minlength=100).min() >= 3


def test_a_subset_by_share_and_by_class():
    targets = np.repeat([0, 1, 2], [60, 30, 10])
    names = ("x", "y", "z")
    part = split.subset(targets, names, seed=5, share=0.1)
    assert np.bincount(targets[part]).tolist() == [6, 3, 1]
    few = split.subset(targets, names, seed=5, per_class=4)
    more = split.subset(targets, names, seed=5, per_class=8)
    assert np.bincount(targets[more]).tolist() == [8, 8, 8]
    assert set(few) <= set(more)


def test_more_rows_than_there_are_is_an_error_that_says_how_many_there_are():
    targets = np.repeat([0, 1], [6, 3])
    with pytest.raises(DataError, match="10 rows are asked for, there are 9"):
        split.subset(targets, ("a", "b"), seed=0, rows=10)
    with pytest.raises(DataError, match="4 rows of each label are asked for, 'b' has 3"):
        split.subset(targets, ("a", "b"), seed=0, per_class=4)
    with pytest.raises(DataError, match="'c' has 0"):
        split.subset(targets, ("a", "b", "c"), seed=0, per_class=2)
    with pytest.raises(DataError, match="as many rows of every label need one label per row"):
        split.subset(np.ones((4, 2), dtype=np.float32), ("a", "b"), seed=0, per_class=1)
    with pytest.raises(DataError, match="9 rows cannot be cut into 5 \\+ 4 rows and a rest"):
        split.cut(targets, [5, 4], seed=0)


def test_multilabel_cuts_keep_the_share_of_every_label_and_the_rarest_to_the_row():
    draw = np.random.default_rng(7)
    targets = (draw.random((4_000, 12)) < np.geomspace(0.005, 0.4, 12)).astype(np.float32)
    share = targets.mean(axis=0)

    def unevenness(stratify):
        cuts = (split.cut(targets, [400], seed=seed, stratify=stratify)[0] for seed in range(5))
        return np.mean([np.abs(targets[rows].mean(axis=0) - share).mean() for rows in cuts])

    assert unevenness(True) < unevenness(False) / 3
    rarest = targets[:, 0].sum() * 0.1
    for seed in range(5):
        assert abs(targets[split.cut(targets, [400], seed=seed)[0], 0].sum() - rarest) <= 1


def test_equal_texts_and_clusters_are_joined_through_each_other():
    texts = ["a", "b", "a", "c", "d", "d"]
    clusters = np.array([0, 0, 1, 2, 2, 3])
    joined = split.groups(texts, clusters)
    assert len(set(joined[:3])) == 1
    assert len(set(joined[3:])) == 1
    assert joined[0] != joined[3]
    assert split.groups(None, clusters) is clusters
    assert split.groups(None, None) is None


def test_the_draw_is_the_same_in_every_version_of_every_library():
    order = split.sequence(np.array([0, 0, 1, 1, 1, 2, 0, 1]), seed=[42, 0])
    assert order.tolist() == [4, 6, 7, 1, 5, 3, 0, 2]
    sets = ["100", "110", "010", "001", "100", "000", "101", "010"]
    several = np.array([[float(digit) for digit in row] for row in sets], dtype=np.float32)
    assert split.sequence(several, seed=[42, 0]).tolist() == [4, 7, 3, 0, 1, 5, 6, 2]


def test_sizes_are_shares_below_one_and_numbers_from_one():
    assert [split.size(wanted, 200) for wanted in (0.1, 0.001, 1, 30)] == [20, 1, 1, 30]


def many_labels(n=4_000, k=30, seed=0):
    """Rows with none to a few of 30 labels, of which the rarest has a thousandth of the most frequent one's rows."""
    generator = np.random.default_rng(seed)
    return (generator.random((n, k)) < 0.3 * np.geomspace(1, 0.002, k)).astype(np.float32)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_every_beginning_has_every_labels_share_to_within_one_row(share):
    targets = many_labels()
    targets = np.c_[targets, ~targets.any(axis=1)]
    for seed in range(3):
        part = split.sequence(targets[:, :-1], seed=seed)[: round(share * len(targets))]
        assert np.abs(targets[part].sum(axis=0) - share * targets.sum(axis=0)).max() <= 1.0


def test_another_seed_takes_other_rows_with_the_same_shares():
    targets = many_labels()
    one, two = (set(split.sequence(targets, seed=seed)[:400].tolist()) for seed in (1, 2))
    assert len(one & two) < 150


def test_label_sets_beyond_number_are_still_cut_by_the_rarest_label(monkeypatch):
    targets = many_labels()
    monkeypatch.setattr(split, "AFFORDABLE", 0)
    part = split.sequence(targets, seed=0)[:400]
    frequent = targets.sum(axis=0) > 100
    assert np.abs(targets[part].mean(axis=0) / targets.mean(axis=0) - 1)[frequent].max() < 0.25
    assert targets[part][:, ~frequent].sum() == pytest.approx(0.1 * targets[:, ~frequent].sum(), abs=6)

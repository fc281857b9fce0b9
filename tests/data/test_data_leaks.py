"""Which rows are known from an earlier split, and the findings about near duplicates."""

import numpy as np
import pytest

from ftcls.data.checks import leaks, near_duplicates
from ftcls.data.checks.pooled import Pooled
from ftcls.data.corpus import Corpus, Split
from ftcls.environment import cache

STORY = (
    "The central bank sold {} million dollars of bonds to dealers on Tuesday, it said in a short note from its office"
)
OTHER = "Nobody in the village had seen the old fisherman since the storm broke his boat {} winters ago"


def corpus(**splits):
    """Of (text, label) pairs by split."""
    made = {
        name: Split([text for text, _ in rows], np.array([label for _, label in rows]), np.arange(len(rows)) * 10)
        for name, rows in splits.items()
    }
    return Corpus("files", "binary", ("no", "yes"), made, "yes")


@pytest.fixture
def leaking():
    return corpus(
        train=[(STORY.format("ten"), 0), (OTHER.format("three"), 1), ("", 0), ("alone", 1)],
        validation=[("something else entirely", 0), (STORY.format("nine"), 0)],
        test=[(STORY.format("ten"), 0), (OTHER.format("two"), 0), ("", 1), ("something else entirely", 0), ("new", 0)],
    )


def test_equal_and_nearly_equal_rows_of_earlier_splits_leak(leaking):
    test, validation = leaks.leaks(leaking, "test"), leaks.leaks(leaking, "validation")
    assert test.equal.tolist() == [True, False, True, True, False]
    assert test.near.tolist() == [False, True, False, False, False]
    assert test.any.tolist() == [True, True, True, True, False]
    assert (validation.equal.tolist(), validation.near.tolist()) == ([False, False], [False, True])
    assert not leaks.leaks(leaking, "train").any.any()


def test_findings_name_both_rows_by_split_and_number(leaking):
    pooled = Pooled(leaking.splits)
    found = {check.name: check for check in leaks.checks(pooled, leaks.groups(pooled.texts))}
    assert set(found) == {"near_shared_between_splits", "near_shared_between_splits_with_other_labels"}
    agreeing = found["near_shared_between_splits"]
    assert (agreeing.severity, agreeing.count, agreeing.rows) == ("warning", 1, {"validation": (10,)})
    assert agreeing.examples[0].startswith("train:0, validation:10: The central bank sold nine")
    assert found["near_shared_between_splits_with_other_labels"].rows == {"test": (10,)}


def test_of_equal_texts_one_counts_as_a_near_duplicate():
    rows = [(STORY.format("ten"), 0)] + [(STORY.format("nine"), 0)] * 3 + [(STORY.format("six"), 1)]
    pooled = Pooled(corpus(train=rows).splits)
    found = {check.name: (check.severity, check.count) for check in leaks.checks(pooled, leaks.groups(pooled.texts))}
    assert found == {"near_duplicates": ("info", 1), "near_duplicates_with_other_labels": ("info", 1)}


def test_few_leaks_among_many_rows_are_no_warning():
    train = [(f"row {number} {number * 7} {number * 13} of the list", 0) for number in range(50)]
    test = [(f"line {number} {number * 3} {number * 5} of the page", 0) for number in range(200)]
    pooled = Pooled(corpus(train=[*train, (STORY.format("ten"), 0)], test=[*test, (STORY.format("two"), 0)]).splits)
    assert [(c.severity, c.count) for c in leaks.checks(pooled, leaks.groups(pooled.texts))] == [("info", 1)]


def test_the_groups_are_found_once_and_read_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FTCLS_CACHE", str(tmp_path))
    first = leaks.groups(["a b c d", "A b, c d", "e"])
    monkeypatch.setattr(near_duplicates, "groups", None)
    np.testing.assert_array_equal(leaks.groups(["a b c d", "A b, c d", "e"]), first)
    assert first.tolist() == [0, 0, 2]
    assert len([path for path in cache.folder("near").iterdir() if path.is_dir()]) == 1


@pytest.mark.slow
@pytest.mark.weekly
def test_the_leaks_of_the_original_reviews_are_found(data_folder):
    from ftcls.config.load import load
    from ftcls.data.read import read

    experiment = load("imdb", [f"data.path={data_folder / 'imdb'}"])
    found = leaks.leaks(read(experiment.data, seed=experiment.seed), "test")
    assert (len(found.equal), int(found.equal.sum())) == (25_000, 123)
    assert 0 < found.near.sum() < 50

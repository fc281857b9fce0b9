"""Memory that runs out in scoring's draws, the linear baseline and the checks: less at once, or one line."""

import numpy as np
import pytest

from ftcls.data.checks import leaks, near_duplicates
from ftcls.environment import memory
from ftcls.errors import TrainingError
from ftcls.model.baselines import linear
from ftcls.pipeline import label_noise
from ftcls.scoring import intervals, resampling
from ftcls.scoring.metrics import Statistics
from synthetic import predictions

TEXTS = [f"{('fine', 'dull')[n % 2]} film number {n}" for n in range(200)]
TARGETS = np.arange(200) % 2


def small(most, function, size=lambda first, *_: len(first)):
    """A function for which the memory is too small above some size."""

    def tried(*given, **named):
        if size(*given) > most:
            raise MemoryError("Unable to allocate 9 GiB")
        return function(*given, **named)

    return tried


def test_an_attempt_is_made_with_half_and_said_to_be(caplog):
    tried = []

    def attempt(size):
        tried.append(size)
        if size > 30:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return size

    assert memory.smaller(attempt, 100, least=10, what="rows are read") == 25
    assert tried == [100, 50, 25]
    assert "out of memory: rows are read, 25 and not 100" in caplog.text


def test_what_is_too_much_with_the_fewest_is_one_error_and_other_errors_are_themselves():
    def never(size):
        raise MemoryError

    with pytest.raises(TrainingError, match="out of memory: rows are read, 12 at once, and fewer make no sense"):
        memory.smaller(never, 100, least=10, what="rows are read")
    with pytest.raises(ZeroDivisionError):
        memory.smaller(lambda size: 1 // 0, 100, least=10, what="rows are read")


def test_halves_come_in_order():
    found = [*memory.in_halves(small(3, list), range(10))]
    assert [each for _, part in found for each in part] == [*range(10)]
    assert max(len(part) for _, part in found) <= 3
    with pytest.raises(MemoryError):
        [*memory.in_halves(small(0, list), range(10))]


def test_the_draws_of_a_bootstrap_are_the_same_in_smaller_blocks(monkeypatch):
    made = Statistics(predictions("multiclass", n=150))
    whole = intervals._resample(made, ("f1_macro", "accuracy"), seed=1, draws=200, for_areas=0)
    drawn, sizes = resampling.weights, []

    def weights(*given, size, **named):
        sizes.append(size)
        if size > 20:
            raise MemoryError
        return drawn(*given, size=size, **named)

    monkeypatch.setattr(resampling, "weights", weights)
    halved = intervals._resample(made, ("f1_macro", "accuracy"), seed=1, draws=200, for_areas=0)
    assert sizes == [200, 100, 50, 25, 12]
    for name, values in whole.metrics.items():
        np.testing.assert_allclose(halved.metrics[name], values, rtol=1e-6)


def test_the_baseline_learns_half_of_the_rows_and_says_how_many(monkeypatch, caplog):
    monkeypatch.setattr(linear, "_learn", small(120, linear._learn))
    model = linear.learn(TEXTS, TARGETS, task="binary", k=2, seed=0)
    assert model.rows == 100
    assert "TF-IDF and a linear model learn rows, 100 and not 200" in caplog.text
    assert model.probabilities(["a dull film"])[0].argmax() == 1
    again = linear.learn(TEXTS, TARGETS, task="binary", k=2, seed=0)
    np.testing.assert_array_equal(model.weights, again.weights)  # drawn by the seed


def test_the_baseline_says_the_same_of_texts_in_halves(monkeypatch):
    model = linear.learn(TEXTS, TARGETS, task="binary", k=2, seed=0)
    whole = model.probabilities(TEXTS)
    monkeypatch.setattr(linear, "_counts", small(30, linear._counts))
    np.testing.assert_array_equal(model.probabilities(TEXTS), whole)


def test_labels_are_judged_on_half_of_the_rows(monkeypatch):
    monkeypatch.setattr(label_noise, "_out_of_sample", small(150, label_noise._out_of_sample))
    found = label_noise.judge(TEXTS, TARGETS, task="binary", k=2, groups=np.arange(200), seed=0)
    assert len(found.rows) == 100  # which the finding says: 100 of 200 rows were judged
    assert (np.diff(found.rows) > 0).all()


def test_near_duplicates_are_looked_for_among_half_of_the_texts(monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("FTCLS_CACHE", str(tmp_path))
    texts = ["the very same words in every text of this list here"] * 200
    assert (leaks.groups(texts[:199]) == 0).all()
    monkeypatch.setattr(near_duplicates, "groups", small(120, near_duplicates.groups))
    found = leaks.groups(texts)
    assert np.unique(found).size == 101  # a hundred in one group, a hundred alone
    assert (found <= np.arange(200)).all()
    assert "near duplicates are looked for among texts, 100 and not 200" in caplog.text
    monkeypatch.undo()
    monkeypatch.setenv("FTCLS_CACHE", str(tmp_path))
    assert (leaks.groups(texts) == 0).all()  # what a sample gave is not kept

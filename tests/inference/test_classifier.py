"""A trained model in Python: its arithmetic, and what tells two apart."""

import dataclasses

import numpy as np
import pytest
import torch

from ftcls.errors import DataError, UnavailableError
from ftcls.inference.classifier import Classifier
from ftcls.model import loading, settings
from ftcls.model.settings import Settings
from ftcls.runs.directory import create

TEXTS = [f"{word} {n} and more words to read" for n in range(8) for word in ("good", "bad", "dull")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small untrained model as a run keeps it."""
    home = tmp_path_factory.mktemp("model")
    tokenizer = loading.load_tokenizer("scratch:bert", train_texts=TEXTS)
    config = loading.load_config("scratch:bert", tokenizer, labels=("neg", "pos"), task="binary")
    config.initializer_range = 0.2
    loading.load_model("scratch:bert", config, attention=None, seed=0).model.save_pretrained(home)
    tokenizer.save_pretrained(home)
    settings.save(Settings("binary", clean=(), max_length=16, truncation="head", positive_label="pos"), home)
    return home


def test_a_lower_precision_rounds_probabilities_and_changes_no_weight(folder):
    exact, rounded = (Classifier.from_pretrained(folder, device="cpu", precision=name) for name in ("fp32", "bf16"))
    a, b = exact.predict_proba(TEXTS), rounded.predict_proba(TEXTS)
    assert a.dtype == b.dtype == np.float64
    assert 0 < np.abs(a - b).max() < 0.05
    assert all(weight.dtype == torch.float32 for weight in rounded.model.parameters())
    np.testing.assert_array_equal(Classifier.from_pretrained(folder, device="cpu").predict_proba(TEXTS), a)


def test_one_text_is_no_list_of_texts(folder):
    classifier = Classifier.from_pretrained(folder)
    for call in (classifier.classify, classifier.predict_proba):
        with pytest.raises(DataError, match=r"'one text': give a list of texts, \[text\] for one"):
            call("one text")
        assert len(call([])) == 0


def test_a_mistyped_run_is_answered_with_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = create("", name="reviews", output=tmp_path / "runs" / "reviews")
    with pytest.raises(
        UnavailableError, match=r"^\./runs/reviws: there is no such run\. Did you mean runs/reviews\?\n"
    ):
        Classifier.from_pretrained(f"./{run.path.relative_to(tmp_path).parent}/reviws")


def test_a_fingerprint_stands_for_everything_that_a_prediction_depends_on(folder):
    first = Classifier.from_pretrained(folder, device="cpu")
    assert Classifier.from_pretrained(folder, device="cpu").fingerprint() == first.fingerprint()
    others = [
        Classifier.from_pretrained(folder, device="cpu", precision="bf16"),
        Classifier.from_pretrained(folder, device="cpu", token_budget=64),
        first.with_thresholds(["0.3"]),
        dataclasses.replace(first, settings=dataclasses.replace(first.settings, max_length=8)),
    ]
    changed = Classifier.from_pretrained(folder, device="cpu")
    with torch.no_grad():
        changed.model.classifier.weight[0, 0] += 0.1
    found = {each.fingerprint() for each in [first, *others, changed]}
    assert len(found) == len(others) + 2

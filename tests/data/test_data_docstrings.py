import re

import numpy as np
import pytest

import small_packages
from ftcls.config.schema import Data
from ftcls.data.read import read
from ftcls.data.readers import docstrings
from ftcls.errors import UnavailableError


@pytest.mark.parametrize(
    ("docstring", "text"),
    [
        ("One line.\n    over two.\n  \n    Second paragraph.", "One line. over two."),
        ("See :class:`~torch.nn.Linear` or :func:`foo`.", "See library or foo ."),
        ("A `link <https://a.b/c>`_ and [this](http://x) https://y.z/q end", "A link and this end"),
        (
            "NumPy's array, np.dot, sklearn-like, PyTorch, Hugging Face and hf",
            "library's array, library.dot, library, library, library and library",
        ),
        ("Uses ``numpy.linalg``. Then [more] {x} <y> (z).", "Uses library . Then more x y z ."),
        ("Snippets, pdf and input keep np out of words", "Snippets, pdf and input keep library out of words"),
    ],
)
def test_a_docstring_becomes_plain_words_without_names_of_libraries(docstring, text):
    assert docstrings.prepare(docstring) == text


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Five small packages, with all that must be left out, in the place of the real ones."""
    roots = small_packages.write(tmp_path)
    monkeypatch.setattr(docstrings, "_roots", lambda: roots)
    return tmp_path


def test_what_is_an_example_and_what_is_left_out(site):
    raw = docstrings.read()
    texts = [text for split in raw.splits.values() for text in split.texts]
    assert not [text for text in texts if re.search(r"Module|Shared|shared|Hidden|Inner|Left out|short", text)]
    assert [text for text in texts if "wice" in text] == ["Twice words enough for an example here."]
    assert [(check.name, check.examples) for check in raw.checks] == [("unparsable_files", ("torch/broken.py",))]
    assert set(raw.versions) == set(docstrings.LABELS)


def test_a_file_is_in_one_split_and_the_splits_are_capped(site):
    whole = read(Data(source="docstrings"), seed=0)
    for name, cap in docstrings.CAPS.items():
        counts = np.bincount(whole.splits[name].targets, minlength=5)
        assert counts.max() <= cap
        assert counts.min() > 0
    files = {name: set(split.clusters.tolist()) for name, split in whole.splits.items()}
    assert not files["train"] & files["test"]
    assert not files["train"] & files["validation"]
    assert not files["validation"] & files["test"]
    assert np.bincount(whole.splits["test"].targets).tolist() == [200] * 5
    place = docstrings.read().splits["test"].place(0)
    assert re.fullmatch(r"\w+/f\d+\.py:\d+", place)


def test_a_second_reading_comes_from_the_cache(site, monkeypatch):
    first = docstrings.read()
    monkeypatch.setattr(docstrings, "_parse", lambda source: pytest.fail("parsed again"))
    assert docstrings.read().splits["train"].texts == first.splits["train"].texts


def test_a_missing_library_is_answered_with_the_line_that_installs_it(monkeypatch):
    found = docstrings.importlib.util.find_spec
    monkeypatch.setattr(docstrings.importlib.util, "find_spec", lambda name: None if name == "sklearn" else found(name))
    with pytest.raises(UnavailableError, match=r"not installed: sklearn\. Run: pip install scikit-learn"):
        docstrings.read()


@pytest.mark.slow
def test_the_installed_libraries_fill_every_split():
    whole = read(Data(source="docstrings"), seed=0)
    assert whole.labels == ("numpy", "pandas", "torch", "sklearn", "transformers")
    for name, cap in docstrings.CAPS.items():
        assert np.bincount(whole.splits[name].targets).tolist() == [cap] * 5
    texts = [text for split in whole.splits.values() for text in split.texts]
    assert len(texts) == len(set(texts))
    assert all(6 <= len(text.split()) <= 80 for text in texts)
    named = re.compile(
        r"numpy|pandas|torch|sklearn|scikit|scipy|hugging\s?face|transformers|\b(np|pd|hf)\b", re.IGNORECASE
    )
    assert not [text for text in texts if named.search(text)]

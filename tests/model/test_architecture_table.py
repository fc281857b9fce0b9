"""The checkpoints that people name: what verify/checkpoints.py says of some, and what docs/checkpoints.md does."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "checkpoints.md"


@pytest.fixture(scope="module")
def audit():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "verify"))
        yield importlib.import_module("checkpoints")


def documented():
    """The rows of the page's table by architecture."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return {row.split(" | ")[0].removeprefix("| "): row for row in rows}


def test_the_page_has_a_row_for_each(audit):
    assert set(documented()) - {"architecture", "---"} == {each.name for each in audit.ARCHITECTURES.values()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["mpnet", "gpt_neox", *(pytest.param(name, marks=pytest.mark.weekly) for name in ("funnel", "byt5", "bart"))],
)
def test_what_is_trained_resumes_to_the_same_bytes_and_is_read_alike_by_everybody(audit, name):
    found = audit.row(audit.ARCHITECTURES[name], exported=False)
    assert (found.fault, found.refused) == (None, None)
    assert found.resumed == 0
    assert max(found.alone, found.plain) < audit.TOLERANCE
    cells, said = (row.split(" | ")[:6] for row in (found.markdown(), documented()[found.architecture]))
    assert cells == said  # what PyTorch can write as ONNX changes from version to version


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fnet", "depends on the texts beside it"),
        ("lfm2", "transformers has no classifier of its architecture, lfm2"),
    ],
)
def test_what_is_refused_says_why(audit, name, reason):
    found = audit.row(audit.ARCHITECTURES[name])
    assert reason in found.refused
    assert not found.wrong
    assert "refused" in documented()[found.architecture]


def test_a_difference_is_wrong(audit):
    fine = {"steps": "packed", "padding": "right", "pooling": "cls", "resumed": 0.0, "alone": 1e-7, "plain": 1e-7}
    assert not audit.Row("BERT", **fine).wrong
    for harm in ({"resumed": 1e-9}, {"alone": 1e-4}, {"plain": 1e-4}, {"fault": "KeyError: 'a'"}):
        assert audit.Row("BERT", **fine | harm).wrong

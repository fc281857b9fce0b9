"""Labels that the usual font has no glyphs for."""

import warnings

import numpy as np
import pytest

from ftcls.reporting import fonts, plots

CHINESE = ("好评", "差评")


@pytest.fixture
def without_other_fonts(monkeypatch):
    monkeypatch.setattr(fonts, "installed", lambda: (fonts.USUAL,))


def test_labels_without_glyphs_are_numbered_in_pngs_and_stay_in_svgs(tmp_path, without_other_fonts, caplog):
    figure = plots.confusion(np.array([[3, 1], [0, 4]]), CHINESE, "predicted")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        documents = plots.save({"confusion": figure}, tmp_path)
    assert all(name in documents["confusion"] for name in CHINESE)
    assert caplog.text.count("no font here has the characters of 好评, 差评") == 1
    with fonts.drawable(figure) as numbered:
        assert numbered == CHINESE
        shown = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert shown == ["#1", "#2"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == list(CHINESE)


def test_labels_that_the_usual_font_has_are_left_as_they_are(tmp_path, caplog):
    figure = plots.confusion(np.array([[3, 1], [0, 4]]), ("très bon", "щи"), "predicted")
    with fonts.drawable(figure) as numbered:
        assert numbered == ()
    plots.save({"confusion": figure}, tmp_path)
    assert caplog.text == ""


def test_another_font_is_taken_where_it_has_the_glyphs(monkeypatch):
    monkeypatch.setattr(fonts, "installed", lambda: (fonts.USUAL, "Han"))
    known = fonts._characters(fonts.USUAL)
    monkeypatch.setattr(fonts, "_characters", lambda name: frozenset("好评差") if name == "Han" else known)
    figure = plots.confusion(np.array([[3, 1], [0, 4]]), CHINESE, "predicted")
    with fonts.drawable(figure) as numbered:
        assert numbered == ()
        assert figure.axes[0].get_xticklabels()[0].get_fontfamily() == [fonts.USUAL, "Han"]

"""Fonts for the names of labels: another installed one where the usual has no glyphs, numbers where none has."""

import contextlib
import functools
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from matplotlib import font_manager, ft2font
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import Formatter, FuncFormatter

log = logging.getLogger(__name__)

USUAL: Final = "DejaVu Sans"
_NO_FONT: Final = ("Last Resort", "cm", "STIX")
"""Beginnings of names of fonts with boxes, or with parts of formulas, in place of letters."""


@contextlib.contextmanager
def drawable(figure: Figure) -> Iterator[tuple[str, ...]]:
    """The figure with texts that its fonts can draw, as it was again afterwards.

    Texts with characters that no installed font has are numbered, ``#1``, ``#2``; yields them in that order.
    """
    texts = [each for each in figure.findobj(Text) if each.get_text()]
    missing = {char for each in texts for char in each.get_text() if not char.isspace()} - _characters(USUAL)
    families = _covering(missing)
    left = missing.difference(*map(_characters, families)) if missing else set()
    numbers: dict[str, int] = {}
    before = [(each, each.get_text(), each.get_fontfamily()) for each in texts if missing & set(each.get_text())]
    for each, text, _ in before:
        each.set_fontfamily([USUAL, *families])
        if left & set(text):
            each.set_text(f"#{numbers.setdefault(text, len(numbers) + 1)}")
    changed = {id(each) for each, _, _ in before}
    ticks = [
        (axis, axis.get_major_formatter())
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        if numbers and any(id(label) in changed for label in axis.get_ticklabels())
    ]
    for axis, formatter in ticks:  # the texts of ticks are written anew by every drawing
        axis.set_major_formatter(FuncFormatter(functools.partial(_numbered, formatter, numbers)))
    try:
        yield tuple(numbers)
    finally:
        for axis, formatter in ticks:
            axis.set_major_formatter(formatter)
        for each, text, family in before:
            each.set_text(text)
            each.set_fontfamily(family)


def _numbered(formatter: Formatter, numbers: Mapping[str, int], value: float, place: int | None) -> str:
    text = formatter(value, place)
    return f"#{numbers[text]}" if text in numbers else text


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No warning for each glyph that a font does not have: an SVG keeps texts as texts."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def _covering(characters: set[str]) -> list[str]:
    """Installed fonts that have some of the characters, those with the most of them first, as few as it takes."""
    found: list[str] = []
    left = set(characters)
    while left:
        best = max(installed(), key=lambda name: len(left & _characters(name)), default="")
        gained = left & _characters(best) if best else set()
        if not gained:
            break
        found.append(best)
        left -= gained
    return found


@functools.cache
def installed() -> tuple[str, ...]:
    """The families that matplotlib knows on this machine, those without letters left out."""
    names = {each.name for each in font_manager.fontManager.ttflist}
    return tuple(sorted(name for name in names if not name.startswith(_NO_FONT)))


@functools.cache
def _characters(family: str) -> frozenset[str]:
    path = Path(font_manager.findfont(font_manager.FontProperties(family=family), fallback_to_default=True))
    return frozenset(map(chr, ft2font.FT2Font(str(path)).get_charmap()))

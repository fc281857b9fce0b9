r"""Cleaning steps: each takes a text and gives a text, and twice is the same as once.

lower_case
    Lower case, as Unicode defines it.
html_breaks
    ``<br>``, ``<br />`` become a line break.
entities
    ``&amp;`` and the like become the character. So do AG News's broken ones, where the ``&`` was lost to a space:
    ``critter #39;s`` is ``critter's``, ``AT amp;T`` is ``AT&T``. Markup, escaped (``&lt;b&gt;``) or not, was layout
    and becomes a space; what only looks like it (``<SYY.N>``, ``a < b``) stays.
backslashes
    ``\$``, ``\"`` and ``\'`` lose the backslash. Any other one stands where a line break was and becomes a space.
reuter
    Reuters-21578's sign-off at the end of a text (``Reuter``, ``REUTER``), with what control characters follow it.
special_characters
    The ASCII symbols ``# * + < = > @ [ \ ] ^ _ ` { | } ~`` and control characters become a space. Letters, marks and
    digits of every script, emoji, currency signs and punctuation stay.
spaces
    Runs of white space become one space; none at the ends.
unicode
    Windows-1252 characters left in the C1 range become what they meant (U+0096 is a dash), other control characters
    but tab and line breaks go, and the text is put into NFC.
"""

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from html.entities import html5

from ftcls.data.texts import mapped

_BREAK = re.compile(r"<br[ \t]*/?[ \t]*>", re.IGNORECASE)
_TAGS = (
    "a|b|big|blockquote|br|center|div|em|font|h[1-6]|hr|i|img|li|ol|p|pre|small|span|strong|sub|sup|table|td|th|tr|tt"
    "|u|ul"
)
_TAG = re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_NAMES = "amp|apos|cent|copy|deg|eacute|euro|gt|hellip|ldquo|lsquo|lt|mdash|nbsp|ndash|pound|quot|rdquo|reg|rsquo|trade"
_BROKEN = re.compile(rf"(?:^| )(#\d{{2,5}}|#x[0-9a-fA-F]{{2,5}}|{_NAMES});")
# Only with its semicolon, which browsers forgive: `?a=1&region=2` is no registered trademark.
_ENTITY = re.compile(r"&(#\d+|#[xX][0-9a-fA-F]+|\w+);")
_BACKSLASH_BEFORE = re.compile(r"\\+(?=[$\"'])")
_BACKSLASH = re.compile(r"\\+")
_REUTER = re.compile(r"(?:(?:^|\s)reuter[\s\x03]*)+$", re.IGNORECASE)
# The keycap emoji are '#' or '*' followed by U+FE0F: those two stay.
_SPECIAL = re.compile(r"[+<=>@\[\\\]^_`{|}~\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]|[#*](?!\ufe0f)")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def _windows_1252() -> dict[int, str | None]:
    table: dict[int, str | None] = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)])
    for code in (0x09, 0x0A, 0x0D):
        del table[code]
    table |= {0x0B: "\n", 0x0C: "\n"}  # vertical tab and form feed part lines
    for code in range(0x80, 0xA0):
        meant = bytes([code]).decode("cp1252", errors="ignore")
        table[code] = meant or None
    return table


_REPAIRED = _windows_1252()


def _html_breaks(text: str) -> str:
    return _BREAK.sub("\n", text) if "<" in text else text


def _entities(text: str) -> str:
    # Until nothing changes: `&amp;lt;` was escaped twice. Each round makes the text shorter, so there is an end.
    while ";" in text or "<" in text:
        before = text
        if ";" in text:
            text = _ENTITY.sub(_decoded, _BROKEN.sub(_decoded, text))
        if "<" in text:
            text = _TAG.sub(" ", text)
        if text == before:
            break
    return text


def _decoded(found: re.Match[str]) -> str:
    if found[1].startswith("#"):
        return html.unescape(f"&{found[1]};")
    return html5.get(f"{found[1]};", found[0])


def _backslashes(text: str) -> str:
    return _BACKSLASH.sub(" ", _BACKSLASH_BEFORE.sub("", text)) if "\\" in text else text


def _reuter(text: str) -> str:
    return _REUTER.sub("", text)


def _special_characters(text: str) -> str:
    return _SPECIAL.sub(" ", text)


def _spaces(text: str) -> str:
    return " ".join(text.split())


def _unicode(text: str) -> str:
    if _CONTROL.search(text):
        text = text.translate(_REPAIRED)
    return unicodedata.normalize("NFC", text)


STEPS: dict[str, Callable[[str], str]] = {
    "lower_case": str.lower,
    "html_breaks": _html_breaks,
    "entities": _entities,
    "backslashes": _backslashes,
    "reuter": _reuter,
    "special_characters": _special_characters,
    "spaces": _spaces,
    "unicode": _unicode,
}


def clean(texts: Iterable[str], steps: Sequence[str]) -> list[str]:
    """The texts after the steps, run in the order given, on each text of a pair; in the order of the texts."""
    functions = [STEPS[step] for step in steps]
    return [mapped(text, lambda part: _through(functions, part)) for text in texts]


def _through(functions: Sequence[Callable[[str], str]], text: str) -> str:
    for function in functions:
        text = function(text)
    return text

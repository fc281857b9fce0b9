"""Texts unlike the rest: far too long or short, in another script or language, broken, without a word.

Every rule looks at the bulk of the texts first and says nothing where there is none: a corpus of several scripts or
languages has no texts in a foreign one.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ftcls.data.checks.near_duplicates import UNSPACED
from ftcls.data.checks.pooled import Pooled
from ftcls.data.corpus import Check
from ftcls.data.texts import is_blank, parts

_FAR = 3.0
"""Tukey's fences of what is far out, in quartile distances (Exploratory Data Analysis, 1977), of the log length."""
_LEAST_SPREAD = float(np.log(1.5))
"""Smallest quartile distance: texts that are all alike in length are not made outliers by a few words."""
_BULK = 0.9
"""Share of the texts in one script, or language, from which on it is that of the corpus."""
_LETTERS = 10
"""Letters below which a text has no script."""
_LOOKED_AT = 1500
"""Characters of a text that tell its language."""
_STOP_WORDS = 5
"""Stop words of another language, at least, and three times those of the corpus's own: then it is in that language."""

# First code point of each range, and its script. Kana, Han and Hangul stay together, as they do in texts.
_RANGES: Final = (
    (0x0000, ""), (0x0041, "Latin"), (0x005B, ""), (0x0061, "Latin"), (0x007B, ""), (0x00C0, "Latin"),
    (0x0250, ""), (0x0370, "Greek"), (0x0400, "Cyrillic"), (0x0530, "Armenian"), (0x0590, "Hebrew"),
    (0x0600, "Arabic"), (0x0700, ""), (0x0900, "Indic"), (0x0E00, "Thai"), (0x0E80, ""), (0x10A0, "Georgian"),
    (0x1100, "Chinese, Japanese or Korean"), (0x1200, ""), (0x1E00, "Latin"), (0x1F00, "Greek"), (0x2000, ""),
    (0x3040, "Chinese, Japanese or Korean"), (0xD7B0, ""), (0xF900, "Chinese, Japanese or Korean"), (0xFB00, ""),
    (0xFF21, "Latin"), (0xFF3B, ""), (0x20000, "Chinese, Japanese or Korean"), (0x30000, ""),
)  # fmt: skip
SCRIPTS: Final = tuple(sorted({script for _, script in _RANGES if script}))
_STARTS = np.array([start for start, _ in _RANGES])
_SCRIPT_OF = np.array([SCRIPTS.index(script) if script else len(SCRIPTS) for _, script in _RANGES])

# Frequent words that the other languages here do not have, so that one word speaks for one language.
_WORDS: Final = {
    "English": "the and of to is that it with was for this you are have not but they from his which",
    "German": "der das und ist nicht ich mit sich auf ein eine dem für auch wird sind einen wie nach oder",
    "French": "le les et est une dans qui que pour pas sur avec il ce au vous je mais sont cette",
    "Spanish": "el los las y una por con para como pero más muy lo su está ser todo esta hay fue",
    "Italian": "il di che è per non sono della più questo gli anche nel alla come ma una dei delle",
    "Portuguese": "o os não uma com em um mais seu é foi são muito na pela isso também você mas dos",
    "Dutch": "het een van niet zijn ik dat voor met op te aan er maar ook wordt bij naar deze heeft",
}
LANGUAGES: Final = tuple(_WORDS)


def _one_language_words() -> dict[str, int]:
    count: dict[str, list[int]] = {}
    for index, words in enumerate(_WORDS.values()):
        for word in words.split():
            count.setdefault(word, []).append(index)
    return {word: owners[0] for word, owners in count.items() if len(owners) == 1}


_LANGUAGE_OF = _one_language_words()
# Words, signs and emoji, and emoticons such as ":^(".
_SAYS_SOMETHING = re.compile(r"\w|[\u2190-\u2bff\u3000-\U0001ffff]|[:;=][-^']?[()\[\]|/\\]|[()\[\]|/\\][-^']?[:;=]")
# U+FFFD, Windows-1252 left in the C1 range, and UTF-8 that was read as Windows-1252 or Latin-1.
_BROKEN = re.compile("[\ufffd\x80-\x9f]|[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac|\u00ef\u00bf\u00bd|\u00f0\u0178")


_SHOWN = 3
_MANY = 0.01
"""Share of broken texts from which on they are a warning."""
_ADVICE = {
    "very_short_texts": "Far fewer words than the rest: fragments? Look at them, or drop them from the source.",
    "very_long_texts": "Far more words than the rest: several texts in one? model.max_length cuts them.",
    "other_scripts": "Most letters are of another script than the corpus: can the checkpoint read it?",
    "other_languages": "By their stop words these are in another language than the corpus: do they belong here?",
    "texts_without_words": "No letter, digit or emoji: a model can only guess. Did data.clean take too much?",
    "broken_characters": "Left behind by a wrong encoding. data.clean: [unicode] mends Windows-1252 in the control "
    "characters; anything else has to be read again with the right encoding.",
}


def far_lengths(words: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The texts, ascending, that have far fewer and far more words than the rest; empty ones aside.

    Args:
        words: int64 [n], words of each text.
    """
    some = np.flatnonzero(words > 0)
    if not len(some):
        return some, some
    logs = np.log(words[some])
    low, high = np.quantile(logs, (0.25, 0.75))
    spread = max(float(high - low), _LEAST_SPREAD)
    return some[logs < low - _FAR * spread], some[logs > high + _FAR * spread]


def word_counts(texts: Sequence[str]) -> NDArray[np.int64]:
    """int64 [n]: words between white space; in scripts without spaces every character is one."""
    return np.fromiter((sum(map(_words, parts(text))) for text in texts), dtype=np.int64, count=len(texts))


def _words(text: str) -> int:
    return len(text.split()) + (0 if text.isascii() else len(UNSPACED.findall(text)))


def foreign_scripts(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Texts, ascending, most of whose letters are of another script than the corpus, and the index of it in `SCRIPTS`.

    Texts with fewer than ten letters have none.
    """
    script = np.fromiter((_script(text) for text in texts), dtype=np.int64, count=len(texts))
    return _unlike_the_bulk(script, len(SCRIPTS))


def _script(text: str) -> int:
    if text.isascii():
        letters = sum(map(str.isalpha, text[: 10 * _LETTERS]))
        return SCRIPTS.index("Latin") if letters >= _LETTERS or sum(map(str.isalpha, text)) >= _LETTERS else -1
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    scripts = _SCRIPT_OF[np.searchsorted(_STARTS, codes, side="right") - 1]
    counts = np.bincount(scripts, minlength=len(SCRIPTS) + 1)[:-1]
    return int(counts.argmax()) if counts.sum() >= _LETTERS else -1


def foreign_languages(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Texts, ascending, in another language than the corpus, and the index of it in `LANGUAGES`.

    Only these seven languages are known, and a text is only judged by its stop words: short texts have none, and a text
    that mixes two languages belongs to none.
    """
    language = np.fromiter((_language(text) for text in texts), dtype=np.int64, count=len(texts))
    return _unlike_the_bulk(language, len(LANGUAGES))


def _language(text: str) -> int:
    counts = [0] * len(LANGUAGES)
    for word in text[:_LOOKED_AT].lower().split():
        if word in _LANGUAGE_OF:
            counts[_LANGUAGE_OF[word]] += 1
    best = max(counts)
    second = sorted(counts)[-2]
    return counts.index(best) if best >= _STOP_WORDS and best >= 3 * second else -1


def _unlike_the_bulk(kind: NDArray[np.int64], kinds: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    known = kind >= 0
    counts = np.bincount(kind[known], minlength=kinds)
    if not counts.any() or counts.max() < _BULK * counts.sum():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    rows = np.flatnonzero(known & (kind != counts.argmax()))
    return rows, kind[rows]


def wordless(texts: Sequence[str]) -> NDArray[np.int64]:
    """Texts, ascending, that are not empty but have no letter, digit, sign or emoji: punctuation alone."""
    return np.flatnonzero([not is_blank(text) and not any(map(_SAYS_SOMETHING.search, parts(text))) for text in texts])


def broken(texts: Sequence[str]) -> NDArray[np.int64]:
    """Texts, ascending, with characters that a wrong encoding left behind."""
    return np.flatnonzero([not text.isascii() and _BROKEN.search(text) is not None for text in texts])


def broken_part(text: str) -> str:
    """The first broken place of a text with what stands around it."""
    found = _BROKEN.search(text)
    at = found.start() if found else 0
    return text[max(0, at - 25) : at + 25]


def checks(pooled: Pooled) -> Iterator[Check]:
    """Findings about texts unlike the rest, over all splits."""
    texts = pooled.texts
    words = word_counts(texts)
    for name, rows in zip(("very_short_texts", "very_long_texts"), far_lengths(words), strict=True):
        yield from _found(name, pooled, rows, [_length(words[row]) for row in rows[:_SHOWN]])
    for name, names, (rows, kinds) in (
        ("other_scripts", SCRIPTS, foreign_scripts(texts)),
        ("other_languages", LANGUAGES, foreign_languages(texts)),
    ):
        yield from _found(name, pooled, rows, [names[kind] for kind in kinds[:_SHOWN]])
    yield from _found("texts_without_words", pooled, wordless(texts), None)
    rows = broken(texts)
    if len(rows):
        examples = tuple(f"{pooled.place(row)}: {broken_part(texts[row])!r}" for row in rows[:_SHOWN].tolist())
        severity: Literal["info", "warning"] = "warning" if len(rows) >= _MANY * len(texts) else "info"
        yield Check(
            "broken_characters", severity, len(rows), examples, _ADVICE["broken_characters"], pooled.by_split(rows)
        )


def _length(words: int) -> str:
    return f"{words:,} {'word' if words == 1 else 'words'}"


def _found(name: str, pooled: Pooled, rows: NDArray[np.int64], why: Sequence[str] | None) -> Iterator[Check]:
    if len(rows):
        shown = [pooled.shown(row) for row in rows[:_SHOWN].tolist()]
        if why is not None:
            shown = [f"{reason}, {text}" for reason, text in zip(why, shown, strict=True)]
        yield Check(name, "info", len(rows), tuple(shown), _ADVICE[name], pooled.by_split(rows))

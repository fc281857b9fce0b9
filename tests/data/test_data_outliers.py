"""Texts unlike the rest are found, and plain texts are left alone."""

import numpy as np
import pytest

from ftcls.data.checks import outliers
from ftcls.data.checks.pooled import Pooled
from ftcls.data.corpus import Split

ENGLISH = [
    f"The committee said that it was not ready to vote on the plan, and number {i} of them left." for i in range(200)
]
GERMAN = (
    "Der Ausschuss sagte, dass er nicht bereit ist und dass sich die Mitglieder auf eine Pause für einen Tag einigen."
)


def findings(texts):
    split = Split(texts, np.zeros(len(texts), np.int64), np.arange(len(texts)))
    return {check.name: check for check in outliers.checks(Pooled({"train": split}))}


def test_plain_texts_have_no_findings():
    assert findings(ENGLISH) == {}


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("word " * 2_000, "very_long_texts", "2,000 words"),
        ("Gone.", "very_short_texts", "1 word,"),
        (GERMAN, "other_languages", "German"),
        (
            "Комитет сказал, что он не готов голосовать по этому плану сегодня вечером или завтра.",
            "other_scripts",
            "Cyrillic",
        ),
        ("委员会表示他们今天晚上还没有准备好对该计划进行投票 ", "other_scripts", "Chinese, Japanese or Korean"),
        ("?!, ... -- !! ?? .. ,, ;; !! ?? -- .. ?! ,, ;; ..", "texts_without_words", "?!"),
        (
            "He said itâ€™s fine, and the rest of the plan of the others was not that good in it.",
            "broken_characters",
            "â€™",
        ),
        (
            "He said it\x92s fine, and the rest of the plan of the others was not that good in it.",
            "broken_characters",
            "x92",
        ),
        (
            "A caf\ufffd near the plan of the others that was not that good in it, they said to him.",
            "broken_characters",
            "\ufffd",
        ),
    ],
)
def test_a_text_unlike_the_rest_is_named_with_its_row(text, name, reason):
    found = findings([*ENGLISH, text])
    assert list(found) == [name]
    assert found[name].rows == {"train": (200,)}
    assert (found[name].severity, found[name].count) == ("info", 1)
    assert reason in found[name].examples[0]
    assert "train:200" in found[name].examples[0]


def test_what_many_texts_have_is_a_warning_if_it_is_broken():
    assert findings([f"{text} \x96" for text in ENGLISH])["broken_characters"].severity == "warning"


def test_a_corpus_of_two_languages_or_scripts_has_no_foreign_one():
    assert findings([*ENGLISH, *[f"{GERMAN} {i}" for i in range(100)]]) == {}


@pytest.mark.parametrize(
    "texts",
    [
        ["", "x"],
        ["👍", "🎉🎉"],
        [":(", ":-)"],
        ["¿Qué?", "naïve café"],
        ["AB"] * 100,
        [],
    ],
)
def test_few_short_or_odd_texts_are_no_outliers(texts):
    assert findings(texts) == {}


def test_a_laugh_is_not_italian():
    assert findings([*ENGLISH, "Ha ha ha ha ha ha! Thank you for the fun, they said to the others of the plan."]) == {}

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftcls.config.schema import CleaningStep
from ftcls.data.clean import STEPS, clean

# Pieces that the steps look for, between arbitrary characters.
ENTITIES = ("&amp;", "&lt;", "&gt;", "b&gt;", " #39;", " quot;", " amp;", "amp;", "lt;", "&#38;", "&amp;amp;", "#39;")
OTHERS = (
    "<br />",
    "<br",
    "/>",
    "<b",
    ">",
    "\\",
    "$",
    '"',
    "#",
    "\ufe0f",
    "\x96",
    "\x00",
    "e\u0301",
    "\u0130",
    "  ",
    "\n",
    "😀",
)
PIECES = st.sampled_from((*ENTITIES, *OTHERS))
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=12).map("".join)


def test_the_steps_are_those_of_the_config():
    assert set(STEPS) == set(CleaningStep.__args__)


@pytest.mark.parametrize("step", STEPS)
@given(text=TEXTS)
def test_a_step_done_twice_is_a_step_done_once(step, text):
    once = clean([text], [step])
    assert clean(once, [step]) == once


@given(text=TEXTS)
def test_special_characters_takes_no_letter_mark_digit_or_symbol_outside_ascii(text):
    kept = clean([text], ["special_characters"])[0]
    assert [c for c in kept if c.isalnum() or ord(c) > 0x9F] == [c for c in text if c.isalnum() or ord(c) > 0x9F]


@pytest.mark.parametrize(
    ("step", "text", "expected"),
    [
        ("lower_case", "ÄB İ", "äb i̇"),
        ("html_breaks", "one<br /><BR>two<br/>", "one\n\ntwo\n"),
        ("html_breaks", "a <bread> b", "a <bread> b"),
        ("entities", "A tiny critter #39;s day, AT amp;T,  quot;so quot;", 'A tiny critter\'s day, AT&T, "so"'),
        ("entities", "caf&eacute; &#8220;x&#8221; &amp;lt; y", "café “x” < y"),
        ("entities", '&lt;b&gt;...&lt;/b&gt; &lt;A HREF="http://x"&gt;here&lt;/A&gt;', " ...   here "),
        ("entities", "&lt;SYY.N&gt; is up; a < b", "<SYY.N> is up; a < b"),
        ("entities", "Stocks Up; Dow &nosuch;", "Stocks Up; Dow &nosuch;"),
        ("entities", "x?a=1&region=2; &amp", "x?a=1&region=2; &amp"),
        ("entities", "&#150; &#x2014; &#0;", "\u2013 \u2014 \ufffd"),
        ("backslashes", r"worth \$5 \"so\" a second\team \\ x", r'worth $5 "so" a second team   x'),
        (
            "special_characters",
            "<SYY.N> a_b [c] #1 50% $3 “é” 你好 हिन्दी #️⃣ 👩‍🚀",
            " SYY.N  a b  c   1 50% $3 “é” 你好 हिन्दी #️⃣ 👩‍🚀",
        ),
        ("spaces", "  a\t b\u00a0\n c ", "a b c"),
        ("unicode", "it\x92s\x85 e\u0301\x00 a\x0bb", "it\u2019s… é a\nb"),
    ],
)
def test_a_step_does_what_it_says(step, text, expected):
    assert clean([text], [step]) == [expected]


def test_steps_run_in_the_order_given():
    assert clean(["&LT;BR&GT;x"], ["lower_case", "entities"]) == [" x"]
    assert clean(["a&nbsp;b"], ["entities", "spaces"]) == ["a b"]
    assert clean(["a&nbsp;b"], ["spaces", "entities"]) == ["a\u00a0b"]


def test_empty_texts_and_no_steps_are_fine():
    assert clean(["", " x "], []) == ["", " x "]
    assert clean([""], list(STEPS)) == [""]

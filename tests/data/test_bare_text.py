"""Tokenisation, typography and markup leave no trace in the bare form, and content does."""

from __future__ import annotations

import html

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transferline.data import bare_text
from transferline.data.bare_text import bare

SAME = {
    "Penn Treebank": ("It's \"fine\", they don't say (yet).", "It 's `` fine '' , they do n't say -LRB- yet -RRB- ."),
    "curly quotes": ('It\'s "fine"', "It’s “fine”"),
    "line breaks": ("one two three", "one\r\n two\n\nthree"),
    "case": ("Straße und ΣΊΣΥΦΟΣ", "STRASSE UND σίσυφος"),
    "composed": ("café naïve", "cafe\u0301 nai\u0308ve"),
    "full width": ("ABC 123", "ＡＢＣ １２３"),
    "ligature": ("fine office", "ﬁne oﬃce"),
    "invisible": ("one two", "o\u200bne\u00ad two\ufeff"),
    "control": ("one two", "one\x00\x07 two\x1b"),
    "entities": ("salt & pepper, 3 > 2", "salt &amp; pepper, 3 &gt; 2"),
    "tags": ("a good film", "a <b>good</b><br /> film"),
    "links": ("read this now", "read this https://t.co/x1 now www.example.org/a?b=c"),
    "Chinese": ("这部电影很好看！", "这 部 电影 很 好看"),
    "emoji": ("good 👍", "good👍\ufe0f"),
    "Arabic tatweel aside": ("كتاب جميل", "كتاب  جميل ."),
}
DIFFERENT = [
    ("1.5 stars", "15 stars"),
    ("C++ is hard", "C# is hard"),
    ("👍", "👎"),
    ("!!!", "???"),
    ("like", "dislike"),
]


@pytest.mark.parametrize("kind", SAME)
def test_two_ways_of_writing_one_text_have_one_form(kind: str) -> None:
    one, other = SAME[kind]
    assert bare(one) == bare(other) != ""


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_content_has_another_form(one: str, other: str) -> None:
    assert bare(one) != bare(other)


@given(st.text(alphabet=st.characters(max_codepoint=127)))
@example("0:.0")
def test_the_fast_way_for_ascii_is_the_same(text: str) -> None:
    folded = text.casefold()
    assert bare_text._stripped(folded) == bare_text._DROPPED.sub("", folded)


@given(st.text(min_size=1))
def test_white_space_and_escaping_never_matter(text: str) -> None:
    assert bare(f"  {text}\t") == bare(text)
    if "&" not in text and "<" not in text:
        assert bare(html.escape(text, quote=False)) == bare(text)

"""Text of users on pages and in figures: shown as written, never read as markup."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from transferline.core.markup import LONGEST, in_figure, in_markdown, visible

HOSTILE = [
    "a | b",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](http://example.org/pixel.png)",
    "`code` ``more``",
    "**bold** _it_ ~~gone~~",
    "# heading\n\n- list",
    "costs $5 or $6",
    "$x_{",
    "[/b] [bold red]",
    "&lt;b&gt;",
    "\u202etxt.exe\u202c",
    "line\u2028break",
    "tab\tnul\x00",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_of_a_markdown_table_shows_the_text_and_nothing_else(text: str) -> None:
    page = f"| label | rows |\n| --- | --- |\n| {in_markdown(text)} | 3 |\n"
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(page)
    cells = [token for token in tokens if token.type == "inline"]
    assert [cell.content for cell in cells][:2] == ["label", "rows"]
    assert len(cells) == 4
    shown = "".join(child.content for child in cells[2].children or [])
    assert {child.type for child in cells[2].children or []} <= {"text", "text_special"}
    assert shown == visible(text)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_one_cell_with_that_text(text: str) -> None:
    page = f"| label | rows |\n| --- | --- |\n| {in_markdown(text)} | 3 |\n"
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(page)
    cells = [token for token in tokens if token.type == "inline"]
    assert len(cells) == 4
    assert "".join(child.content for child in cells[2].children or []).strip() == visible(text)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_figure_reads_a_label_as_a_formula(text: str) -> None:
    from matplotlib.figure import Figure

    shown = in_figure(text)
    assert shown.count("$") == shown.count(r"\$")
    label = Figure().text(0, 0, shown)
    drawn, is_formula = label._preprocess_math(shown)
    assert not is_formula
    assert len(drawn) <= 41


def test_characters_that_hide_or_turn_text_are_written_as_their_code() -> None:
    assert visible("\u202eabc") == "<U+202E>abc"
    assert visible("a\x00b\u200b") == "a<U+0000>b<U+200B>"
    assert visible("नमस्ते क्‍ष 👩‍👩‍👧 été") == "नमस्ते क्‍ष 👩‍👩‍👧 été"
    assert len(visible("x" * 10_000)) == LONGEST

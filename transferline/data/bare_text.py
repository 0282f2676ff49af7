"""The bare form of a text: the characters that remain when tokenisation, markup and typography are taken away.

Two texts with one bare form are copies for the leak gate. `It's "fine" , they said .` and `it’s “fine”, they said.` have one.
"""

from __future__ import annotations

import html
import re
import unicodedata

import regex

_TAGS = regex.compile(r"</?[a-zA-Z][^<>]{0,300}>")
_LINKS = regex.compile(r"(?:https?://|www\.)\S+")
_BRACKETS = regex.compile(r"-(?:[lr][rcs]b)-")  # brackets of the Penn Treebank, case folded
# Letters, digits and symbols are kept, and so is the point or comma within a number. Variation selectors (emoji) are not.
_DROPPED = regex.compile(
    r"(?<=\p{N})[.,](?=\p{N})(*SKIP)(*FAIL)|[^\p{L}\p{M}\p{N}\p{S}#%&@]|[\p{Sk}\p{Variation_Selector}]"
)
_ASCII_DROPPED = {code: None for code in range(128) if not chr(code).isalnum() and chr(code) not in "#%&@+$<=>|~.,"}
_ASCII_POINTS = re.compile(r"(?<![0-9])[.,]|[.,](?![0-9])")


def bare(text: str) -> str:
    """The bare form. A text of punctuation alone keeps its punctuation.

    HTML entities are replaced, tags and links removed. Then the text is brought to NFKC, case folded, and stripped of white space,
    punctuation, and of control and invisible characters.
    """
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _TAGS.sub(" ", text)
    folded = _folded(text)
    without_links = _LINKS.sub(" ", folded) if "www." in folded or "://" in folded else folded
    for form in (without_links, folded):
        if "rb-" in form:
            form = _BRACKETS.sub(" ", form)
        if left := _stripped(form):
            return left
    return "".join(folded.split())


def _stripped(form: str) -> str:
    """A folded text without the characters that are dropped."""
    if form.isascii():  # the same, several times as fast
        return _ASCII_POINTS.sub("", form).translate(_ASCII_DROPPED)  # in this order: points stand in the text as it is
    return _DROPPED.sub("", form)


def _folded(text: str) -> str:
    return (
        text.casefold()
        if text.isascii()
        else unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    )

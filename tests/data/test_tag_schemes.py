"""Tags of every scheme become the BIO tags of the same spans."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferline.data.tag_schemes import to_bio

Span = tuple[str, int]  # type ("" for words outside) and number of words


def bio(first: str, inside: str, last: str, single: str, spans: list[Span]) -> list[str]:
    """Tags of consecutive spans, by the prefixes of a span's first, inner, last and only word."""
    tags: list[str] = []
    for kind, length in spans:
        prefixes = [single] if length == 1 else [first, *[inside] * (length - 2), last]
        tags += [f"{prefix}-{kind}" if kind else "O" for prefix in prefixes]
    return tags


def beside(spans: list[Span], mark: str, end: bool) -> list[str]:
    """IOB1 (mark B at the start) or IOE1 (mark E at the end): marked only between two spans of one type that touch."""
    tags: list[str] = []
    for i, (kind, length) in enumerate(spans):
        row = [f"I-{kind}" if kind else "O"] * length
        neighbour = spans[i + 1 : i + 2] if end else spans[max(i - 1, 0) : i]
        if kind and neighbour and neighbour[0][0] == kind:
            row[-1 if end else 0] = f"{mark}-{kind}"
        tags += row
    return tags


SPANS = st.lists(st.tuples(st.sampled_from(["", "X", "Y-Z"]), st.integers(1, 4)), max_size=8)
SCHEMES = {
    "BIO": lambda spans: bio("B", "I", "I", "B", spans),
    "IOE2": lambda spans: bio("I", "I", "E", "E", spans),
    "BIOES": lambda spans: bio("B", "I", "E", "S", spans),
    "BILOU": lambda spans: bio("B", "I", "L", "U", spans),
    "IOB1": lambda spans: beside(spans, "B", end=False),
    "IOE1": lambda spans: beside(spans, "E", end=True),
}


@pytest.mark.parametrize("scheme", SCHEMES)
@given(spans=SPANS)
def test_the_spans_stay_the_same(scheme: str, spans: list[Span]) -> None:
    assert to_bio(SCHEMES[scheme](spans)) == tuple(SCHEMES["BIO"](spans))


@pytest.mark.parametrize("wrong", ["B_PER", "PER", "", "B-", "b-PER", "X-PER", "0"])
def test_a_string_that_is_no_tag_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=f"^{wrong}$"):
        to_bio(["O", wrong])

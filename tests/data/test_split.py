from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from transferline.data.declarations import Share
from transferline.data.split import Example, assign, distinct, limit, position

SHARE = Share(test=0.25, validation=0.15)
TEXTS = st.lists(st.text(min_size=1), unique=True, max_size=60)


def examples(texts: list[str], labels: int = 2) -> list[Example]:
    return [Example(text, f"label{i % labels}", text, f"row {i}") for i, text in enumerate(texts)]


@given(TEXTS, TEXTS)
def test_rows_keep_their_split_when_new_ones_arrive(old: list[str], new: list[str]) -> None:
    before = {text: assign(text, SHARE) for text in old}
    after = {text: assign(text, SHARE) for text in [*new, *old]}
    assert all(after[text] == split for text, split in before.items())


@given(st.text())
def test_a_position_is_in_the_unit_interval(unit: str) -> None:
    assert 0 <= position(unit) < 1


def test_shares_are_met() -> None:
    counts = Counter(assign(f"text {i}", SHARE) for i in range(20_000))
    for split, share in (("test", 0.25), ("validation", 0.15), ("train", 0.6)):
        assert abs(counts[split] / 20_000 - share) < 0.015  # over four standard errors


@given(st.integers(2, 80), st.integers(2, 80))
def test_limits_keep_label_shares_and_every_label(rows: int, most: int) -> None:
    made = examples([f"text {i}" for i in range(rows)])
    kept = limit(made, most)
    assert len(kept) == min(rows, most)
    counts = Counter(e.label for e in kept)
    assert len(counts) == 2
    assert abs(counts["label0"] - counts["label1"]) <= 2


def test_label_budgets_are_nested() -> None:
    made = examples([f"text {i}" for i in range(500)])
    budgets = [{e.text for e in limit(made, most)} for most in (20, 50, 100, 400)]
    assert all(small <= large for small, large in pairwise(budgets))


def test_a_rare_label_survives_a_limit() -> None:
    made = [*examples([f"text {i}" for i in range(300)], labels=1), Example("odd one", "rare", "odd one", "row 300")]
    assert "rare" in {e.label for e in limit(made, 10)}


def test_distinct_keeps_the_first_of_each_text_whatever_its_case() -> None:
    made = examples(["A film", "a film", "another"])
    assert [e.where for e in distinct(made)] == ["row 0", "row 2"]

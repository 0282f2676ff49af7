"""Label budgets nest, keep the shares, and show every label."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferline.core.errors import InputError
from transferline.core.runtime import Runtime
from transferline.core.stage import Work
from transferline.data.prepared_files import read_jsonl, write_jsonl
from transferline.methods.label_budget import FILE, Labels, count_labels, nested_order
from transferline.recipes.comparison import Comparison

RECORDS = [
    {"id": str(i), "text": f"text {i}", "label": "abc"[0 if i % 10 < 6 else 1 if i % 10 < 9 else 2]} for i in range(200)
]


def take(records: list[dict], count: int, seed: int, folder: Path) -> list[str]:
    write_jsonl(folder / "all.jsonl", records)
    out = folder / f"{count}-{seed}"
    out.mkdir(exist_ok=True)
    work = Work({"train": folder / "all.jsonl"}, seed, out, out, Runtime(device="cpu"), lambda _: None)
    Labels(count=count).build(work)
    return [record["text"] for record in read_jsonl(out / FILE)]


def test_smaller_budgets_are_among_larger_ones(tmp_path: Path) -> None:
    taken = [set(take(RECORDS, count, 1, tmp_path)) for count in (3, 20, 50, 100, 199, 200)]
    assert [len(some) for some in taken] == [3, 20, 50, 100, 199, 200]
    assert all(small < large for small, large in itertools.pairwise(taken))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from("abcd"), min_size=8, max_size=80), st.integers(0, 5))
def test_every_beginning_shows_every_label_and_keeps_the_shares(labels: list[str], seed: int) -> None:
    records = [{"text": f"t{i}", "label": label} for i, label in enumerate(labels)]
    order, kinds = nested_order(records, seed), len(set(labels))
    assert sorted(order) == list(range(len(labels)))
    whole = Counter(labels)
    for count in range(kinds, len(labels) + 1):
        some = Counter(labels[i] for i in order[:count])
        assert set(some) == set(whole)
        for label, total in whole.items():
            assert (
                abs(some[label] - count * total / len(labels)) <= kinds
            )  # what the one of each label costs the others


def test_a_seed_draws_its_own_subset_and_always_the_same(tmp_path: Path) -> None:
    first, again, other = (take(RECORDS, 40, seed, tmp_path) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_a_budget_that_cannot_show_every_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="each of 3 labels"):
        take(RECORDS, 2, 0, tmp_path)


def test_several_labels_and_spans_are_all_shown() -> None:
    many = [{"text": f"t{i}", "label": ["x"] if i % 2 else ["y", "z"]} for i in range(30)]
    assert count_labels(many) == 2
    tags = [{"text": f"t{i}", "words": ["w"], "label": ["B-p" if i == 17 else "O"]} for i in range(30)]
    assert nested_order(tags, 3)[0] == 17
    numbers = [{"text": f"t{i}", "label": 0.5 * i} for i in range(30)]
    assert sorted(nested_order(numbers, 0)) == list(range(30))


def test_budgets_are_counts_or_shares_and_all_labels_come_last() -> None:
    assert Comparison(budgets=(0.1, 50, 0.5)).counts(200) == (20, 50, 100, 200)
    assert Comparison(budgets=(200,)).counts(200) == (200,)
    assert Comparison(budgets=(0.1, 0.5)).counts(60, 10) == (10, 30, 60)
    with pytest.raises(InputError, match="a budget of 6 labels cannot contain each of 10"):
        Comparison(budgets=(6,)).counts(60, 10)
    with pytest.raises(InputError, match="more than the 200"):
        Comparison(budgets=(300,)).counts(200)

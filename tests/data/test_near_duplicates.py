"""Laws of the search for copies: none is missed by the way it is written, and none is invented."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from benchmarks.leak_gate import EDITS, SCRIPTS, texts_in
from transferline.data.bare_text import bare
from transferline.data.near_duplicates import edits_allowed, find_copies

BASE = [" ".join(f"w{i}x{j}" for j in range(25)) for i in range(20)]


def test_identical_sets_are_all_copies() -> None:
    copies = find_copies(BASE, BASE, near=0.8)
    assert copies.exact == {i: i for i in range(20)}
    assert not copies.near


def test_a_near_copy_is_found_and_knows_its_original() -> None:
    edited = [BASE[7].replace("w7x24", "changed")]
    copies = find_copies(edited, BASE, near=0.8)
    assert copies.near == {0: 7}
    assert copies.originals() == {7}


def test_a_threshold_of_one_looks_for_exact_copies_only() -> None:
    assert len(find_copies([BASE[7] + " more"], BASE, near=1.0)) == 0
    assert find_copies([BASE[7].upper() + " !"], BASE, near=1.0).exact == {0: 7}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("edit", EDITS)
def test_a_copy_is_found_in_every_script_under_every_edit(script: str, edit: str) -> None:
    """Of 40 texts of 60 characters; the benchmark measures more."""
    rng = random.Random(1)
    texts = texts_in(script, 60, 40, seed=1)
    copies = find_copies([EDITS[edit](text, rng) for text in texts], texts, near=0.8)
    found = {**copies.exact, **copies.near}
    assert len(found) >= 38
    assert all(found[i] == i for i in found)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("length", [15, 60, 400])
def test_other_texts_are_no_copies(script: str, length: int) -> None:
    assert len(find_copies(texts_in(script, length, 200, seed=2), texts_in(script, length, 200, seed=3), 0.8)) == 0


def test_a_pair_is_a_copy_of_its_mirror() -> None:
    copies = find_copies(["is it far?\nhow far is it from here"], ["How far is it from here?\nIs it far"], near=0.8)
    assert copies.exact == {0: 0}
    near = find_copies(["is it far?\nhow farr is it from here"], ["How far is it from here?\nIs it far"], near=0.8)
    assert near.near == {0: 0}


def test_short_texts_must_be_equal() -> None:
    assert len(find_copies(["great", "yes", "no way"], ["treat", "yep", "no war"], near=0.8)) == 0
    assert len(find_copies(["Great !"], ["great"], near=0.8)) == 1


def test_rows_of_a_template_are_no_copies_and_one_number_in_a_long_text_hides_none() -> None:
    rows = [f"order {number} was not delivered" for number in (1234, 1235, 9876)]
    assert len(find_copies(rows[1:], rows[:1], near=0.8)) == 0
    assert len(find_copies([BASE[7].replace("w7x24", "w7x25")], BASE, near=0.8)) == 1


def test_rows_of_numbers_are_compared_as_they_are() -> None:
    rows = ["0:1 3:2.5 7:1", "0:1 3:2.5 8:1"]
    assert find_copies(rows, rows[:1], near=0.8, literal=True).exact == {0: 0}
    assert not find_copies(rows, rows[:1], near=0.8, literal=True).near


@given(st.integers(0, 2**32 - 1), st.integers(9, 300), st.floats(0.7, 0.95))
def test_a_text_within_the_edits_is_found_and_one_beyond_is_not(seed: int, length: int, near: float) -> None:
    """The index leaves out no short text (n-grams by the pigeonhole principle), and hardly a long one."""
    rng = random.Random(seed)
    text = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=length))
    edits = rng.randint(0, edits_allowed(length, near) + 3)
    changed = list(text)
    for place in rng.sample(range(length), min(edits, length)):
        changed[place] = rng.choice("αβγδεζηθικ")
    other = "".join(changed)
    expected = Levenshtein.distance(bare(text), bare(other)) <= edits_allowed(length, near)
    if expected and edits > length // 8 and length >= 60:
        return  # many edits in a long text may leave too few n-grams
    assert (len(find_copies([other], [text], near)) == 1) == expected

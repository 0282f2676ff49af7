from __future__ import annotations

from transfer.evaluation.leakage import find_copies, shingles

BASE = [" ".join(f"w{i}x{j}" for j in range(25)) for i in range(20)]


def test_identical_sets_are_all_copies() -> None:
    copies = find_copies(BASE, BASE, near=0.8)
    assert copies.exact == {i: i for i in range(20)}
    assert not copies.near


def test_unrelated_sets_share_nothing() -> None:
    assert len(find_copies(BASE, [text.replace("w", "v") for text in BASE], near=0.8)) == 0


def test_a_near_copy_is_found_and_knows_its_original() -> None:
    edited = [BASE[7].replace("w7x24", "changed")]
    copies = find_copies(edited, BASE, near=0.8)
    assert copies.near == {0: 7}
    assert copies.originals() == {7}


def test_a_threshold_of_one_looks_for_exact_copies_only() -> None:
    assert len(find_copies([BASE[7] + " more"], BASE, near=1.0)) == 0


def test_case_does_not_hide_a_copy() -> None:
    assert 0 in find_copies([BASE[3].upper()], BASE, near=0.8)


def test_shingles_of_a_short_text_are_the_text() -> None:
    assert shingles("Two words") == [b"two words"]
    assert shingles("one two three four") == [b"one two three", b"two three four"]

from __future__ import annotations

import random

from datasketch import MinHash, MinHashLSH

from transferline.data.near_duplicates import PERMUTATIONS, find_copies, shingles

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


def test_leaving_out_what_shares_too_little_changes_nothing() -> None:
    """Texts with more and more words replaced: the copies found are those of a sketch for every text."""
    rng = random.Random(0)
    words = [f"w{i}" for i in range(500)]
    protected = [" ".join(rng.choices(words, k=40)) for _ in range(30)]
    texts = [
        " ".join(w if rng.random() > share / 60 else "new" for w in protected[share % 30].split())
        for share in range(60)
    ]
    index, sketches = MinHashLSH(threshold=0.6, num_perm=PERMUTATIONS), {}
    for i, text in enumerate(protected):
        sketches[i] = next(iter(MinHash.generator([shingles(text)], num_perm=PERMUTATIONS)))
        index.insert(i, sketches[i])
    expected = {}
    for i, text in enumerate(texts[1:], start=1):  # the first is unchanged: an exact copy
        sketch = next(iter(MinHash.generator([shingles(text)], num_perm=PERMUTATIONS)))
        best = max((sketch.jaccard(sketches[j]) for j in index.query(sketch)), default=0.0)
        if best >= 0.6:
            expected[i] = i % 30
    found = find_copies(texts, protected, 0.6)
    assert found.near == {i: j for i, j in expected.items() if i not in found.exact}
    assert 3 < len(expected) < 40

"""Laws of the order of examples: batches of like length that mix everything else."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferline.training.loop import epoch_batches


@given(st.lists(st.integers(1, 64), min_size=1, max_size=200), st.integers(1, 32), st.integers(0, 5))
def test_an_epoch_holds_every_example_once(lengths: list[int], size: int, epoch: int) -> None:
    batches = epoch_batches(lengths, size, seed=0, epoch=epoch)
    assert Counter(i for batch in batches for i in batch) == Counter(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // size)
    assert batches == epoch_batches(lengths, size, seed=0, epoch=epoch)


def test_epochs_and_seeds_differ() -> None:
    lengths = [5] * 100
    assert epoch_batches(lengths, 8, 0, 0) != epoch_batches(lengths, 8, 0, 1)
    assert epoch_batches(lengths, 8, 0, 0) != epoch_batches(lengths, 8, 1, 0)


def test_batches_hold_examples_of_like_length() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 100, 2000).tolist()
    padded = sum(len(b) * max(lengths[i] for i in b) for b in epoch_batches(lengths, 16, 0, 0))
    assert padded < 1.15 * sum(lengths)  # unsorted batches of 16 pad to about twice the tokens


def label_shares(lengths: list[int], size: int, epochs: int) -> np.ndarray:
    """Share of the second label in each full batch of a file that has all rows of the first label first."""
    half = len(lengths) // 2
    batches = [
        batch for epoch in range(epochs) for batch in epoch_batches(lengths, size, 3, epoch) if len(batch) == size
    ]
    return np.array([np.mean([i >= half for i in batch]) for batch in batches])


@pytest.mark.parametrize("rows", [64, 200, 320, 1000])
@pytest.mark.parametrize("lengths", ["one", "equal", "few", "many"])
def test_batches_of_a_file_sorted_by_label_mix_labels_as_shuffling_does(rows: int, lengths: str) -> None:
    """The variance of the labels' shares is that of drawing without replacement, within a fifth."""
    rng = np.random.default_rng(rows)
    of = {
        "one": np.ones(rows),
        "equal": np.full(rows, 128),
        "few": rng.integers(1, 4, rows),
        "many": rng.integers(1, 128, rows),
    }
    size = 16
    shares = label_shares(of[lengths].astype(int).tolist(), size, epochs=8000 // rows)
    expected = 0.25 / size * (rows - size) / (rows - 1)  # hypergeometric
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.var() == pytest.approx(expected, rel=0.2)
    assert ((shares == 0) | (shares == 1)).mean() < 0.01


@pytest.mark.parametrize("rows", [40, 200, 256])
def test_no_batch_of_an_epoch_comes_back_in_another(rows: int) -> None:
    """Also where the data are few: then up to 16 batches were the same in every epoch and for every seed."""
    lengths = np.random.default_rng(0).integers(1, 100, rows).tolist()
    seen: Counter[frozenset[int]] = Counter()
    for seed in range(3):
        for epoch in range(5):
            seen.update(frozenset(batch) for batch in epoch_batches(lengths, 16, seed, epoch))
    assert max(seen.values()) <= 2


def test_the_short_batch_is_drawn_at_random() -> None:
    """At the end of a bucket it would always hold the longest texts."""
    lengths = [*range(1, 201)]
    short = [np.mean(next(b for b in epoch_batches(lengths, 16, 0, epoch) if len(b) == 8)) for epoch in range(40)]
    assert np.mean(short) == pytest.approx(99.5, abs=12)

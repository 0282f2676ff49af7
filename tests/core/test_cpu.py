"""Quicker training on a CPU computes what it computed before."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from transferline.core.cpu import cheap_dropout, quickest, quickest_threads

SIZE = 400_000


@pytest.fixture(autouse=True)
def native():
    """The process's own dropout, back in its place when a test is over."""
    before = torch.nn.functional.dropout
    cheap_dropout()
    yield getattr(torch.nn.functional.dropout, "__wrapped__", before)
    torch.nn.functional.dropout = before


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(share: float) -> None:
    torch.manual_seed(0)
    out = torch.nn.functional.dropout(torch.ones(SIZE), share)
    noise = 5 * (share * (1 - share) / SIZE) ** 0.5  # five standard errors
    assert abs(float((out == 0).float().mean()) - share) < noise
    assert abs(float(out.mean()) - 1) < noise / (1 - share)
    assert len(out.unique()) == 2


def test_neighbours_are_dropped_independently() -> None:
    """Four decisions share one draw: each pair of them agrees as often as chance has it."""
    torch.manual_seed(0)
    dropped = (torch.nn.functional.dropout(torch.ones(SIZE), 0.5) == 0).view(-1, 4).float()
    correlation = torch.corrcoef(dropped.T) - torch.eye(4)
    assert float(correlation.abs().max()) < 5 / (SIZE / 4) ** 0.5


def test_the_same_seed_drops_the_same_and_what_is_dropped_gets_no_gradient() -> None:
    outs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outs.append(torch.nn.Dropout(0.3)(torch.ones(100)))
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])
    given = torch.ones(1001, requires_grad=True)  # not a multiple of four
    out = torch.nn.functional.dropout(given, 0.3)
    out.sum().backward()
    assert torch.equal(given.grad, out.detach())


def test_nothing_is_dropped_where_nothing_should_be(native) -> None:
    ones = torch.ones(1000)
    for share, training in ((0.0, True), (0.5, False)):
        assert torch.equal(torch.nn.functional.dropout(ones, share, training), ones)
    assert not torch.nn.functional.dropout(ones, 1.0).any()
    with pytest.raises(ValueError, match="probability"):
        torch.nn.functional.dropout(ones, 1.5)
    cheap_dropout()
    assert torch.nn.functional.dropout.__wrapped__ is native  # set once, however often it is asked for


@pytest.mark.parametrize(
    ("took", "expected"),
    [
        ({4: 1.0, 2: 1.9, 1: 3.8}, 4),  # a machine of its own
        ({2: 1.1, 1: 1.0}, 2),  # a busy neighbour, perhaps for a moment
        ({64: 50.0, 32: 20.0, 16: 6.0, 8: 2.0, 4: 1.0, 2: 2.0, 1: 4.0}, 4),  # a container with four of 64 cores
        ({1: 1.0}, 1),
    ],
)
def test_fewer_threads_are_taken_where_they_are_clearly_faster(took: dict[int, float], expected: int) -> None:
    assert quickest(took) == expected


def test_what_the_environment_says_of_threads_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    quickest_threads.cache_clear()
    assert quickest_threads(False) == before
    monkeypatch.delenv("OMP_NUM_THREADS")
    quickest_threads.cache_clear()
    assert 1 <= quickest_threads(False) <= before
    quickest_threads.cache_clear()
    torch.set_num_threads(before)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_freed_memory_is_kept_for_what_comes_next() -> None:
    """After some rounds a tensor in the place of a freed one touches no new pages; without keeping, every one of them."""
    script = """
import resource, sys, torch
from transferline.core.cpu import keep_memory
if sys.argv[1] == "keep":
    assert keep_memory()
for _ in range(10):
    torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = {
        how: int(subprocess.run([sys.executable, "-c", script, how], check=True, capture_output=True, text=True).stdout)
        for how in ("keep", "return")
    }
    assert faults["keep"] * 10 < faults["return"]

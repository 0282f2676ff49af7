"""Costs that are known beforehand."""

from __future__ import annotations

import time

import pytest
import torch

from transferline.core.cost import Gauge, add_spent, metered, remember, spent_so_far


def test_flops_of_a_matrix_product_are_two_a_weight_and_row() -> None:
    layer, rows = torch.nn.Linear(30, 20, bias=False), torch.ones(7, 30)
    with metered() as meter, Gauge().count(7):
        layer(rows).sum().backward()
    assert meter.flops == 2 * 7 * 30 * 20 * 2  # forward, and the weights' gradient: the input needs none
    assert meter.tokens == 7


def test_batches_between_two_counts_are_scaled_by_their_tokens() -> None:
    layer, gauge = torch.nn.Linear(10, 10, bias=False), Gauge()
    with metered() as meter:
        for rows in (4, 8):
            with gauge.count(rows):
                layer(torch.ones(rows, 10))
    assert meter.flops == 2 * 12 * 100


def test_a_fresh_count_notices_that_less_is_computed() -> None:
    layer, gauge = torch.nn.Linear(10, 10, bias=False), Gauge()
    with metered() as meter:
        with gauge.count(4):
            layer(torch.ones(4, 10))
        with gauge.count(4, afresh=True):
            pass
    assert meter.flops == 2 * 4 * 100


def test_without_a_meter_nothing_is_counted_and_nothing_breaks() -> None:
    with Gauge().count(3):
        pass
    add_spent({"flops": 3.0})
    remember({"score": 1.0})
    assert spent_so_far() == {"tokens": 0.0, "flops": 0.0, "seconds": 0.0}


def test_what_is_timed_is_not_slowed_by_counting() -> None:
    gauge = Gauge()
    with metered(counting=False) as meter, gauge.count(3):
        torch.ones(3, 3) @ torch.ones(3, 3)
    assert (meter.flops, gauge.per_token) == (0.0, None)
    assert meter.seconds > 0


def test_killed_attempts_count_up_to_their_saved_state() -> None:
    with metered() as meter:
        add_spent({"tokens": 5.0, "flops": 7.0, "seconds": 100.0})
        remember({"score": 0.5})
        time.sleep(0.01)
    cost = meter.cost()
    assert (cost["tokens"], cost["flops"]) == (5.0, 7.0)
    assert cost["seconds"] == pytest.approx(100, abs=1)
    assert cost["seconds"] > 100
    assert cost["curve"] == [{"score": 0.5}]
    assert cost["peak_bytes"] > 1e6

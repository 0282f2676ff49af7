"""The verdict as a table of known cases."""

from __future__ import annotations

import pytest

from transferline.evaluation.significance import Interval, PairedComparison
from transferline.evaluation.verdict import NO_TRANSFER, Candidate, judge, outcome


def comparison(other: str, low: float, high: float) -> PairedComparison:
    return PairedComparison(other, Interval((low + high) / 2, low, high), 10, 5, 0.1, 1000)


BETTER, CLOSE, UNSURE, WORSE = (0.01, 0.05), (-0.005, 0.03), (-0.04, 0.04), (-0.05, -0.01)


def candidate(role: str = "challenger", **bars: tuple[float, float]) -> Candidate:
    return Candidate(role, f"tune-{role}", tuple(comparison(other, *bounds) for other, bounds in bars.items()))


FALLBACK = candidate("unadapted", scratch=BETTER, tfidf=BETTER)


@pytest.mark.parametrize(
    ("bounds", "margin", "expected"),
    [
        ((0.001, 0.1), 0.0, "superior"),
        ((0.0, 0.1), 0.0, "not proven"),  # an interval that touches zero proves nothing
        ((-0.01, 0.1), 0.02, "not inferior"),
        ((-0.02, 0.1), 0.02, "not proven"),
        ((-0.1, -0.001), 0.5, "worse"),  # no margin makes a proven loss acceptable
    ],
)
def test_outcomes(bounds: tuple[float, float], margin: float, expected: str) -> None:
    assert outcome(Interval(0.0, *bounds), margin) == expected


@pytest.mark.parametrize(
    ("bars", "decision", "role", "finding"),
    [
        ({"unadapted": BETTER, "scratch": BETTER, "tfidf": BETTER}, "promote", "challenger", "superior"),
        ({"unadapted": CLOSE, "scratch": BETTER, "tfidf": BETTER}, "promote", "challenger", "not inferior"),
        ({"unadapted": UNSURE, "scratch": BETTER, "tfidf": BETTER}, "promote", "unadapted", "not proven"),
        ({"unadapted": WORSE, "scratch": BETTER, "tfidf": BETTER}, "promote", "unadapted", "negative transfer"),
        ({"unadapted": BETTER, "champion": WORSE}, "promote", "unadapted", "worse than champion"),
    ],
)
def test_with_a_fallback_the_best_that_is_proven_ships(bars: dict, decision: str, role: str, finding: str) -> None:
    verdict = judge([candidate(**bars), FALLBACK], None, margin=0.01)
    assert (verdict.decision, verdict.role, verdict.challenger) == (decision, role, finding)


def test_negative_transfer_names_the_control_and_is_refused() -> None:
    verdict = judge([candidate(unadapted=WORSE, tfidf=WORSE, scratch=BETTER)], None, margin=0.01)
    assert verdict.decision == "hold"
    assert verdict.challenger == "negative transfer"
    assert "negative transfer: challenger is worse than tfidf, unadapted" in verdict.reasons


def test_a_fallback_must_pass_its_own_bars() -> None:
    weak = candidate("unadapted", scratch=BETTER, tfidf=WORSE)
    assert judge([candidate(unadapted=WORSE), weak], None, margin=0.01).decision == "hold"


@pytest.mark.parametrize("control", NO_TRANSFER)
def test_a_model_must_be_better_than_a_control_without_transfer_not_only_as_good(control: str) -> None:
    """A network of 99 MB that ties with TF-IDF is not worth its size."""
    bars = dict.fromkeys(("unadapted", *NO_TRANSFER), BETTER) | {control: CLOSE}
    verdict = judge([candidate(**bars)], None, margin=0.01)
    assert (verdict.decision, verdict.challenger) == ("hold", "not proven")
    assert f"challenger is not proven better than {control}, which needs no transfer" in verdict.reasons
    assert judge([candidate(**bars | {control: BETTER, "unadapted": CLOSE})], None, 0.01).decision == "promote"


def test_the_champion_again_is_unchanged() -> None:
    verdict = judge([candidate(unadapted=BETTER)], "tune-challenger", margin=0.01)
    assert (verdict.decision, verdict.challenger) == ("unchanged", "unchanged")


def test_where_the_fallback_is_the_champion_nothing_moves() -> None:
    verdict = judge([candidate(unadapted=WORSE, champion=WORSE), FALLBACK], "tune-unadapted", margin=0.01)
    assert (verdict.decision, verdict.role, verdict.challenger) == ("unchanged", "unadapted", "negative transfer")


def test_beating_the_controls_is_not_enough_against_a_better_champion() -> None:
    made = candidate(unadapted=BETTER, scratch=BETTER, tfidf=BETTER, champion=UNSURE)
    assert judge([made], "tune-old", margin=0.01).decision == "hold"


def test_every_bar_gives_a_reason() -> None:
    verdict = judge([candidate(unadapted=BETTER, scratch=CLOSE, tfidf=UNSURE)], None, margin=0.01)
    for bar in ("unadapted", "scratch", "tfidf"):
        assert any(f"challenger against {bar}:" in reason for reason in verdict.reasons)

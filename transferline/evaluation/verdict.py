"""The verdict: promote, hold or unchanged, with every reason. A pure function of the evidence.

Against each bar (the controls, and the champion if there is one) the candidate is

    superior        the whole interval of the difference is above zero
    not inferior    it reaches below zero, but not below minus the target's margin
    worse           the whole interval is below zero; against a control this is negative transfer
    not proven      anything else

A candidate is promoted if it is superior to every control without transfer, and superior or not inferior to every other bar (the
unadapted model and the champion). If the challenger does not pass, the unadapted model, which was built anyway, is the next
candidate (policy `fallback: control`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transferline.evaluation.significance import Interval, PairedComparison

Outcome = Literal["superior", "not inferior", "worse", "not proven"]
Resolution = Literal["promote", "hold", "unchanged"]
Proof = Literal["superior", "margin"]
Finding = Literal["superior", "not inferior", "negative transfer", "not proven", "worse than champion", "unchanged"]
CHAMPION = "champion"
SCRATCH, TFIDF, MAJORITY = "scratch", "tfidf", "majority"
NO_TRANSFER = (SCRATCH, TFIDF, MAJORITY)
"""controls without transfer: a model with transfer must be proven better than each of them, in `run` and in `compare`"""


@dataclass(frozen=True)
class Candidate:
    """A model that may become champion: its role, key, and comparisons with its bars, the champion's among them."""

    role: str
    key: str
    comparisons: tuple[PairedComparison, ...]


@dataclass(frozen=True)
class Verdict:
    """The decision of a retrain. `role` and `key` name the model that it is about."""

    decision: Resolution
    role: str
    key: str
    challenger: Finding
    reasons: tuple[str, ...]

    @property
    def headline(self) -> str:
        what = {"promote": f"promote the {self.role} model", "hold": "hold", "unchanged": "unchanged"}[self.decision]
        return f"{what} (challenger: {self.challenger})"


def outcome(interval: Interval, margin: float) -> Outcome:
    """The outcome of one comparison, from the 95 % interval of the difference."""
    if interval.low > 0:
        return "superior"
    if interval.high < 0:
        return "worse"
    return "not inferior" if interval.low > -margin else "not proven"


def judge(candidates: Sequence[Candidate], champion: str | None, margin: float, proof: Proof = "superior") -> Verdict:
    """The verdict over the challenger (first) and its fallbacks, in the order in which they may be promoted.

    `proof` says what is asked against controls without transfer: to be superior, or not to be worse by the margin.
    """
    reasons: list[str] = []
    challenger: Finding | None = None
    for candidate in candidates:
        if candidate.key == champion:
            reasons.append(f"the {candidate.role} model is the champion already")
            return Verdict("unchanged", candidate.role, candidate.key, challenger or "unchanged", tuple(reasons))
        finding, passed = _find(candidate, margin, proof, reasons)
        challenger = challenger or finding
        if passed:
            if candidate is not candidates[0]:
                reasons.append(f"the {candidate.role} model is promoted in the challenger's place")
            return Verdict("promote", candidate.role, candidate.key, challenger, tuple(reasons))
    first = candidates[0]
    return Verdict("hold", first.role, first.key, challenger or "not proven", tuple(reasons))


def _find(candidate: Candidate, margin: float, proof: Proof, reasons: list[str]) -> tuple[Finding, bool]:
    """Judge one candidate. Returns its finding and whether it passes, and adds a reason for each bar."""
    outcomes: dict[str, Outcome] = {}
    for comparison in candidate.comparisons:
        said = outcomes[comparison.other] = outcome(comparison.difference, margin)
        bound = f" within the margin of {margin:g}" if said == "not inferior" else ""
        reasons.append(
            f"{candidate.role} against {comparison.other}: {said}{bound}, difference {comparison.difference.signed()} "
            f"on {comparison.rows} rows (shipped: {comparison.wins} won, {comparison.losses} lost, "
            f"{comparison.test} p={comparison.mcnemar_p:.3g})"
        )
    lost = sorted(other for other, said in outcomes.items() if said == "worse" and other != CHAMPION)
    if lost:
        reasons.append(f"negative transfer: {candidate.role} is worse than {', '.join(lost)}")
        return "negative transfer", False
    if outcomes.get(CHAMPION) == "worse":
        return "worse than champion", False
    if "not proven" in outcomes.values():
        return "not proven", False
    equal = sorted(other for other, said in outcomes.items() if said != "superior" and other in NO_TRANSFER)
    if equal and proof == "superior":
        reasons.append(f"{candidate.role} is not proven better than {', '.join(equal)}, which needs no transfer")
        return "not proven", False
    return ("superior" if set(outcomes.values()) == {"superior"} else "not inferior"), True

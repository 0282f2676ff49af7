"""The decision of a tournament: the model to ship, the reasons, the certainty, the cost, and the next step.

Pure: it turns statistics into sentences. A difference that is not significant is called a tie. If no recipe beats the no-transfer
controls, nothing is shipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transferline.evaluation.verdict import NO_TRANSFER, SCRATCH, TFIDF
from transferline.recipes.recipe import Recipe
from transferline.tournament.costs import Cost
from transferline.tournament.curves import Ratio, Slope, label_ratio, slope
from transferline.tournament.leaderboard import LEVEL, Board, BoardRow

SURE = 0.9  # advice with a lower probability is prefixed with "perhaps"


@dataclass(frozen=True)
class Decision:
    """The decision in sentences. `ship` is the entry to register, or None."""

    ship: str | None
    headline: str
    why: tuple[str, ...]
    sure: tuple[str, ...]
    cost: tuple[str, ...]
    next: tuple[str, ...]
    negative: Mapping[str, str]
    ratios: tuple[Ratio, ...] = ()
    slope: Slope | None = None


def decide(board: Board, metric: str, margin: float, twins: Mapping[str, str]) -> Decision:
    """Decide from a leaderboard. `twins` maps an adapted entry to the same recipe without adaptation."""
    best, control = board.best, board.rows[board.control]
    proven = best.against_control is not None and best.against_control.better and not board.unbeaten
    adapted = _best_adapted(board, twins)
    slopes = slope(best.entry, adapted, board.budgets, board.scores)
    others = [name for name in (SCRATCH, TFIDF) if name in board.rows]
    ratios = tuple(label_ratio(best.entry, name, board.budgets, board.scores) for name in others)
    ratios = ratios if len(board.budgets) > 1 else ()
    over = _list(board.unbeaten or (control.entry,))
    headline = f"ship {best.entry}" if proven else f"ship nothing: {best.entry} is not proven to beat {over}"
    return Decision(
        best.entry if proven else None,
        headline,
        tuple(_why(board, best, control, metric, proven)),
        tuple(_sure(board, best, metric)),
        tuple(_cost(board, best, margin, metric)),
        tuple(_next(board, best, slopes, adapted, metric)),
        board.negative(),
        ratios,
        slopes,
    )


def _best_adapted(board: Board, twins: Mapping[str, str]) -> tuple[str, str] | None:
    """The adapted entry with the best validation score, and the same recipe without adaptation."""
    adapted = [name for name in board.rows if name in twins and twins[name] in board.rows]
    return (adapted[0], twins[adapted[0]]) if adapted else None


def _why(board: Board, best: BoardRow, control: BoardRow, metric: str, proven: bool) -> list[str]:
    said = [f"{best.entry} is best on validation ({metric} {best.validation:.3f}); on the test it scores {best.score}"]
    against = best.against_control
    if against is not None:
        word = "better than" if proven else "worse than" if against.worse else "not proven better than"
        difference = against.difference.interval.signed()
        said.append(
            f"{word} {control.entry}, the strongest control without transfer: {difference}, {p_text(against.p)}"
        )
    twin = best.against_twin
    if twin is not None:
        word = "helps" if twin.better else "hurts" if twin.worse else "is not proven to help"
        said.append(f"its adaptation {word}: {twin.difference.interval.signed()} over {twin.other}, {p_text(twin.p)}")
    return said


def _sure(board: Board, best: BoardRow, metric: str) -> list[str]:
    recipes = {n: row for n, row in board.rows.items() if n not in NO_TRANSFER and row.finding != "leaked"}
    ties = [name for name, row in recipes.items() if row.finding == "tie"]
    worse = [name for name, row in recipes.items() if row.finding == "worse"]
    better = [name for name, row in recipes.items() if row.finding == "better"]
    detectable = f"this test and these seeds cannot detect differences below about {board.detectable:.3f}"
    said = [f"probability that it is the best of all on such texts: {best.chance:.0%}; {detectable}"]
    if ties:
        said.append(f"a tie with {_list(ties)}")
    if worse:
        said.append(f"proven better than {_list(worse)}")
    if better:
        said.append(f"validation chose wrongly, according to this test: {_list(better)} scored significantly better")
    return said


def _cost(board: Board, best: BoardRow, margin: float, metric: str) -> list[str]:
    said = [f"{describe(best.cost)} for one model; {best.latency_ms:.1f} ms a text, {best.megabytes:.0f} MB served"]
    for control, (flops, seconds) in best.sooner.items():
        if control == SCRATCH:
            said.append(
                f"it reaches the final score of {control} with {flops:.1f}x fewer FLOPs and {seconds:.1f}x sooner"
            )
    cheap = [row for row in board.rows.values() if row.as_good_and_cheaper]
    if cheap:
        one = min(cheap, key=lambda row: row.cost.flops)
        times = best.cost.flops / one.cost.flops if one.cost.flops else float("inf")
        said.append(f"{one.entry} is as good within {margin:g} and {times:.0f}x cheaper ({p_text(one.as_good or 0.0)})")
    return said


def _next(
    board: Board, best: BoardRow, slopes: Slope | None, adapted: tuple[str, str] | None, metric: str
) -> list[str]:
    said = []
    against = best.against_control
    if against is not None and not against.better and against.difference.value > 0:
        by_seeds = against.difference.seeds_error > against.difference.examples_error
        more = "seeds (`--seeds 5`), the larger source of uncertainty" if by_seeds else "test rows"
        said.append(f"its lead over {against.other} is not proven: compare again with more {more}")
    if slopes is not None:
        said.append(_labels(slopes, adapted, metric))
    ties = [n for n, row in board.rows.items() if row.finding == "tie" and n not in NO_TRANSFER]
    if ties and best.against_control is not None:
        gap = max(abs(a.difference.value) for n in ties if (a := board.rows[n].against_winner) is not None)
        if gap > 0 and gap < board.detectable:
            times = (board.detectable / gap) ** 2  # standard errors shrink with the root of the number of rows
            cheapest = min([best.entry, *ties], key=lambda name: board.rows[name].cost.flops)
            said.append(
                f"resolving the ties would need about {times:.0f}x the test rows, or more seeds; "
                f"the cheapest of them is {cheapest}"
            )
    hurt = board.negative()
    if hurt:
        said.append(f"leave out {_list(list(hurt))}: negative transfer")
    return said or ["run the comparison again when the data changes"]


def _labels(slopes: Slope, adapted: tuple[str, str] | None, metric: str) -> str:
    """Advice on more labels or more adaptation, with its probability."""
    more = f"twice the labels would add about {slopes.doubling.signed()} {metric}"
    if slopes.adaptation is None or slopes.labels_win is None or adapted is None:
        worth = "a proven gain" if slopes.doubling.low > 0 else "not a proven gain"
        return f"{more}, {worth}"
    chance = slopes.labels_win
    side, sure = ("label more texts", chance) if chance >= 0.5 else ("adapt more", 1 - chance)
    word = side if sure >= SURE else f"perhaps {side}"
    gain = f"adaptation ({adapted[0]}) adds {slopes.adaptation.signed()}"
    return f"{word}: {more}, {gain}; labels add more with a probability of {chance:.0%}"


def describe(cost: Cost) -> str:
    """A cost in words."""
    seconds = "unknown time" if cost.seconds != cost.seconds else _duration(cost.seconds)
    return f"{number(cost.flops)}FLOPs, {number(cost.tokens)}tokens, {seconds}"


def number(value: float) -> str:
    """A number with an SI prefix: 1.2e13 is `12 T`. Ends with a space or a prefix, so that a unit can follow."""
    if value != value:
        return "unknown "
    for size, name in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.3g} "


def p_text(p: float) -> str:
    """A p value as text. Values below 0.001 are not more precise than that."""
    return "p<0.001" if p < 0.001 else f"p={p:.2g}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def to_json(decision: Decision, recipe: Recipe | None, lineage: Mapping[str, Any]) -> dict[str, Any]:
    """The decision as JSON, with the full recipe. `lineage` records the target, the data and the base."""
    return {
        "ship": decision.ship,
        "recipe": recipe.model_dump(mode="json") if recipe is not None and decision.ship else None,
        "headline": decision.headline,
        "why": list(decision.why),
        "sure": list(decision.sure),
        "cost": list(decision.cost),
        "next": list(decision.next),
        "negative": dict(decision.negative),
        "level": LEVEL,
        **lineage,
    }

"""Numbers of a comparison as tables: markdown for pull requests, and rows for parquet and for DVC's metrics and plots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from transferline.evaluation.markdown import table
from transferline.evaluation.metrics import measure
from transferline.tournament.costs import chain_cost
from transferline.tournament.decision import number, p_text
from transferline.tournament.leaderboard import Against, BoardRow, Evidence
from transferline.tournament.result import Result

HEADER = [
    "recipe",
    "validation",
    "test",
    "against the winner",
    "against {control}",
    "adaptation",
    "FLOPs",
    "seconds",
    "ms a text",
    "runs that beat the winner's",
]


def rows_of(result: Result) -> list[list[str]]:
    """The leaderboard as text, best on validation first."""
    return [_row(row) for row in result.board.rows.values()]


def header_of(result: Result) -> list[str]:
    return [title.format(control=result.board.control) for title in HEADER]


def _row(row: BoardRow) -> list[str]:
    mark = {"winner": " (chosen)", "leaked": " (leaked)"}.get(row.finding, "")
    against = {"winner": "-", "leaked": "trained on test rows"}.get(row.finding) or told(row.against_winner)
    if row.as_good_and_cheaper:
        against += "; as good, cheaper"
    return [
        row.entry + mark + (" (control)" if row.control else ""),
        f"{row.validation:.3f}",
        str(row.score),
        against,
        told(row.against_control),
        told(row.against_twin),
        number(row.cost.flops).strip(),
        f"{row.cost.seconds:.0f}",
        f"{row.latency_ms:.1f}",
        f"{row.against_winner.improvement:.0%}" if row.against_winner else "-",
    ]


def told(against: Against | None) -> str:
    """One comparison as text: better, worse or tie, with the difference and its p value."""
    if against is None:
        return "-"
    word = "better" if against.better else "worse" if against.worse else "tie"
    return f"{word} {against.difference.value:+.3f}, {p_text(against.p)}"


def markdown(result: Result) -> str:
    """The decision and the leaderboard as markdown."""
    decision = result.decision
    lines = [f"## {result.target}: {decision.headline}", ""]
    for title in ("why", "sure", "cost", "next"):
        lines += [f"- **{title}**: {said}" for said in getattr(decision, title)]
    lines += [f"- **negative transfer**: {name} loses to {to}" for name, to in decision.negative.items()]
    lines += [f"- **labels**: to {ratio.other}'s {ratio.score:.3f}: {ratio}" for ratio in decision.ratios]
    lines += [f"- {note}" for note in result.notes]
    note = f"{result.rows} test rows, {result.looks} models evaluated on them so far. p values are corrected by Holm's method."
    return "\n".join([*lines, "", table(header_of(result), rows_of(result)), "", note, ""])


def leaf_rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row per model: entry, labels, seed, key, scores and costs."""
    made = []
    for leaf in evidence.tournament.leaves:
        if leaf.key not in evidence.test:
            continue
        cost = chain_cost(evidence.keys(leaf), evidence.lineages)
        validation = evidence.validation.get(leaf.key)
        made.append(
            {
                "entry": leaf.entry,
                "labels": leaf.budget,
                "seed": leaf.seed,
                "key": leaf.key,
                evidence.metric: measure(evidence.metric, evidence.test[leaf.key]),
                "validation": measure(evidence.metric, validation) if validation is not None else None,
                **vars(cost),
            }
        )
    return made


def board_rows(result: Result) -> list[dict[str, Any]]:
    """One row per entry, as numbers."""
    return [
        {
            "entry": row.entry,
            "finding": row.finding,
            "control": row.control,
            "validation": row.validation,
            "score": row.score.value,
            "low": row.score.low,
            "high": row.score.high,
            "seeds": row.seeds,
            "against_winner": row.against_winner.difference.value if row.against_winner else None,
            "p_winner": row.against_winner.p if row.against_winner else None,
            "against_control": row.against_control.difference.value if row.against_control else None,
            "p_control": row.against_control.p if row.against_control else None,
            "against_twin": row.against_twin.difference.value if row.against_twin else None,
            "twin": row.against_twin.other if row.against_twin else None,
            "twin_low": row.against_twin.difference.interval.low if row.against_twin else None,
            "twin_high": row.against_twin.difference.interval.high if row.against_twin else None,
            "p_twin": row.against_twin.p if row.against_twin else None,
            "p_as_good": row.as_good,
            "chance_best": row.chance,
            "improvement": row.against_winner.improvement if row.against_winner else None,
            "flops": row.cost.flops,
            "tokens": row.cost.tokens,
            "seconds": row.cost.seconds,
            "peak_bytes": row.cost.peak_bytes,
            "latency_ms": row.latency_ms,
            "megabytes": row.megabytes,
            "calibration_error": row.calibration,
        }
        for row in result.board.rows.values()
    ]


def curve_rows(result: Result) -> list[dict[str, Any]]:
    """One row per label budget and one column per entry, for a line plot."""
    columns = {name: dict(points) for name, points in result.curves.items()}
    return [
        {"labels": budget, **{n: points[budget].value for n, points in columns.items() if budget in points}}
        for budget in result.board.budgets
    ]


def metrics(result: Result) -> Mapping[str, Any]:
    """Nested numbers for `dvc metrics diff`; `flat` flattens them for an experiment tracker."""
    entries = {
        row.entry: {
            "score": row.score.value,
            "low": row.score.low,
            "high": row.score.high,
            "validation": row.validation,
        }
        for row in result.board.rows.values()
    }
    best = result.board.best
    summary = {"score": best.score.value, "chance_best": best.chance, "detectable": result.board.detectable}
    return {
        "winner": {"name": best.entry, **summary},
        "test": {"rows": result.rows, "looks": result.looks},
        "entries": entries,
    }


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, float]:
    """Flatten nested numbers to names with slashes. Values that are not numbers are left out."""
    made: dict[str, float] = {}
    for name, value in values.items():
        full_name = before + re.sub(r"[^\w\-. :]", " ", name)  # MLflow refuses other characters in a metric's name
        if isinstance(value, Mapping):
            made |= flat(value, f"{full_name}/")
        elif isinstance(value, int | float) and value == value:  # not NaN
            made[full_name] = float(value)
    return made

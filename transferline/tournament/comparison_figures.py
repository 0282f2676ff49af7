"""Figures of a comparison as SVG, readable on desktop and phone screens."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from transferline.core.markup import MOST_IN_FIGURE, in_figure, largest
from transferline.evaluation.calibration import reliability_bins
from transferline.tournament.leaderboard import NO_TRANSFER, BoardRow
from transferline.tournament.result import Result

BEST, PLAIN, FAINT, HURT, INK = "#0b7a75", "#4c6a92", "#b6bec9", "#b3372f", "#222831"
WIDTH = 5.4  # inches; the text is still legible on a phone, where the figure shrinks to two thirds


def svg(figure: Any) -> str:
    """A figure as inline SVG that scales with the page, with its text as text."""
    import matplotlib as mpl

    # a fixed hash salt and no date: the same result always gives the same file

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "transferline"}):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _axes(height: float, xlabel: str = "", ylabel: str = "") -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    return figure, axes


def colour(row: BoardRow, winner: str, hurt: Sequence[str]) -> str:
    """Green the winner, red what transfer hurt, grey the controls."""
    if row.entry == winner:
        return BEST
    return HURT if row.entry in hurt or row.finding == "leaked" else FAINT if row.entry in NO_TRANSFER else PLAIN


def leaderboard(result: Result) -> Any:
    """Score and interval of every entry. The band holds scores that this test cannot distinguish from the winner's."""
    board = result.board
    rows = sorted(board.rows.values(), key=lambda row: -row.score.value)
    figure, axes = _axes(0.33 * len(rows) + 0.9, f"{result.metric} on the test, 95 % intervals")
    best, hurt = board.best.score.value, list(board.negative())
    if np.isfinite(board.detectable):
        axes.axvspan(best - board.detectable, best + board.detectable, color=BEST, alpha=0.08, lw=0)
    for place, row in enumerate(rows):
        made = colour(row, board.winner, hurt)
        value, low, high = row.score.value, row.score.low, row.score.high
        axes.plot([low, high], [-place, -place], color=made, lw=3, alpha=0.55, solid_capstyle="round")
        axes.plot(value, -place, "o", color=made, ms=7)
    axes.set_yticks([-i for i in range(len(rows))], [row.entry for row in rows])
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row.entry == board.winner else "normal")
    return figure


def pareto(result: Result) -> Any:
    """Score over training compute. The line is the Pareto front: entries that no cheaper entry matches."""
    board = result.board
    rows = [row for row in board.rows.values() if row.cost.flops > 0]
    figure, axes = _axes(3.6, "training FLOPs of one model (adaptation included)", result.metric)
    axes.set_xscale("log")
    front = pareto_front([(row.cost.flops, row.score.value) for row in rows])
    line = [(rows[i].cost.flops, rows[i].score.value) for i in front]
    axes.plot([x for x, _ in line], [y for _, y in line], color=BEST, lw=1.5, alpha=0.6)
    hurt = list(board.negative())
    for row in rows:
        made = colour(row, board.winner, hurt)
        error = [[row.score.value - row.score.low], [row.score.high - row.score.value]]
        axes.errorbar(row.cost.flops, row.score.value, yerr=error, fmt="o", color=made, ms=6, lw=1, alpha=0.85)
    for number, i in enumerate(front, start=1):
        place = (rows[i].cost.flops, rows[i].score.value)
        axes.annotate(str(number), place, (4, 5), textcoords="offset points", fontsize=9, fontweight="bold")
    named = "\n".join(f"{number}  {rows[i].entry}" for number, i in enumerate(front, start=1))
    axes.text(1.02, 1.0, named, transform=axes.transAxes, va="top", fontsize=9, linespacing=1.5)
    return figure


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the Pareto-optimal points (cost, score), cheapest first."""
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    front: list[int] = []
    for i in order:
        if not front or points[i][1] > points[front[-1]][1]:
            front.append(i)
    return front


def curves(result: Result) -> Any:
    """Score over the number of labels: the winner and the controls in colour, the other recipes in grey."""
    figure, axes = _axes(3.6, "labelled training examples", result.metric)
    board = result.board
    loud = {board.winner: BEST, "scratch": INK, "tfidf": "#c77d0a"}
    for name, points in result.curves.items():
        xs = [budget for budget, _ in points]
        ys = [interval.value for _, interval in points]
        if name in loud:
            axes.fill_between(
                xs, [i.low for _, i in points], [i.high for _, i in points], color=loud[name], alpha=0.12, lw=0
            )
            axes.plot(xs, ys, "o-", color=loud[name], lw=2.2, ms=5, label=name, zorder=3)
        elif name != "majority":
            axes.plot(xs, ys, "-", color=FAINT, lw=1, zorder=1)
    axes.set_xscale("log")
    axes.set_xticks(list(board.budgets), [str(budget) for budget in board.budgets])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=9)
    return figure


def ablation(result: Result) -> Any:
    """Gain of each stage of the winner, starting from random weights."""
    steps = result.ablation
    figure, axes = _axes(0.5 * len(steps) + 0.9, result.metric)
    for place, step in enumerate(steps):
        before = steps[place - 1].score.value if place else step.score.value
        made = FAINT if not place else BEST if step.score.value >= before else HURT
        axes.barh(-place, step.score.value - before, left=before, color=made, height=0.55, alpha=0.8)
        axes.plot([step.score.low, step.score.high], [-place, -place], color=INK, lw=1.2)
        axes.plot(step.score.value, -place, "|", color=INK, ms=12)
    axes.set_yticks([-i for i in range(len(steps))], [step.stage for step in steps])
    return figure


def slices(result: Result) -> Any:
    """Difference between winner and reference on each slice of the test, the largest ones where there are many."""
    parts = largest(result.slices, lambda part: part.rows, MOST_IN_FIGURE)
    figure, axes = _axes(0.3 * len(parts) + 0.9, f"{result.board.winner} minus {result.reference}, {_quality(result)}")
    axes.axvline(0, color=INK, lw=1)
    for place, part in enumerate(parts):
        made = BEST if part.difference.low > 0 else HURT if part.difference.high < 0 else PLAIN
        axes.plot([part.difference.low, part.difference.high], [-place, -place], color=made, lw=3, alpha=0.55)
        axes.plot(part.difference.value, -place, "o", color=made, ms=6)
    axes.set_yticks(
        [-i for i in range(len(parts))], [f"{in_figure(p.by)}: {in_figure(p.name)} ({p.rows})" for p in parts]
    )
    return figure


def _quality(result: Result) -> str:
    """The name of the quality measure of single predictions, by kind of target."""
    kind = next(iter(result.shipped.values())).kind
    return {"regression": "reduction of error", "generation": "chrF"}.get(kind, "accuracy")


def reliability(result: Result) -> Any:
    """Reliability diagram of winner and reference: accuracy over confidence, in equally wide bins."""
    figure, axes = _axes(3.6, "confidence", "accuracy")
    axes.plot([0, 1], [0, 1], "--", color=FAINT, lw=1)
    for (name, made), tone in zip(result.shipped.items(), (BEST, INK), strict=True):
        found = reliability_bins(made)
        axes.plot(found.confidence, found.accuracy, "o-", color=tone, ms=5, label=name, alpha=0.9)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    return figure


def drawn(result: Result) -> dict[str, str]:
    """All figures that apply to the result, as SVG by name, in the order of the report."""
    made = {"leaderboard": leaderboard(result)}
    if any(row.cost.flops > 0 for row in result.board.rows.values()):
        made["pareto"] = pareto(result)
    if len(result.board.budgets) > 1:
        made["curves"] = curves(result)
    made["ablation"] = ablation(result)
    if result.slices:
        made["slices"] = slices(result)
    if next(iter(result.shipped.values())).kind == "single-label":
        made["reliability"] = reliability(result)
    return {name: svg(figure) for name, figure in made.items()}

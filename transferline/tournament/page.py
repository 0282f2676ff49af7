"""The report: one HTML file that needs nothing else, least of all a network."""

from __future__ import annotations

from pathlib import Path

from transferline.tournament.comparison_figures import drawn
from transferline.tournament.result import Result
from transferline.tournament.result_tables import header_of, rows_of

TITLES = {
    "leaderboard": ("Who is best?", "the band: what this test cannot tell from the winner"),
    "pareto": ("What does it cost?", "the line joins what nothing cheaper matches"),
    "curves": ("What are labels worth?", "bands are 95 % intervals; faint lines are the other recipes"),
    "ablation": ("What did each stage add?", "from random weights to the winner"),
    "slices": ("Where is it better?", "by label, length and declared columns"),
    "reliability": ("Can its confidence be believed?", "on the dashed line it can"),
}


def render(result: Result, made: str = "") -> str:
    """The whole page; `made` says when and from what."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    board = result.board
    peaks = [row.cost.peak_bytes for row in board.rows.values() if row.cost.peak_bytes == row.cost.peak_bytes]
    one, other, better = board.winner, result.reference, "Answered better"
    return environment.get_template("report.html").render(
        r=result,
        best=board.best,
        made=made,
        leaked=[row.entry for row in board.rows.values() if row.finding == "leaked"],
        pictures=drawn(result),
        titles=TITLES,
        header=header_of(result),
        rows=list(zip(board.rows.values(), rows_of(result), strict=True)),
        sides=[
            (f"{better} with {one} than with {other}", result.won),
            (f"{better} with {other} than with {one}", result.lost),
        ],
        peak=max(peaks, default=0.0),
    )

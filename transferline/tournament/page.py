"""The report: one self-contained HTML file that works offline."""

from __future__ import annotations

from pathlib import Path

from transferline.tournament.comparison_figures import drawn
from transferline.tournament.result import Result
from transferline.tournament.result_tables import header_of, rows_of

TITLES = {
    "leaderboard": ("Leaderboard", "band: differences to the winner that this test cannot detect"),
    "pareto": ("Score and compute", "line: Pareto front, the entries that no cheaper entry matches"),
    "curves": ("Label efficiency", "bands: 95 % intervals; grey lines: other recipes"),
    "ablation": ("Gain of each stage", "from random weights to the winner"),
    "slices": ("Winner against reference by slice", "by label, length and declared columns"),
    "reliability": ("Calibration", "dashed line: perfect calibration"),
}


def render(result: Result, made: str = "") -> str:
    """The HTML page of a result; `made` is a line on its date and origin."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    board = result.board
    # NaN is unequal to itself: leave out entries without a recorded peak
    peaks = [row.cost.peak_bytes for row in board.rows.values() if row.cost.peak_bytes == row.cost.peak_bytes]
    one, other, better = board.winner, result.reference, "Predicted better"
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

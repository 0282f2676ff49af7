"""The transfer matrix: the effect of each source on each target by each method, with intervals.

A cell is the score with the source minus the score of the same tuning without it, on the same test examples. The p values come
from the comparison of each target, where they are corrected for all of its recipes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transferline.evaluation.markdown import table
from transferline.recipes.comparison import FROM

LEVEL = 0.05


@dataclass(frozen=True)
class Cell:
    """One method, source and target: the score, and its difference to the same tuning without the source."""

    method: str
    source: str
    target: str
    score: float
    difference: float
    low: float
    high: float
    p: float

    @property
    def finding(self) -> str:
        """positive or negative if the difference is significant, otherwise tie."""
        if self.p >= LEVEL:
            return "tie"
        return "positive" if self.difference > 0 else "negative"

    @property
    def mark(self) -> str:
        return {"positive": " +", "negative": " -", "tie": ""}[self.finding]


def cells_of(target: str, rows: Iterable[Mapping[str, Any]]) -> list[Cell]:
    """The cells of a target from the rows of its leaderboard. Values are numbers, or text if read from a CSV file."""
    made = []
    for row in rows:
        method, _, source = str(row["entry"]).partition(FROM)
        if not source or source.endswith(" unadapted") or row["against_twin"] in ("", None):
            continue
        numbers = (float(row[name]) for name in ("score", "against_twin", "twin_low", "twin_high", "p_twin"))
        made.append(Cell(method, source, target, *numbers))
    return made


def names_in(cells: Sequence[Cell], field: str) -> list[str]:
    """The methods, sources or targets of cells, without duplicates, in order of appearance."""
    return list(dict.fromkeys(getattr(cell, field) for cell in cells))


def grid(cells: Sequence[Cell], method: str) -> tuple[list[str], list[str], np.ndarray]:
    """Sources, targets, and differences (sources, targets) of one method. Missing cells are NaN."""
    targets = names_in(cells, "target")
    # targets first: a target that is also a source has the same position in rows and columns
    sources = list(dict.fromkeys([*targets, *names_in(cells, "source")]))
    sources = [name for name in sources if name in names_in(cells, "source")]
    values = np.full((len(sources), len(targets)), np.nan)
    for cell in cells:
        if cell.method == method:
            values[sources.index(cell.source), targets.index(cell.target)] = cell.difference
    return sources, targets, values


def draw(cells: Sequence[Cell], metric: str) -> Any:
    """Heat maps, one per method, with the interval below each value. Significant cells have a frame and a sign."""
    from matplotlib.figure import Figure

    methods = names_in(cells, "method")
    columns = min(3, len(methods))
    rows = -(-len(methods) // columns)
    sources, targets, _ = grid(cells, methods[0])
    size = (2.2 + 1.25 * len(targets) * columns, 1.2 + (1.1 + 0.62 * len(sources)) * rows)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(
        f"effect of a source on a target\ndifference in {metric}, 95 % intervals; framed: proven", fontsize=10
    )
    axes = figure.subplots(rows, columns, squeeze=False)
    limit = max(0.01, max(abs(cell.difference) for cell in cells))  # one colour scale for all heat maps
    for place, panel in enumerate(axes.flat):
        if place >= len(methods):
            panel.set_axis_off()
            continue
        _panel(panel, [cell for cell in cells if cell.method == methods[place]], cells, limit)
        panel.set_title(methods[place], fontsize=10)
        panel.set_xlabel("target" if place // columns == rows - 1 else "")
        panel.set_ylabel("source" if place % columns == 0 else "")
    return figure


def _panel(axes: Any, own: Sequence[Cell], cells: Sequence[Cell], limit: float) -> None:
    """Draw the heat map of one method, `own`, on a colour scale from -limit to limit."""
    from matplotlib.patches import Rectangle

    sources, targets, values = grid(cells, own[0].method)
    # pale, so that the text on it is legible
    axes.imshow(values, cmap="RdYlGn", vmin=-limit, vmax=limit, aspect="auto", alpha=0.55)
    axes.set_xticks(range(len(targets)), targets, fontsize=7, rotation=20, ha="right")
    axes.set_yticks(range(len(sources)), sources, fontsize=7)
    for cell in own:
        x, y = targets.index(cell.target), sources.index(cell.source)
        axes.text(x, y - 0.12, f"{cell.difference:+.3f}{cell.mark}", ha="center", va="center", fontsize=8)
        axes.text(x, y + 0.24, f"[{cell.low:+.3f}, {cell.high:+.3f}]", ha="center", va="center", fontsize=5.5)
        if cell.finding != "tie":
            edge = "#7d1f18" if cell.finding == "negative" else "#1c5c2e"
            axes.add_patch(Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, fill=False, lw=1.8, edgecolor=edge))


def markdown(cells: Sequence[Cell], metric: str) -> str:
    """Markdown with one table per method, and lists of proven positive and negative transfer."""
    lines = [f"Difference in {metric} to the same tuning without the source; 95 % intervals; + and -: proven.", ""]
    for method in names_in(cells, "method"):
        targets, sources = names_in(cells, "target"), grid(cells, method)[0]
        known = {(c.source, c.target): c for c in cells if c.method == method}
        rows = [
            [f"from {source}", *(_cell_text(known.get((source, target))) for target in targets)] for source in sources
        ]
        lines += [table([method, *(f"to {target}" for target in targets)], rows), ""]
    for finding in ("positive", "negative"):
        proven = [f"{c.method} from {c.source} to {c.target}" for c in cells if c.finding == finding]
        lines.append(
            f"- **proven {finding} transfer**: {len(proven)} of {len(cells)}"
            + (f": {', '.join(proven)}" if proven else "")
        )
    return "\n".join([*lines, ""])


def _cell_text(cell: Cell | None) -> str:
    return "" if cell is None else f"{cell.difference:+.3f} [{cell.low:+.3f}, {cell.high:+.3f}]{cell.mark}"

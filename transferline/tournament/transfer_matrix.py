"""The matrix of transfer: from which source to which target by which method, each cell an interval.

A cell is the difference that a source made on a target: the score with it minus that of the same tuning without any source, on
the same test examples. The p values come from each target's comparison, corrected there for all its recipes.
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
    """One method from one source to one target: the score, and the difference to the same tuning without the source."""

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
        """positive or negative transfer where it is proven, else a tie."""
        if self.p >= LEVEL:
            return "tie"
        return "positive" if self.difference > 0 else "negative"

    @property
    def mark(self) -> str:
        return {"positive": " +", "negative": " -", "tie": ""}[self.finding]


def cells_of(target: str, rows: Iterable[Mapping[str, Any]]) -> list[Cell]:
    """The cells of a target, out of the rows of its comparison's leaderboard (numbers, or text as a CSV has it)."""
    made = []
    for row in rows:
        method, _, source = str(row["entry"]).partition(FROM)
        if not source or source.endswith(" unadapted") or row["against_twin"] in ("", None):
            continue
        numbers = (float(row[name]) for name in ("score", "against_twin", "twin_low", "twin_high", "p_twin"))
        made.append(Cell(method, source, target, *numbers))
    return made


def names_in(cells: Sequence[Cell], field: str) -> list[str]:
    """The methods, sources or targets of some cells, in the order in which they come."""
    return list(dict.fromkeys(getattr(cell, field) for cell in cells))


def grid(cells: Sequence[Cell], method: str) -> tuple[list[str], list[str], np.ndarray]:
    """Sources, targets, and differences (sources, targets) of one method; NaN where there is no cell."""
    targets = names_in(cells, "target")
    sources = list(dict.fromkeys([*targets, *names_in(cells, "source")]))
    sources = [name for name in sources if name in names_in(cells, "source")]
    values = np.full((len(sources), len(targets)), np.nan)
    for cell in cells:
        if cell.method == method:
            values[sources.index(cell.source), targets.index(cell.target)] = cell.difference
    return sources, targets, values


def draw(cells: Sequence[Cell], metric: str) -> Any:
    """A heat map a method, side by side; a frame and a sign where transfer is proven, the interval under each value."""
    from matplotlib.figure import Figure

    methods = names_in(cells, "method")
    columns = min(3, len(methods))
    rows = -(-len(methods) // columns)
    sources, targets, _ = grid(cells, methods[0])
    size = (2.2 + 1.25 * len(targets) * columns, 1.2 + (1.1 + 0.62 * len(sources)) * rows)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(
        f"what a source adds to a target\ndifference in {metric}, 95 % intervals; framed: proven", fontsize=10
    )
    axes = figure.subplots(rows, columns, squeeze=False)
    most = max(0.01, max(abs(cell.difference) for cell in cells))
    for place, panel in enumerate(axes.flat):
        if place >= len(methods):
            panel.set_axis_off()
            continue
        _panel(panel, [cell for cell in cells if cell.method == methods[place]], cells, most)
        panel.set_title(methods[place], fontsize=10)
        panel.set_xlabel("target" if place // columns == rows - 1 else "")
        panel.set_ylabel("source" if place % columns == 0 else "")
    return figure


def _panel(axes: Any, own: Sequence[Cell], cells: Sequence[Cell], most: float) -> None:
    from matplotlib.patches import Rectangle

    sources, targets, values = grid(cells, own[0].method)
    axes.imshow(
        values, cmap="RdYlGn", vmin=-most, vmax=most, aspect="auto", alpha=0.55
    )  # pale: what is written on it must be legible
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
    """A table a method, and the transfers that are proven either way."""
    lines = [f"Difference in {metric} to the same tuning without the source; 95 % intervals; + and -: proven.", ""]
    for method in names_in(cells, "method"):
        targets, sources = names_in(cells, "target"), grid(cells, method)[0]
        known = {(c.source, c.target): c for c in cells if c.method == method}
        rows = [[f"from {source}", *(_told(known.get((source, target))) for target in targets)] for source in sources]
        lines += [table([method, *(f"to {target}" for target in targets)], rows), ""]
    for finding in ("positive", "negative"):
        proven = [f"{c.method} from {c.source} to {c.target}" for c in cells if c.finding == finding]
        lines.append(
            f"- **proven {finding} transfer**: {len(proven)} of {len(cells)}"
            + (f": {', '.join(proven)}" if proven else "")
        )
    return "\n".join([*lines, ""])


def _told(cell: Cell | None) -> str:
    return "" if cell is None else f"{cell.difference:+.3f} [{cell.low:+.3f}, {cell.high:+.3f}]{cell.mark}"

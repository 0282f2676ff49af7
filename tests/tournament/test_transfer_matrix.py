"""The matrix of transfer, read from leaderboards and drawn."""

from __future__ import annotations

import io

import numpy as np

from transferline.tournament.transfer_matrix import cells_of, draw, grid, markdown


def row(entry: str, difference: float | str, p: float = 0.5) -> dict[str, object]:
    near = (
        {"twin_low": 0.0, "twin_high": 0.0}
        if difference == ""
        else {
            "twin_low": float(difference) - 0.01,
            "twin_high": float(difference) + 0.01,
        }
    )
    return {"entry": entry, "score": 0.7, "against_twin": difference, "p_twin": p, **near}


def made() -> list:
    goods = [row("coral from tweets", 0.1, 0.001), row("coral from films", -0.05, 0.01), row("probe", "")]
    tweets = [row("coral from goods", 0.0), row("coral from films", 0.02), row("coral from goods unadapted", "")]
    return [*cells_of("goods", goods), *cells_of("tweets", tweets)]


def test_only_recipes_from_a_source_are_cells() -> None:
    cells = made()
    assert [(c.source, c.target, c.finding) for c in cells] == [
        ("tweets", "goods", "positive"),
        ("films", "goods", "negative"),
        ("goods", "tweets", "tie"),
        ("films", "tweets", "tie"),
    ]
    sources, targets, values = grid(cells, "coral")
    assert (sources, targets) == (["goods", "tweets", "films"], ["goods", "tweets"])
    assert np.array_equal(np.isnan(values), [[True, False], [False, True], [False, False]])


def test_what_is_proven_is_named() -> None:
    text = markdown(made(), "accuracy")
    assert "**proven negative transfer**: 1 of 4: coral from films to goods" in text
    assert "**proven positive transfer**: 1 of 4: coral from tweets to goods" in text
    assert "| from films | -0.050 [-0.060, -0.040] - | +0.020 [+0.010, +0.030] |" in text


def test_the_picture_says_every_number() -> None:
    buffer = io.StringIO()
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none"}):
        draw(made(), "accuracy").savefig(buffer, format="svg")
    assert all(said in buffer.getvalue() for said in ("+0.100 +", "-0.050 -", "[+0.010, +0.030]", "coral"))

"""Bounds from sizes that are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from transferline.tournament.forecast import STAGE_SECONDS, minutes, size_of, speed


def test_the_size_of_a_base_is_read_from_its_files(tiny: Path) -> None:
    """Two layers of width 32: four square matrices and two of the feed-forward part each, and a pooler."""
    size = size_of(tiny)
    layer = 4 * 32 * 32 + 2 * 32 * 64
    pooler = 32 * 32
    assert size.weights == 2 * layer + pooler
    assert (size.layers, size.width, size.shape) == (2, 32, "encoder")
    assert size.mean_pooled().weights == pytest.approx(1.5 * size.weights)


def test_speed_is_what_was_recorded_and_else_tried() -> None:
    lineages = {str(i): {"cost": {"flops": 1e11 * (i + 1), "seconds": 1.0}} for i in range(5)}
    assert 1e11 <= speed(lineages) <= 2e11 + 1
    assert speed({}) > 1e6
    assert minutes([6e11, 6e11], 1e11) == pytest.approx((12 + 2 * STAGE_SECONDS) / 60)


def test_a_bound_is_known_for_every_recipe_that_is_shipped(tiny: Path, tmp_path: Path) -> None:
    """With every source in its place; what trains costs more than what does not."""
    from tests.project import SOURCE
    from transferline.core.problem import Setting
    from transferline.data.prepared_files import write_jsonl
    from transferline.models.bases import FolderBase
    from transferline.recipes.chain import Pin, Step
    from transferline.recipes.comparison import from_source_tasks
    from transferline.recipes.params import load_params
    from transferline.tournament.forecast import Forecast
    from transferline.tournament.plan import plan_tournament
    from transferline.tournament.setup import Ground

    params = load_params(SOURCE / "params.yaml")
    roles = ("train", "validation", "test", "corpus", "tweet-tone/train", "tweet-tone/validation")
    for place, role in enumerate(roles):
        (tmp_path / role).parent.mkdir(exist_ok=True)
        rows = ({"id": str(i), "text": f"film {i}", "label": "ab"[i % 2]} for i in range(40 + place))
        write_jsonl(tmp_path / role, rows)
    data = {role: Pin(tmp_path / role, f"md5 of {role}") for role in roles}
    base = FolderBase(method="folder", path=str(tiny), sha256="0" * 64)
    known = dict.fromkeys(params.bases, base)
    settings = {"tweet-tone": Setting.DOMAIN_ADAPTATION}
    spec = params.target("film-sentiment")
    ground = Ground("t", spec, data, known, dict.fromkeys(known), tmp_path, (20, 40), 3, settings)
    files = {pin.md5: pin.path for pin in data.values()} | {"train": data["train"].path}
    costs = {}
    for name, recipe in from_source_tasks(params.recipes, ["tweet-tone"]).items():
        plan = plan_tournament(ground, {name: recipe}, controls=False)
        forecast = Forecast({Step("base", base).key: tiny}, files, plan.steps)
        root = next(iter(forecast.bases))
        bound = (forecast.flops(s, root, "md5 of validation") for s in plan.needed(plan.group(name)))
        costs[name] = sum(bound)
    assert min(cost for name, cost in costs.items() if name != "static") > 0
    assert costs["hard-sharing from tweet-tone"] > costs["full"]
    # two columns of two layers, where a shared encoder has two layers and one of mean pooling
    assert costs["cross-stitch from tweet-tone"] > 1.3 * costs["hard-sharing from tweet-tone"]
    assert costs["pooled from tweet-tone"] > 1.5 * costs["full"]
    assert costs["intermediate from tweet-tone"] > costs["full"] > costs["probe"]

"""Score, interval and cost of each recipe on one target: `python -m benchmarks.catalogue TARGET [RECIPE ...]`.

Retrains the target in the project's folder and reuses finished stages. The cost of a recipe is the time of its own stages
(selection, adaptation, tuning of the shipped seed), relative to the first recipe on the command line. Ratios are comparable only
if all stages were built in the same session.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import transferline.flows  # noqa: F401 - sets the quiet switches before any library is imported
from transferline.core.checkpoint import read_lineage
from transferline.core.project import root, store
from transferline.flows.retrain import retrain
from transferline.recipes.params import load_params
from transferline.tasks.support.prefect_server import make_ready
from transferline.tasks.support.tracking import client

OWN = ("select", "adapt", "tune")


@dataclass(frozen=True)
class Reached:
    """Result of one recipe: score with interval, differences to scratch and unadapted, seconds, ms per text, MB."""

    recipe: str
    score: tuple[float, float, float]
    above: dict[str, float]
    seconds: float
    latency: float
    megabytes: float


def main(arguments: list[str]) -> None:
    """Run the recipes and print one markdown row for each."""
    params = load_params(root() / "params.yaml")
    target = arguments[0]
    metric = params.target(target).judged_by
    make_ready()
    first = 0.0
    print(
        f"| recipe | {metric} | above scratch | above unadapted | training time | ms a text | MB |\n|---|---|---|---|---|---|---|"
    )
    for recipe in arguments[1:] or list(params.recipes):
        one = reached(target, recipe, metric)
        first = first or one.seconds
        value, low, high = one.score
        above = [f"{one.above[name]:+.3f}" if name in one.above else "" for name in ("scratch", "unadapted")]
        cells = [f"{value:.3f} [{low:.3f}, {high:.3f}]", *above, f"{one.seconds / first:.1f}x"]
        print(f"| {recipe} | {' | '.join(cells)} | {one.latency:.1f} | {one.megabytes:.0f} |", flush=True)


def reached(target: str, recipe: str, metric: str) -> Reached:
    """Retrain the target with one recipe and read its result from MLflow."""
    outcome = retrain(target, recipe)
    run = client().get_run(outcome["run"])
    figures = run.data.metrics
    score = tuple(figures[f"test/challenger/{metric}{end}"] for end in ("", "/low", "/high"))
    others = {name: figures.get(f"difference/challenger-{name}") for name in ("scratch", "unadapted")}
    version = client().get_model_version_by_alias(target, "challenger")
    return Reached(
        recipe,
        (score[0], score[1], score[2]),
        {name: value for name, value in others.items() if value is not None},
        seconds_of(version.tags["transferline.key"]),
        figures["test/challenger/latency_ms"],
        figures["test/challenger/megabytes"],
    )


def seconds_of(key: str) -> float:
    """Build time in seconds of a checkpoint and its parents, without the base."""
    lineage = read_lineage(store() / key) or {}
    if key.split("-")[0] not in OWN:
        return 0.0
    info = client().get_run(lineage["run"]).info
    return (info.end_time - info.start_time) / 1000 + sum(seconds_of(parent) for parent in lineage["parents"])


if __name__ == "__main__":
    main(sys.argv[1:])

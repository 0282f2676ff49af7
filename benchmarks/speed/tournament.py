"""Cost of a comparison relative to building its models one by one: `python -m benchmarks.speed.tournament TARGET [NAME]`.

Run it after that comparison. A comparison builds shared stages once. One by one, each model of each recipe, budget and seed is
built from its base and scored. Both costs are sums over the lineages in the store, so they use the same measured seconds.
"""

from __future__ import annotations

import sys

from transferline.core.checkpoint import read_lineage
from transferline.core.project import root, store
from transferline.flows.support.comparison.leaves import open_ground
from transferline.flows.support.comparison.question import asked
from transferline.recipes.chain import predict_step
from transferline.recipes.params import load_params
from transferline.tasks.versioning import pin_data
from transferline.tournament.plan import plan_tournament


def main(arguments: list[str]) -> None:
    target, name = [*arguments, "default"][:2]
    params = load_params(root() / "params.yaml")
    question = params.comparison(name)
    recipes = asked(params, target, question)
    source_tasks = list(
        dict.fromkeys(source_task for recipe in recipes.values() for source_task in recipe.source_task_names())
    )
    data = pin_data(target, params, source_tasks)
    ground = open_ground(params, target, data, list(recipes.values()), question.counts, question.seeds)
    plan = plan_tournament(ground, recipes)
    together: dict[str, float] = {}
    alone, leaves = 0.0, 0
    for leaf in plan.leaves:
        keys = [step.key for step in plan.needed([leaf])]
        keys += [predict_step(leaf.key, data[split].md5).key for split in ("validation", "test")]
        costs = {key: seconds_of(key) for key in keys}
        if costs[leaf.key] is None:
            continue
        known = {key: cost for key, cost in costs.items() if cost is not None}
        together |= known
        alone += sum(known.values())
        leaves += 1
    spent = sum(together.values())
    print(f"\n### Comparison {name} of {target}: {len(recipes)} recipes, {leaves} models\n\n| | seconds |\n|---|---|")
    print(f"| models one by one | {alone:,.0f} |\n| the comparison | {spent:,.0f} (**{spent / alone:.2f}**) |")


def seconds_of(key: str) -> float | None:
    """Computing time of a stage in seconds, or None if it was not built."""
    lineage = read_lineage(store() / key)
    return None if lineage is None else float(lineage["cost"]["seconds"])


if __name__ == "__main__":
    main(sys.argv[1:])

"""Cost against size: `python -m benchmarks.speed.sizes`.

Measures masked-LM adaptation by tokens, fine-tuning by labelled rows, and the plan of a comparison by recipes, at doubling sizes.
The exponent is the slope of log seconds over log size, so 1 is linear. Every size includes the constant cost of loading and
tokenising before the first step, which lowers the slope at small sizes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.speed.finetuning import Bench as Labels
from benchmarks.speed.measuring import base, fresh, work_of
from transferline.core.project import root
from transferline.core.runtime import Runtime
from transferline.recipes.params import load_params
from transferline.recipes.registry import ADAPTING, TUNING


def adaptation(tokens: int) -> float:
    """Seconds of masked LM on this many tokens of the shipped corpus, including reading the whole corpus."""
    stage = ADAPTING["masked"].model_validate({"tokens": tokens, "schedule": {"batch_size": 32}})
    runtime = Runtime(save_every=1e9).resolve()
    runtime.apply()
    work = work_of({"corpus": root() / "data" / "corpora" / "film" / "corpus.jsonl"}, runtime, fresh())
    return seconds(lambda: stage.build(work))


def tuning(rows: int) -> float:
    """Seconds of two epochs on this many sentences, including validation on 500."""
    bench = Labels("rotten_tomatoes", rows)
    stage = TUNING["full"].model_validate({"epochs": 2, "patience": 2, "schedule": {"batch_size": 32}})
    runtime = Runtime(save_every=1e9).resolve()
    runtime.apply()
    return seconds(lambda: stage.build(work_of(bench.data, runtime, fresh())))


def planning(count: int) -> float:
    """Seconds of planning a comparison of this many recipes with three seeds, at two budgets and with all labels."""
    from transferline.flows.support.comparison.leaves import open_ground
    from transferline.tasks.support.data_versions import locked_data
    from transferline.tournament.plan import plan_tournament

    params = load_params(root() / "params.yaml")
    recipe = params.recipe("default")
    tunes = [recipe.tune.model_copy(update={"epochs": 1 + i}) for i in range(count)]
    recipes = {f"recipe {i}": recipe.model_copy(update={"tune": tune}) for i, tune in enumerate(tunes)}
    data = locked_data("film-sentiment", params)

    def run() -> None:
        ground = open_ground(params, "film-sentiment", data, list(recipes.values()), lambda rows, _: (20, 100, rows), 3)
        plan_tournament(ground, recipes)

    return seconds(run)


def seconds(run: Callable[[], object]) -> float:
    """Duration of one call in seconds."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def curve(title: str, sizes: Sequence[int], cost: Callable[[int], float]) -> None:
    """Print the seconds at each size and the exponent."""
    cost(sizes[0])  # warm-up: loads libraries and weights once
    spent = [cost(size) for size in sizes]
    slope = float(np.polyfit(np.log(sizes), np.log(spent), 1)[0])
    said = ", ".join(f"{size:,}: {one:.1f} s" for size, one in zip(sizes, spent, strict=True))
    print(f"| {title} | {said} | {slope:.2f} |", flush=True)


def main() -> None:
    base()
    print("\n### Cost against size\n\n| what | measured | exponent |\n|---|---|---|")
    curve("recipes in a comparison's plan", [4, 8, 16, 32], planning)
    curve("labelled rows of fine-tuning", [200, 400, 800, 1600], tuning)
    curve("tokens of masked LM", [50_000, 100_000, 200_000, 400_000], adaptation)


if __name__ == "__main__":
    main()

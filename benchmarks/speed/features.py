"""Speed of probes on a frozen encoder with and without cached embeddings: `python -m benchmarks.speed.features [ROUNDS] [ROWS]`.

Trains nine probes, three label samples at three budgets, in one process as a comparison does. Quality is their mean accuracy.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np

from benchmarks.speed.finetuning import Bench
from benchmarks.speed.measuring import fresh, in_turn, table, work_of
from transferline.core.runtime import Runtime
from transferline.data.prepared_files import read_jsonl, write_jsonl
from transferline.models.encodings import forget
from transferline.recipes.registry import TUNING

DRAWS, SHARES = 3, (0.1, 0.5, 1.0)


def probes(bench: Bench, keep: bool) -> tuple[float, float]:
    """Train all probes with an empty cache. Returns (probes per minute, mean accuracy). `keep` turns the cache on."""
    stage = TUNING["probe"].model_validate({})
    runtime = Runtime().resolve()
    runtime.apply()
    records = read_jsonl(bench.data["train"])
    shelf, found = fresh() if keep else None, []
    forget()
    start = time.perf_counter()
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(len(records))
        for share in SHARES:
            folder = fresh()
            data = {**bench.data, "train": folder / "train.jsonl"}
            write_jsonl(data["train"], [records[i] for i in order[: int(share * len(records))]])
            figures = stage.build(work_of(data, runtime, folder, cache=shelf))
            found.append(figures["validation_accuracy"])
            if not keep:
                forget()
    return 60 * len(found) / (time.perf_counter() - start), statistics.mean(found)


def main(arguments: list[str]) -> None:
    rounds, rows = (int(value) for value in [*arguments, *["3", "1000"][len(arguments) :]])
    bench = Bench("rotten_tomatoes", rows)
    ways = {"each text once": lambda: probes(bench, True), "each time": lambda: probes(bench, False)}
    title = f"Nine probes on up to {rows} sentences, 500 to validate on"
    table(title, "each text once", in_turn(ways, rounds), "probes/minute", "accuracy")


if __name__ == "__main__":
    main(sys.argv[1:])

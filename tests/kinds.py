"""A small data set for each kind of target, and helpers to build and score a stage without orchestration."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

from tests.project import BAD, GOOD, sentence, write_corpus
from transferline.core.runtime import Runtime
from transferline.core.stage import Stage, Work
from transferline.data.declarations import Share, TargetSpec
from transferline.data.prepare import prepare
from transferline.data.prepared_files import write_jsonl
from transferline.evaluation.metrics import measure
from transferline.evaluation.prediction_tables import read_predictions
from transferline.inference.prediction import predict

CPU = Runtime(device="cpu", precision="fp32").resolve()
SPECS: dict[str, dict[str, Any]] = {
    "single-label": {},
    "pairs": {"pair": "pair", "label": "second"},
    "multi-label": {"label": "many", "task": "multi-label"},
    "regression": {"label": "number", "task": "regression"},
    "tokens": {"text": "words", "label": "tags", "task": "tokens"},
    "generation": {"label": "reply", "task": "generation"},
}
QUICK: dict[str, Any] = {
    "epochs": 4,
    "patience": 4,
    "max_tokens": 24,
    "target_tokens": 6,
    "schedule": {"batch_size": 16, "learning_rate": 3e-3},
}


def write_rows(path: Path, rows: int = 240, seed: int = 0) -> None:
    """Write random sentences with three words of one sentiment, and labels for every kind of target."""
    rng = random.Random(seed)
    made = []
    for i in range(rows):
        good = i % 2 == 1
        text = sentence(rng, GOOD if good else BAD)
        words = text.split()
        named = {"good": GOOD, "bad": BAD, "film": ["film"], "plot": ["plot"]}
        second = rng.random() < 0.5  # this label depends on the second text only
        made.append(
            {
                "text": text,
                "words": words,
                "label": "good" if good else "bad",
                "pair": sentence(rng, GOOD if second else BAD),
                "second": "good" if second else "bad",
                "many": [name for name, among in named.items() if any(word in among for word in words)],
                "number": 50.0 + 10.0 * words.count("the") + (20.0 if good else 0.0) + rng.random(),
                "tags": [tag_of(word) for word in words],
                "reply": "very lovely" if good else "quite awful",
            }
        )
    write_jsonl(path, made)


def tag_of(word: str) -> str:
    return "B-GOOD" if word in GOOD else "B-BAD" if word in BAD else "O"


def make_kinds(root: Path) -> dict[str, dict[str, Path]]:
    """Prepared splits of each kind, and a corpus, under `root`: kind -> role -> file."""
    write_rows(root / "rows.jsonl")
    write_corpus(root / "corpus.txt", 150)
    texts = (root / "corpus.txt").read_text(encoding="utf-8").splitlines()
    write_jsonl(root / "corpus.jsonl", ({"text": text} for text in texts))
    share = Share(test=0.3, validation=0.2)
    for kind, spec in SPECS.items():
        prepare(kind, TargetSpec(domain="d", data="rows.jsonl", split=share, **spec), root, root / kind)
    splits = ("train", "validation", "test")
    return {
        kind: {**{split: root / kind / f"{split}.jsonl" for split in splits}, "corpus": root / "corpus.jsonl"}
        for kind in SPECS
    }


def build(
    stage: Stage, data: dict[str, Path], folder: Path, *parents: Path, seed: int = 0
) -> tuple[Path, dict[str, float]]:
    """Build a stage into a new folder. Returns (checkpoint folder, summary)."""
    out = folder / "out"
    out.mkdir(parents=True)
    (folder / "state").mkdir()
    work = Work(data, seed, out, folder / "state", CPU, lambda _: None, parents[0], "t", parents)
    return out, stage.build(work)


def score(model: Path, test: Path, metric: str, folder: Path) -> float:
    """A metric of a checkpoint on a test set."""
    folder.mkdir()
    predict(model, test, CPU, folder)
    return measure(metric, read_predictions(folder))


def within(hits: int, trials: int, p: float) -> bool:
    """Whether `hits` is within five standard deviations of a binomial distribution's mean."""
    return abs(hits - trials * p) < 5 * math.sqrt(trials * p * (1 - p))

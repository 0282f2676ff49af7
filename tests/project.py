"""A small project in a temporary folder: a tiny BERT, synthetic reviews, and a params.yaml."""

from __future__ import annotations

import csv
import functools
import json
import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

from transferline.tasks.support.mlflow_database import make_tables

SOURCE = Path(__file__).resolve().parent.parent
GOOD = ["bright", "warm", "lovely", "clever", "tender", "brilliant", "charming", "vivid", "graceful", "witty"]
BAD = ["dull", "cold", "awful", "stupid", "harsh", "tedious", "clumsy", "bland", "hollow", "noisy"]
FILLER = [
    "the",
    "a",
    "film",
    "story",
    "scene",
    "actor",
    "music",
    "plot",
    "camera",
    "ending",
    "director",
    "script",
    "was",
    "with",
    "and",
    "of",
    "in",
    "very",
    "quite",
]
TINY = {
    "method": "full",
    "epochs": 2,
    "patience": 2,
    "max_tokens": 16,
    "schedule": {"batch_size": 16, "learning_rate": 1e-3},
}


def sentence(rng: random.Random, tone: list[str], words: int = 9) -> str:
    """A random sentence with three words of one sentiment."""
    chosen = [rng.choice(FILLER) for _ in range(words - 3)] + rng.sample(tone, 3)
    rng.shuffle(chosen)
    return " ".join(chosen)


def write_reviews(path: Path, rows: int = 240, seed: int = 0) -> None:
    """Write a CSV of labelled sentences (text, label) with balanced labels."""
    rng = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for i in range(rows):
            writer.writerow([sentence(rng, GOOD if i % 2 else BAD), "good" if i % 2 else "bad"])


def write_corpus(path: Path, rows: int = 200, seed: int = 1) -> None:
    """Write unlabelled text, one document per line."""
    rng = random.Random(seed)
    lines = [sentence(rng, rng.choice([GOOD, BAD]), rng.randint(9, 20)) for _ in range(rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_tiny_bert(folder: Path, layers: int = 2, width: int = 32, positions: int = 128) -> None:
    """Write a randomly initialised BERT with a word vocabulary, as `save_pretrained` does."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted({*GOOD, *BAD, *FILLER})]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=positions,
    )
    BertModel(config).save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)


def declare(root: Path, **changes: object) -> None:
    """Write params.yaml. `changes` replace whole blocks of it."""
    params: dict[str, object] = {
        "default_target": "reviews",
        "sources": {},
        "domains": {"cinema": {"data": "corpus.txt"}},
        "targets": {
            "reviews": {
                "domain": "cinema",
                "data": "reviews.csv",
                "split": {"test": 0.3, "validation": 0.2},
                "margin": 0.05,
            }
        },
        "pairs": {},
        "bases": {"tiny": {"method": "folder", "path": "tiny"}},
        "recipes": {
            "default": {
                "base": "tiny",
                "adapt": [{"method": "simcse", "piece": 16, "tokens": 2000, "schedule": {"batch_size": 16}}],
                "tune": TINY,
            },
            "masked": {
                "base": "tiny",
                "adapt": [{"method": "masked", "block": 16, "tokens": 4000, "schedule": {"batch_size": 16}}],
                "tune": TINY,
            },
            "full": {"base": "tiny", "tune": TINY},
            "probe": {"base": "tiny", "tune": {"method": "probe", "max_tokens": 16}},
        },
    }
    (root / "params.yaml").write_text(yaml.safe_dump({**params, **changes}, sort_keys=False), encoding="utf-8")


@functools.cache
def empty_database() -> Path:
    """Path of an MLflow database with empty tables."""
    path = Path(tempfile.mkdtemp(prefix="transferline-tests-")) / "mlruns" / "mlflow.db"
    before = os.environ.get("TRANSFERLINE_STORE")
    os.environ["TRANSFERLINE_STORE"] = str(path.parent)  # folder of the lock files
    make_tables(f"sqlite:///{path}")
    os.environ.pop("TRANSFERLINE_STORE")
    os.environ.update({"TRANSFERLINE_STORE": before} if before else {})
    return path


def make_project(root: Path) -> Path:
    """Make a git and DVC project with the shipped dvc.yaml and tiny data and model."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("dvc.yaml", "prefect.yaml"):
        shutil.copy(SOURCE / name, root / name)
    shutil.copy(SOURCE / ".gitignore", root / ".gitignore")
    (root / ".dvc").mkdir()
    shutil.copy(SOURCE / ".dvc" / "config", root / ".dvc" / "config")
    write_reviews(root / "reviews.csv")
    write_corpus(root / "corpus.txt")
    write_tiny_bert(root / "tiny")
    declare(root)
    (root / "mlruns").mkdir()
    shutil.copy(
        empty_database(), root / "mlruns" / "mlflow.db"
    )  # copied, because creating it takes longer than many tests
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "start"],
    ):
        subprocess.run(["git", *command], cwd=root, check=True)
    return root


SERVER = (
    "TESTS_PREFECT_SERVER"  # set while commands share the tests' server: one of their own takes ten seconds to start
)


def environment(root: Path, **extra: str) -> dict[str, str]:
    """Environment variables of a process in a project, isolated from the rest of the machine."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TRANSFERLINE_", "MLFLOW_", "DVC_"))}
    mine = {"TRANSFERLINE_ROOT": str(root), "DVC_SITE_CACHE_DIR": str(root / ".dvc" / "tmp" / "site")}
    shared = {"PREFECT_API_URL": os.environ[SERVER]} if SERVER in os.environ else {}
    return {**clean, "TRANSFERLINE_OFFLINE": "1", **mine, **shared, **extra}


def read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))

"""A checkpoint as an MLflow model: in the transformers flavour where that serves it alone, else in pyfunc with our code.

The transformers flavour needs nothing of ours where it is served. It is taken for what its text-classification pipeline can
do: one text in, labels or a number out, by a stock architecture that reads as its tokenizer says.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transferline.core.checkpoint import RECORD
from transferline.core.project import root
from transferline.data.prepared_files import read_jsonl
from transferline.data.rows import FILE as ROWS
from transferline.models.prefix_tuning import CONFIG as PREFIX
from transferline.models.tokenization import FILE as READING
from transferline.targets import kind_of_model

EXTRA = "transferline"  # artifact folder beside a logged model: lineage, fingerprints, config and tokenizer
REQUIREMENTS = ("torch", "transformers", "safetensors", "accelerate")
OURS = (
    *REQUIREMENTS,
    "peft",
    "pydantic",
    "numpy",
    "pandas",
    "xxhash",
    "PyYAML",
    "scipy",
)  # what our code imports besides
_SENTENCE = "a wonderful film, beautifully acted"
_ROW = "0:1.0"


def log_model(folder: Path, test: Path, run_id: str, role: str, card: str) -> str:
    """Log a checkpoint under a run; returns the id of the logged model. `test` shows what its inputs look like."""
    import mlflow

    pair = "pair" in read_jsonl(test)[0]
    with mlflow.start_run(run_id=run_id):
        model_id = _log_plain(folder, role, card) if is_plain(folder, pair) else _log_ours(folder, pair, role)
        mlflow.log_text(card, f"{role}/model_card.md")
        for path in sorted(folder.iterdir()):  # all but the weights, byte for byte: with them a checkpoint comes back
            if path.suffix != ".safetensors" and path.name != RECORD:
                mlflow.log_artifact(str(path), f"{role}/{EXTRA}")
    return model_id


def is_plain(folder: Path, pair: bool) -> bool:
    """Whether MLflow's transformers flavour serves a checkpoint without any code of ours."""
    family = str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"])
    sequence = kind_of_model(folder) in ("single-label", "multi-label", "regression")
    rules = any((folder / name).exists() for name in (READING, PREFIX))
    return sequence and not pair and not family.startswith("transferline-") and not rules


def weights_of(model: Path) -> Sequence[Path]:
    """The safetensors of a downloaded MLflow model."""
    return [path for place in ("model", "data") for path in (model / place).rglob("*.safetensors")]


def _log_plain(folder: Path, role: str, card: str) -> str:
    import mlflow
    from huggingface_hub import ModelCard
    from transformers import AutoTokenizer, pipeline

    from transferline.models.weights import open_tuned

    model = open_tuned("AutoModelForSequenceClassification", folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    classifier = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    info = mlflow.transformers.log_model(
        classifier,
        name=role,
        model_card=ModelCard(f"---\npipeline_tag: text-classification\nlibrary_name: transformers\n---\n{card}"),
        signature=_signature(("text",)),
        input_example=_example(("text",)),
        model_config={"truncation": True, "max_length": tokenizer.model_max_length, "top_k": None},
        pip_requirements=pinned(REQUIREMENTS),
    )
    return info.model_id


def _log_ours(folder: Path, pair: bool, role: str) -> str:
    import mlflow

    columns = ("text", "pair") if pair else ("text",)
    with tempfile.TemporaryDirectory(prefix="transferline-code-") as scratch:
        info = mlflow.pyfunc.log_model(
            name=role,
            loader_module="transferline.inference.serving",
            data_path=str(folder),
            code_paths=[str(_code(Path(scratch)))],
            signature=_signature(columns),
            input_example=_example(columns, _ROW if (folder / ROWS).exists() else _SENTENCE),
            pip_requirements=pinned(OURS),
            metadata={"project": root().name},
        )
    return info.model_id


def _code(scratch: Path) -> Path:
    """Copy the rooms that serving needs: everything below tasks/, without the command line and the tournaments."""
    import transferline

    left_out = shutil.ignore_patterns("flows", "tasks", "cli", "tournament", "diagnosis", "__pycache__")
    return Path(shutil.copytree(Path(transferline.__file__).parent, scratch / "transferline", ignore=left_out))


def _signature(columns: Sequence[str]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    # what comes out depends on the labels: the transformers flavour's answer has a column a label, the likeliest first
    return ModelSignature(inputs=Schema([ColSpec("string", column) for column in columns]))


def _example(columns: Sequence[str], text: str = _SENTENCE) -> Any:
    import pandas as pd

    return pd.DataFrame({column: [text] for column in columns})


def pinned(names: Sequence[str]) -> list[str]:
    """Requirements with the versions of this environment."""
    from importlib.metadata import version

    return [f"{name}=={version(name).split('+')[0]}" for name in names]

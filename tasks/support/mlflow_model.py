"""Log a checkpoint as an MLflow model, in the transformers flavour if possible, else in pyfunc with transferline's code.

The transformers flavour serves a model without transferline. It is used for models that its text-classification pipeline
supports: one text in, labels or a number out, a standard architecture, and no tokenization settings of our own.
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
)  # further imports of transferline's serving code
_SENTENCE = "a wonderful film, beautifully acted"
_ROW = "0:1.0"


def log_model(folder: Path, test: Path, run_id: str, role: str, card: str) -> str:
    """Log a checkpoint under a run. Returns the id of the logged model. `test` is read for the input columns."""
    import mlflow

    pair = "pair" in read_jsonl(test)[0]
    with mlflow.start_run(run_id=run_id):
        model_id = _log_plain(folder, role, card) if is_plain(folder, pair) else _log_ours(folder, pair, role)
        mlflow.log_text(card, f"{role}/model_card.md")
        # all other files as they are: `registering._restore` needs them, with the weights, to rebuild the checkpoint
        for path in sorted(folder.iterdir()):
            if path.suffix != ".safetensors" and path.name != RECORD:
                mlflow.log_artifact(str(path), f"{role}/{EXTRA}")
    return model_id


def is_plain(folder: Path, pair: bool) -> bool:
    """Whether MLflow's transformers flavour can serve a checkpoint without transferline's code."""
    family = str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"])
    sequence = kind_of_model(folder) in ("single-label", "multi-label", "regression")
    rules = any((folder / name).exists() for name in (READING, PREFIX))
    return sequence and not pair and not family.startswith("transferline-") and not rules


def weights_of(model: Path) -> Sequence[Path]:
    """The safetensors files of a downloaded MLflow model, of either flavour."""
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
        # without a card, `log_model` would ask the Hub for one
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
            # a loader module and code files instead of a pickled object: loading runs no pickle
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
    """Copy the rooms that serving imports: all but flows, tasks, the command line, tournaments and diagnosis."""
    import transferline

    left_out = shutil.ignore_patterns("flows", "tasks", "cli", "tournament", "diagnosis", "__pycache__")
    return Path(shutil.copytree(Path(transferline.__file__).parent, scratch / "transferline", ignore=left_out))


def _signature(columns: Sequence[str]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    # no output schema: the transformers flavour returns one column per label, ordered by probability
    return ModelSignature(inputs=Schema([ColSpec("string", column) for column in columns]))


def _example(columns: Sequence[str], text: str = _SENTENCE) -> Any:
    import pandas as pd

    return pd.DataFrame({column: [text] for column in columns})


def pinned(names: Sequence[str]) -> list[str]:
    """Requirements pinned to the installed versions, without local parts such as `+cpu`, which pip cannot find."""
    from importlib.metadata import version

    return [f"{name}=={version(name).split('+')[0]}" for name in names]

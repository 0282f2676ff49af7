"""Log a checkpoint as an MLflow model in the pyfunc flavour, together with its input form and the code that serves it.

One flavour serves every kind of model. MLflow's transformers flavour would skip the input form: it reads a text as it is, and
takes a null or a number for a text.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transferline.core.checkpoint import RECORD
from transferline.core.project import root
from transferline.data.input_form import FILE as FORM
from transferline.data.input_form import InputForm
from transferline.data.rows import FILE as ROWS
from transferline.targets import kind_of_model

EXTRA = "transferline"  # artifact folder beside a logged model: lineage, fingerprints, config and tokenizer
REQUIREMENTS = (
    "torch",
    "transformers",
    "safetensors",
    "accelerate",
    "peft",
    "pydantic",
    "numpy",
    "pandas",
    "xxhash",
    "PyYAML",
    "scipy",
)  # imports of transferline's serving code
_SENTENCE = "a wonderful film, beautifully acted"
_ROW = "0:1.0"


def log_model(folder: Path, form: InputForm, run_id: str, role: str, card: str) -> str:
    """Log a checkpoint with its input form under a run. Returns the id of the logged model."""
    import mlflow

    with _within(run_id):
        model_id = _log(folder, form, role)
        mlflow.log_text(card, f"{role}/model_card.md")
        # all other files as they are: `registering._restore` needs them, with the weights, to rebuild the checkpoint
        for path in sorted(folder.iterdir()):
            if path.suffix != ".safetensors" and path.name != RECORD:
                mlflow.log_artifact(str(path), f"{role}/{EXTRA}")
    return model_id


@contextmanager
def _within(run_id: str) -> Iterator[None]:
    """Make a run the active one, and leave it RUNNING: MLflow's own context manager would end it as FINISHED.

    A retrain that is killed while it registers must not look finished.
    """
    import mlflow

    mlflow.start_run(run_id=run_id)
    try:
        yield
    finally:
        mlflow.end_run("RUNNING")


def legacy_form(version: Any, folder: Path) -> InputForm:
    """The input form of a version that was registered without one: its kind, and the columns of its signature."""
    import mlflow

    signature = mlflow.models.get_model_info(version.source).signature
    columns = signature.inputs.input_names() if signature is not None and signature.inputs is not None else []
    width = json.loads((folder / ROWS).read_text(encoding="utf-8"))["width"] if (folder / ROWS).exists() else None
    return InputForm(kind_of_model(folder), pair="pair" in columns, features=width)


def weights_of(model: Path) -> Sequence[Path]:
    """The safetensors files of a downloaded MLflow model, of either flavour."""
    return [path for place in ("model", "data") for path in (model / place).rglob("*.safetensors")]


def _log(folder: Path, form: InputForm, role: str) -> str:
    import mlflow

    columns = ("text", "pair") if form.pair else ("text",)
    with tempfile.TemporaryDirectory(prefix="transferline-model-") as scratch:
        info = mlflow.pyfunc.log_model(
            name=role,
            # a loader module and code files instead of a pickled object: loading runs no pickle
            loader_module="transferline.inference.serving",
            data_path=str(with_form(folder, form, Path(scratch))),
            code_paths=[str(_code(Path(scratch)))],
            signature=_signature(),
            input_example=_example(columns, _ROW if form.features is not None else _SENTENCE),
            pip_requirements=pinned(REQUIREMENTS),
            metadata={"project": root().name},
        )
    return info.model_id


def with_form(folder: Path, form: InputForm, scratch: Path) -> Path:
    """A folder with links to a checkpoint's files, and its input form beside them. The checkpoint itself stays as it is.

    Its digest covers all its files, and targets with different forms may share it.
    """
    linked = scratch / folder.name
    linked.mkdir()
    for path in folder.iterdir():
        (linked / path.name).symlink_to(path.resolve())
    (linked / FORM).write_text(form.dump() + "\n", encoding="utf-8")
    return linked


def _code(scratch: Path) -> Path:
    """Copy the rooms that serving imports: all but flows, tasks, the command line, tournaments and diagnosis."""
    import transferline

    left_out = shutil.ignore_patterns("flows", "tasks", "cli", "tournament", "diagnosis", "__pycache__")
    return Path(shutil.copytree(Path(transferline.__file__).parent, scratch / "transferline", ignore=left_out))


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    # Columns of type "string" would make MLflow's server turn a null into the text "None" (requests by `instances` or `inputs`).
    # Both columns are optional here, because the model checks them itself and names the row. For a missing required column
    # MLflow's server answers with status 500, and it drops a column that the signature does not name.
    return ModelSignature(inputs=Schema([ColSpec(AnyType(), column, required=False) for column in ("text", "pair")]))


def _example(columns: Sequence[str], text: str = _SENTENCE) -> Any:
    import pandas as pd

    return pd.DataFrame({column: [text] for column in columns})


def pinned(names: Sequence[str]) -> list[str]:
    """Requirements pinned to the installed versions, without local parts such as `+cpu`, which pip cannot find."""
    from importlib.metadata import version

    return [f"{name}=={version(name).split('+')[0]}" for name in names]

"""Score the texts of a file or folder with a registered model. Used by `predict` and `watch`."""

from __future__ import annotations

from pathlib import Path

from transferline.core.errors import InputError
from transferline.core.project import root, store
from transferline.core.runtime import Runtime
from transferline.data.declarations import Read
from transferline.data.read import Row, read_rows, text_of
from transferline.inference.text_scoring import Scored, score_texts
from transferline.tasks.registering import bring_back
from transferline.tasks.support.lineage import find_version


def read_texts(source: str, column: str) -> tuple[list[Row], list[str]]:
    """Rows and texts of a file or folder. Raises InputError with file and row if a row has no text."""
    place = (root() / source).resolve()  # an absolute `source` stays as it is
    if not place.exists():
        raise InputError(place, "there is no such file or folder", "Give a .csv, .tsv, .jsonl, .parquet or .txt")
    rows = list(read_rows(place, Read()))
    return rows, [text_of(row, column) for row in rows]


def score(
    model: str, texts: list[str], device: str = "auto", pairs: list[str] | None = None, look: bool = True
) -> tuple[str, Scored]:
    """Returns (version, scores) of texts, or of text pairs, for MODEL, MODEL@ALIAS or MODEL@VERSION."""
    version = find_version(model)
    folder: Path = store() / bring_back(version)
    runtime = Runtime.model_validate({"device": device}).resolve()
    second = pairs or []
    records = [{"text": text, **({"pair": second[i]} if pairs else {})} for i, text in enumerate(texts)]
    return str(version.version), score_texts(folder, records, runtime, look)

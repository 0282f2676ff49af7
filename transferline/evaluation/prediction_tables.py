"""Predictions as a file.

predictions.parquet has a row for each example: id, label, predicted, and a probability for each label where the kind has labels.
The file's metadata holds `kind`. A file without it is of kind single-label.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transferline.evaluation.predictions import PREDICTIONS, Predictions

FILE = "predictions.parquet"
_KIND = b"transferline.kind"


def write_predictions(made: Predictions, folder: Path) -> None:
    """Write predictions.parquet."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    table = pa.table({"id": list(made.ids), **made.columns()})
    kept = table.schema.metadata or {}
    parquet.write_table(table.replace_schema_metadata({**kept, _KIND: made.kind.encode()}), folder / FILE)


def read_predictions(folder: Path) -> Predictions:
    """The predictions that `write_predictions` left in a folder."""
    import pyarrow.parquet as parquet

    stored = parquet.read_table(folder / FILE)
    kind: Any = (stored.schema.metadata or {}).get(_KIND, b"single-label").decode()
    table = stored.to_pandas()
    labels = tuple(column[2:] for column in table.columns if column.startswith("p:"))
    return PREDICTIONS[kind].from_table(table, labels)

"""A checkpoint behind MLflow's pyfunc interface, for models that no built-in flavour of MLflow can serve.

MLflow finds `_load_pyfunc` here by name (`loader_module`). This package is stored with the model as its code. Only safetensors
and JSON are loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class Served:
    """Predicts a table with a column `text` (and `pair`, where the model reads two texts)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def predict(self, table: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """A row a text: `prediction`, and a probability `p:label` for each label where there are labels."""
        import pandas as pd

        from transferline.core.runtime import Runtime
        from transferline.inference.text_scoring import score_texts

        columns = [column for column in ("text", "pair") if column in table.columns]
        records = [{name: str(value) for name, value in row.items()} for row in table[columns].to_dict("records")]
        scored = score_texts(self.folder, records, Runtime().resolve(), look=False)
        return pd.DataFrame({"prediction": scored.predicted, **scored.columns()})


def _load_pyfunc(path: str) -> Served:
    return Served(Path(path))

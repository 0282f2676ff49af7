"""A checkpoint behind MLflow's pyfunc interface.

MLflow finds `_load_pyfunc` here by name (`loader_module`). This package is stored with the model as its code. Only safetensors
and JSON are loaded. Rows are turned into records by the model's own input form, the one that `prepare` used.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from transferline.core.errors import InputError
from transferline.data.input_form import InputForm
from transferline.data.read import Row

if TYPE_CHECKING:
    import pandas as pd

    from transferline.inference.text_scoring import Scorer

REQUEST = "input"  # the place that errors name, before the row


class Served:
    """Predicts a table with a column `text` (and `pair`, where the model reads two texts)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.form = InputForm.load(folder)
        self._lock = Lock()  # a server calls `predict` from several threads

    @cached_property
    def scorer(self) -> Scorer:
        """The model, loaded at the first call."""
        from transferline.core.runtime import Runtime
        from transferline.inference.text_scoring import Scorer

        return Scorer(self.folder, Runtime().resolve())

    def predict(self, table: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """A row a text: `prediction`, and a probability `p:label` for each label where there are labels.

        Raises MlflowException, which the server answers with status 400, and which names row and column, on a missing, empty
        or superfluous text and on a value that is no text.
        """
        import pandas as pd

        try:
            records = self.records(table)
        except InputError as error:
            # MLflow's server answers any other exception without its message
            from mlflow.exceptions import MlflowException

            raise MlflowException.invalid_parameter_value(str(error)) from error
        with self._lock:
            scored = self.scorer.score(records, look=False)
        return pd.DataFrame({"prediction": scored.predicted, **scored.columns()}, index=table.index)

    def records(self, table: pd.DataFrame) -> list[dict[str, Any]]:
        """The records of a table. Raises InputError on rows that the model cannot read."""
        if "text" not in table.columns:
            found = f"there is no column 'text', but {sorted(map(str, table.columns))}"
            raise InputError(REQUEST, found, "Name the column of the text `text`")
        columns = [column for column in ("text", "pair") if column in table.columns]
        rows = [
            Row(values, REQUEST, number) for number, values in enumerate(table[columns].to_dict("records"), start=1)
        ]
        if self.form is None:
            return [_as_before(row) for row in rows]
        self.form.check_columns(REQUEST, "pair" in columns, "Give it in a column `pair`")
        return self.form.records(rows)


def _as_before(row: Row) -> dict[str, str]:
    """A record of a model that has no input form: its texts as they are. Raises InputError on a value that is no text."""
    for column, value in row.values.items():
        if not isinstance(value, str):
            what = f"column {column!r} holds a value of type {type(value).__name__} where a text is expected"
            raise InputError(row.where, what, "Write a text, or drop the row")
    return {str(column): str(value) for column, value in row.values.items()}


def _load_pyfunc(path: str) -> Served:
    return Served(Path(path))

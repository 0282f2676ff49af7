"""Create the embedded MLflow database atomically.

MLflow creates its tables in about forty migrations, which takes seconds on a slow disk. sqlite commits each one. After a
kill in between, no later run can open the database (`table _alembic_tmp_experiments already exists`).
"""

from __future__ import annotations

import os
from pathlib import Path

from transferline.tasks.support.locks import held

SCHEME = "sqlite:///"


def make_tables(uri: str) -> None:
    """Create the sqlite database of a tracking URI with all its tables, unless it exists. Ignores other URIs.

    It is created under a temporary name and renamed when it is complete.
    """
    if not uri.startswith(SCHEME):
        return
    path = Path(uri.removeprefix(SCHEME))
    path.parent.mkdir(parents=True, exist_ok=True)
    with held("mlflow-tables"):
        if not path.exists():
            _make(path)


def _make(path: Path) -> None:
    import sqlalchemy
    from mlflow.store.db.utils import _initialize_tables

    making = path.with_name(f".{path.name}.making")
    for left in path.parent.glob(f"{making.name}*"):  # remains of a killed attempt, including sqlite's journal
        left.unlink()
    engine = sqlalchemy.create_engine(f"{SCHEME}{making}")
    _initialize_tables(engine)
    engine.dispose()
    os.replace(making, path)

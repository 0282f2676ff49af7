"""The embedded MLflow database: made whole or not at all.

MLflow makes its tables in some forty migrations, seconds on a slow disk, and sqlite commits each by itself: killed
in between they leave a database that no later run can open (`table _alembic_tmp_experiments already exists`).
"""

from __future__ import annotations

import os
from pathlib import Path

from transferline.tasks.support.locks import held

SCHEME = "sqlite:///"


def make_tables(uri: str) -> None:
    """Make the sqlite database of a tracking address with all its tables, unless it is there.

    It is made beside its place and moved there when it is whole. Other addresses are left to their servers.
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
    for left in path.parent.glob(f"{making.name}*"):  # what a kill left, its journal included
        left.unlink()
    engine = sqlalchemy.create_engine(f"{SCHEME}{making}")
    _initialize_tables(engine)
    engine.dispose()
    os.replace(making, path)

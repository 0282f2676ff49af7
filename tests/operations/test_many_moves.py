"""A thousand promotions and rollbacks of one target: the champion is right at every step, whatever the database."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from transferline.tasks.promoting import champions, current_champion, moves, promote, rollback
from transferline.tasks.support.tracking import client

MOVES = 1000


def move_about(folder: Path) -> None:
    client().create_registered_model("film")
    for number in (1, 2, 3):
        client().create_model_version("film", f"file://{folder}/model", tags={"transferline.key": f"tune-{number}"})
    rng, line = random.Random(0), []  # the champions so far, the present one last
    for number in range(MOVES):
        version = str(rng.randint(1, 3))
        if len(line) > 1 and rng.random() < 0.3:
            assert rollback("film", f"complaint {number}") == (line.pop(), line[-1])
        else:
            promote("film", version, f"a reason of some length, number {number}, " * 3)
            line += [version] if line[-1:] != [version] else []
        assert str(current_champion("film").version) == line[-1]
    assert champions("film")[-3:] == line[-3:]
    assert moves("film")[-1]["version"] == line[-1]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(tmp_path))
    monkeypatch.setenv("TRANSFERLINE_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


@pytest.mark.slow
def test_a_thousand_moves_in_sqlite(tmp_path: Path) -> None:
    move_about(tmp_path)


@pytest.mark.slow
def test_a_thousand_moves_in_postgresql(postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql+psycopg2://{postgres}/mlflow")
    move_about(tmp_path)

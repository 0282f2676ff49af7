"""What several tests of tasks share."""

from __future__ import annotations

from pathlib import Path

import pytest

from transferline.tasks.support.tracking import client


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry with a model of three versions, and an empty store."""
    monkeypatch.setenv("TRANSFERLINE_ROOT", str(tmp_path))
    monkeypatch.setenv("TRANSFERLINE_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    client().create_registered_model("film")
    for number in (1, 2, 3):
        tags = {"transferline.key": f"tune-{number}", "transferline.parents": f"adapt-{number}"}
        tags |= {"transferline.commit": "abc", "transferline.recipe": "full", "transferline.data.train": "md5"}
        client().create_model_version("film", f"file://{tmp_path}/model", tags=tags)
    return tmp_path / "store"

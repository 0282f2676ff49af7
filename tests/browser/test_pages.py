"""A user's steps in headless Chromium: form, run, artifacts, MLflow, registered version."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.pages import CHROMIUM, browser, fill_the_form, follow, look_at_mlflow
from tests.operations.service import Served

pytest.importorskip("playwright", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)")


def test_a_retrain_from_the_form_registers_a_version_that_mlflow_shows(service: Served, tmp_path: Path) -> None:
    prefect = service.prefect.removesuffix("/api")
    with browser() as page:
        run = fill_the_form(page, prefect, "plays", "full", tmp_path)
        with service.client() as client:
            assert client.read_flow_run(run).parameters["target"] == "plays"
            assert client.read_flow_run(run).parameters["recipe"] == "full"
        follow(page, prefect, run, tmp_path, 600)
        look_at_mlflow(page, service.mlflow, "plays", tmp_path)
    assert service.registry().get_model_version_by_alias("plays", "challenger")
    assert len(list(tmp_path.glob("*.png"))) == 7

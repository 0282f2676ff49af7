"""Labels and texts that are markup stand in the pages as they were written, and run nothing."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.browser.pages import CHROMIUM, browser, follow, look_at_mlflow
from tests.operations.service import make_two_targets, serve

pytest.importorskip("playwright", reason="playwright is not installed")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"),
    pytest.mark.slow,
]
HOSTILE = "<img src=x onerror=\"window.pwned='label'\">"
MARKED = "**b** | [l](javascript:window.pwned=1) $x$"
TEXT = "<script>window.pwned='text'</script> "


def write_hostile(path: Path) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in rows:
            writer.writerow([TEXT + row["text"], HOSTILE if row["label"] == "good" else MARKED])


def test_hostile_labels_are_shown_as_written(tmp_path: Path) -> None:
    project = make_two_targets(tmp_path / "project")
    write_hostile(project / "plays.csv")
    service = serve(project, tmp_path / "home")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    prefect = service.prefect.removesuffix("/api")
    try:
        run = service.start("retrain/on-demand", target="plays")
        assert service.finish(run).is_completed(), service.logs(run)
        with browser() as page:
            follow(page, prefect, run, pictures)
            shown = page.locator("body").inner_text()
            assert HOSTILE in shown
            assert "[l](javascript:window.pwned=1)" in shown
            assert page.evaluate("window.pwned") is None
            assert page.locator("img[src='x']").count() == 0
            assert page.locator("a[href^='javascript:']").count() == 0
            look_at_mlflow(page, service.mlflow, "plays", pictures)
            assert page.evaluate("window.pwned") is None
            assert page.locator("img[src='x']").count() == 0
    finally:
        service.end()

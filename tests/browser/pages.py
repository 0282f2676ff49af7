"""Drive both web UIs with Chromium, and take the screenshots of the README.

    python -m tests.browser.pages PREFECT_ADDRESS MLFLOW_ADDRESS TARGET FOLDER

fills the form, follows the run to its end and saves screenshots. The tests do the same on a tiny project.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
_SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
_SWITCHES += ["--disable-background-networking", "--disable-component-update"]


@contextmanager
def browser(width: int = 1280, height: int = 1000) -> Iterator[Any]:
    """Open a page in headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=_SWITCHES)
        page = chromium.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(120_000)
        yield page
        chromium.close()


def picture(page: Any, folder: Path, name: str, settle: float = 2.5) -> None:
    """Save a screenshot once the page has settled."""
    page.wait_for_timeout(1000 * settle)
    page.screenshot(path=str(folder / f"{name}.png"))


def fill_the_form(page: Any, prefect: str, target: str, recipe: str, folder: Path) -> str:
    """Fill in and submit the retrain form. Returns the id of the run."""
    deployment = _ask(f"{prefect}/api/deployments/name/retrain/on-demand")["id"]
    page.goto(f"{prefect}/deployments/deployment/{deployment}")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").click()
    _choose(page, "Target", target)
    _choose(page, "Recipe", recipe)
    picture(page, folder, "form")
    before = _runs(prefect)
    page.get_by_role("button", name="Submit").click()
    deadline = time.monotonic() + 60
    while not (new := _runs(prefect) - before):
        assert time.monotonic() < deadline, "the form started no run"
        time.sleep(0.5)
    return new.pop()


def follow(page: Any, prefect: str, run: str, folder: Path, seconds: float = 1200) -> None:
    """Watch a run's page until it shows Completed, then open its artifacts."""
    page.goto(f"{prefect}/runs/flow-run/{run}")
    page.get_by_text("Artifacts", exact=True).last.wait_for()
    page.goto("about:blank")  # the run's live graph uses half of a small machine's CPU
    deadline = time.monotonic() + seconds
    while _state(prefect, run) not in ("COMPLETED", "FAILED", "CANCELLED"):
        assert time.monotonic() < deadline, "the run did not come to its end"
        time.sleep(2)
    page.goto(f"{prefect}/runs/flow-run/{run}")
    page.get_by_text("Completed", exact=True).first.wait_for()
    picture(page, folder, "prefect")
    page.get_by_text("Artifacts", exact=True).last.click()
    page.get_by_text("report-", exact=False).first.wait_for()
    picture(page, folder, "artifacts")
    page.locator(".artifact-card", has_text="report-").first.click()
    page.get_by_text("McNemar").first.wait_for()
    picture(page, folder, "report")


def look_at_mlflow(page: Any, mlflow: str, target: str, folder: Path) -> None:
    """Open the newest retrain's run, its artifacts and data, and the registered version."""
    from mlflow import MlflowClient

    client = MlflowClient(mlflow)
    experiment = client.get_experiment_by_name(target).experiment_id
    run = client.search_runs([experiment], "tags.`transferline.kind` = 'retrain'", max_results=1)[0].info.run_id
    page.goto(f"{mlflow}/#/experiments/{experiment}/runs/{run}")
    page.get_by_text(f"{target}-train", exact=False).first.wait_for()  # the logged input data set
    picture(page, folder, "mlflow-run")
    page.goto(f"{mlflow}/#/experiments/{experiment}/runs/{run}/artifacts/figures/scores.png")
    page.get_by_text("scores.png").first.wait_for()
    picture(page, folder, "mlflow-figures")
    version = client.get_model_version_by_alias(target, "challenger").version
    page.goto(f"{mlflow}/#/models/{target}/versions/{version}")
    page.get_by_text("challenger").first.wait_for()
    picture(page, folder, "mlflow")


def _choose(page: Any, label: str, value: str) -> None:
    """Choose a value in the dropdown with a label."""
    named = page.locator(".schema-form-property__label", has_text=re.compile(f"^{label}"))
    field = page.locator(".p-label.schema-form-property", has=named).last
    field.locator(".p-select-button__control").focus()
    page.keyboard.press("ArrowDown")
    page.locator(".p-select-option").get_by_text(value, exact=True).first.click()


def _state(prefect: str, run: str) -> str:
    return str(_ask(f"{prefect}/api/flow_runs/{run}")["state_type"])


def _runs(prefect: str) -> set[str]:
    ask = urllib.request.Request(f"{prefect}/api/flow_runs/filter", b"{}", {"Content-Type": "application/json"})
    return {run["id"] for run in _ask(ask)}


def _ask(what: str | urllib.request.Request, seconds: float = 120) -> Any:
    """The server's answer. A server that is down is waited for, since `serve` starts it again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(what, timeout=60) as answer:
                return json.load(answer)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            if isinstance(error, urllib.error.HTTPError) or time.monotonic() > deadline:
                raise
            time.sleep(1)


def main(prefect: str, mlflow: str, target: str, recipe: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with browser() as page:
        run = fill_the_form(page, prefect, target, recipe, folder)
        follow(page, prefect, run, folder)
        look_at_mlflow(page, mlflow, target, folder)


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), sys.argv[2].rstrip("/"), sys.argv[3], sys.argv[4], Path(sys.argv[5]))

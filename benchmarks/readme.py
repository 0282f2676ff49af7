"""Make the README's table and pictures anew, from one real run.

    python -m benchmarks.readme FOLDER

FOLDER must not exist. The project is cloned into it and the default target is retrained from nothing. Then a service starts there,
the same retrain is started from the form in the Prefect UI, and screenshots are taken in Chromium. Every stage of the second
retrain is reused, so table and pictures show the same models. It takes about ten minutes on two idle cores.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.browser.pages import browser, picture
from tests.browser.pages import main as take_pictures
from tests.operations.service import serve

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
TARGET, RECIPE = "film-sentiment", "default"
SHOWN = ("form", "prefect", "mlflow")  # of the screenshots, those that the README shows
ROLES = {
    "challenger": "masked-LM adaptation to IMDB, then fine-tuned (the challenger)",
    "unadapted": "fine-tuned without adaptation",
    "tfidf": "TF-IDF and logistic regression",
    "scratch": "the same network from scratch",
}
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
WIDTH = 132  # columns of the terminal


def run(folder: Path, environment: dict[str, str]) -> str:
    """Retrain in a terminal of its own, so that colours and tables come as a user sees them. Returns all output."""
    command = [sys.executable, "-P", "-m", "transferline", "run", TARGET, RECIPE]
    reader, writer = pty.openpty()
    shown = {**environment, "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    with subprocess.Popen(command, cwd=folder, env=shown, stdout=writer, stderr=writer, close_fds=True) as process:
        os.close(writer)
        output = b""
        while True:
            try:
                part = os.read(reader, 65536)
            except OSError:  # Linux reports the end of a pseudo-terminal as an error
                break
            output += part
    os.close(reader)
    assert process.returncode == 0, output.decode(errors="replace")[-4000:]
    return output.decode(errors="replace")


def draw_terminal(output: str, last: int = 34) -> None:
    """Save a picture of the last lines of a terminal's output."""
    from rich.console import Console
    from rich.text import Text

    shown = output.replace("\r\n", "\n").replace(sys.prefix, ".venv")  # a reader has another path
    lines = [line.rpartition("\r")[2] for line in shown.splitlines()]
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    console.print(Text.from_ansi("\n".join(["$ make run", "  ...", *lines[-last:]])))
    page_code = console.export_html(inline_styles=True, theme=None)
    with browser(1180, 40 + 19 * (last + 2)) as page:
        page.set_content(page_code.replace("<body>", '<body style="margin:16px;font-size:14px">'))
        picture(page, PICTURES, "terminal", 0.5)


def results(folder: Path) -> str:
    """The README's table: scores of all models, and what the two candidates are ahead of each, with 95 % intervals."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(TARGET)
    assert experiment is not None
    kind = "tags.`transferline.kind` = 'retrain'"
    newest: Any = client.search_runs([experiment.experiment_id], kind, max_results=1)[0]
    figures = newest.data.metrics

    def interval(name: str, sign: str = "") -> str:
        if name not in figures:
            return ""
        value, low, high = (format(figures[name + end], f"{sign}.3f") for end in ("", "/low", "/high"))
        return f"{value} [{low}, {high}]"

    rows = [
        f"| {about} | {interval(f'test/{role}/accuracy')} | {interval(f'difference/challenger-{role}', '+')} "
        f"| {interval(f'difference/unadapted-{role}', '+')} |"
        for role, about in ROLES.items()
    ]
    header = "| model | accuracy | challenger minus this | unadapted minus this |\n|---|---|---|---|"
    return "\n".join([header, *rows, "", f"Verdict: {newest.data.tags['transferline.headline']}."])


def main(folder: Path) -> None:
    """Run, draw, and rewrite the README."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    environment = {**os.environ, "TRANSFERLINE_ROOT": str(folder), "PREFECT_HOME": str(folder / "home" / "prefect")}
    draw_terminal(run(folder, environment))
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    table = f"{BEGIN}\n{results(folder)}\n{END}"
    readme.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: table, text, flags=re.DOTALL), encoding="utf-8")
    served = serve(folder, folder / "home")
    try:
        shots = folder / "pictures"
        take_pictures(served.prefect.removesuffix("/api"), served.mlflow, TARGET, RECIPE, shots)
        for name in SHOWN:
            (PICTURES / f"{name}.png").write_bytes((shots / f"{name}.png").read_bytes())
    finally:
        served.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

"""A whole retrain in a project of its own: the first run, an unchanged one, a plan, and what orchestration adds:
`python -m benchmarks.speed.line [TARGET]`.

Orchestration is the first run's time less what its stages computed (their lineages say it): imports, DVC, Prefect, MLflow and the
registry. Wheels that lie in data/downloads are not fetched again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.speed.measuring import fresh
from tasks.project import root


def main(arguments: list[str]) -> None:
    target = (arguments or ["film-sentiment"])[0]
    project = fresh() / "project"
    subprocess.run(["git", "clone", "-q", str(root()), str(project)], check=True)
    downloads = root() / "data" / "downloads"
    if downloads.exists():
        shutil.copytree(downloads, project / "data" / "downloads", symlinks=True, dirs_exist_ok=True)
    first = timed(project, "run", target)
    lineages = [
        json.loads(path.read_text("utf-8")) for path in (project / "data" / "checkpoints").glob("*/lineage.json")
    ]
    computed = sum(one["cost"]["seconds"] for one in lineages)
    again = [timed(project, "run", target) for _ in range(3)]
    plans = [timed(project, "plan", target) for _ in range(3)]
    print(f"\n### A retrain of {target}: {len(lineages)} stages\n\n| what | seconds |\n|---|---|")
    print(f"| first run | {first:.0f} |")
    print(f"| what its stages computed | {computed:.0f} |")
    print(f"| orchestration: the rest | {first - computed:.0f} ({(first - computed) / first:.0%}) |")
    print(f"| the same again, nothing changed (median of 3) | {sorted(again)[1]:.1f} |")
    print(f"| `plan` (median of 3) | {sorted(plans)[1]:.1f} |")


def timed(project: Path, *command: str) -> float:
    """Seconds of a command in a project, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(project), "TRANSFERLINE_ROOT": str(project)}
    for name in ("TRANSFERLINE_STORE", "MLFLOW_TRACKING_URI"):
        environment.pop(name, None)
    start = time.perf_counter()
    program = Path(sys.executable).parent / "transferline"
    subprocess.run([str(program), *command], cwd=project, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(sys.argv[1:])

"""Time of a retrain in a fresh clone: first run, unchanged run, plan and orchestration.

    python -m benchmarks.speed.line [TARGET]

Orchestration is the time of the first run minus the computing time of its stages (from their lineages) and minus the time of its
data commands when called directly. It includes imports, DVC, Prefect, MLflow and the registry. Wheels in data/downloads are copied
to the clone, so they are not fetched again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import chdir
from pathlib import Path

from benchmarks.speed.measuring import fresh
from transferline.core.project import root
from transferline.recipes.params import load_params
from transferline.tasks.support.data_versions import data_stages


def main(arguments: list[str]) -> None:
    """Clone the project, time the commands and print a table."""
    target = (arguments or ["film-sentiment"])[0]
    project = fresh() / "project"
    subprocess.run(["git", "clone", "-q", str(root()), str(project)], check=True)
    downloads = root() / "data" / "downloads"
    if downloads.exists():
        shutil.copytree(downloads, project / "data" / "downloads", symlinks=True, dirs_exist_ok=True)
    first = timed(project, "transferline", "run", target)
    lineages = [
        json.loads(path.read_text("utf-8")) for path in (project / "data" / "checkpoints").glob("*/lineage.json")
    ]
    computed = sum(one["cost"]["seconds"] for one in lineages)
    again = [timed(project, "transferline", "run", target) for _ in range(3)]
    plans = [timed(project, "transferline", "plan", target) for _ in range(3)]
    data = sum(timed(project, *command.split()) for command in data_commands(project, target))
    rest = first - computed - data
    print(f"\n### A retrain of {target}: {len(lineages)} stages\n\n| what | seconds |\n|---|---|")
    print(f"| first run | {first:.0f} |")
    print(f"| what its stages computed | {computed:.0f} |")
    print(f"| the commands of its data stages, called directly | {data:.0f} |")
    print(f"| orchestration: the rest | {rest:.0f} ({rest / (computed + data):.1%} of both) |")
    print(f"| the same again, nothing changed (median of 3) | {sorted(again)[1]:.1f} |")
    print(f"| `plan` (median of 3) | {sorted(plans)[1]:.1f} |")


def data_commands(project: Path, target: str) -> list[str]:
    """Commands of the data stages of a target, in DVC's order."""
    from dvc.repo import Repo

    names = data_stages([target], load_params(project / "params.yaml"))
    with chdir(project), Repo() as repo:
        stages = [stage for name in names for stage in repo.stage.collect(name, with_deps=True)]
    return list(dict.fromkeys(stage.cmd for stage in stages if stage.cmd))


def timed(project: Path, *command: str) -> float:
    """Duration in seconds of a command, run in the project's folder as a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(project), "TRANSFERLINE_ROOT": str(project)}
    for name in ("TRANSFERLINE_STORE", "MLFLOW_TRACKING_URI"):
        environment.pop(name, None)
    start = time.perf_counter()
    subprocess.run(
        [str(Path(sys.executable).parent / command[0]), *command[1:]],
        cwd=project,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    main(sys.argv[1:])

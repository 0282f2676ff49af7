"""Kill, delete and evict at random moments, and count what was lost. Exit code 1 on any loss.

    python -m benchmarks.faults FOLDER [--times 20] [--only kill,evict,cache,gc,compare]

FOLDER must not exist. A tiny project is run once without faults. Then each fault strikes at a random moment of a run, the run is
started again, and its end is compared with that of the first: equal digests, one version for each key, nothing RUNNING, no pending
move, no orphan process, and no file in the scratch folders.

    kill      SIGKILL of the whole process tree of `transferline run`
    evict     SIGTERM of that tree, and SIGKILL of what is left after 30 seconds, as Kubernetes evicts a pod
    cache     `.cache` is deleted while the run goes on; it must end well at the first try
    gc        `transferline gc --days 0 --delete` while the run goes on; the same
    compare   SIGKILL of the whole tree of `transferline compare`
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.flows.test_kill import left_behind
from tests.flows.test_retrain import digests, registry
from tests.project import declare, environment, make_project

GRACE = 30.0  # seconds between SIGTERM and SIGKILL
RECIPES = {"run": ("run", "reviews", "default"), "compare": ("compare", "reviews", "--recipes", "full,probe")}
SPLIT = {"test": 0.3, "validation": 0.2}
TARGET = {"domain": "cinema", "data": "reviews.csv", "split": SPLIT, "margin": 0.9, "proof": "margin"}


def start(project: Path, words: tuple[str, ...]) -> subprocess.Popen[bytes]:
    # to a file: a server that outlives the run would keep a pipe open
    with (project / "output.txt").open("ab") as out:
        command = [sys.executable, "-P", "-m", "transferline", *words]
        return subprocess.Popen(command, cwd=project, env=environment(project), stdout=out, stderr=out)


def tree(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(process.pid)
        return [*root.children(recursive=True), root]
    return []


def signal_all(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def kill(process: subprocess.Popen[bytes], project: Path) -> None:
    signal_all(tree(process), signal.SIGKILL)
    process.wait()


def evict(process: subprocess.Popen[bytes], project: Path) -> None:
    family = tree(process)
    signal_all(family, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=GRACE)
    signal_all(family, signal.SIGKILL)
    process.wait()


def cache(process: subprocess.Popen[bytes], project: Path) -> None:
    shutil.rmtree(project / "data" / "checkpoints" / ".cache", ignore_errors=True)


def gc(process: subprocess.Popen[bytes], project: Path) -> None:
    done = start(project, ("gc", "--days", "0", "--delete"))
    done.wait()


FAULTS: dict[str, tuple[str, Callable[[subprocess.Popen[bytes], Path], None], bool]] = {
    # name: command, fault, whether the run must survive it
    "kill": ("run", kill, False),
    "evict": ("run", evict, False),
    "cache": ("run", cache, True),
    "gc": ("run", gc, True),
    "compare": ("compare", kill, False),
}


def end_state(project: Path) -> dict[str, Any]:
    """What a finished run leaves."""
    store = project / "data" / "checkpoints"
    client = registry(project)
    experiments = [one.experiment_id for one in client.search_experiments()]
    keys = Counter(version.tags["transferline.key"] for version in client.search_model_versions("name = 'reviews'"))
    models = client.search_registered_models()
    scratch = [
        str(p)
        for name in (".making", ".state", ".requests")
        if (store / name).exists()
        for p in (store / name).iterdir()
    ]
    return {
        "digests": digests(project),
        "versions": dict(keys),
        "registered twice": [key for key, count in keys.items() if count > 1],
        "pending moves": [model.name for model in models if "transferline.move" in model.tags],
        "running": [run.info.run_name for run in client.search_runs(experiments, "attributes.status = 'RUNNING'")],
        "scratch files": scratch,
        "orphans": [" ".join(process.cmdline()[:4]) for process in left_behind(project)],
    }


def losses(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    lost = [
        f"{key} has another digest" for key, digest in wanted["digests"].items() if found["digests"].get(key) != digest
    ]
    lost += [
        f"{name}: {found[name]}" for name in wanted if isinstance(wanted[name], list) and found[name] != wanted[name]
    ]
    return lost + ([] if found["versions"] == wanted["versions"] else [f"versions {found['versions']}"])


def strike(name: str, folder: Path, wanted: dict[str, Any], seconds: float, rng: random.Random) -> list[str]:
    """One fault at a random moment. Returns the losses."""
    command, fault, survives = FAULTS[name]
    project = fresh(folder)
    process = start(project, RECIPES[command])
    try:
        process.wait(timeout=rng.uniform(0.02, 0.98) * seconds)
    except subprocess.TimeoutExpired:
        fault(process, project)
    code = process.wait()
    lost = [f"the run ended with {code}: {last_line(project)}"] if survives and code else []
    again = start(project, RECIPES[command])
    if again.wait():
        lost.append(f"the next run ended with {again.returncode}: {last_line(project)}")
        return lost
    time.sleep(3)  # ending servers need a moment
    return lost + losses(end_state(project), wanted)


def last_line(project: Path) -> str:
    return ((project / "output.txt").read_text(errors="replace").strip().splitlines() or ["no output"])[-1][:300]


def fresh(folder: Path) -> Path:
    """The project as it was before its first run, always at the same path."""
    project, before = folder / "project", folder / "before"
    if not before.exists():
        make_project(project)
        declare(project, targets={"reviews": TARGET})
        shutil.copytree(project, before)
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(before, project)
    return project


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--times", type=int, default=20, help="faults of each kind")
    parser.add_argument("--only", default=",".join(FAULTS), help="kinds of faults, separated by commas")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    rng = random.Random(given.seed)
    print(f"seed {given.seed}", flush=True)
    counts: dict[str, list[int]] = {}
    references: dict[str, tuple[dict[str, Any], float]] = {}
    for name in given.only.split(","):
        command = FAULTS[name][0]
        if command not in references:
            project, begun = fresh(given.folder), time.monotonic()
            assert start(project, RECIPES[command]).wait() == 0, last_line(project)
            references[command] = end_state(project), time.monotonic() - begun
        wanted, seconds = references[command]
        counts[name] = [0, 0]
        for number in range(given.times):
            lost = strike(name, given.folder, wanted, seconds, rng)
            counts[name][bool(lost)] += 1
            print(f"{name} {number + 1}: {'; '.join(lost) or 'nothing lost'}", flush=True)
    for name, (survived, lost) in counts.items():
        print(f"{name:8} {survived + lost} tried, {survived} survived, {lost} with a loss; goal: 0")
    return int(any(lost for _, lost in counts.values()))


if __name__ == "__main__":
    sys.exit(main())

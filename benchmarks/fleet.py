"""Time of retraining a hundred targets of five domains together, relative to single runs.

    python benchmarks/fleet.py FOLDER [TARGETS]

Models are tiny and texts synthetic, so the time is mostly orchestration. Prints the number of built stages, the time of
the fleet, the time of all targets run alone (estimated from three), their ratio, and the peak memory of the largest process.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.project import TINY, declare, environment, make_project, write_corpus, write_reviews

DOMAINS = 5
ALONE = 3


def declare_many(root: Path, targets: range) -> None:
    """Declare targets with synthetic data, distributed evenly over DOMAINS domains."""
    for domain in range(DOMAINS):
        write_corpus(root / f"corpus{domain}.txt", 300, seed=domain)
    for number in targets:
        write_reviews(root / f"target{number}.csv", 160, seed=100 + number)
    split = {"test": 0.3, "validation": 0.2}
    adapt = [{"method": "masked", "block": 16, "tokens": 20000, "schedule": {"batch_size": 16}}]
    declare(
        root,
        default_target=f"target{targets[0]}",
        domains={f"domain{d}": {"data": f"corpus{d}.txt"} for d in range(DOMAINS)},
        targets={
            f"target{n}": {"domain": f"domain{n % DOMAINS}", "data": f"target{n}.csv", "split": split} for n in targets
        },
        recipes={
            "default": {"base": "tiny", "adapt": adapt, "tune": {"method": "probe", "max_tokens": 16}},
            "full": {"base": "tiny", "tune": TINY},
        },
    )


def run(root: Path, *words: str) -> tuple[float, str]:
    """Duration in seconds of a `transferline run`, and its stderr."""
    told = environment(root, PREFECT_HOME=str(root.parent / "home"), OMP_NUM_THREADS="1")
    server = os.environ.get("PREFECT_API_URL")
    told |= {"PREFECT_API_URL": server} if server else {}
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "transferline", "run", *words], cwd=root, env=told, capture_output=True, text=True
    )
    return time.monotonic() - start, done.stderr


def main(folder: Path, count: int) -> None:
    alone = []
    for number in range(ALONE):
        root = make_project(folder / f"alone{number}")
        declare_many(root, range(number, number + 1))
        alone.append(run(root)[0])
        print(f"target {number} alone: {alone[-1]:.0f} s", flush=True)
    root = make_project(folder / "fleet")
    declare_many(root, range(count))
    (root / f"target{count - 1}.csv").write_text("text,label\nonly one row,good\n")  # one target fails
    seconds, said = run(root, "--all")
    (folder / "fleet.log").write_text(said)
    sums = sorted(alone)[ALONE // 2] * count
    store = root / "data" / "checkpoints"
    kinds = [path.parent.name.split("-")[0] for path in store.glob("*-*/record.json")]
    print(
        {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "stages built:",
        len(re.findall(r"^  built ", said, re.M)),
    )
    print(f"fleet of {count}: {seconds:.0f} s; alone {sums:.0f} s in all; ratio {seconds / sums:.2f}")
    print(f"largest process {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6:.2f} GB")
    print(said.strip().splitlines()[-1])


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 100)

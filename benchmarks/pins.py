"""Known weaknesses of the pinned packages: python -m benchmarks.pins

Asks the package index's advisories with pip-audit (`pip install 'transferline[release]'`). Exit code 1 if a pin has a weakness
without an answer in ANSWERS, if an answer is no longer needed, or if a pin could not be looked up: silence proves nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PINS = Path(__file__).resolve().parent.parent / "constraints.txt"
ANSWERS: dict[str, str] = {}
"""Identifier of an advisory -> why it does not concern transferline, or what is done until a release mends it."""


def audited() -> list[dict[str, Any]]:
    """What pip-audit says of each pin: name, version, vulns, and skip_reason where it could not be looked up."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(PINS), "--no-deps", "--disable-pip", "--format", "json"]
    done = subprocess.run([*command, "--progress-spinner", "off"], capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        raise SystemExit(f"pip-audit gave no answer: {done.stderr.strip()[-500:]}")
    return list(json.loads(done.stdout)["dependencies"])


def findings(pins: list[dict[str, Any]], answers: dict[str, str]) -> tuple[list[str], list[str]]:
    """(faults, notes): one sentence each."""
    faults, notes, seen = [], [], set[str]()
    for pin in pins:
        name = f"{pin['name']} {pin.get('version', '')}".strip()
        if "skip_reason" in pin:
            faults.append(f"{name}: could not be looked up")
        for weakness in pin.get("vulns", []):
            names = {weakness["id"], *weakness.get("aliases", [])}
            answered = sorted(names & answers.keys())
            seen |= set(answered)
            mended = ", ".join(weakness.get("fix_versions", [])) or "no release yet"
            if answered:
                notes.append(f"{name}: {answered[0]}, {answers[answered[0]]}")
            else:
                faults.append(f"{name}: {weakness['id']} has no answer; mended by {mended}")
    faults += [f"{one}: no pin has it any more, remove the answer" for one in sorted(answers.keys() - seen)]
    return faults, notes


def main() -> int:
    pins = audited()
    faults, notes = findings(pins, ANSWERS)
    unknown = sum("skip_reason" in pin for pin in pins)
    for line in [*notes, *(one for one in faults if not one.endswith("could not be looked up"))]:
        print(line)
    print(f"{len(pins)} pins, {len(pins) - unknown} looked up (goal: all), {len(faults) - unknown} faults (goal: none)")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

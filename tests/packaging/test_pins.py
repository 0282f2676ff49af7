"""The pinned set: every pin has hashes, and what is known of its weaknesses is answered."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.pins import findings

HERE = Path(__file__).resolve().parents[2]


def normal(pin: str) -> str:
    """A pin with its name as package indexes compare names."""
    name, _, version = pin.partition("==")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


def test_every_pin_has_the_hashes_of_its_files() -> None:
    hashed = set()
    for block in re.split(r"\n(?=\S)", (HERE / "constraints.hashed.txt").read_text().strip()):
        pin, *hashes = [line.strip(" \\") for line in block.splitlines()]
        assert hashes, pin
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes), pin
        hashed.add(normal(pin))
    pins = {normal(line) for line in (HERE / "constraints.txt").read_text().splitlines() if line}
    assert hashed == pins, "make hashes"


def test_a_weakness_needs_an_answer_and_an_answer_a_weakness() -> None:
    weak = {"name": "a", "version": "1", "vulns": [{"id": "X-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}]}
    sound = {"name": "b", "version": "1", "vulns": []}
    assert findings([sound], {}) == ([], [])
    assert findings([weak, sound], {}) == (["a 1: X-1 has no answer; mended by 2"], [])
    assert findings([weak], {"CVE-1": "not reached"}) == ([], ["a 1: CVE-1, not reached"])
    assert findings([sound], {"CVE-1": "not reached"})[0] == ["CVE-1: no pin has it any more, remove the answer"]


def test_what_could_not_be_looked_up_is_a_fault() -> None:
    assert findings([{"name": "c", "skip_reason": "not found"}], {}) == (["c: could not be looked up"], [])

"""Settings that were renamed: old names are still read, and identities keep them.

A key hashes the canonical form of a stage. If a renamed setting changed that form, every checkpoint would be rebuilt for
nothing. So the canonical form keeps the name under which a setting was first published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMER_NAMES: Mapping[str, str] = {
    "source_task": "lender",
    "source_tasks": "lenders",
    "learning_rate": "rate",
    "head_learning_rate": "head_rate",
    "stitch_learning_rate": "stitch_rate",
    "C": "strength",
    "Cs": "strengths",
}
"""present name -> name in identities"""

_PRESENT = {former: present for present, former in FORMER_NAMES.items()}


def present_name(name: str) -> str:
    """The present name of a setting, or of a path of settings joined by dots."""
    return ".".join(_PRESENT.get(part, part) for part in name.split("."))


def with_present_names(given: Any) -> Any:
    """Settings as a user gave them, with present names at every depth. Raises ValueError where both names are given."""
    if isinstance(given, (list, tuple)):
        return type(given)(with_present_names(value) for value in given)
    if not isinstance(given, dict):
        return given
    twice = [name for name in given if name in _PRESENT and _PRESENT[name] in given]
    if twice:
        raise ValueError(f"{twice[0]} is the former name of {_PRESENT[twice[0]]}: give one of them")
    return {_PRESENT.get(name, name): with_present_names(value) for name, value in given.items()}


def with_former_names(canonical: Any) -> Any:
    """A canonical form with the names that identities keep, at every depth."""
    if isinstance(canonical, list):
        return [with_former_names(value) for value in canonical]
    if not isinstance(canonical, dict):
        return canonical
    return {FORMER_NAMES.get(name, name): with_former_names(value) for name, value in canonical.items()}

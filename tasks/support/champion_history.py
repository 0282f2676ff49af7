"""Recorded moves of a champion alias: a JSON list in a tag of the registered model, oldest first.

MLflow keeps a tag's value in a column of 5,000 characters. PostgreSQL refuses a longer one, sqlite does not. Old moves first lose
their reasons, which the versions keep in tags of their own, and then leave the list.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from transferline.core.errors import InputError

HISTORY = "transferline.champions"
LONGEST = 4800  # characters of the tag's value
LONGEST_REASON = 200  # characters of a reason in the list; the whole reason is a tag of the version
LONGEST_LINE = 20  # champions before the oldest move that are kept when earlier moves leave the list

Move = dict[str, str]
"""what (promote or rollback), version, reason, by, at (ISO time), and before: the champion that a promotion replaced. The oldest
move also has line: the champions until then, separated by commas, if earlier moves have left the list."""


def new_move(what: str, version: str, reason: str, by: str, before: str | None) -> Move:
    """A move of now."""
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    move = {"what": what, "version": version, "reason": reason[:3000], "by": by[:40], "at": at}
    return move | ({"before": before} if before else {})


def read_moves(tags: dict[str, Any], model: str) -> list[Move]:
    """The moves that the tags of a registered model record. Raises InputError if the tag is damaged."""
    return list(parsed(tags.get(HISTORY, "[]"), HISTORY, model))


def parsed(value: str, tag: str, model: str) -> Any:
    """The value of a tag of a registered model. Raises InputError if it is not JSON."""
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise InputError(f"model {model!r}", f"its tag {tag} is not JSON", "Delete the tag") from error


def written(moves: Sequence[Move]) -> str:
    """The value of the tag: as many of the newest moves as it holds."""
    kept = [{**move, "reason": move["reason"][:LONGEST_REASON]} for move in moves]
    for move in kept[:-1]:
        if len(_json(kept)) <= LONGEST:
            break
        move["reason"] = ""
    while len(_json(kept)) > LONGEST:
        line = ",".join(champions_of(kept[:1])[-LONGEST_LINE:])
        kept = [{**kept[1], "line": line}, *kept[2:]]
    return _json(kept)


def champions_of(moves: Sequence[Move]) -> list[str]:
    """Versions that were champion, oldest first: a promotion appends one, a rollback removes the last."""
    line = [version for version in moves[0].get("line", "").split(",") if version] if moves else []
    for move in moves:
        if move["what"] == "rollback":
            line = line[:-1] or [move["version"]]  # the moves before it have left the list
        else:
            if not line and move.get("before"):
                line.append(move["before"])  # champion before the first recorded move
            line.append(move["version"])
    return line


def _json(moves: Sequence[Move]) -> str:
    return json.dumps(moves, ensure_ascii=False, separators=(",", ":"))

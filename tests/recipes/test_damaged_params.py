"""Random damage to the shipped params.yaml ends in acceptance or in one InputError, within a second."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from transferline.core.errors import InputError
from transferline.flows.support.planning import open_line
from transferline.recipes.chain import Data, Pin

SHIPPED = Path(__file__).resolve().parents[2] / "params.yaml"
BYTES = SHIPPED.read_bytes()
LINES = SHIPPED.read_text(encoding="utf-8").splitlines(keepends=True)
VALUES = yaml.safe_load(BYTES)
SECONDS = 30.0  # of CPU time: far above what any file takes on a busy machine, and far below a hang
CHUNKS, TIMES = 20, 30


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else 1


ODD: list[Any] = [
    *(
        None,
        True,
        False,
        "",
        "  ",
        "yes",
        "null",
        "auto",
        "other",
        "own",
        "[/b]",
        "../../x",
        "/etc/passwd",
        "a b",
        "${x}",
        "*",
        "😀",
    ),
    *(
        "x" * 5000,
        "nan",
        "1e999",
        "2024-02-30",
        "é",
        "-1",
        "single-label",
        "full",
        "minilm",
        "a/b",
        "film/film-sentiment",
    ),
    *(
        -1,
        0,
        1,
        2,
        3,
        10**9,
        10**15,
        2**63,
        10**40,
        -(10**20),
        0.5,
        -0.5,
        1e-300,
        1e300,
        float("nan"),
        float("inf"),
        3.0,
    ),
    *(
        [],
        {},
        [[]],
        [None],
        [1, "a"],
        ["a", "a"],
        [-1.5, 1e300],
        {"a": 1},
        {1: 2},
        {"": ""},
        {"method": "full"},
        nested(8),
        nested(60),
    ),
]
RAW = (
    "!!int 3", "!!python/object:os.system {}", "!x", "&a [*a]", "*nobody", "[" * 3000, "{" * 50, "9" * 5000, "1e9", ".inf", "0x1F",
    "010", "1:30", "2024-13-45", "'open", '"\\UFFFFFFFF"', '"\\ud800"', '"\\e[0m"', "- 1", "? x", "| text", "%", "@", "`", "<<: 1",
    "{a: 1, a: 2}", "yes", "~", "a: b: c", "#", "\u2028", "\u00a0", "\x7f", "1_000", "-_", "=", "---", "...",
)  # fmt: skip


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a structure, below the top."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, part in items for place in ((*above, key), *places(part, (*above, key)))]


PLACES = places(VALUES)


def copied(value: Any) -> Any:
    """A copy without shared parts, so that one change is one change."""
    if isinstance(value, dict):
        return {key: copied(part) for key, part in value.items()}
    return [copied(part) for part in value] if isinstance(value, list) else value


def restructured(rng: random.Random) -> bytes:
    """Delete, rename, replace, move or repeat entries of the structure."""
    whole = copied(VALUES)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        *above, last = rng.choice(PLACES)
        parent = whole
        try:
            for part in above:
                parent = parent[part]
            value = parent[last]
        except (KeyError, IndexError, TypeError):  # an earlier change removed the place
            continue
        change = rng.choice(["odd", "odd", "odd", "delete", "rename", "wrap", "other place"])
        if change == "delete":
            del parent[last]
        elif change == "rename" and isinstance(parent, dict):
            del parent[last]
            parent[rng.choice([f"{last}x", str(last)[:-1], "", 5, 1.5, True, None, "x" * 3000, "[/b]"])] = value
        elif change == "wrap":
            parent[last] = rng.choice([[value], {"a": value}, str(value), [value, value], {last: value}])
        elif change == "other place":
            found: Any = VALUES
            for part in rng.choice(PLACES):
                found = found[part]
            parent[last] = copied(found)
        else:
            parent[last] = rng.choice(ODD)
    return yaml.dump(whole, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=rng.random() < 0.5).encode()


def rewritten(rng: random.Random) -> bytes:
    """Change lines of the file: repeat, delete, exchange, indent, or write another value."""
    lines = list(LINES)
    for _ in range(rng.choice([1, 1, 1, 3])):
        at = rng.randrange(len(lines) - 1)
        head, colon, _ = lines[at].partition(":")
        change = rng.choice(["value", "value", "repeat", "delete", "exchange", "indent", "cut"])
        if change == "value" and colon:
            lines[at] = f"{head}: {rng.choice(RAW)}\n"
        elif change == "repeat":
            lines.insert(at, lines[at])
        elif change == "delete":
            del lines[at]
        elif change == "exchange":
            lines[at], lines[at + 1] = lines[at + 1], lines[at]
        elif change == "indent":
            lines[at] = rng.choice(["  ", "\t", " "]) + lines[at]
        else:
            lines[at] = lines[at][: rng.randrange(len(lines[at]))] + "\n"
    return "".join(lines).encode()


def corrupted(rng: random.Random) -> bytes:
    """Change bytes: flip, insert, delete, truncate, or encode otherwise."""
    data = bytearray(BYTES)
    change = rng.choice(["flip", "flip", "flip", "insert", "truncate", "join", "encode"])
    at = rng.randrange(len(data))
    if change == "flip":
        for _ in range(rng.choice([1, 1, 3, 20])):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif change == "insert":
        data[at:at] = rng.choice(
            [
                b"\x00",
                b"\xff",
                b"\xef\xbb\xbf",
                b"\r",
                b"\t",
                b"\xc3",
                b"\xed\xa0\x80",
                b"'",
                b'"',
                b"{",
                b"*x ",
                b"&x ",
            ]
        )
    elif change == "truncate":
        del data[at:]
    elif change == "join":
        end = rng.randrange(at, len(data))
        data[rng.randrange(len(data)) :] = data[at:end]
    else:
        return data.decode().encode(rng.choice(["utf-16", "utf-16-le", "utf-32", "cp500", "utf-8-sig"]))
    return bytes(data)


def pins() -> Data:
    names = ("train", "validation", "test", "corpus")
    return {name: Pin(Path(name), f"md5-of-{name}") for name in names}


def check() -> None:
    """The checks of `targets` and `plan` that need no data, for every target."""
    default = open_line(None, None, None, "cpu", "fp32")
    for name, spec in default.params.targets.items():
        line = replace(default, target=name, recipe=spec.recipe, spec=spec, seeds=spec.seeds)
        if line.recipe != "auto" and not line.source_tasks():
            line.plan(pins())


@pytest.mark.parametrize("damage", [restructured, rewritten, corrupted])
@pytest.mark.parametrize("chunk", range(CHUNKS // 3 + 1))
def test_damage_is_accepted_or_refused_at_once(
    damage: Callable[[random.Random], bytes], chunk: int, bare: Path
) -> None:
    path, longest = bare / "params.yaml", 0
    for number in range(TIMES):
        path.write_bytes(damage(random.Random(f"{damage.__name__} {chunk} {number}")))
        started = time.process_time()
        try:
            check()
        except InputError as error:
            longest = max(longest, len(str(error)))
        assert time.process_time() - started < SECONDS, f"{damage.__name__}, {chunk}, {number}"
    assert longest < 4000, "a message that nobody can read"

"""Prepared files: one JSON object a line. Byte-stable across library versions, so that an md5 means the data."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from transferline.core.problem import TargetKind

NEWS = "news: "  # begins a line by which a data stage says on stderr how far it is


def tell(text: str) -> None:
    """Report the progress of a data stage on stderr."""
    print(f"{NEWS}{text}", file=sys.stderr, flush=True)


def read_jsonl(path: Path) -> list[dict]:
    """The records of a prepared file, in order."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def content_of(text: str, pair: str | None = None) -> str:
    """All that a model is shown of a row, as one text: what fingerprints and the leak gate look at."""
    return text if pair is None else f"{text}\n{pair}"


def contents(path: Path) -> Iterator[str]:
    """The content of each record of a prepared file, one after another."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            yield content_of(record["text"], record.get("pair"))


def read_texts(path: Path) -> list[str]:
    """The content of each record of a prepared file, in order."""
    return list(contents(path))


def kind_of(path: Path) -> TargetKind:
    """What kind of task a prepared split holds: its records say it, so that the data's md5 covers it."""
    with path.open(encoding="utf-8") as file:
        record = json.loads(file.readline())
    if "target" in record:
        return "generation"
    if "words" in record:
        return "tokens"
    if isinstance(record["label"], list):
        return "multi-label"
    return "single-label" if isinstance(record["label"], str) else "regression"


def features_of(record: dict) -> int | None:
    """Number of columns of the matrix that a record comes from, or None for a text."""
    return record.get("features")


def write_jsonl(path: Path, records: Iterable[Mapping[str, object]]) -> None:
    """Write one JSON object per line. The file appears when it is complete."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    part.replace(path)


def write_json(path: Path, value: object) -> None:
    """A readable JSON file that appears when it is whole."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)

"""Random tables are read back equal or refused, in every dialect, also when they are damaged."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from transferline.core.errors import InputError
from transferline.data.declarations import Read
from transferline.data.read import read_rows

PIECES = ["film", "warm", "é", "电影", '"', '""', "'", ",", ";", "\t", "|", "\n", "\r\n", " ", "#", "\\", "0", "\u2028"]
Values = list[dict[str, object]]


def table(rng: random.Random, pieces: list[str] = PIECES) -> Values:
    def text() -> str:
        return "x" + "".join(rng.choices(pieces, k=rng.randint(0, 8))) + "y"

    return [{"text": text(), "label": rng.choice("ab"), "note": text()} for _ in range(rng.randint(1, 12))]


def read(path: Path, **how: object) -> Values | None:
    """The rows of a file, or None where they are refused."""
    try:
        return [row.values for row in read_rows(path, Read.model_validate(how))]
    except InputError:
        return None


def write(path: Path, rows: Values, **dialect: object) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), **dialect)  # type: ignore[arg-type]
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_declared_dialects_are_read_back_equal(tmp_path: Path, separator: str, suffix: str) -> None:
    rng = random.Random(f"{separator}{suffix}")
    for _ in range(60):
        rows, path = table(rng), tmp_path / f"t.{suffix}"
        quoting, end = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), rng.choice(["\n", "\r\n"])
        write(path, rows, delimiter=separator, quoting=quoting, lineterminator=end)
        assert read(path, separator=separator, quoting="minimal") == rows


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_plain_tables_of_tabs_keep_their_quotes(tmp_path: Path, end: str, encoding: str) -> None:
    rng = random.Random(end)
    for _ in range(60):
        rows = table(rng, [piece for piece in PIECES if piece not in ("\t", "\n", "\r\n")])
        lines = ["\t".join(rows[0]), *("\t".join(map(str, row.values())) for row in rows)]
        path = tmp_path / "t.tsv"
        path.write_bytes("".join(line + end for line in lines).encode(encoding))
        assert read(path) == rows


def test_undeclared_tables_are_equal_or_refused(tmp_path: Path) -> None:
    rng, equal = random.Random(5), 0
    for _ in range(300):
        rows = table(rng)
        path = tmp_path / "t.csv"
        pd.DataFrame(rows).to_csv(path, index=False, lineterminator=rng.choice(["\n", "\r\n"]), sep=rng.choice(",;|"))
        found = read(path)
        assert found in (rows, None)
        equal += found == rows
    assert equal > 150


def test_json_and_parquet_are_read_back_equal(tmp_path: Path) -> None:
    rng = random.Random(6)
    for encoding in ("utf-8", "utf-8-sig") * 20:
        rows = table(rng)
        (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding=encoding)
        pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
        assert read(tmp_path / "t.jsonl") == rows == read(tmp_path / "t.parquet")


def drop_quote(data: bytes, rng: random.Random) -> bytes:
    places = [i for i, byte in enumerate(data) if byte == ord('"')] or [0]
    place = rng.choice(places)
    return data[:place] + data[place + 1 :]


def flip(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(data.index(b"\n") + 1, len(data))
    return data[:place] + rng.choice([b"\0", b"\xff", b"\x80", b"\xfe"]) + data[place + 1 :]


def repeat_header(data: bytes, rng: random.Random) -> bytes:
    return data.replace(b"note", rng.choice([b"text", b"label", b""]), 1)


def cut_field(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    place = rng.randrange(1, len(lines))
    lines[place] = lines[place].rpartition(b",")[0] + b"\n"
    return b"".join(lines)


@pytest.mark.parametrize("damage", [drop_quote, flip, repeat_header, cut_field])
def test_damage_never_loses_rows(tmp_path: Path, damage: Callable[[bytes, random.Random], bytes]) -> None:
    rng, refused = random.Random(damage.__name__), 0
    one_line = [piece for piece in PIECES if "\n" not in piece]
    for _ in range(200):
        rows, path = table(rng, one_line), tmp_path / "t.csv"
        write(path, rows)
        path.write_bytes(damage(path.read_bytes(), rng))
        found = read(path)
        assert found is None or len(found) == len(rows)
        refused += found is None
    assert refused > 40


def test_a_lone_quote_hides_no_rows(tmp_path: Path) -> None:
    lines = ["label\ttext", *(f"{'ab'[i % 2]}\tfilm {i}" for i in range(50))]
    lines[5], lines[30] = 'b\t"film 4', 'b\tfilm 29"'
    (tmp_path / "t.tsv").write_text("\n".join(lines))
    assert len(read(tmp_path / "t.tsv") or []) == 50
    (tmp_path / "t.csv").write_text("\n".join(lines).replace("\t", ","))
    with pytest.raises(InputError, match=r"row 6: a quoted field reaches over 26 lines"):
        list(read_rows(tmp_path / "t.csv", Read()))


@pytest.mark.parametrize("name", ["more.csv.gz", "more.xlsx", "folder", "more.csv.bak"])
def test_a_folder_with_an_unknown_entry_names_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_text("text,label\none,a\n")
    (tmp_path / "README.md").write_text("x")
    assert len(read(tmp_path) or []) == 1
    (tmp_path / name).mkdir() if name == "folder" else (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=name):
        list(read_rows(tmp_path, Read()))


def test_the_dialect_is_reported(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "a.csv").write_text("text;label\none, two;a\n")
    assert [row.values["text"] for row in read_rows(tmp_path, Read(), said.append)] == ["one, two"]
    assert said == ["a.csv: 1 rows, semicolon, quoting"]

"""Damaged files of every format: rows, or one error that names the file. Never a traceback, a crash or a value of another type.

Formats with checks of their own (npz: CRC; parquet: checksums of pages) must notice damage. Text formats have none: a
flipped letter in a csv file is another letter.
"""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix, csr_matrix, save_npz
from sklearn.datasets import dump_svmlight_file

from transferline.core.errors import InputError
from transferline.data.declarations import Read
from transferline.data.mat_file import read_mat
from transferline.data.read import Row, checked, read_rows, text_of
from transferline.data.values import label_form

RNG = np.random.default_rng(0)
POINTS = (RNG.normal(size=(30, 5)) * (RNG.random((30, 5)) > 0.5)).astype(np.float64)
TRUTH = RNG.integers(3, size=30)
TEXTS = pd.DataFrame({"text": [f'Zeile {i}, "naïve", 文字' for i in range(40)], "label": ["gut", "schlecht"] * 20})


def as_conll(path: Path) -> None:
    lines = [f"{word}\tO" if word else "" for i in range(20) for word in (*f"Satz {i} ist kurz".split(), "")]
    path.write_text("\n".join(lines), encoding="utf-8")


WRITERS: dict[str, Callable[[Path], Any]] = {
    "a.csv": lambda path: TEXTS.to_csv(path, index=False),
    "b.csv": lambda path: TEXTS.to_csv(path, index=False, sep=";", encoding="utf-8-sig"),
    "a.tsv": lambda path: TEXTS.assign(text="ohne Zeichen").to_csv(path, index=False, sep="\t"),
    "a.jsonl": lambda path: TEXTS.to_json(path, orient="records", lines=True, force_ascii=False),
    "b.jsonl": lambda path: TEXTS.to_json(path, orient="records", lines=True),
    "a.txt": lambda path: path.write_text("\n".join(TEXTS.text), encoding="utf-8"),
    "a.conll": as_conll,
    "a.parquet": lambda path: TEXTS.to_parquet(path, index=False),
    "b.parquet": lambda path: TEXTS.to_parquet(path, index=False, compression="zstd", write_page_checksum=True),
    "a.npz": lambda path: np.savez(path, X=POINTS, y=TRUTH),
    "b.npz": lambda path: np.savez_compressed(path, X=POINTS, y=TRUTH),
    "c.npz": lambda path: save_npz(path, csr_matrix(POINTS)),
    "d.npz": lambda path: save_npz(path, csc_matrix(POINTS), compressed=False),
    "a.svmlight": lambda path: dump_svmlight_file(POINTS, TRUTH, str(path), zero_based=True),
}


def truncate(raw: bytes, rng: random.Random) -> bytes:
    return raw[: rng.randrange(len(raw))]


def flip(raw: bytes, rng: random.Random) -> bytes:
    made = bytearray(raw)
    for _ in range(rng.choice([1, 1, 3, 10])):
        made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    return bytes(made)


def zero(raw: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(raw))
    stop = min(len(raw), start + rng.randrange(1, 65))
    return raw[:start] + bytes(stop - start) + raw[stop:]


def duplicate(raw: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(raw))
    stop = min(len(raw), start + rng.randrange(1, 200))
    return raw[:stop] + raw[start:stop] + raw[stop:]


def swap(raw: bytes, rng: random.Random) -> bytes:
    one, other = sorted(rng.randrange(len(raw)) for _ in range(2))
    size = rng.randrange(1, 65)
    a, b = raw[one : one + size], raw[other : other + size]
    if one + size > other or len(a) != len(b):
        return raw[::-1]
    return raw[:one] + b + raw[one + size : other] + a + raw[other + size :]


DAMAGE = {"truncate": truncate, "flip": flip, "zero": zero, "duplicate": duplicate, "swap": swap}


def outcome(path: Path) -> list[Row] | InputError:
    """The rows of a file, or the one error that is allowed, which must name the file."""
    how = Read(format="conll") if path.suffix == ".conll" else Read(first_column=0)
    try:
        rows = list(read_rows(path, how))
        for row in rows:
            if "text" in row.values and path.suffix != ".conll":
                text_of(row, "text").encode()
            if "label" in row.values and path.suffix != ".conll":
                checked(row, "label", label_form).encode()
    except InputError as error:
        return error
    return rows


def is_clear(error: InputError, path: Path) -> bool:
    return path.name in error.where and "\n" not in str(error)


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("name", WRITERS)
def test_a_damaged_file_gives_rows_or_one_error(tmp_path: Path, name: str, how: str) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    whole, raw = outcome(path), path.read_bytes()
    assert not isinstance(whole, InputError)
    for seed in range(40):
        path.write_bytes(DAMAGE[how](raw, random.Random(seed)))
        found = outcome(path)
        if isinstance(found, InputError):
            assert is_clear(found, path)
        elif name == "b.parquet" or path.suffix == ".npz":
            assert [row.values for row in found] == [row.values for row in whole]


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_mat_file_cannot_crash_this_process(tmp_path: Path, how: str) -> None:
    """scipy's reader ends the interpreter on some of these files."""
    path = tmp_path / "a.mat"
    savemat(path, {"X": csc_matrix(POINTS), "y": TRUTH.reshape(-1, 1)})
    raw = path.read_bytes()
    for seed in range(4):
        path.write_bytes(DAMAGE[how](raw, random.Random(seed)))
        found = outcome(path)
        assert not isinstance(found, InputError) or is_clear(found, path)


def test_a_mat_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    names = np.array([["gut"], ["schlecht"], ["文"]], dtype=object)
    savemat(path, {"X": csc_matrix(POINTS[:3]), "y": names, "other": np.ones(2)})
    arrays, known = read_mat(path, ("X", "y"))
    assert np.array_equal(arrays["X"].toarray(), POINTS[:3])
    assert list(arrays["y"]) == ["gut", "schlecht", "文"]
    assert known == ["X", "other", "y"]
    savemat(path, {"X": POINTS, "y": np.array([np.ones(2), "a"], dtype=object)})
    with pytest.raises(InputError, match="a cell holds more than one text or number"):
        read_mat(path, ("X", "y"))
    path.write_bytes(b"MATLAB 7.3 MAT-file" + bytes(500))
    with pytest.raises(InputError, match=r"a\.mat: is no mat file that can be read"):
        read_mat(path, ("X",))


def test_a_small_npz_that_would_unpack_to_gigabytes_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**28, 1)})
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("X.npy", "w", force_zip64=True) as file,
    ):
        file.write(header.getvalue())
        block = bytes(2**20)
        for _ in range(1100):
            file.write(block)
    assert isinstance(outcome(path), InputError)


def test_an_npz_whose_header_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "claims.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**13, 1)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", header.getvalue() + bytes(80))
    assert isinstance(outcome(path), InputError)


def test_a_sparse_matrix_with_indices_outside_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "outside.npz"
    matrix = csr_matrix(POINTS)
    matrix.indices[3] = 10**6
    np.savez(
        path, data=matrix.data, indices=matrix.indices, indptr=matrix.indptr, shape=np.array((30, 5)), format=b"csr"
    )
    assert isinstance(outcome(path), InputError)


@pytest.mark.parametrize("field", ["text", "label"])
@pytest.mark.parametrize("half", ["d800", "dfff", "d83d", "dc00"])
def test_half_a_character_is_refused_with_its_row(tmp_path: Path, field: str, half: str) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"text": "gut", "label": "1"}, {"text": "gut", "label": "1"} | {field: f"x {chr(int(half, 16))} y"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = outcome(path)
    assert isinstance(found, InputError)
    assert "row 2" in found.where
    assert "half of a character" in found.what
    path.write_text(json.dumps({"text": "👍 ok", "label": "👍"}) + "\n")  # whole pairs are characters
    whole = outcome(path)
    assert not isinstance(whole, InputError)
    assert whole[0].values["text"] == "👍 ok"


def test_deep_json_and_huge_numbers_are_one_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for line in ("[" * 100_000 + "]" * 100_000, '{"text": ' + "9" * 100_000 + "}", '{"a": ' * 50_000):
        path.write_text(line + "\n")
        assert isinstance(outcome(path), InputError)

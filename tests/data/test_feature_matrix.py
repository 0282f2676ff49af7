"""Feature matrices are read alike from every format, and refused where they are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csr_matrix, save_npz
from sklearn.datasets import dump_svmlight_file

from transferline.core.errors import InputError
from transferline.data.declarations import Read, TargetSpec
from transferline.data.feature_matrix import dense, read_row, sparse, write_row
from transferline.data.prepare import prepare
from transferline.data.prepared_files import read_jsonl
from transferline.data.read import read_rows

RNG = np.random.default_rng(0)
POINTS = (RNG.normal(size=(40, 6)) * (RNG.random((40, 6)) > 0.4)).astype(np.float32)
TRUTH = RNG.integers(3, size=40)


def test_a_row_is_the_same_numbers_again() -> None:
    for row in (*POINTS, np.array([1e-20, -3.4e38, 123456789.0, 0.1]), np.zeros(4)):
        columns = np.flatnonzero(row)
        back = dense([read_row(write_row(columns, row[columns]), len(row))], len(row))[0]
        assert np.array_equal(back, row.astype(np.float32))
    texts = [write_row(np.flatnonzero(row), row[np.flatnonzero(row)]) for row in POINTS]
    assert np.array_equal(sparse(texts, 6).toarray(), POINTS)


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=POINTS, y=TRUTH)
    np.savez(tmp_path / "named.npz", fts=POINTS, labels=TRUTH)
    savemat(tmp_path / "b.mat", {"X": csr_matrix(POINTS.astype(float)), "y": TRUTH.reshape(-1, 1)})
    dump_svmlight_file(POINTS, TRUTH, str(tmp_path / "c.svmlight"), zero_based=True)
    named = Read(file="named.npz", arrays=("fts", "labels"))
    hows = [Read(file="a.npz"), named, Read(file="b.mat"), Read(file="c.svmlight")]
    first, *others = [[row.values for row in read_rows(tmp_path, how)] for how in hows]
    assert [row["label"] for row in first] == [str(label) for label in TRUTH]
    for rows in others:
        assert [row["label"] for row in rows] == [row["label"] for row in first]
        read = [dense([read_row(str(row["text"]), 6) for row in some], 6) for some in (rows, first)]
        assert np.allclose(*read, rtol=1e-6)
    save_npz(tmp_path / "d.npz", csr_matrix(POINTS))
    bare = [row.values for row in read_rows(tmp_path, Read(file="d.npz"))]
    assert [row["text"] for row in bare] == [row["text"] for row in first]
    assert "label" not in bare[0]


def test_images_are_rows_of_their_pixels(tmp_path: Path) -> None:
    pixels = RNG.integers(256, size=(5, 3, 2, 2), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", X=pixels)
    rows = [str(row.values["text"]) for row in read_rows(tmp_path, Read(file="a.npz"))]
    assert np.array_equal(sparse(rows, 12).toarray(), pixels.reshape(5, 12))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("3:1 x", "no feature"),
        ("3:nan", "no finite"),
        ("7:1", "7 where the matrix has 6"),
        ("-1:2", "below 0"),
        ("1:2 1:3", "twice"),
    ],
)
def test_what_is_no_row_is_refused(text: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        read_row(text, 6)


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"Z": POINTS, "y": TRUTH}, "no array 'X'"),
        ({"X": POINTS, "y": TRUTH[:-1]}, "40 rows of 'X' and 39 labels"),
        ({"X": np.array([[1.0, np.inf]]), "y": TRUTH[:1]}, "row 1.*not finite"),
        ({"X": np.array([[object()]]), "y": TRUTH[:1]}, "unpickling"),
    ],
)
def test_what_is_no_matrix_is_refused(arrays: dict, what: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=what):
        list(read_rows(tmp_path, Read(file="a.npz")))


def test_other_broken_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.svmlight").write_text("1 3:x\n")
    (tmp_path / "b.mat").write_text("no")
    for name in ("a.svmlight", "b.mat"):
        with pytest.raises(InputError, match=name):
            list(read_rows(tmp_path, Read(file=name)))


def test_copies_of_test_rows_leave_training(tmp_path: Path) -> None:
    train, test = RNG.normal(size=(60, 4)), RNG.normal(size=(20, 4))
    np.savez(tmp_path / "train.npz", X=np.concatenate([train, test[:7]]), y=["a", "b", "a"] * 22 + ["b"])
    np.savez(tmp_path / "test.npz", X=test, y=["a", "b"] * 10)
    read = {"train": Read(file="train.npz"), "test": Read(file="test.npz")}
    prepare("m", TargetSpec(domain="d", data=tmp_path.name, read=read, features=4), tmp_path.parent, tmp_path / "out")
    kept = {row["text"] for row in read_jsonl(tmp_path / "out" / "train.jsonl")}
    tested = read_jsonl(tmp_path / "out" / "test.jsonl")
    assert len(tested) == 20
    assert not kept & {row["text"] for row in tested}
    assert {row["features"] for row in tested} == {4}


def test_a_row_with_more_columns_than_declared_stops_prepare(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=POINTS, y=TRUTH)
    with pytest.raises(InputError, match=r"a.npz, row \d+: column 5 where the matrix has 5 columns"):
        prepare("m", TargetSpec(domain="d", data="a.npz", features=5), tmp_path, tmp_path / "out")

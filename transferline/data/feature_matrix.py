"""Feature matrices: npz, mat and svmlight files, and rows of numbers as one line of text.

A row is written in svmlight's form: `column:value` for every non-zero value, with columns counted from 0. As a text it takes
part in every check of texts: it has a fingerprint, its copies are found, and the md5 of its data file identifies the numbers.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transferline.core.errors import InputError
from transferline.core.packages import MOST_PACKED, unpacks_too_far
from transferline.data.values import LARGEST, ValueProblem, category_form, plain

_SVMLIGHT = (".svmlight", ".libsvm", ".svm")
SUFFIXES = (".npz", ".mat", *_SVMLIGHT)
_DAMAGE = (ValueError, KeyError, EOFError, OSError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error)
_MEND = "Write `column:value` for whatever is not zero, columns counted from 0"


def write_row(columns: Sequence[int], values: Sequence[float]) -> str:
    """Write one row as text, with fp32 values. A row of zeros names its first column."""
    parts = [f"{int(c)}:{_number(v)}" for c, v in zip(columns, values, strict=True) if v != 0]
    return " ".join(parts) or "0:0"


def _number(value: float) -> str:
    """The shortest text that is this fp32 number again."""
    return (
        np.format_float_positional(np.float32(value), trim="-") if abs(value) < 1e7 else repr(float(np.float32(value)))
    )


def read_row(text: str, width: int | None, where: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Columns and fp32 values of a row. Raises InputError on a token that is no number, or a column beyond `width`."""
    place = where or f"row {text[:40]!r}"
    columns, values = [], []
    if "_" in text or not text.isascii():  # int() and float() would read 1_000 and digits of other scripts
        wrong = next((part for part in text.split() if "_" in part or not part.isascii()), text[:40])
        raise InputError(place, f"{wrong!r} is no feature", _MEND)
    for part in text.split():
        column, colon, value = part.partition(":")
        try:
            columns.append(int(column))
            values.append(float(value))
        except ValueError:
            raise InputError(place, f"{part!r} is no feature", _MEND) from None
        if not colon or not abs(values[-1]) <= LARGEST:  # NaN too
            raise InputError(place, f"{part!r} is no finite number", _MEND)
    if columns and (min(columns) < 0 or (width is not None and max(columns) >= width)):
        what = (
            f"column {max(columns)} where the matrix has {width} columns" if min(columns) >= 0 else "a column below 0"
        )
        raise InputError(place, what, "Correct `features` in params.yaml, the number of columns, or the row")
    if len(set(columns)) < len(columns):
        raise InputError(place, "names one column twice", "Correct the row")
    return np.array(columns, dtype=np.int64), np.array(values, dtype=np.float32)


def dense(rows: Sequence[tuple[np.ndarray, np.ndarray]], width: int) -> np.ndarray:
    """Rows, as `read_row` gives them, as one fp32 matrix (rows, width)."""
    matrix = np.zeros((len(rows), width), dtype=np.float32)
    for i, (columns, values) in enumerate(rows):
        matrix[i, columns] = values
    return matrix


def sparse(texts: Sequence[str], width: int) -> Any:
    """Rows of text as a sparse scipy matrix (rows, width)."""
    from scipy.sparse import csr_matrix

    rows = [read_row(text, width) for text in texts]
    ends = np.cumsum([0, *(len(columns) for columns, _ in rows)])
    columns, values = (np.concatenate([row[side] for row in rows]) if rows else np.zeros(0) for side in (0, 1))
    return csr_matrix((values, columns, ends), shape=(len(rows), width))


def is_svmlight(path: Path) -> bool:
    return path.suffix.lower() in _SVMLIGHT


def first_column(paths: Sequence[Path], width: int | None) -> int:
    """Whether svmlight files that belong together count columns from 0 or from 1.

    A column 0 in any of them shows 0. A column `width` shows 1. Raises InputError if neither occurs.
    """
    columns = [_load_svmlight(path, True)[0].indices for path in paths]
    if any(len(some) and some.min() == 0 for some in columns):
        return 0
    if width is not None and any(len(some) and some.max() >= width for some in columns):
        return 1
    mend = "Declare `first_column: 0` or `first_column: 1` under `read` in params.yaml, or write 0:0 in one row"
    raise InputError(paths[0], "nothing shows whether its columns are counted from 0 or from 1", mend)


def rows_of_matrix(
    path: Path, arrays: tuple[str, str], text: str = "text", first_column: int | None = None
) -> Iterator[dict[str, object]]:
    """Rows of a file as `text` and, if the file has labels, `label`. Raises InputError if the file holds no matrix.

    `first_column` is the number of the first column of an svmlight file. Without it, the file itself must show it.
    """
    from scipy.sparse import csr_matrix, issparse

    features, labels = _read(path, arrays, first_column)
    if (kind := features.dtype.kind) not in "biuf":
        what = f"the array {arrays[0]!r} holds values of type {features.dtype}"
        raise InputError(path, f"{what}, no real numbers" if kind == "c" else what, "Save real numbers")
    if not issparse(features):
        features = np.asarray(features)
        features = csr_matrix(features.reshape(len(features), -1).astype(np.float64) if features.ndim else [[0.0]])
    features = features.tocsr()
    names = None if labels is None else np.asarray(labels).reshape(-1)
    if names is not None and len(names) != features.shape[0]:
        what = f"{features.shape[0]} rows of {arrays[0]!r} and {len(names)} labels in {arrays[1]!r}"
        raise InputError(path, what, "Give each row one label")
    for i in range(features.shape[0]):
        part = slice(features.indptr[i], features.indptr[i + 1])
        values = features.data[part]
        if not (np.abs(values) <= LARGEST).all():  # NaN too
            what = "holds a number that is not finite, or that fp32 cannot hold"
            raise InputError(f"{path}, row {i + 1}", what, "Correct the row or drop it")
        row: dict[str, object] = {text: write_row(features.indices[part], values)}
        yield row if names is None else {**row, "label": _label(names[i])}


def _label(value: Any) -> object:
    """A label in its form, or as it is where it has none, so that the reader of the row refuses it by name."""
    try:
        return category_form(value)
    except ValueProblem:
        return plain(value)


def _read(path: Path, arrays: tuple[str, str], first: int | None) -> tuple[Any, Any]:
    """Matrix and labels (or None) of a file."""
    if path.suffix.lower() == ".npz":
        return _from_npz(path, arrays)
    if path.suffix.lower() == ".mat":
        return _from_mat(path, arrays)
    return _load_svmlight(path, (first_column([path], None) if first is None else first) == 0)


def _load_svmlight(path: Path, zero_based: bool) -> tuple[Any, Any]:
    from sklearn.datasets import load_svmlight_file

    try:
        matrix, labels = load_svmlight_file(str(path), zero_based=zero_based)
    except (ValueError, OverflowError, MemoryError) as error:
        raise InputError(path, f"no svmlight file ({error})", "Write `label column:value ...` on each line") from error
    return matrix, labels


def _from_npz(path: Path, arrays: tuple[str, str]) -> tuple[Any, Any]:
    from scipy.sparse import load_npz

    try:
        _check_size(path)
        with np.load(path, allow_pickle=False) as file:
            names = list(file.files)
            if {"indptr", "format"} <= set(names):  # as scipy saves a sparse matrix: there is no room for labels
                matrix = load_npz(path)
                if hasattr(matrix, "check_format"):
                    matrix.check_format(full_check=True)  # indices of a damaged file may point outside the matrix
                return matrix, None
            known = {name: file[name] for name in names if name in arrays}
    except _DAMAGE as error:
        pickled = "allow_pickle" in str(error)
        what = "holds what only unpickling would read" if pickled else "is damaged, or is no npz file"
        mend = "Save plain arrays of numbers or texts: numpy.savez(file, X=..., y=...)"
        raise InputError(path, f"{what} ({' '.join(str(error).split())[:200]})", mend) from error
    return _named(path, known, arrays, names)


def _check_size(path: Path) -> None:
    """Raise InputError if a small file would unpack to gigabytes."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    packed = path.stat().st_size
    if unpacks_too_far(unpacked, packed):
        what = f"{packed:,} bytes would unpack to {unpacked:,}, more than {MOST_PACKED} times as many"
        raise InputError(path, what, "Save the matrix without compression (numpy.savez), or as a sparse one")


def _from_mat(path: Path, arrays: tuple[str, str]) -> tuple[Any, Any]:
    from transferline.data.mat_file import read_mat

    known, names = read_mat(path, arrays)
    return _named(path, known, arrays, names)


def _named(path: Path, known: dict[str, Any], arrays: tuple[str, str], names: Sequence[str]) -> tuple[Any, Any]:
    if arrays[0] not in known:
        mend = "Name matrix and labels by `arrays: [matrix, labels]` under `read` in params.yaml"
        raise InputError(path, f"there is no array {arrays[0]!r}; it holds {sorted(names)}", mend)
    return known[arrays[0]], known.get(arrays[1])

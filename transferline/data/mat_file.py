"""Read MATLAB files in a process of its own: scipy's reader crashes the interpreter on some damaged files.

python -P -m transferline.data.mat_file FILE.mat OUT.npz NAME... writes the named arrays that the file holds, and prints all names.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transferline.core.commands import run_command
from transferline.core.errors import InputError

HOURS = 0.25  # far more than a file takes that fits the memory


def read_mat(path: Path, names: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The arrays of a file that have one of these names, and the names of all. Sparse arrays become scipy's csr matrices.

    Raises InputError if the file is damaged, is of MATLAB 7.3, or an array holds objects.
    """
    with tempfile.TemporaryDirectory(prefix="transferline-mat-") as scratch:
        out = Path(scratch) / "arrays.npz"
        command = [sys.executable, "-P", "-m", "transferline.data.mat_file", str(path.resolve()), str(out), *names]
        done = run_command(command, f"reading {path}", hours=HOURS)
        if done.code or not out.exists():
            said = (done.err.strip().splitlines() or [f"its reader ended with {done.code}"])[-1]
            mend = "Save it in MATLAB by `save(file, '-v7')`, or as npz"
            raise InputError(path, f"is no mat file that can be read, or is damaged ({said})", mend)
        with np.load(out, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    return _whole(found, names), json.loads(done.out)


def main(path: str, out: str, names: Sequence[str]) -> int:
    """Convert the named arrays. Errors end the process with their text on standard error."""
    from scipy.io import loadmat

    try:
        known = {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
        parts: dict[str, Any] = {}
        for name in names:
            if name in known:
                parts |= _parts(name, known[name])
    except Exception as error:  # noqa: BLE001 - whatever a damaged file raises is said in one line
        print(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", file=sys.stderr)
        return 1
    np.savez(out, **parts)
    print(json.dumps(sorted(known)))
    return 0


def _parts(name: str, value: Any) -> dict[str, Any]:
    """An array as plain arrays: a sparse one in three parts, a cell array of texts as texts."""
    from scipy.sparse import csr_matrix, issparse

    if issparse(value):
        value.check_format(full_check=True)  # indices of a damaged file may point outside the matrix
        rows = csr_matrix(value)
        return {
            f"{name}/data": rows.data,
            f"{name}/indices": rows.indices,
            f"{name}/indptr": rows.indptr,
            f"{name}/shape": np.array(rows.shape),
        }
    if value.dtype == object:
        value = np.array([_single(one) for one in value.reshape(-1)])
    return {name: value}


def _single(value: Any) -> Any:
    """The text or number in a cell. Raises ValueError if it holds more."""
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype != object:
        return value.item()
    raise ValueError("a cell holds more than one text or number")


def _whole(parts: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    from scipy.sparse import csr_matrix

    found = {name: parts[name] for name in names if name in parts}
    for name in names:
        if f"{name}/indptr" in parts:
            data, indices, ends, shape = (parts[f"{name}/{part}"] for part in ("data", "indices", "indptr", "shape"))
            found[name] = csr_matrix((data, indices, ends), shape=tuple(int(n) for n in shape))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))

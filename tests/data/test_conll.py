from __future__ import annotations

import time
from pathlib import Path

import pytest

from transferline.core.errors import InputError
from transferline.data.conll import LONGEST
from transferline.data.declarations import Read
from transferline.data.read import read_rows

HOW = Read(format="conll")


def sentences(path: Path, content: str, encoding: str = "utf-8") -> list[tuple[object, object, int]]:
    path.write_bytes(content.encode(encoding))
    return [(row.values["text"], row.values["label"], row.number) for row in read_rows(path, HOW)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_byte_order_mark_documents_and_comments(tmp_path: Path, end: str) -> None:
    lines = [
        "-DOCSTART- -X- O",
        "",
        "# sent_id = 1",
        "New NNP B-LOC",
        "York NNP I-LOC",
        " ",
        "",
        "# # O",
        "-DOCSTART- -X- O",
        "5 CD O",
    ]
    found = sentences(tmp_path / "a.conll", end.join(lines), "utf-8-sig")
    assert found == [(["New", "York"], ["B-LOC", "I-LOC"], 4), (["#"], ["O"], 8), (["5"], ["O"], 10)]


def test_words_with_spaces_in_tab_columns(tmp_path: Path) -> None:
    assert sentences(tmp_path / "a.conll", "New York\tB-LOC\nis\tO\n") == [(["New York", "is"], ["B-LOC", "O"], 1)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a O\nb\n", "row 2: a word without a tag"),
        ("a NN O\nb O\n", "row 2: 2 columns where the lines before have 3"),
        ("a\tO\n\n\tO\n", "row 3: a word without a tag|row 3: 1 columns"),
        ("a\tO\nb\t\n", "row 2: a word without a tag"),
        ("a O\nb\0 O\n", "row 2: it holds a NUL"),
        ("a O\n" * (LONGEST + 1), f"row {LONGEST + 1}: a sentence of more than"),
    ],
)
def test_bad_lines_are_refused_with_their_number(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        sentences(tmp_path / "a.conll", content)


def test_time_grows_linearly_with_the_sentence(tmp_path: Path) -> None:
    def seconds(length: int, count: int) -> float:
        start = time.process_time()
        sentences(tmp_path / "a.conll", ("a O\n" * length + "\n") * count)
        return time.process_time() - start

    assert min(seconds(LONGEST, 4) for _ in range(3)) < 4 * min(seconds(10, LONGEST * 4 // 10) for _ in range(3))

from __future__ import annotations

import json
from pathlib import Path

import pytest

from transferline.core.errors import InputError
from transferline.data.declarations import Read
from transferline.data.read import Row, read_rows, text_of
from transferline.data.values import normalise

ROWS = [{"text": "one, two", "label": "a"}, {"text": 'she said "no"', "label": "b"}, {"text": "zwölf", "label": "a"}]


def write(folder: Path, suffix: str) -> Path:
    import csv

    path = folder / f"rows.{suffix}"
    if suffix == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
    elif suffix == "parquet":
        import pandas as pd

        pd.DataFrame(ROWS).to_parquet(path)
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["text", "label"], delimiter="," if suffix == "csv" else "\t")
            writer.writeheader()
            writer.writerows(ROWS)
    return path


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    how = Read(quoting="minimal" if suffix == "tsv" else None)
    assert [row.values for row in read_rows(write(tmp_path, suffix), how)] == ROWS


def test_txt_is_one_text_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("first\n\nsecond\n")
    assert [(r.values["text"].strip(), r.number) for r in read_rows(tmp_path / "a.txt", Read())] == [
        ("first", 1),
        ("second", 3),
    ]


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("late\n")
    (tmp_path / "a.txt").write_text("early\n")
    (tmp_path / "README.md").write_text("no data\n")
    assert [r.values["text"].strip() for r in read_rows(tmp_path, Read())] == ["early", "late"]


def test_rows_are_filtered_by_value(tmp_path: Path) -> None:
    assert len(list(read_rows(write(tmp_path, "csv"), Read(where={"label": "a"})))) == 2


def test_lines_before_a_table_without_header(tmp_path: Path) -> None:
    (tmp_path / "r.tab").write_text("Category\tText\nd\tstring\nclass\n\nearn\tnet profit\n".replace("\n\n", "\n"))
    how = Read(skip_lines=3, columns=("label", "text"))
    row = next(iter(read_rows(tmp_path / "r.tab", how)))
    assert row.values == {"label": "earn", "text": "net profit"}
    assert row.number == 4


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"text,label\nfine,a\nbro\xffken,b\n", r"line 3: byte 0xff is not UTF-8\. Convert"),
        ("a.csv", b"text,label\nfine,a\none,two,three\n", "row 3: 3 fields where the header has 2"),
        ("a.jsonl", b'{"text": "a"}\n{"text": \n', "row 2: not JSON"),
        ("a.jsonl", b"[1, 2]\n", "row 1: not a JSON object"),
        ("a.csv", b"text,label\n", "it holds no rows"),
        ("a.xlsx", b"PK", "'.xlsx' files are not read"),
    ],
)
def test_a_bad_file_is_named_with_its_row_and_the_mend(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        list(read_rows(tmp_path / name, Read()))
    assert str(tmp_path / name) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        list(read_rows(tmp_path / "gone.csv", Read()))


def test_a_filter_on_a_missing_column_lists_the_columns(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no column 'source'.*\['label', 'text'\]"):
        list(read_rows(write(tmp_path, "csv"), Read(where={"source": "x"})))


def test_a_filter_that_keeps_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row has"):
        list(read_rows(write(tmp_path, "csv"), Read(where={"label": "z"})))


def test_empty_text_is_named_with_its_row() -> None:
    with pytest.raises(InputError, match="f, row 7: column 'text' is empty"):
        text_of(Row({"text": " \n"}, "f", 7), "text")


def test_normalising_folds_space_and_composes_characters() -> None:
    assert normalise("  cafe\u0301 \t au\nlait ") == "café au lait"
    assert normalise("a<br /><br>b", html=True) == "a b"
    assert normalise("a<br />b") == "a<br />b"


def test_rows_are_kept_for_one_of_several_values(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,group\none,1\ntwo,2\nthree,3\n")
    kept = [row.values["text"] for row in read_rows(tmp_path, Read(file="a.csv", where={"group": (1, "3")}))]
    assert kept == ["one", "three"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "text,label\na,b\n".encode("utf-16"), "the file is UTF-16"),
        ("a.jsonl", '{"text": "a"}\n'.encode("utf-16"), "the file is UTF-16"),
        ("a.txt", "abc\n".encode("utf-16-le"), "row 1: it holds a NUL"),
        ("a.csv", "text,label\na,b\n".encode("utf-32"), "UTF-16|NUL"),
        ("a.txt", b"one\rtwo\rth\xe9\r", r"line 3: byte 0xe9 is not UTF-8"),
        ("a.csv", b"text,label\na,b\n\xef\xbb\xbftext,label\n", "row 3: the line begins with a byte order mark"),
        ("a.csv", b'text,label\n"a\nb",c\n"d,e\n', "row 4: a quote is wrong"),
        ("a.csv", b'text,label\n"a"b,c\n', "row 2: a quote is wrong"),
        ("a.csv", b"text,label\na\rb,c\n", "row 2: the line ends in CR"),
        ("a.csv", b"text,label,\na,b,c\n", "row 1: column 3 has no name"),
        ("a.tsv", b'label\ttext\na\t"she said ""no"""\n', "row 2: .* is written as a quoted one"),
        ("a.tsv", b'"label"\t"text"\n"a"\t"b"\n', "row 1: .* is written as a quoted one"),
        ("a.jsonl", b'{"text": "a"}\n\n{"text": "a", "text": "b"}\n', "row 3: .* stands twice"),
        ("a.jsonl", b'{"text": ' + b"1" * 5000 + b"}\n", "row 1: not read as JSON"),
        ("a.jsonl", b"[" * 100_000 + b"\n", "row 1: not read as JSON"),
        ("a.jsonl", b'{"text": "a"}{"text": "b"}\n', "row 1: not JSON"),
        ("a.parquet", b"PAR1 this is not one PAR1", "the file is damaged"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        list(read_rows(tmp_path / name, Read()))

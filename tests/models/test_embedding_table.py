"""Laws of bases that are a bare table of embeddings."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest
import torch

from tests.kinds import CPU, build, score
from transferline.core.errors import InputError
from transferline.core.stage import Work
from transferline.methods.feature import Extraction
from transferline.models.embedding_table import StaticBase, make_static
from transferline.models.tokenization import fast_tokenizer, load_tokenizer
from transferline.models.weights import load_model, read_tensors


@pytest.fixture
def table(tiny: Path, tmp_path: Path) -> Path:
    """Static embeddings made of the tiny base's own table."""
    from safetensors.torch import save_file

    matrix = read_tensors(tiny)["embeddings.word_embeddings.weight"]
    save_file({"embedding.weight": matrix.half()}, tmp_path / "table.safetensors")
    return make_static(tmp_path / "table.safetensors", tiny / "tokenizer.json", tmp_path / "static")


def test_static_embeddings_say_the_same_of_a_word_wherever_it_stands(table: Path, tiny: Path) -> None:
    model, _ = load_model("AutoModel", table, 0)
    tokenizer = load_tokenizer(table)
    one, two = (tokenizer(text, add_special_tokens=False, return_tensors="pt") for text in ("film the dull", "a film"))
    torch.testing.assert_close(model(**one).last_hidden_state[0, 0], model(**two).last_hidden_state[0, 1])


def test_static_embeddings_are_a_base_like_any_other(table: Path, kinds, tmp_path: Path) -> None:
    out, _ = build(Extraction(layers=(0,), max_tokens=24), kinds["single-label"], tmp_path / "t", table)
    assert score(out, kinds["single-label"]["test"], "accuracy", tmp_path / "said") > 0.9


def test_two_tables_in_one_file_are_refused(tmp_path: Path, tiny: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(2, 3)}, tmp_path / "two.safetensors")
    with pytest.raises(InputError, match="2 matrices where one is expected"):
        make_static(tmp_path / "two.safetensors", tiny / "tokenizer.json", tmp_path / "out")


def test_a_table_is_read_from_a_wheel_and_checked_by_its_hash(
    table: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFERLINE_DOWNLOADS", str(tmp_path / "wheels"))
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels" / "some_table-1.0-py3-none-any.whl", "w") as wheel:
        wheel.write(tmp_path / "table.safetensors", "some_table/table.safetensors")
        wheel.write(tiny / "tokenizer.json", "some_table/tokenizer.json")
    sha256 = hashlib.sha256((tmp_path / "table.safetensors").read_bytes()).hexdigest()
    declared = {
        "method": "static",
        "package": "some-table",
        "release": "1.0",
        "weights": "some_table/table.safetensors",
    }
    declared |= {"tokenizer": "some_table/tokenizer.json"}
    work = Work({}, 0, tmp_path / "out", tmp_path / "state", CPU, lambda _: None)
    folder = StaticBase(**declared, sha256=sha256).collect(work)  # type: ignore[arg-type]
    one, other = read_tensors(folder), read_tensors(table)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    with pytest.raises(InputError, match=f"has sha256 {sha256}, but params.yaml has 00"):
        StaticBase(**declared, sha256="0" * 64).collect(work)  # type: ignore[arg-type]


def test_special_tokens_are_known_by_their_usual_names(tiny: Path) -> None:
    found = fast_tokenizer(tiny / "tokenizer.json")
    assert (found.unk_token, found.pad_token, found.bos_token, found.eos_token) == ("[UNK]", "[PAD]", None, None)
    assert found("film")["input_ids"] == load_tokenizer(tiny)("film")["input_ids"]

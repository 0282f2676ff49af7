"""A base from a GGUF file, on the real one: it is fetched, so this is for `make test-slow`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kinds import CPU
from transferline.core.stage import Work
from transferline.models.families import family_of
from transferline.models.tokenization import TokenizerSettings, load_tokenizer
from transferline.models.weights import load_model
from transferline.recipes.params import load_params
from transferline.targets import TARGETS
from transferline.targets.generation import Sources

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_quantised_decoder_becomes_an_ordinary_folder_that_still_knows_things(tmp_path: Path) -> None:
    base = load_params(ROOT / "params.yaml").base("smollm2")
    (tmp_path / "out").mkdir()
    base.build(Work({}, 0, tmp_path / "out", tmp_path / "state", CPU, lambda _: None))
    folder = tmp_path / "out"
    assert family_of(folder).name == "llama"
    model, new = load_model("AutoModelForCausalLM", folder, 0)
    assert not new
    tokenizer = load_tokenizer(folder)
    ids = tokenizer("The capital of France is", return_tensors="pt")
    said = tokenizer.decode(model.eval().generate(**ids, max_new_tokens=3, do_sample=False)[0])
    assert "Paris" in said
    target = TARGETS["generation"]()
    examples = target.unlabelled([{"id": "1", "text": "Hello"}], tokenizer, TokenizerSettings(16, "head", 8))
    assert isinstance(examples, Sources)
    assert isinstance(target.answer(model, examples)[0], str)

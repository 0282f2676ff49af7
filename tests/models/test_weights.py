from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer

from transferline.models.weights import load_model, read_tensors, save_model


def test_the_pooler_survives_masked_adaptation_and_the_lm_head_survives_contrastive(tiny: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    original = AutoModel.from_pretrained(tiny).state_dict()
    masked, new = load_model("AutoModelForMaskedLM", tiny, seed=0)
    assert new
    assert all(name.startswith("cls.") for name in new)
    with torch.no_grad():
        masked.bert.encoder.layer[0].output.dense.weight.add_(1.0)
    for name in ("masked", "both"):
        (tmp_path / name).mkdir()
    save_model(masked, tokenizer, tiny, tmp_path / "masked")
    adapted = AutoModel.from_pretrained(tmp_path / "masked").state_dict()
    assert torch.equal(adapted["pooler.dense.weight"], original["pooler.dense.weight"])
    name = "encoder.layer.0.output.dense.weight"
    torch.testing.assert_close(adapted[name], original[name] + 1.0)

    encoder, _ = load_model("AutoModel", tmp_path / "masked", seed=0)
    save_model(encoder, tokenizer, tmp_path / "masked", tmp_path / "both")
    again, missing = load_model("AutoModelForMaskedLM", tmp_path / "both", seed=5)
    assert not missing  # the head that the first stage learnt is still there
    head = "cls.predictions.transform.dense.weight"
    assert torch.equal(again.state_dict()[head], masked.state_dict()[head])


def test_saving_what_was_loaded_changes_no_tensor(tiny: Path, tmp_path: Path) -> None:
    model, _ = load_model("AutoModel", tiny, seed=0)
    save_model(model, AutoTokenizer.from_pretrained(tiny), tiny, tmp_path)
    before, after = read_tensors(tiny), read_tensors(tmp_path)
    assert {f"bert.{name}" for name in before} == set(after)
    assert all(torch.equal(after[f"bert.{name}"], tensor) for name, tensor in before.items())

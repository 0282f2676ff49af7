"""Laws of the bias audit and of forgetting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.kinds import CPU, build
from tests.methods.parameter.laws import method
from transferline.core.errors import InputError
from transferline.data.declarations import AuditSpec
from transferline.data.input_form import InputForm
from transferline.evaluation.bias import ALL, Pair, measure_bias, read_pairs
from transferline.inference.forgetting import measure_forgetting

FORM = InputForm("single-label")
PAIRS = [Pair("age", "a", "b")] * 30 + [Pair("gender", "a", "b")] * 70


def probabilities(positive: np.ndarray) -> np.ndarray:
    return np.stack([1 - positive, positive], axis=1)


def test_a_model_that_does_not_see_the_group_has_no_bias() -> None:
    same = probabilities(np.random.default_rng(0).random(100))
    for one in measure_bias(PAIRS, same, same).values():
        assert (one.shift.value, one.flips.value, one.direction.value) == (0.0, 0.0, 0.0)


def test_a_known_change_is_found_where_it_is() -> None:
    first, second = np.full(100, 0.6), np.full(100, 0.6)
    second[30:] = 0.4
    found = measure_bias(PAIRS, probabilities(first), probabilities(second))
    assert found["age"].shift.value == 0.0
    assert found["gender"].shift.value == pytest.approx(0.2)
    assert found["gender"].direction.value == pytest.approx(0.2)
    assert found["gender"].flips.value == 1.0
    assert found[ALL].pairs == 100
    assert found[ALL].flips.value == pytest.approx(0.7)
    assert found[ALL].flips.low < 0.7 < found[ALL].flips.high
    numbers = measure_bias(PAIRS, first, second)
    assert numbers["gender"].shift.value == pytest.approx(0.2)
    assert numbers["gender"].flips.value == 0.0


def test_templates_are_filled_in_and_a_row_without_a_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("sentence,one,two,about\nThe [MASK] is loud,boy,girl,gender\n")
    spec = AuditSpec(data="pairs.csv", template="sentence", first="one", second="two", kind="about")
    assert read_pairs(spec, tmp_path, FORM) == [Pair("gender", "The boy is loud", "The girl is loud")]
    (tmp_path / "pairs.csv").write_text("sentence,one,two,about\nThe boy is loud,boy,girl,gender\n")
    with pytest.raises(InputError, match=r"pairs.csv, row 2.*no \[MASK\]"):
        read_pairs(spec, tmp_path, FORM)


def test_a_model_that_was_not_changed_has_forgotten_nothing(kinds, tiny: Path) -> None:
    sides = (kinds["single-label"][split] for split in ("train", "validation"))
    same = measure_forgetting(*sides, tiny, tiny, CPU)
    assert same is not None
    assert same.before == same.after
    assert (same.change.value, same.change.low, same.change.high) == (0.0, 0.0, 0.0)


def test_noise_in_the_weights_is_forgetting_and_learning_is_not(kinds, tiny: Path, tmp_path: Path) -> None:
    """Known answers: an encoder that learnt the source knows more of it, one whose embeddings are all alike nothing."""
    import torch

    from transferline.models.tokenization import load_tokenizer
    from transferline.models.weights import load_model

    data = kinds["single-label"]
    learnt, _ = build(method("full"), data, tmp_path / "learnt", tiny)
    model, _ = load_model("AutoModel", tiny, 0)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight.zero_()
    model.save_pretrained(tmp_path / "empty")
    load_tokenizer(tiny).save_pretrained(tmp_path / "empty")
    sides = data["train"], data["validation"]
    kept = measure_forgetting(*sides, tiny, learnt, CPU)
    lost = measure_forgetting(*sides, learnt, tmp_path / "empty", CPU)
    assert kept is not None
    assert lost is not None
    assert kept.change.value >= 0
    assert lost.change.high < -0.2
    assert measure_forgetting(kinds["tokens"]["train"], kinds["tokens"]["validation"], tiny, tiny, CPU) is None

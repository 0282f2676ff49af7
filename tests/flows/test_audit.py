"""Audits: forgetting of sources and bias between paired sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.kinds import CPU, QUICK, build
from tests.project import declare
from tests.recording import record
from transferline.core.problem import Setting
from transferline.data.declarations import AuditSpec
from transferline.data.input_form import InputForm
from transferline.data.prepared_files import write_jsonl
from transferline.evaluation.bias import Pair, measure_bias, read_pairs
from transferline.evaluation.significance import Interval
from transferline.flows import audit as module
from transferline.flows.audit import answers_of, ask_pairs, ask_sources, markdown
from transferline.inference.forgetting import Forgotten
from transferline.methods.parameter import Full
from transferline.models.bases import FolderBase
from transferline.recipes.chain import Chain, Pin, Step
from transferline.recipes.params import load_params

BASE = Step("base", FolderBase(method="folder", path="tiny"), role="base")
CHAIN = Chain(
    "reviews", "full", Setting.UNKNOWN, (BASE,), {"challenger": ("tune-1", "tune-2"), "unadapted": ("tune-9",)}
)
FORGOTTEN = Forgotten(0.9, 0.7, Interval(-0.2, -0.3, -0.1))


def test_each_source_that_can_be_measured_is_asked_of_base_and_challenger(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {
        f"{name}/{split}": Pin(Path(f"{name}-{split}"), "m")
        for name in ("plays", "books")
        for split in ("train", "validation")
    }
    asked = record(
        monkeypatch, module, "measure_forgetting", lambda train, *_: FORGOTTEN if "plays" in str(train) else None
    )
    assert ask_sources(CHAIN, data, ["plays", "books"], CPU) == {"plays": FORGOTTEN}
    store = bare / "store"
    assert asked.calls[0][0] == (Path("plays-train"), Path("plays-validation"), store / BASE.key, store / "tune-1", CPU)


def test_pairs_are_asked_with_and_without_transfer(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / "pairs.csv").write_text("he,she,about\n" + "the man is good,the woman is good,gender\n" * 30)
    spec = {"data": "pairs.csv", "first": "he", "second": "she", "kind": "about"}
    declare(bare, audits={"gender": spec})
    asked = record(monkeypatch, module, "answers_of", lambda model, *_: outputs(0.3 if model.name == "tune-1" else 0.0))
    fetched = record(monkeypatch, module, "reproduce")
    params = load_params(bare / "params.yaml")
    found = ask_pairs(CHAIN, params, InputForm("single-label"), CPU)
    assert [args[0].name for args, _ in asked.calls] == ["tune-9", "tune-1"]
    assert found["gender"]["before"]["gender"].shift.value == 0
    assert found["gender"]["after"]["gender"].shift.value == pytest.approx(0.3)
    assert fetched.calls == []  # the file is the user's own
    others = InputForm("generation"), InputForm("single-label", pair=True), InputForm("single-label", features=3)
    assert [ask_pairs(CHAIN, params, form, CPU) for form in others] == [{}, {}, {}]  # none has one output a text


def test_pairs_are_read_in_the_models_input_form(bare: Path) -> None:
    text = "<br />A [MASK]<p>spoke,  loudly"
    rows = [{"of": text, "he": "man<br>", "she": "woman"}, {"of": "[MASK]", "he": "cafe\u0301", "she": "x"}]
    write_jsonl(bare / "pairs.jsonl", rows)
    spec = AuditSpec(data="pairs.jsonl", first="he", second="she", template="of")
    found = read_pairs(spec, bare, InputForm("single-label", html=True))
    sides = [("A man spoke, loudly", "A woman spoke, loudly"), ("caf\u00e9", "x")]
    assert [(pair.first, pair.second) for pair in found] == sides
    assert read_pairs(spec, bare, InputForm("single-label"))[0].first == "<br />A man<br><p>spoke, loudly"


def outputs(change: float) -> list[np.ndarray]:
    """Answers to both sides of 30 pairs that differ by a change."""
    one, other = np.full(30, 0.6), np.full(30, 0.6 - change)
    return [np.stack([1 - side, side], axis=1) for side in (one, other)]


def test_answers_are_a_served_models(kinds: Any, tiny: Path, tmp_path: Path) -> None:
    out, _ = build(Full(**{**QUICK, "epochs": 1}), kinds["single-label"], tmp_path / "t", tiny)
    pairs = [Pair("same", "a lovely film", "a lovely film"), Pair("other", "a lovely film", "an awful plot")]
    first, second = answers_of(out, pairs, CPU)
    assert first.shape == second.shape == (2, 2)
    np.testing.assert_allclose(first.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(first[0], second[0])
    assert not np.array_equal(first[1], second[1])


def test_the_page_shows_every_source_and_every_kind_of_pair() -> None:
    pairs = [Pair("age", "a", "b")] * 15 + [Pair("gender", "a", "b")] * 15
    sides = {"before": measure_bias(pairs, *outputs(0.0)), "after": measure_bias(pairs, *outputs(0.3))}
    text = markdown("reviews", "full", {"plays": FORGOTTEN}, {"people": sides})
    assert "| plays | 0.900 | 0.700 | -0.200" in text
    assert "### Paired sentences: people" in text
    assert "| age | 15 |" in text
    assert "| gender | 15 |" in text
    assert "nothing to forget" not in text
    empty = markdown("reviews", "full", {}, {})
    assert "no source task, so forgetting is not measured" in empty
    assert "No audit is declared" in empty


def test_results_are_plain_values() -> None:
    plain = module._plain({"plays": FORGOTTEN})
    assert json.loads(json.dumps(plain))["plays"]["change"] == vars(Interval(-0.2, -0.3, -0.1))

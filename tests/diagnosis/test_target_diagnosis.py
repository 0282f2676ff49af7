"""Laws of the diagnosis and of the advice that follows from it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.kinds import build
from transferline.diagnosis.layer_probes import cross_validated
from transferline.diagnosis.target_diagnosis import FILE, Diagnose
from transferline.methods.objectives import Masked, SimCSE
from transferline.methods.parameter import Full, Lora, Probe
from transferline.recipes.advice import expect, rank
from transferline.recipes.recipe import Recipe
from transferline.tournament.diagnosis_page import draw_affinities, draw_layers, headline, markdown


def look(kinds, base: Path, folder: Path, kind: str = "single-label", **stage: object) -> dict:
    data = {**kinds[kind], "same/train": kinds["single-label"]["train"], "other/train": kinds["regression"]["train"]}
    out, _ = build(Diagnose.model_validate(stage), data, folder, base)
    return json.loads((out / FILE).read_text())


def test_it_sees_layers_corpus_and_sources(kinds, tiny: Path, tmp_path: Path) -> None:
    seen = look(kinds, tiny, tmp_path / "t", source_tasks=["same", "other"])
    assert len(seen["layers"]) == len(seen["logme"]) == len(seen["h_score"]) == 3
    assert seen["words"] > 0.9 > 0.6 > seen["majority"]
    assert set(seen["divergence"]) == {"corpus", "same/train", "other/train"}
    same, other = seen["sources"]["same"], seen["sources"]["other"]
    assert same["same_labels"]
    assert same["zero_shot"] >= seen["probe"]["score"]  # the source holds the very examples
    assert not other["same_labels"]
    assert "leep" not in other
    assert seen["perplexity"] is None  # its masked-LM head would be new
    assert seen["rows"] >= seen["looked_at"]
    draw_layers({"tiny": seen})
    advice = rank({"probe": Recipe(base="tiny", tune=Probe())}, {"tiny": seen}, {"probe": 1e9})
    text = markdown("t", {"tiny": seen}, advice, 0.05)
    assert headline(advice) in text
    assert headline(advice).startswith("try probe first")
    assert "5.0%" in text


@pytest.mark.parametrize("kind", ["multi-label", "regression", "tokens", "generation", "pairs"])
def test_every_kind_can_be_looked_at(kind: str, kinds, tiny: Path, tmp_path: Path) -> None:
    seen = look(kinds, tiny, tmp_path / "t", kind)
    assert ("probe" in seen) == (kind not in ("tokens", "generation"))
    advice = rank({"full": Recipe(base="tiny", tune=Full())}, {"tiny": seen}, {"full": 1.0})
    assert markdown(kind, {"tiny": seen}, advice, 0.1)


def test_a_decoder_says_how_surprised_it_is(kinds, bases, tmp_path: Path) -> None:
    seen = look(kinds, bases("gpt2"), tmp_path / "t", corpus=False)
    assert seen["perplexity"] > 1
    assert seen["divergence"] == {}


def test_the_fold_that_is_asked_never_learns_along() -> None:
    """Labels by the toss of a coin: folds find nothing; what is borrowed is learnt, were it the very rows."""
    rng = np.random.default_rng(0)
    points, y_true = rng.normal(size=(200, 300)), rng.integers(0, 2, 200)
    score, error = cross_validated("single-label", points, y_true)
    assert abs(score - 0.5) < 4 * max(error, 0.03)
    more, _ = cross_validated("single-label", points, y_true, more=(points, y_true))
    assert more > 0.9


SEEN = {
    "per_label": 100.0,
    "probe": {"score": 0.70, "error": 0.02},
    "layers": [{"score": 0.6, "error": 0.02}, {"score": 0.70, "error": 0.02}],
    "perplexity": None,
    "divergence": {"corpus": {"distance": 0.4}},
    "sources": {
        "near": {"same_labels": True, "pooled": {"score": 0.82}, "coral": {"score": 0.79}, "zero_shot": 0.78},
        "far": {"same_labels": False},
    },
}


def recipe(**parts: object) -> Recipe:
    return Recipe.model_validate({"base": "b", "tune": {"method": "probe"}, **parts})


def test_what_is_measured_decides_and_the_cheaper_of_equals_comes_first() -> None:
    source_examples = {"method": "pooled", "source_tasks": ["near"]}
    recipes = {
        "probe": recipe(),
        "dear": Recipe(base="b", adapt=(SimCSE(),), tune=Full()),
        "full": Recipe(base="b", tune=Full()),
        "lora": Recipe(base="b", tune=Lora()),
        "masked": Recipe(base="b", adapt=(Masked(),), tune=Full()),
        "borrowed": recipe(instances=source_examples),
    }
    flops = {name: 1e9 * place for place, name in enumerate(recipes, start=1)}
    flops["full"] = 1e9
    flops["lora"] = 1e9
    order = [advice.recipe for advice in rank(recipes, {"b": SEEN}, flops)]
    assert order == ["borrowed", "full", "dear", "lora", "masked", "probe"]
    assert expect(recipe(instances={"method": "pooled", "source_tasks": ["far"]}), SEEN)[0] == pytest.approx(0.70)
    assert expect(recipe(base="unknown"), None)[0] is None


def test_a_difference_within_the_noise_of_the_folds_is_none() -> None:
    noisy = {**SEEN, "sources": {"near": {"same_labels": True, "pooled": {"score": 0.715}}}}
    expected, why = expect(recipe(instances={"method": "pooled", "source_tasks": ["near"]}), noisy)
    assert expected == pytest.approx(0.70)
    assert "within the noise" in why
    layers = [
        {"score": score, "error": 0.02} for score in (0.6, 0.71, 0.75, 0.70)
    ]  # the highest of several is high by luck too
    for layer, worth in ((1, 0.70), (2, 0.73), (0, 0.62)):
        expected, why = expect(recipe(tune={"method": "extraction", "layers": [layer]}), {**SEEN, "layers": layers})
        assert expected == pytest.approx(worth)
        assert ("within the noise" in why) == (layer == 1)


def test_layers_that_a_base_does_not_have_are_told(tmp_path: Path) -> None:
    expected, why = expect(recipe(tune={"method": "extraction"}), SEEN)
    assert expected is None
    assert "no layer -4" in why
    assert expect(recipe(tune={"method": "extraction", "layers": [0, 1]}), SEEN)[0] == 0.70


def test_borrowed_examples_speak_for_fine_tuning() -> None:
    near = {"same_labels": True, "pooled": {"score": 0.82}, "rows": 1600}
    few = {
        **SEEN,
        "per_label": 25.0,
        "labels": 2,
        "sources": {"near": near, "far": {"same_labels": False, "rows": 1600}},
    }
    full = {"method": "full"}
    for source_task, lift in (("near", 0.03), ("far", 0.0)):
        source_examples = {"method": "pooled", "source_tasks": [source_task]}
        probed, tuned = (
            expect(recipe(instances=source_examples, tune=tune), few)[0] for tune in ({"method": "probe"}, full)
        )
        assert tuned is not None
        assert probed is not None
        assert tuned - probed == pytest.approx(lift)


def test_few_examples_speak_against_fine_tuning() -> None:
    few = {**SEEN, "per_label": 5.0}
    tuned, probed = (expect(Recipe(base="b", tune=tune), few)[0] for tune in (Full(), Probe()))
    assert tuned is not None
    assert probed is not None
    assert tuned < probed


def test_affinities_are_drawn() -> None:
    draw_affinities({"one": {"two": 0.4, "three": 0.6}, "two": {"one": 1.0}})

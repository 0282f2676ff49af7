"""A diagnosis: which bases are looked at, what is foreseen, and the files that are written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.recording import record
from tests.tournament.made import RECIPES
from tests.tournament.made import ground as made_ground
from transferline.core.errors import InputError
from transferline.core.runtime import Runtime
from transferline.data.prepared_files import write_jsonl
from transferline.diagnosis.target_diagnosis import FILE
from transferline.flows import diagnose as module
from transferline.flows.diagnose import Seen, foreseen, look, open_field, write_files
from transferline.flows.support.comparison.leaves import Builder
from transferline.models.bases import FolderBase
from transferline.models.families import Family
from transferline.recipes.advice import Advice
from transferline.recipes.chain import Step
from transferline.recipes.comparison import Comparison

FOUND = {
    "layers": [{"score": 0.6, "error": 0.01}, {"score": 0.8, "error": 0.01}],
    "words": 0.7,
    "sources": {"plays": {"affinity": 0.75}, "books": {"affinity": 0.25}, "numbers": {}},
}


def test_files_hold_all_that_was_found(bare: Path) -> None:
    advice = [Advice("full", 0.8, 1e9, "a probe answers 0.8")]
    folder = write_files("reviews", Seen({"b": FOUND}, 5.0), advice, "# words")
    assert folder == bare / "data" / "diagnoses" / "reviews"
    assert (folder / "diagnosis.md").read_text() == "# words"
    kept = json.loads((folder / "diagnosis.json").read_text())
    assert (kept["bases"], kept["flops"], kept["advice"]) == ({"b": FOUND}, 5.0, [vars(advice[0])])
    assert {path.name for path in folder.iterdir()} == {"diagnosis.md", "diagnosis.json", "layers.svg", "affinity.svg"}


def test_affinities_of_all_targets_are_drawn_together(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = record(monkeypatch, module, "draw_affinities", SimpleNamespace(savefig=lambda path: None))
    write_files("reviews", Seen({"b": {"sources": FOUND["sources"]}}, 0.0), [], "")
    write_files("tone", Seen({"b": {"sources": {"reviews": {"affinity": 1.0}}}}, 0.0), [], "")
    write_files("lonely", Seen({"b": {}}, 0.0), [], "")  # without sources there is nothing to draw
    assert len(drawn.calls) == 2
    assert drawn.calls[1][0][0] == {"reviews": {"plays": 0.75, "books": 0.25}, "tone": {"reviews": 1.0}}


@pytest.fixture
def builder(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A builder of diagnoses on an encoder and a base that cannot encode."""
    ground: Any = made_ground(tmp_path)
    ground.bases["matrix"] = FolderBase(method="folder", path="matrix")
    built: list[Step] = []

    def build(steps: list[Step]) -> None:
        built.extend(steps)
        for step in steps:
            if step.kind == "select":
                folder = bare / "store" / step.key
                folder.mkdir(parents=True)
                (folder / FILE).write_text(json.dumps({"of": step.role}))
                (folder / "lineage.json").write_text(json.dumps({"cost": {"flops": 7.0}, "digest": ""}))

    monkeypatch.setattr(module, "family_known", lambda base: Family("bert") if base.path == "b" else None)
    return SimpleNamespace(ground=ground, build=build, built=built)


def test_bases_that_encode_are_looked_at_with_corpus_and_sources(builder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ground = builder.ground
    ground.data["plays/train"] = ground.data["train"]
    monkeypatch.setattr(type(ground), "labels", lambda *_: None)
    monkeypatch.setattr(type(ground), "with_labels", lambda self, *_: self.data)
    seen = look(ground, ["plays"], builder)
    assert seen == Seen({"b": {"of": "diagnose b"}}, 7.0)
    assert [step.kind for step in builder.built] == ["base", "select", "base"]  # the second base is collected only
    assert [role for role, _ in builder.built[1].data] == ["train", "corpus", "plays/train"]


def test_without_any_base_that_encodes_it_is_refused(builder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "family_known", lambda _: None)
    monkeypatch.setattr(type(builder.ground), "labels", lambda *_: None)
    monkeypatch.setattr(type(builder.ground), "with_labels", lambda self, *_: self.data)
    with pytest.raises(InputError, match="none of the bases gives features"):
        look(builder.ground, [], builder)


def test_a_recipe_that_trains_more_is_foreseen_to_cost_more(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFERLINE_STORE", str(tmp_path))
    rows = [{"id": str(i), "text": f"text {i}", "label": "ab"[i % 2]} for i in range(200)]
    for role in ("train", "validation", "test", "corpus"):
        write_jsonl(tmp_path / f"{role}.jsonl", rows)
    unused: Any = None
    ground = made_ground(tmp_path, (200,))
    builder = Builder(ground, Runtime(device="cpu"), unused, unused)
    assert set(foreseen(ground, RECIPES, builder).values()) == {0.0}  # the base is not collected yet
    shutil.copytree(tiny, tmp_path / Step("base", ground.bases["b"]).key)
    costs = foreseen(ground, RECIPES, builder)
    assert 0 < costs["probe"] < costs["freeze"] <= costs["full"] < costs["adapted"]


def test_only_recipes_on_the_bases_asked_for_are_compared(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**RECIPES, "elsewhere": RECIPES["full"].model_copy(update={"base": "other"})}
    monkeypatch.setattr(module, "asked", lambda *_: known)
    opened = record(monkeypatch, module, "open_ground", lambda *args: "ground")
    monkeypatch.setattr(module, "admitted", lambda ground, recipes: recipes)
    params: Any = SimpleNamespace(target=lambda _: SimpleNamespace(seeds=3))
    ground, recipes = open_field(params, "reviews", {}, ["b"], Comparison())
    assert (ground, set(recipes)) == ("ground", set(RECIPES))
    assert opened.only[0][3] == list(RECIPES.values())
    with pytest.raises(InputError, match="no recipe on third is admissible"):
        open_field(params, "reviews", {}, ["third"], Comparison())

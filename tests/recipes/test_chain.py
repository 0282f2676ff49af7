"""Identity: what makes a key, and what must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from transferline.core.errors import InputError
from transferline.core.problem import Setting
from transferline.core.stage import canonical_json, make_key
from transferline.data.declarations import TargetSpec
from transferline.methods.instance import Nearest
from transferline.methods.objectives import Masked, SimCSE
from transferline.methods.parameter import Distill, Full, Lora, Probe
from transferline.models.bases import FolderBase, PackageBase
from transferline.models.families import Family
from transferline.recipes.chain import Chain, Pin, plan, predict_step
from transferline.recipes.comparison import from_source_tasks
from transferline.recipes.params import load_params
from transferline.recipes.recipe import Recipe
from transferline.training.learner import Schedule

BASE = PackageBase(method="package", package="p", release="1", folder="f", sha256="0" * 64)
SPEC = TargetSpec(domain="film", data="x")
ADAPTED = Recipe(base="b", adapt=(SimCSE(),), tune=Full())


def pins(**md5s: str) -> dict[str, Pin]:
    known = {"train": "t", "validation": "v", "test": "e", "corpus": "c", **md5s}
    return {role: Pin(Path("/anywhere") / role, md5) for role, md5 in known.items() if md5}


def chain(recipe: Recipe = ADAPTED, base: PackageBase | FolderBase = BASE, **md5s: str) -> Chain:
    return plan("film-sentiment", SPEC, "r", recipe, base, pins(**md5s))


def keys(made: Chain, role: str) -> tuple[str, ...]:
    return made.roles[role]


def test_keys_of_the_shipped_recipes_do_not_change_by_accident() -> None:
    """If this fails, every cache of every user forks. Raise a stage's version where that is meant."""
    params = load_params(Path(__file__).resolve().parents[2] / "params.yaml")
    made = {}
    source_rows = {f"tweet-tone/{split}": split for split in ("train", "validation")}
    settings = {"tweet-tone": Setting.DOMAIN_ADAPTATION}
    for name, recipe in from_source_tasks(params.recipes, ["tweet-tone"]).items():
        spec, base = params.target("film-sentiment"), params.base(recipe.base)
        planned = plan("film-sentiment", spec, name, recipe, base, pins(**source_rows), settings=settings)
        made[name] = keys(planned, "challenger")[0]
        made[f"{name}/scratch"] = keys(planned, "scratch")[0]
    assert made == GOLDEN


GOLDEN: dict[str, str] = {
    "default": "tune-6930d37ea2ccf27c",
    "default/scratch": "control-c45334878c3b78e4",
    "contrastive": "tune-34206a35a3bee9ec",
    "contrastive/scratch": "control-c45334878c3b78e4",
    "adapted-probe": "tune-405ba8a6a4d670f1",
    "adapted-probe/scratch": "control-d233c8be2a79a6e7",
    "full": "tune-1dcdeec6ef04c313",
    "full/scratch": "control-c45334878c3b78e4",
    "probe": "tune-35205874497fa12e",
    "probe/scratch": "control-d233c8be2a79a6e7",
    "decoder-probe": "tune-96baff24555c0f43",
    "decoder-probe/scratch": "control-fabe1add8bd7caa2",
    "masked-probe": "tune-471d74e1ecc9fa21",
    "masked-probe/scratch": "control-d233c8be2a79a6e7",
    "tsdae-probe": "tune-b1f1ec3ba91970af",
    "tsdae-probe/scratch": "control-d233c8be2a79a6e7",
    "task-probe": "tune-949c225aa9ba4aad",
    "task-probe/scratch": "control-d233c8be2a79a6e7",
    "nearest-probe": "tune-52488a650fa090f6",
    "nearest-probe/scratch": "control-d233c8be2a79a6e7",
    "domain-then-task-probe": "tune-3ab815f590b84147",
    "domain-then-task-probe/scratch": "control-d233c8be2a79a6e7",
    "features-middle": "tune-1fa325c7f051f5d8",
    "features-middle/scratch": "control-d233c8be2a79a6e7",
    "features-low": "tune-9569a42411eb1089",
    "features-low/scratch": "control-d233c8be2a79a6e7",
    "task-adapted": "tune-c43519ea9fc77916",
    "task-adapted/scratch": "control-c45334878c3b78e4",
    "domain-then-task": "tune-4a00494e3c0584f9",
    "domain-then-task/scratch": "control-c45334878c3b78e4",
    "nearest": "tune-52d16d0ee9d407f6",
    "nearest/scratch": "control-c45334878c3b78e4",
    "whole-words": "tune-a3fe7c1c5a4a7e08",
    "whole-words/scratch": "control-c45334878c3b78e4",
    "next-sentence": "tune-6457ffca1d59c134",
    "next-sentence/scratch": "control-c45334878c3b78e4",
    "tsdae": "tune-424bbefe7af43102",
    "tsdae/scratch": "control-c45334878c3b78e4",
    "new-words": "tune-d71f1b92aa7a7249",
    "new-words/scratch": "control-c45334878c3b78e4",
    "features": "tune-feb2362e38a1ffd3",
    "features/scratch": "control-d233c8be2a79a6e7",
    "static": "tune-079c7aa07800c936",
    "static/scratch": "control-0dbbbfdf2c95750d",
    "freeze": "tune-9d125cab9e96f059",
    "freeze/scratch": "control-06d41e96d34f341a",
    "gradual": "tune-738964f343f16f6a",
    "gradual/scratch": "control-6a8f8945a290a969",
    "discriminative": "tune-d4b43e3f66a7becf",
    "discriminative/scratch": "control-06d41e96d34f341a",
    "lp-ft": "tune-0687328fd31d600f",
    "lp-ft/scratch": "control-06d41e96d34f341a",
    "l2-sp": "tune-1ed1d28198d18226",
    "l2-sp/scratch": "control-06d41e96d34f341a",
    "lora": "tune-902aea839a17dd11",
    "lora/scratch": "control-06d41e96d34f341a",
    "bitfit": "tune-ebd16cd092a92e57",
    "bitfit/scratch": "control-06d41e96d34f341a",
    "adapter": "tune-ad4483c0d08392d7",
    "adapter/scratch": "control-06d41e96d34f341a",
    "prompt": "tune-fabb72b28449d0da",
    "prompt/scratch": "control-06d41e96d34f341a",
    "prefix": "tune-832903415a4ad7d2",
    "prefix/scratch": "control-06d41e96d34f341a",
    "progressive": "tune-52b51de0bce6d008",
    "progressive/scratch": "control-06d41e96d34f341a",
    "distil": "tune-35ea1bb2ddac9d4b",
    "distil/scratch": "control-06d41e96d34f341a",
    "restarts": "tune-a64d8e1fff0a6c71",
    "restarts/scratch": "control-2d9edc7e542adb8e",
    "both-ends": "tune-e962fd20f4bf9d40",
    "both-ends/scratch": "control-8e26659e82d7147d",
    "tagging": "tune-b551f4489de04a9a",
    "tagging/scratch": "control-f2aa3ccfa940dfdc",
    "replies": "tune-bbd749d8fccf2051",
    "replies/scratch": "control-defeed73fc2a0b14",
    "adapted-replies": "tune-0acbcaea6276fde8",
    "adapted-replies/scratch": "control-defeed73fc2a0b14",
    "pooled-probe from tweet-tone": "tune-9709d9e21134ca38",
    "pooled-probe from tweet-tone/scratch": "control-d233c8be2a79a6e7",
    "density-probe from tweet-tone": "tune-fbf62702d70568d9",
    "density-probe from tweet-tone/scratch": "control-d233c8be2a79a6e7",
    "boosted-probe from tweet-tone": "tune-993e19d6d09b01e3",
    "boosted-probe from tweet-tone/scratch": "control-d233c8be2a79a6e7",
    "similar-probe from tweet-tone": "tune-b28d9961d1d5b889",
    "similar-probe from tweet-tone/scratch": "control-d233c8be2a79a6e7",
    "coral from tweet-tone": "tune-782c643f0cd22c26",
    "coral from tweet-tone/scratch": "control-d233c8be2a79a6e7",
    "intermediate-probe from tweet-tone": "tune-ec7e1ebb53736217",
    "intermediate-probe from tweet-tone/scratch": "control-d233c8be2a79a6e7",
    "pooled from tweet-tone": "tune-d758f6b627a5669f",
    "pooled from tweet-tone/scratch": "control-c45334878c3b78e4",
    "intermediate from tweet-tone": "tune-5134903be87197eb",
    "intermediate from tweet-tone/scratch": "control-c45334878c3b78e4",
    "hard-sharing from tweet-tone": "tune-1770159757958a7e",
    "hard-sharing from tweet-tone/scratch": "control-06d41e96d34f341a",
    "soft-sharing from tweet-tone": "tune-ab93ec802d2b4ab9",
    "soft-sharing from tweet-tone/scratch": "control-06d41e96d34f341a",
    "cross-stitch from tweet-tone": "tune-1c392103cd39a915",
    "cross-stitch from tweet-tone/scratch": "control-06d41e96d34f341a",
    "auxiliary": "tune-8abe0e7ff337789a",
    "auxiliary/scratch": "control-06d41e96d34f341a",
    "deep-coral from tweet-tone": "tune-4f4a91a1b155756f",
    "deep-coral from tweet-tone/scratch": "control-06d41e96d34f341a",
    "mmd from tweet-tone": "tune-140b02c037ed6e17",
    "mmd from tweet-tone/scratch": "control-06d41e96d34f341a",
    "dann from tweet-tone": "tune-507be178675c4853",
    "dann from tweet-tone/scratch": "control-06d41e96d34f341a",
    "keep-2": "tune-d154d068a4fe5a5e",
    "keep-2/scratch": "control-06d41e96d34f341a",
    "keep-4": "tune-1cab49f8cb66c07b",
    "keep-4/scratch": "control-06d41e96d34f341a",
    "reptile from tweet-tone": "tune-5dd3aebfeb8bf32d",
    "reptile from tweet-tone/scratch": "control-c45334878c3b78e4",
    "forest": "tune-0df5211d4c2c0eae",
    "forest/scratch": "control-d233c8be2a79a6e7",
    "refitted-forest from tweet-tone": "tune-6c5c97e02adbe072",
    "refitted-forest from tweet-tone/scratch": "control-d233c8be2a79a6e7",
    "ulmfit": "tune-76a0f8ceaaaa0ee7",
    "ulmfit/scratch": "control-ac9bba18fcc364b9",
    "elmo": "tune-e1cece2424fdd075",
    "elmo/scratch": "control-ddf06f0b375f882f",
}


def test_a_value_equal_to_its_default_is_no_part_of_the_key() -> None:
    assert Full(epochs=10).canonical() == Full().canonical() == {"method": "full", "version": 1}
    assert Full(epochs=11).canonical() != Full().canonical()


def test_what_has_no_canonical_form_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        make_key("tune", {"rate": float("nan")})
    with pytest.raises(TypeError):
        make_key("tune", {"path": Path("/tmp")})


def test_canonical_json_does_not_depend_on_order() -> None:
    assert canonical_json({"a": 1, "b": [1, 2]}) == canonical_json({"b": [1, 2], "a": 1})


def test_test_data_enters_only_the_prediction_key() -> None:
    before, after = chain(), chain(test="another")
    assert [step.key for step in before] == [step.key for step in after]
    model = keys(before, "challenger")[0]
    assert predict_step(model, "e").key != predict_step(model, "another").key


def test_a_new_corpus_retrains_the_adapted_models_only() -> None:
    before, after = chain(), chain(corpus="more text")
    assert keys(before, "challenger") != keys(after, "challenger")
    for role in ("unadapted", "scratch", "tfidf"):
        assert keys(before, role) == keys(after, role)


def test_new_labels_leave_the_adapted_checkpoint_alone() -> None:
    before, after = chain(), chain(train="more labels")
    assert [s.key for s in before if s.kind == "adapt"] == [s.key for s in after if s.kind == "adapt"]
    assert keys(before, "challenger") != keys(after, "challenger")


def test_recipes_share_their_prefix() -> None:
    one, two = chain(), chain(Recipe(base="b", adapt=(SimCSE(),), tune=Probe()))
    assert {s.key for s in one if s.kind == "adapt"} == {s.key for s in two if s.kind == "adapt"}


def test_the_unadapted_control_differs_from_the_challenger_in_its_parent_alone() -> None:
    made = chain()
    for challenger, control in zip(keys(made, "challenger"), keys(made, "unadapted"), strict=True):
        one, two = made.step(challenger), made.step(control)
        assert (one.stage, one.seed, one.data) == (two.stage, two.seed, two.data)
        assert one.parents != two.parents


def test_without_adaptation_the_challenger_is_its_own_control() -> None:
    made = chain(Recipe(base="b", tune=Full()))
    assert made.roles["challenger"] == made.roles["unadapted"]
    assert len(made.leaves()) == 3 + 3 + 1


def test_parents_come_before_their_children() -> None:
    seen: set[str] = set()
    for step in chain(Recipe(base="b", adapt=(Masked(), SimCSE()), tune=Probe())):
        assert set(step.parents) <= seen
        seen.add(step.key)


def test_a_method_without_randomness_is_built_once() -> None:
    assert len(keys(chain(Recipe(base="b", tune=Probe())), "challenger")) == 1


def test_a_schedule_is_part_of_the_identity() -> None:
    other = Recipe(base="b", adapt=(SimCSE(),), tune=Full(schedule=Schedule(batch_size=16, learning_rate=1e-5)))
    assert keys(chain(), "challenger") != keys(chain(other), "challenger")


def test_a_folders_identity_is_its_content_not_its_path(tiny: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "elsewhere"
    shutil.copytree(tiny, copy)
    one = FolderBase(method="folder", path=str(tiny)).resolved(Path("/"))
    two = FolderBase(method="folder", path="elsewhere").resolved(tmp_path)
    assert chain(base=one).steps[0].key == chain(base=two).steps[0].key
    (copy / "config.json").write_text((copy / "config.json").read_text().replace("0.1", "0.2"))
    three = FolderBase(method="folder", path="elsewhere").resolved(tmp_path)
    assert chain(base=one).steps[0].key != chain(base=three).steps[0].key


def test_adaptation_without_a_corpus_is_refused_with_the_mend() -> None:
    with pytest.raises(InputError, match=r"has no corpus.*domains\.film"):
        chain(corpus="")


def refusal(recipe: Recipe, family: str, **spec) -> str:
    target = SPEC.model_copy(update=spec)
    with pytest.raises(InputError) as caught:
        plan("t", target, "r", recipe, BASE, pins(), family=Family(family))
    return str(caught.value)


def test_a_base_that_cannot_do_what_a_recipe_asks_is_refused_with_what_would_do() -> None:
    said = refusal(Recipe(base="b", adapt=(Masked(),), tune=Full(pooling="first")), "gpt2")
    assert "method 'masked': asks for masked LM" in said
    assert "gpt2" in said
    assert "causal LM" in said.split("or a method for one of this base's abilities")[1]
    assert "pooling: first" in refusal(Recipe(base="b", tune=Full()), "gpt2")
    assert "asks for generate" in refusal(Recipe(base="b", tune=Full()), "bert", task="generation")


def test_a_method_that_does_not_suit_the_kind_of_target_is_refused() -> None:
    said = refusal(Recipe(base="b", tune=Probe(pooling="first")), "gpt2", task="generation")
    assert "does not support generation targets" in said
    assert "single-label" in said


def test_a_family_that_nobody_knows_yet_refuses_nothing() -> None:
    assert chain(Recipe(base="b", adapt=(Masked(),), tune=Full())).steps


def test_a_students_chain_holds_its_teacher_tuned_on_the_same_parent_with_the_same_seed() -> None:
    made = chain(Recipe(base="b", adapt=(SimCSE(),), tune=Distill()))
    for role in ("challenger", "unadapted"):
        for key in keys(made, role):
            student = made.step(key)
            parent, teacher = student.parents
            assert made.step(teacher).stage == Full()
            assert made.step(teacher).parents == (parent,)
            assert made.step(teacher).seed == student.seed
    assert keys(made, "challenger") != keys(made, "unadapted")


def test_a_student_of_another_base_starts_from_that_base() -> None:
    small = BASE.model_copy(update={"folder": "small"})
    recipe = Recipe(base="b", tune=Distill(student="small"))
    made = plan("film-sentiment", SPEC, "r", recipe, BASE, pins(), others={"small": small})
    student = made.step(keys(made, "challenger")[0])
    assert made.step(student.parents[0]).stage == small
    assert made.step(made.step(student.parents[1]).parents[0]).stage == BASE


def test_an_objective_on_selected_text_has_the_selection_among_its_parents() -> None:
    made = chain(Recipe(base="b", adapt=(Nearest(), Masked(text="selected")), tune=Full()))
    selection = next(step for step in made if step.kind == "select")
    adapted = next(step for step in made if step.kind == "adapt")
    assert adapted.parents == (made.steps[0].key, selection.key)
    assert adapted.data == ()
    assert dict(selection.data) == {"corpus": "c", "train": "t"}
    with pytest.raises(InputError, match="no stage before it selects any"):
        chain(Recipe(base="b", adapt=(Masked(text="selected"),), tune=Full()))


def test_task_adaptation_reads_the_tasks_text_and_needs_no_corpus() -> None:
    made = chain(Recipe(base="b", adapt=(Masked(text="task"),), tune=Full()), corpus="")
    assert dict(next(step for step in made if step.kind == "adapt").data) == {"train": "t"}


def test_a_declared_family_is_no_part_of_the_identity() -> None:
    told = BASE.model_copy(update={"family": "bert"})
    assert chain(base=told).steps[0].key == chain().steps[0].key


def test_from_scratch_reads_like_the_challenger_but_learns_at_its_own_rate() -> None:
    made = chain(Recipe(base="b", tune=Lora(max_tokens=32, epochs=3)))
    tune = made.step(keys(made, "scratch")[0]).stage.tune  # type: ignore[attr-defined]
    assert (tune.max_tokens, tune.epochs) == (32, 3)
    assert tune.schedule == Full().schedule

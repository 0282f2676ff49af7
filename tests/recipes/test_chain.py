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
from transferline.training.learner import TRAINED, Schedule

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
    "default": "tune-f7deed0ff9c7e0ae",
    "default/scratch": "control-025a5e84f1be55f8",
    "contrastive": "tune-32b63359da2e7122",
    "contrastive/scratch": "control-025a5e84f1be55f8",
    "adapted-probe": "tune-debdb362389b910e",
    "adapted-probe/scratch": "control-50fd4ee91790b34a",
    "full": "tune-cfef6bebbd91abbc",
    "full/scratch": "control-025a5e84f1be55f8",
    "probe": "tune-35205874497fa12e",
    "probe/scratch": "control-50fd4ee91790b34a",
    "decoder-probe": "tune-96baff24555c0f43",
    "decoder-probe/scratch": "control-d3c03d76af4bcbb8",
    "masked-probe": "tune-9d063a02cd1da9f3",
    "masked-probe/scratch": "control-50fd4ee91790b34a",
    "tsdae-probe": "tune-142280e6adde0ac2",
    "tsdae-probe/scratch": "control-50fd4ee91790b34a",
    "task-probe": "tune-209b17ab0bdd7d8f",
    "task-probe/scratch": "control-50fd4ee91790b34a",
    "nearest-probe": "tune-6a2f70c9b3ad7a9d",
    "nearest-probe/scratch": "control-50fd4ee91790b34a",
    "domain-then-task-probe": "tune-e94ff41cda5a1f04",
    "domain-then-task-probe/scratch": "control-50fd4ee91790b34a",
    "features-middle": "tune-1fa325c7f051f5d8",
    "features-middle/scratch": "control-50fd4ee91790b34a",
    "features-low": "tune-9569a42411eb1089",
    "features-low/scratch": "control-50fd4ee91790b34a",
    "task-adapted": "tune-f7ef156a603c15da",
    "task-adapted/scratch": "control-025a5e84f1be55f8",
    "domain-then-task": "tune-64e865543aaffedb",
    "domain-then-task/scratch": "control-025a5e84f1be55f8",
    "nearest": "tune-4cc4add928175caf",
    "nearest/scratch": "control-025a5e84f1be55f8",
    "whole-words": "tune-c5765d6bc9ea3b86",
    "whole-words/scratch": "control-025a5e84f1be55f8",
    "next-sentence": "tune-1a6d0e4d134ed409",
    "next-sentence/scratch": "control-025a5e84f1be55f8",
    "tsdae": "tune-51877250dc5799ff",
    "tsdae/scratch": "control-025a5e84f1be55f8",
    "new-words": "tune-8d45ba61eda32ea7",
    "new-words/scratch": "control-025a5e84f1be55f8",
    "features": "tune-feb2362e38a1ffd3",
    "features/scratch": "control-50fd4ee91790b34a",
    "static": "tune-079c7aa07800c936",
    "static/scratch": "control-f9436365fd3bb249",
    "freeze": "tune-c37d4bd800623c9e",
    "freeze/scratch": "control-e2a865713b6a7635",
    "gradual": "tune-bc82831513d6fca0",
    "gradual/scratch": "control-282653aa6a4b40c8",
    "discriminative": "tune-cf0cffc438f5f2d0",
    "discriminative/scratch": "control-e2a865713b6a7635",
    "lp-ft": "tune-7efd39936aa952ac",
    "lp-ft/scratch": "control-e2a865713b6a7635",
    "l2-sp": "tune-db918f2fcc9ee0c5",
    "l2-sp/scratch": "control-e2a865713b6a7635",
    "lora": "tune-494640ef1bc36016",
    "lora/scratch": "control-e2a865713b6a7635",
    "bitfit": "tune-35f97c73bb8cc84d",
    "bitfit/scratch": "control-e2a865713b6a7635",
    "adapter": "tune-f390fbf717dc55f5",
    "adapter/scratch": "control-e2a865713b6a7635",
    "prompt": "tune-4a891285d6c76ecc",
    "prompt/scratch": "control-e2a865713b6a7635",
    "prefix": "tune-70e1d0e01e3ba0ef",
    "prefix/scratch": "control-e2a865713b6a7635",
    "progressive": "tune-081b7b14d530ec39",
    "progressive/scratch": "control-e2a865713b6a7635",
    "distil": "tune-eaf9cab25d7193e9",
    "distil/scratch": "control-e2a865713b6a7635",
    "restarts": "tune-9ff870d9d3952d53",
    "restarts/scratch": "control-71dd04c2f6b82c62",
    "both-ends": "tune-fd43a80d19b02c5b",
    "both-ends/scratch": "control-bf7a6405e9bb11d0",
    "keep-2": "tune-a678327a71ff4b2d",
    "keep-2/scratch": "control-e2a865713b6a7635",
    "keep-4": "tune-c5bef8fd63357b4c",
    "keep-4/scratch": "control-e2a865713b6a7635",
    "pooled-probe from tweet-tone": "tune-9709d9e21134ca38",
    "pooled-probe from tweet-tone/scratch": "control-50fd4ee91790b34a",
    "density-probe from tweet-tone": "tune-fbf62702d70568d9",
    "density-probe from tweet-tone/scratch": "control-50fd4ee91790b34a",
    "boosted-probe from tweet-tone": "tune-993e19d6d09b01e3",
    "boosted-probe from tweet-tone/scratch": "control-50fd4ee91790b34a",
    "similar-probe from tweet-tone": "tune-b28d9961d1d5b889",
    "similar-probe from tweet-tone/scratch": "control-50fd4ee91790b34a",
    "coral from tweet-tone": "tune-782c643f0cd22c26",
    "coral from tweet-tone/scratch": "control-50fd4ee91790b34a",
    "intermediate-probe from tweet-tone": "tune-d281be1ef1166547",
    "intermediate-probe from tweet-tone/scratch": "control-50fd4ee91790b34a",
    "pooled from tweet-tone": "tune-67a3ee9a694a509f",
    "pooled from tweet-tone/scratch": "control-025a5e84f1be55f8",
    "intermediate from tweet-tone": "tune-5d31efce07ad58b9",
    "intermediate from tweet-tone/scratch": "control-025a5e84f1be55f8",
    "reptile from tweet-tone": "tune-c3ed0784d205faaa",
    "reptile from tweet-tone/scratch": "control-025a5e84f1be55f8",
    "hard-sharing from tweet-tone": "tune-25d8bf340cd7fcd8",
    "hard-sharing from tweet-tone/scratch": "control-e2a865713b6a7635",
    "soft-sharing from tweet-tone": "tune-2b94bb936ddcfe16",
    "soft-sharing from tweet-tone/scratch": "control-e2a865713b6a7635",
    "cross-stitch from tweet-tone": "tune-036b17fb441c83db",
    "cross-stitch from tweet-tone/scratch": "control-e2a865713b6a7635",
    "auxiliary": "tune-0ae10cad6214319a",
    "auxiliary/scratch": "control-e2a865713b6a7635",
    "deep-coral from tweet-tone": "tune-eec8700de38835e9",
    "deep-coral from tweet-tone/scratch": "control-e2a865713b6a7635",
    "mmd from tweet-tone": "tune-83a9a7cf24f4431b",
    "mmd from tweet-tone/scratch": "control-e2a865713b6a7635",
    "dann from tweet-tone": "tune-bf3766b6a4c6ad38",
    "dann from tweet-tone/scratch": "control-e2a865713b6a7635",
    "forest": "tune-0df5211d4c2c0eae",
    "forest/scratch": "control-50fd4ee91790b34a",
    "refitted-forest from tweet-tone": "tune-6c5c97e02adbe072",
    "refitted-forest from tweet-tone/scratch": "control-50fd4ee91790b34a",
    "ulmfit": "tune-51341270f9c7c7ef",
    "ulmfit/scratch": "control-98361190fea4bf22",
    "elmo": "tune-f40a080f6cac05a1",
    "elmo/scratch": "control-5a6b49a392baf74d",
    "tagging": "tune-44f6868c4033d3a2",
    "tagging/scratch": "control-33e7ca137281c60c",
    "replies": "tune-1a63b6e2dd65693b",
    "replies/scratch": "control-b3e9b396e44637e6",
    "adapted-replies": "tune-799428bc53d912f8",
    "adapted-replies/scratch": "control-b3e9b396e44637e6",
}


def test_a_value_equal_to_its_default_is_no_part_of_the_key() -> None:
    assert Full(epochs=10).canonical() == Full().canonical() == {"method": "full", "version": TRAINED}
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

"""Laws of the methods of parameter transfer: what each must leave alone, what it is equal to, and where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.kinds import QUICK, build, score
from transfer.errors import InputError
from transfer.evaluation.predictions import read_predictions
from transfer.methods import TUNING
from transfer.parameter.tuning import depth_groups
from transfer.reading import Reading, load_tokenizer
from transfer.stage import Work
from transfer.targets import TARGETS, target_of
from transfer.weights import read_tensors

Base = Callable[[str], Path]


def method(name: str, **changes: Any) -> Any:
    known = TUNING[name].model_fields
    return TUNING[name].model_validate({k: v for k, v in {**QUICK, **changes}.items() if k in known})


def setting(kinds, base: Path, tmp_path: Path, stage: Any, seed: int = 0) -> tuple[Any, Any, Any, Any, Work]:
    """(target, shaped model, training examples, learner, work) of a method before its first step."""
    from tests.kinds import CPU

    data = kinds["single-label"]
    work = Work(data, seed, tmp_path / "out", tmp_path / "state", CPU, lambda _: None, base, "t", (base,))
    target = target_of(data["train"])
    model = stage.load(target, work, True)
    tokenizer = stage.prepare(load_tokenizer(base, stage.reading()))
    train, validation = (target.examples(data[s], tokenizer, stage.reading()) for s in ("train", "validation"))
    shaped = stage.shape(model, target, train, validation)
    return target, shaped, train, stage.learner(target, shaped, train, validation, work), work


def logits_of(kinds, base: Path, tmp_path: Path, stage: Any) -> torch.Tensor:
    _, _, train, learner, _ = setting(kinds, base, tmp_path, stage)
    learner.model.eval()
    with torch.no_grad():
        return learner.model(**train.batch(range(8))).logits


@pytest.mark.parametrize("name", ["lora", "adapter"])
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "distilbert"])
def test_at_step_zero_it_equals_its_parent(name: str, family: str, kinds, bases: Base, tmp_path: Path) -> None:
    pooling = "mean" if family == "bert" else "first"
    parent = logits_of(kinds, bases(family), tmp_path, method("full", pooling=pooling))
    fresh = logits_of(kinds, bases(family), tmp_path, method(name, pooling=pooling))
    torch.testing.assert_close(fresh, parent, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["lora", "adapter"])
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_merged_it_predicts_as_unmerged(name: str, family: str, kinds, bases: Base, tmp_path: Path) -> None:
    """Move what learns by hand, then merge: the plain model that is left must say the same."""
    stage = method(name, pooling="mean" if family == "bert" else "first")
    target, model, train, _, _ = setting(kinds, bases(family), tmp_path, stage)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.eval()
    before = target.answer(model, train)
    plain = stage.finish(model)
    np.testing.assert_allclose(target.answer(plain, train), before, rtol=1e-3, atol=1e-5)
    plain.save_pretrained(tmp_path / "plain")
    train.tokenizer.save_pretrained(tmp_path / "plain")
    again = TARGETS["single-label"]().open(tmp_path / "plain")
    assert not any("lora" in name or "parametrizations" in name for name, _ in again.named_parameters())
    np.testing.assert_allclose(target.answer(again, train), before, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["lora", "adapter", "prompt", "prefix", "progressive"])
def test_the_sources_own_weights_do_not_learn(name: str, kinds, tiny: Path, tmp_path: Path) -> None:
    """Train, and compare what came from the parent, tensor by tensor (merged: that something did move)."""
    stage = method(name, epochs=2, patience=2)
    _, _, _, learner, work = setting(kinds, tiny, tmp_path, stage)
    work.state.mkdir(exist_ok=True)
    frozen = {n: p.detach().clone() for n, p in learner.model.named_parameters() if not p.requires_grad}
    moving = {n: p.detach().clone() for n, p in learner.model.named_parameters() if p.requires_grad}
    assert len(frozen) > 20
    assert sum(p.numel() for p in moving.values()) < sum(p.numel() for p in frozen.values()) or name == "progressive"
    stage._train(learner, work)
    now = dict(learner.model.named_parameters())
    assert all(torch.equal(now[n], value) for n, value in frozen.items())
    assert any(not torch.equal(now[n], value) for n, value in moving.items())


def test_with_every_layer_frozen_the_encoder_does_not_change(kinds, tiny: Path, tmp_path: Path) -> None:
    out, _ = build(method("freeze", lowest=99), kinds["single-label"], tmp_path / "t", tiny)
    before = method("full").load(target_of(kinds["single-label"]["train"]), _work(kinds, tiny, tmp_path), True)
    after = read_tensors(out)
    moved = {name for name, tensor in before.state_dict().items() if not torch.equal(tensor, after[name])}
    assert moved
    assert all(name.startswith(("classifier.", "bert.pooler.")) for name in moved)


def test_the_lowest_layers_stand_still_and_the_others_do_not(kinds, tiny: Path, tmp_path: Path) -> None:
    out, _ = build(method("freeze", lowest=1), kinds["single-label"], tmp_path / "t", tiny)
    before, after = read_tensors(tiny), read_tensors(out)
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, after["bert." + name])}
    assert not any(name.startswith(("embeddings.", "encoder.layer.0.")) for name in moved)
    assert any(name.startswith("encoder.layer.1.") for name in moved)


def test_freezing_everything_that_could_learn_is_refused(kinds, bases: Base, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="everything is frozen"):
        build(method("freeze", lowest=99, pooling="first"), kinds["generation"], tmp_path / "t", bases("gpt2"))


def test_depths_are_ordered_and_hold_every_parameter_of_the_encoder_once(bases: Base, kinds) -> None:
    target = target_of(kinds["single-label"]["train"])
    for family, layers in {
        "bert": 2,
        "distilbert": 2,
        "gpt2": 2,
        "llama": 2,
        "modernbert": 2,
        "t5": 4,
        "xlnet": 2,
    }.items():
        model = target.load(bases(family), "first", 0)
        groups = depth_groups(model)
        assert len(groups) == 1 + layers, family
        ids = [id(p) for group in groups for p in group]
        assert len(ids) == len(set(ids))
        assert id(model.get_input_embeddings().weight) in {id(p) for p in groups[0]}


def test_layers_thaw_from_the_top_and_all_in_the_end(kinds, tiny: Path, tmp_path: Path) -> None:
    _, _, _, learner, _ = setting(kinds, tiny, tmp_path, method("gradual", epochs=4))

    def learning() -> list[bool]:
        return [all(p.requires_grad for p in group) for group in learner.depths]

    seen = []
    for step in (0, 10, 20, 30):
        learner.before_step(step, 40)
        seen.append(learning())
    assert seen == [[False] * 3, [False, False, True], [False, True, True], [True] * 3]
    learner.before_step(0, 40)
    assert learning() == [False] * 3  # depends on its arguments alone


def test_a_decay_of_one_is_a_single_rate(kinds, tiny: Path, tmp_path: Path) -> None:
    plain, _ = build(method("full"), kinds["single-label"], tmp_path / "a", tiny)
    same = method("discriminative", decay=1.0, schedule={**QUICK["schedule"], "shape": "linear"})
    layered, _ = build(same, kinds["single-label"], tmp_path / "b", tiny)
    one, two = read_tensors(plain), read_tensors(layered)
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=1e-5, msg=name)


def test_rates_fall_by_the_decay_from_layer_to_layer(kinds, tiny: Path, tmp_path: Path) -> None:
    _, _, _, learner, _ = setting(kinds, tiny, tmp_path, method("discriminative", decay=0.5))
    rates = [group["lr"] for group in learner.groups(1.0)]
    assert rates[:3] == [0.25, 0.5, 1.0]
    assert rates[3] == learner.method.head_rate


def test_the_slanted_triangle_rises_falls_and_ends_at_a_32nd() -> None:
    from transfer.training import Schedule

    factors = [Schedule(shape="slanted", warmup=0.1).factor(step, 100) for step in range(101)]
    assert max(factors) == factors[9] == 1.0
    assert factors[100] == pytest.approx(1 / 32)
    assert factors[:10] == sorted(factors[:10])


def test_no_pull_is_full_fine_tuning_and_a_huge_one_leaves_the_encoder_where_it_was(
    kinds, tiny: Path, tmp_path
) -> None:
    full, _ = build(method("full"), kinds["single-label"], tmp_path / "full", tiny)
    free, _ = build(method("l2-sp", pull=0.0), kinds["single-label"], tmp_path / "free", tiny)
    tied, _ = build(method("l2-sp", pull=1e9), kinds["single-label"], tmp_path / "tied", tiny)
    one, two, three, parent = (read_tensors(folder) for folder in (full, free, tied, tiny))
    assert all(torch.equal(one[name], two[name]) for name in one)
    encoder = [name for name in parent if name.startswith(("embeddings.", "encoder."))]
    assert all(torch.equal(three["bert." + name], parent[name]) for name in encoder)
    assert not torch.equal(three["classifier.weight"], one["classifier.weight"])


def test_the_first_phase_of_lp_ft_is_the_probe(kinds, tiny: Path, tmp_path: Path) -> None:
    probe, _ = build(method("probe"), kinds["single-label"], tmp_path / "probe", tiny)
    _, model, _, _, _ = setting(kinds, tiny, tmp_path, method("lp-ft"))
    torch.testing.assert_close(model.state_dict()["classifier.weight"], read_tensors(probe)["classifier.weight"])
    torch.testing.assert_close(model.state_dict()["classifier.bias"], read_tensors(probe)["classifier.bias"])


def test_lp_ft_of_numbers_starts_at_the_probes_answers(kinds, tiny: Path, tmp_path: Path) -> None:
    stage = method("lp-ft", epochs=1, patience=1, schedule={"rate": 1e-12}, head_rate=1e-12)
    probe, _ = build(method("probe"), kinds["regression"], tmp_path / "probe", tiny)
    tuned, _ = build(stage, kinds["regression"], tmp_path / "tuned", tiny)
    test = kinds["regression"]["test"]
    for folder in (probe, tuned):
        score(folder, test, "pearson", tmp_path / f"said-{folder.parent.name}")
    one, two = (read_predictions(tmp_path / f"said-{name}").answers for name in ("probe", "tuned"))
    np.testing.assert_allclose(one, two, rtol=1e-2, atol=0.3)


def test_prompts_stand_before_every_text_and_only_their_rows_move(kinds, tiny: Path, tmp_path: Path) -> None:
    out, _ = build(method("prompt", tokens=3, schedule={"rate": 0.05}), kinds["single-label"], tmp_path / "t", tiny)
    tokenizer = load_tokenizer(out)
    plain = load_tokenizer(tiny)
    ids = tokenizer("the film")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids[:3]) == ["[PROMPT0]", "[PROMPT1]", "[PROMPT2]"]
    assert ids[3:] == plain("the film")["input_ids"]
    pair = tokenizer("the film", "was dull")["input_ids"]
    assert pair[3:] == plain("the film", "was dull")["input_ids"]
    name = "bert.embeddings.word_embeddings.weight"
    before, after = read_tensors(tiny)["embeddings.word_embeddings.weight"], read_tensors(out)[name]
    assert torch.equal(after[: len(before)], before)
    assert len(after) == len(before) + 3


def test_a_prefix_is_saved_apart_and_comes_back(kinds, tiny: Path, tmp_path: Path) -> None:
    stage = method("prefix", tokens=4, epochs=2, schedule={"rate": 0.05})
    out, figures = build(stage, kinds["single-label"], tmp_path / "t", tiny)
    assert (out / "prefix.safetensors").exists()
    target = TARGETS["single-label"]()
    model = target.open(out)
    examples = target.examples(kinds["single-label"]["validation"], load_tokenizer(out), Reading(24))
    assert target.measure(model, examples)["accuracy"] == pytest.approx(figures["validation_accuracy"])
    bare = read_tensors(out)
    assert torch.equal(
        bare["bert.encoder.layer.0.output.dense.weight"], read_tensors(tiny)["encoder.layer.0.output.dense.weight"]
    )
    (out / "prefix.json").unlink()
    without = TARGETS["single-label"]().open(out)
    assert not np.allclose(target.answer(model, examples), target.answer(without, examples), atol=1e-4)


def test_the_source_column_reaches_the_new_one_and_stays_as_it_was(kinds, tiny: Path, tmp_path: Path) -> None:
    stage = method("progressive", epochs=8, patience=8, schedule={"batch_size": 16, "rate": 5e-3})
    out, _ = build(stage, kinds["single-label"], tmp_path / "t", tiny)
    after, before = read_tensors(out), read_tensors(tiny)
    assert all(torch.equal(after["source." + name], tensor) for name, tensor in before.items())
    model = TARGETS["single-label"]().open(out)
    batch = dict(load_tokenizer(out)(["the lovely film"], return_tensors="pt"))
    said = model(**batch).logits
    with torch.no_grad():
        for lateral in model.laterals[1:]:
            lateral[2].weight.zero_()
    assert not torch.allclose(model(**batch).logits, said)


def test_a_student_of_its_own_size_agrees_with_its_teacher(kinds, tiny: Path, tmp_path: Path) -> None:
    data = kinds["single-label"]
    teacher, _ = build(method("full", epochs=8, patience=8), data, tmp_path / "teacher", tiny)
    alike = method("distill", layers=None, of_teacher=1.0, epochs=16, patience=16)
    student, _ = build(alike, data, tmp_path / "student", tiny, teacher, seed=5)
    for folder in (teacher, student):
        score(folder, data["test"], "accuracy", tmp_path / f"said-{folder.parent.name}")
    one, two = (read_predictions(tmp_path / f"said-{name}") for name in ("teacher", "student"))
    assert (one.predicted == two.predicted).mean() > 0.95


def test_a_shorter_student_has_fewer_layers_and_the_parents_weights_in_them(tiny: Path, bases: Base, tmp_path) -> None:
    from transfer.parameter.distill import shortened

    for family in ("bert", "gpt2", "modernbert", "distilbert"):
        short = shortened(bases(family), 1, tmp_path / family)
        assert sum(t.numel() for t in read_tensors(short).values()) < sum(
            t.numel() for t in read_tensors(bases(family)).values()
        )
    parent, student = read_tensors(tiny), read_tensors(shortened(tiny, 1, tmp_path / "own"))
    name = "encoder.layer.{}.output.dense.weight"
    assert any(torch.equal(student[name.format(0)], parent[name.format(i)]) for i in range(2))
    with pytest.raises(InputError, match="more than the parent's 2"):
        shortened(tiny, 3, tmp_path / "none")


def test_restarts_keep_the_best_of_several(kinds, tiny: Path, tmp_path: Path) -> None:
    stage = method("full", epochs=1, patience=1)
    apart = [build(stage, kinds["single-label"], tmp_path / f"s{s}", tiny, seed=s)[1]["score"] for s in (0, 10_000)]
    both = method("full", epochs=1, patience=1, restarts=2)
    _, figures = build(both, kinds["single-label"], tmp_path / "both", tiny)
    assert figures["score"] == pytest.approx(max(apart))


def _work(kinds, base: Path, tmp_path: Path) -> Work:
    from tests.kinds import CPU

    return Work(kinds["single-label"], 0, tmp_path, tmp_path, CPU, lambda _: None, base, "t", (base,))

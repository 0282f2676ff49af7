"""Laws of hard and soft sharing, cross-stitch networks, auxiliary losses and intermediate tasks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.kinds import CPU, build, score
from tests.methods.parameter.laws import method
from transferline.core.errors import InputError
from transferline.core.stage import Work
from transferline.models.weights import load_model, read_tensors
from transferline.recipes.registry import ADAPTING
from transferline.targets import target_of

OTHERS = ("regression", "multi-label", "tokens")


@pytest.fixture(scope="module")
def data(kinds) -> dict[str, Path]:
    """A single-label target beside targets of every other kind, under their kinds' names."""
    source_rows = {
        f"{kind}/{split}": kinds[kind][split] for kind in (*OTHERS, "single-label") for split in ("train", "validation")
    }
    return {**kinds["single-label"], **source_rows}


def same(one: Path, two: Path) -> bool:
    left, right = read_tensors(one), read_tensors(two)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("name", ["hard-sharing", "soft-sharing"])
def test_one_task_is_plain_tuning(name: str, data, tiny: Path, tmp_path: Path) -> None:
    alone, _ = build(method(name), data, tmp_path / "one", tiny)
    plain, _ = build(method("full"), data, tmp_path / "full", tiny)
    assert same(alone, plain)


@pytest.mark.parametrize("name", ["hard-sharing", "soft-sharing", "cross-stitch", "auxiliary"])
def test_without_its_sources_it_is_full_fine_tuning(name: str) -> None:
    more = {} if name == "auxiliary" else {"source_tasks": ["regression"]}
    assert method(name, **more).alone() == method("full")


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty", "gradnorm", "surgery"])
def test_tasks_of_every_kind_are_learnt_beside_a_target(weighting: str, data, tiny: Path, tmp_path: Path) -> None:
    stage = method("hard-sharing", source_tasks=OTHERS, weighting={"method": weighting}, epochs=10, patience=10)
    out, _ = build(stage, data, tmp_path / "t", tiny)
    assert score(out, data["test"], "accuracy", tmp_path / "p") > 0.8


def test_all_tasks_move_one_encoder(data, tiny: Path, tmp_path: Path) -> None:
    """With the target's own loss out of the way the encoder still moves: the other task moves it."""
    stage = method("hard-sharing", source_tasks=["regression"])
    work = Work(data, 0, tmp_path, tmp_path, CPU, lambda _: None, tiny, "t", (tiny,))
    learner = learner_of(stage, work)
    own, other = (part.model for part in learner.parts)
    shared = {id(p) for p in own.base_model.parameters()} & {id(p) for p in other.base_model.parameters()}
    assert len(shared) == len(list(own.base_model.parameters()))
    assert not {id(p) for p in own.classifier.parameters()} & {id(p) for p in other.classifier.parameters()}
    soft = learner_of(method("soft-sharing", source_tasks=["regression"]), work)
    own, other = (part.model for part in soft.parts)
    assert not {id(p) for p in own.parameters()} & {id(p) for p in other.parameters()}


def learner_of(stage, work: Work):
    from transferline.methods.parameter.tuning import open_tokenizer

    target = target_of(work.data["train"])
    model = stage.load(target, work, True)
    tokenizer = open_tokenizer(target, work.needs_parent(), stage.reading())
    train, validation = (target.examples(work.data[s], tokenizer, stage.reading()) for s in ("train", "validation"))
    return stage.learner(target, model, train, validation, work)


def test_temperature_decides_how_much_of_a_task_is_drawn(kinds, data, tiny: Path, tmp_path: Path) -> None:
    from transferline.data.prepared_files import read_jsonl, write_jsonl

    rows = read_jsonl(kinds["regression"]["train"])
    write_jsonl(tmp_path / "many.jsonl", [{**row, "id": f"{i}"} for i in range(4) for row in rows])
    many = {**data, "regression/train": tmp_path / "many.jsonl"}
    work = Work(many, 0, tmp_path, tmp_path, CPU, lambda _: None, tiny, "t", (tiny,))
    counts = {}
    for temperature in (1.0, 2.0, 1e6):
        learner = learner_of(method("hard-sharing", source_tasks=["regression"], temperature=temperature), work)
        drawn = []
        for step in range(40):
            learner.before_step(step, 40)
            drawn += learner.drawn[0]
        counts[temperature] = len(drawn)
        assert max(drawn.count(i) for i in set(drawn)) - min(drawn.count(i) for i in set(drawn)) <= 1
    ratio = 4 * len(rows) / len(read_jsonl(data["train"]))
    assert counts[1.0] == pytest.approx(40 * 16 * ratio, rel=0.01)
    assert counts[2.0] == pytest.approx(40 * 16 * ratio**0.5, rel=0.01)
    assert counts[1e6] == pytest.approx(40 * 16, rel=0.01)


def test_no_pull_leaves_a_task_alone_and_a_huge_one_makes_the_encoders_one(data, tiny: Path, tmp_path: Path) -> None:
    free, _ = build(method("soft-sharing", source_tasks=["regression"], pull=0.0), data, tmp_path / "free", tiny)
    plain, _ = build(method("full"), data, tmp_path / "full", tiny)
    left, right = read_tensors(free), read_tensors(plain)
    # the other task's gradients count in the norm that is clipped, so equal up to that
    assert all(torch.allclose(left[name], right[name], atol=0.1) for name in left)
    learner = learner_of(
        method("soft-sharing", source_tasks=["regression"], pull=1e9),
        Work(data, 0, tmp_path, tmp_path, CPU, lambda _: None, tiny, "t", (tiny,)),
    )
    own, other = (part.model.base_model for part in learner.parts)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    learner.after_step(1e-3)
    assert all(
        torch.allclose(a, b)
        for a, b in zip(own.encoder.parameters(), other.encoder.parameters(), strict=True)
        if a.requires_grad
    )


class TestCrossStitch:
    def test_at_identity_the_columns_are_strangers(self, data, tiny: Path, tmp_path: Path) -> None:
        """Logits are those of the target's own column and head, whatever the other column holds."""
        stage = method("cross-stitch", source_tasks=["regression"], kept=1.0)
        work = Work(data, 0, tmp_path, tmp_path, CPU, lambda _: None, tiny, "t", (tiny,))
        target = target_of(data["train"])
        model = stage.load(target, work, True).eval()
        alone, _ = load_model("AutoModel", tiny, 0)
        alone.eval()
        from transferline.models.networks.pooling import mean_of_tokens
        from transferline.models.tokenization import load_tokenizer

        examples = target.examples(data["train"], load_tokenizer(tiny, stage.reading()), stage.reading())
        batch = examples.batch(range(8))
        with torch.no_grad():
            for parameter in model.columns[1].parameters():
                parameter.add_(0.5)
            said = model(**batch).logits
            wanted = model.classifier(mean_of_tokens(alone(**batch).last_hidden_state, batch["attention_mask"]))
            assert torch.allclose(said, wanted, atol=1e-5)
            model.stitches[:, 0, 1] = 0.2
            assert not torch.allclose(model(**batch).logits, wanted, atol=1e-3)

    def test_two_columns_learn_a_target_and_stitch(self, data, tiny: Path, tmp_path: Path) -> None:
        out, _ = build(method("cross-stitch", source_tasks=["regression", "multi-label"]), data, tmp_path / "t", tiny)
        assert score(out, data["test"], "accuracy", tmp_path / "p") > 0.8
        stitches = read_tensors(out)["stitches"]
        assert stitches.shape == (2, 3, 3)
        assert not torch.allclose(stitches[0].diagonal(), torch.full((3,), 0.9))

    def test_what_cannot_be_stitched_is_refused(self, data, tiny: Path, bases, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="labels of whole texts only"):
            build(method("cross-stitch", source_tasks=["tokens"]), data, tmp_path / "a", tiny)
        with pytest.raises(InputError, match="no layers to stitch"):
            build(method("cross-stitch", source_tasks=["regression"]), data, tmp_path / "b", bases("distilbert"))


class TestAuxiliary:
    def test_no_weight_is_plain_tuning_but_for_the_clipping(self, data, tiny: Path, tmp_path: Path) -> None:
        off, _ = build(method("auxiliary", weight=0.0, block=16), data, tmp_path / "off", tiny)
        plain, _ = build(method("full"), data, tmp_path / "full", tiny)
        assert same(off, plain)

    @pytest.mark.parametrize(("family", "text"), [("bert", "task"), ("bert", "corpus"), ("gpt2", "task")])
    def test_the_encoder_reads_on_while_it_learns(self, family: str, text: str, data, bases, tmp_path: Path) -> None:
        pooling = {"pooling": "first"} if family == "gpt2" else {}
        stage = method("auxiliary", block=16, text=text, **pooling)
        assert ("corpus" in stage.roles()) == (text == "corpus")
        out, _ = build(stage, data, tmp_path / "t", bases(family))
        assert score(out, data["test"], "accuracy", tmp_path / "p") > 0.7


class TestIntermediate:
    def test_a_base_comes_out_that_has_learnt_the_source(self, data, tiny: Path, tmp_path: Path) -> None:
        """Frozen features of the new base know the source's labels, and those of the old one do not know them as well."""
        stage = ADAPTING["intermediate"].model_validate(
            {
                "source_task": "single-label",
                "tune": {"epochs": 4, "max_tokens": 24, "schedule": {"learning_rate": 3e-3}},
            }
        )
        assert stage.source_task_names() == ("single-label",)
        out, figures = build(stage, data, tmp_path / "t", tiny)
        assert figures["source_validation_accuracy"] > 0.8
        assert read_tensors(out).keys() >= {f"bert.{name}" for name in read_tensors(tiny)}
        scores = []
        for name, base in (("old", tiny), ("new", out)):
            probe, _ = build(method("probe", Cs=[0.01]), data, tmp_path / name, base)
            scores.append(score(probe, data["test"], "accuracy", tmp_path / f"{name} p"))
        assert scores[1] > 0.9
        assert scores[1] >= scores[0]

    def test_several_follow_one_another(self, data, tiny: Path, tmp_path: Path) -> None:
        base = tiny
        for kind in OTHERS:
            quick = {"epochs": 1, "max_tokens": 24}
            stage = ADAPTING["intermediate"].model_validate({"source_task": kind, "tune": quick})
            base, _ = build(stage, data, tmp_path / kind, base)
        out, _ = build(method("full"), data, tmp_path / "t", base)
        assert score(out, data["test"], "accuracy", tmp_path / "p") > 0.8

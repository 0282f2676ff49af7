"""Planning a line: wrong names are refused at once, and what exists is known without computing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.project import declare
from tests.tasks.support.test_commit_marks import written
from transferline.core.checkpoint import RECORD, publish
from transferline.core.errors import InputError
from transferline.core.problem import Setting
from transferline.data.prepared_files import write_jsonl
from transferline.flows.support.planning import family_known, open_line, resolved_base, reusable, settings_of
from transferline.methods.parameter import Probe
from transferline.recipes.chain import Chain, Pin, Step
from transferline.recipes.params import load_params
from transferline.tasks.support import comparison_decision


def base_folder(root: Path, family: str = "bert", content: str = "weights") -> None:
    (root / "tiny").mkdir(exist_ok=True)
    (root / "tiny" / "config.json").write_text(json.dumps({"model_type": family}))
    (root / "tiny" / "tokenizer.json").write_text("{}")
    save_file({content: np.zeros(1)}, root / "tiny" / "model.safetensors")


def pins(root: Path, *roles: str) -> dict[str, Pin]:
    made = {}
    for role in roles:
        path = root / f"{role.replace('/', '-')}.jsonl"
        write_jsonl(path, ({"id": str(i), "text": f"text {i}", "label": "ab"[i % 2]} for i in range(8)))
        made[role] = Pin(path, f"md5-of-{role}")
    return made


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("nothing", None, None, "auto", "auto"), r"target 'nothing': not declared.*\['reviews'\]"),
        (("reviews", "nothing", None, "auto", "auto"), "recipe 'nothing': not declared"),
        (("reviews", None, 2, "auto", "auto"), "seeds: 2 are too few for a verdict"),
    ],
)
def test_wrong_names_are_refused(words: Any, what: str, bare: Path) -> None:
    with pytest.raises(InputError, match=what):
        open_line(*words)


def test_left_out_recipe_and_seeds_are_the_targets(bare: Path) -> None:
    line = open_line("reviews", None, None, "cpu", "fp32")
    assert (line.recipe, line.seeds) == (line.spec.recipe, line.spec.seeds)
    asked = open_line("reviews", "full", 5, "cpu", "fp32")
    assert (asked.recipe, asked.seeds, asked.runtime.device) == ("full", 5, "cpu")
    assert asked.source_tasks() == ()


def test_a_line_plans_the_declared_chain_on_the_content_of_the_base(bare: Path) -> None:
    base_folder(bare)
    data = pins(bare, "train", "validation", "test", "corpus")
    line = open_line("reviews", "full", 3, "cpu", "fp32")
    chain = line.plan(data)
    assert (chain.target, chain.recipe) == ("reviews", "full")
    assert len(chain.roles["challenger"]) == 3
    assert [step.key for step in line.plan(data)] == [step.key for step in chain]
    base_folder(bare, content="other weights")
    assert line.plan(data).steps[0].key == chain.steps[0].key, "a line resolves each name once"
    assert open_line("reviews", "full", 3, "cpu", "fp32").plan(data).steps[0].key != chain.steps[0].key


def test_a_recipe_that_the_family_cannot_do_is_refused_before_anything_is_built(bare: Path) -> None:
    base_folder(bare, family="gpt2")
    with pytest.raises(InputError, match="masked"):
        open_line("reviews", "masked", 3, "cpu", "fp32").plan(pins(bare, "train", "validation", "test", "corpus"))


def test_the_family_of_a_folder_is_known_before_it_is_collected(bare: Path) -> None:
    base_folder(bare, family="gpt2")
    family = family_known(resolved_base(load_params(bare / "params.yaml"), "tiny"))
    assert family is not None
    assert family.name == "gpt2"


def test_auto_takes_the_recipe_of_the_last_decision(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base_folder(bare)
    data = pins(bare, "train", "validation", "test", "corpus")
    params = load_params(bare / "params.yaml")
    decision = {
        "target": "reviews",
        "comparison": "default",
        "created": "today",
        "headline": "",
        "ship": "probe",
        "recipe": params.recipe("probe").model_dump(mode="json"),
        "data": {role: pin.md5 for role, pin in data.items()},
        "base": {"name": "tiny", "key": Step("base", resolved_base(params, "tiny")).key},
        "run": "run-7",
    }
    monkeypatch.setattr(comparison_decision, "last_decision", lambda _: decision)
    line = open_line("reviews", "auto", None, "cpu", "fp32").settled(data)
    assert (line.recipe, line.declared) == ("probe", params.recipe("probe"))
    declared = open_line("reviews", "full", None, "cpu", "fp32")
    assert declared.settled(data) is declared
    base_folder(bare, content="other weights")
    with pytest.raises(InputError, match="base 'tiny' is another one now"):
        open_line("reviews", "auto", None, "cpu", "fp32").settled(data)


def test_only_whole_checkpoints_with_a_record_are_reusable(bare: Path) -> None:
    steps = tuple(Step("tune", Probe(), (), (), seed, "challenger") for seed in range(4))
    for step in steps[:3]:
        scratch = bare / "scratch"
        scratch.mkdir()
        (scratch / "weights").write_text("x")
        publish(scratch, bare / "store" / step.key, {"summary": {}})
        written(bare / "store" / step.key / RECORD)
    (bare / "store" / steps[1].key / RECORD).unlink()
    (bare / "store" / steps[2].key / "weights").write_text("altered")
    chain = Chain("reviews", "full", Setting.UNKNOWN, steps)
    assert list(reusable(chain).values()) == [True, False, False, False]


def test_the_setting_of_a_source_is_the_declared_one_or_follows_from_the_data(bare: Path) -> None:
    common = {"domain": "cinema", "data": "reviews.csv"}
    pair = {"source": "theatre/plays", "target": "cinema/reviews"}
    targets = {"reviews": common, "plays": {**common, "domain": "theatre"}}
    domains = {name: {"data": "corpus.txt"} for name in ("cinema", "theatre")}
    data = pins(bare, "train", "plays/train")
    declare(bare, targets=targets, domains=domains, pairs={"one": pair})
    found = settings_of(load_params(bare / "params.yaml"), "reviews", data, ["plays"])
    assert found == {"plays": Setting.DOMAIN_ADAPTATION}  # the same labels, another domain
    declare(bare, targets=targets, domains=domains, pairs={"one": {**pair, "setting": "inductive"}})
    found = settings_of(load_params(bare / "params.yaml"), "reviews", data, ["plays"])
    assert found == {"plays": Setting.INDUCTIVE}
    assert settings_of(load_params(bare / "params.yaml"), "reviews", data, []) == {}

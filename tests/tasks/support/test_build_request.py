"""Build requests survive the conversion to JSON and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.project import SOURCE
from transferline.core.problem import Setting
from transferline.core.runtime import Runtime
from transferline.recipes.chain import Chain, Pin, plan
from transferline.recipes.comparison import from_source_tasks
from transferline.recipes.params import load_params
from transferline.tasks.support.build_request import Request

PARAMS = load_params(SOURCE / "params.yaml")
RECIPES = from_source_tasks(PARAMS.recipes, ["tweet-tone"])


def chain_of(recipe: str) -> Chain:
    spec = PARAMS.target("film-sentiment")
    roles = ("train", "validation", "test", "corpus", "tweet-tone/train", "tweet-tone/validation")
    data = {role: Pin(Path(f"{role}.jsonl"), f"md5-of-{role}") for role in roles}
    declared, settings = RECIPES[recipe], {"tweet-tone": Setting.DOMAIN_ADAPTATION}
    return plan("film-sentiment", spec, recipe, declared, PARAMS.base(declared.base), data, settings=settings)


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_every_step_of_every_recipe_survives_the_way_through_json(recipe: str) -> None:
    for step in chain_of(recipe):
        request = Request(step, {"train": Path("a.jsonl")}, Runtime(), "run", "7", {"commit": "c"})
        again = Request.from_json(json.loads(json.dumps(request.to_json())))
        assert again == request
        assert again.key == request.key

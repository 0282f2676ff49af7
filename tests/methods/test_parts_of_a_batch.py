"""A batch whole equals the batch in parts, for every method that trains and every kind of target.

Micro-batches and shares of processes are not part of a key, so one key would otherwise stand for two models.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.bases import write_tiny
from tests.kinds import SPECS, build, make_kinds
from tests.tournament.test_flops import BASES, METHODS, short
from transferline.core.errors import InputError
from transferline.core.problem import Ability, TargetKind
from transferline.core.stage import Stage
from transferline.methods.multitask import reptile
from transferline.methods.objectives import objective
from transferline.methods.objectives.objective import Objective
from transferline.methods.parameter import tuning
from transferline.models.families import Family
from transferline.training.gradients import open_accelerator

SIZE = 8  # examples in a batch
WORDS = (10, 1, 9, 2)


class Seen(Exception):
    """Stops a stage at its first training run, with the learner."""

    def __init__(self, learner: Any, runtime: Any) -> None:
        self.learner, self.runtime = learner, runtime


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """Prepared splits of every kind, with texts of 10, 1, 9 and 2 words and targets of 1 to 4 words."""
    made = make_kinds(tmp_path_factory.mktemp("kinds"))
    for roles in made.values():
        for role in ("train", "validation"):
            shorten(roles[role])
        roles |= {f"source/{role}": roles[role] for role in ("train", "validation")}
    return made


def shorten(path: Path) -> None:
    rng, rows = random.Random(0), [json.loads(line) for line in path.open()]
    for i, row in enumerate(rows):
        words = (row["text"].split() * 10)[: WORDS[i % len(WORDS)]]
        row["text"] = " ".join(words)
        if "words" in row:
            tags = dict(zip(row["words"], row["label"], strict=True))
            row["words"], row["label"] = words, [tags[word] for word in words]
        if "target" in row:
            row["target"] = " ".join(["very lovely film"] * rng.choice([1, 1, 4]))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def base_for(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Ability | None, TargetKind], Path | None]:
    root = tmp_path_factory.mktemp("bases")

    def get(ability: Ability | None, kind: TargetKind) -> Path | None:
        wanted: list[Ability] = [ability] if ability else []
        wanted += ["generate"] if kind == "generation" else ["tag"] if kind == "tokens" else []
        family = next((name for name in BASES if all(Family(name).can(one) for one in wanted)), None)
        if family is None:
            return None
        if not (root / family).exists():
            write_tiny(family, root / family, more=BASES[family])
        return root / family

    return get


def learner_of(stage: Stage, data: dict[str, Path], base: Path, folder: Path) -> Seen | None:
    """The learner of a stage's first training run, or None if it does not train with the loop."""
    parents = [base]
    with pytest.MonkeyPatch.context() as patch:
        for name, helper in stage.helpers().items():
            parents.append(build(helper, data, folder / name, base)[0])

        def stop(learner: Any, *_: Any, runtime: Any, **__: Any) -> None:
            raise Seen(learner, runtime)

        for module in (tuning, objective, reptile):
            patch.setattr(module, "train", stop)
        try:
            build(stage, data, folder / "built", *parents)
        except Seen as seen:
            return seen
    return None


def gradients(seen: Seen, micro: int | None) -> tuple[float, torch.Tensor]:
    """Loss and gradients of the first batch, without dropout."""
    seen.learner.model.eval()
    seen.learner.model.zero_grad()
    seen.learner.before_step(0, 10)
    indices = list(range(min(SIZE, len(seen.learner.lengths))))
    loss = seen.learner.accumulate_gradients(open_accelerator(seen.runtime), indices, 0, micro)
    parts = [p.grad.flatten() for p in seen.learner.model.parameters() if p.grad is not None]
    return float(loss), torch.cat(parts).clone()


CASES = [
    (name, kind)
    for name, method in METHODS.items()
    for kind in (["single-label"] if issubclass(method, Objective) else SPECS)
    if method.long and method.ability != "rows" and kind in (*method.tasks, "pairs")
]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_gradient_of_a_batch_is_that_of_its_parts(
    name: str, kind: TargetKind, data, base_for, tmp_path: Path
) -> None:
    method = METHODS[name]
    base = base_for(method.ability, kind)
    if base is None:
        pytest.skip("no family of the tests has all abilities")
    try:
        seen = learner_of(short(method), data[kind], base, tmp_path)
    except InputError as refused:  # as a method may refuse a kind of target
        pytest.skip(str(refused))
    assert seen is not None, "it does not train with the loop"
    loss, whole = gradients(seen, None)
    assert float(whole.norm()) > 0
    for micro in (1, 3):
        other, parts = gradients(seen, micro)
        assert other == pytest.approx(loss, rel=1e-4)
        assert float((whole - parts).norm() / whole.norm()) < 1e-3

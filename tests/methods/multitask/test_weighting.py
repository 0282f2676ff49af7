"""Laws of loss weighting."""

from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter

from tests.methods.parameter.laws import method
from transferline.core.stage import make_key
from transferline.methods.multitask.weighting import Fixed, GradNorm, Surgery, Uncertainty, Weighting


class Bowls:
    """Tasks that each pull a shared point to a place of their own; `steep` are their steepnesses."""

    def __init__(self, places: list[list[float]], steep: list[float]) -> None:
        self.places, self.steep = torch.tensor(places), steep
        self.point = torch.nn.Parameter(torch.zeros(len(places[0])))

    def task(self, number: int, scale: float | None) -> float:
        loss = self.steep[number] * ((self.point - self.places[number]) ** 2).sum()
        (loss if scale is None else loss * scale).backward()
        return float(loss.detach())

    def learn(self, weighting, kinds: list[str], steps: int = 400) -> dict[str, torch.Tensor]:
        state = weighting.parameters(len(kinds))
        optimizer = torch.optim.SGD([{"params": [self.point]}, *weighting.groups(state)], lr=1e-2)
        for _ in range(steps):
            optimizer.zero_grad()
            weighting.accumulate_gradients(self.task, kinds, state, [self.point], None)
            optimizer.step()
            weighting.settle(state)
        return {name: value.detach() for name, value in state.items()}


TWO = ["single-label", "single-label"]


@pytest.mark.parametrize("weighting", [Uncertainty(method="uncertainty"), GradNorm(method="gradnorm")])
def test_two_equal_tasks_stay_equal(weighting) -> None:
    state = Bowls([[1.0, 1.0], [1.0, 1.0]], [1.0, 1.0]).learn(weighting, TWO, 50)
    first = state.get("log_variance", state.get("weights"))
    assert first is not None
    assert float(first[0]) == pytest.approx(float(first[1]), abs=1e-6)


def test_the_variance_that_is_learnt_is_the_tasks_loss() -> None:
    """At rest exp(-s) L = 1/2, so exp(s) is twice the loss: tasks 1 and 4 apart, which nothing can lessen."""
    bowls = Bowls([[0.0]], [1.0])
    bowls.task = lambda number, scale: [0.5, 2.0][number]  # type: ignore[method-assign]
    state = bowls.learn(Uncertainty(method="uncertainty", learning_rate=0.05), TWO, 3000)
    assert torch.exp(state["log_variance"]).tolist() == pytest.approx([1.0, 4.0], rel=0.01)


def test_gradnorm_gives_the_steeper_task_less_weight() -> None:
    state = Bowls([[1.0, 0.0], [-1.0, 0.0]], [4.0, 1.0]).learn(
        GradNorm(method="gradnorm", learning_rate=0.02), TWO, 200
    )
    assert float(state["weights"].sum()) == pytest.approx(2.0, rel=1e-4)
    assert float(state["weights"][0]) < 0.8 < 1.2 < float(state["weights"][1])


def test_fixed_weights_move_the_compromise() -> None:
    for others, place in ((0.0, 1.0), (1.0, 0.0), (3.0, -0.5)):
        bowls = Bowls([[1.0], [-1.0]], [1.0, 1.0])
        bowls.learn(Fixed(method="fixed", others=others), TWO)
        assert float(bowls.point.detach()[0]) == pytest.approx(place, abs=0.01)


def test_surgery_takes_away_what_contradicts() -> None:
    """Two gradients at 135 degrees: each loses its part against the other (Yu et al. 2020, algorithm 1)."""
    one, two = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0])
    combined = Surgery(method="surgery").combine(torch.stack([one, two]))
    projected = (one - (one @ two) / (two @ two) * two) + (two - (two @ one) / (one @ one) * one)
    assert torch.allclose(combined, projected, atol=1e-5)
    agreeing = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert torch.allclose(Surgery(method="surgery").combine(agreeing), agreeing.sum(dim=0), atol=1e-5)


@pytest.mark.parametrize("name", ["pcgrad", "upgrad", "mgda", "aligned", "dualproj", "mean"])
def test_every_aggregator_leaves_one_gradient_alone(name: str) -> None:
    row = torch.tensor([[3.0, 4.0]])
    combined = Surgery(method="surgery", aggregator=name).combine(row)
    assert float(torch.cosine_similarity(combined, row[0], dim=0)) == pytest.approx(1.0, abs=1e-4)


def test_each_weighting_is_another_model() -> None:
    """A weighting at its defaults must not be taken for another: the key tells them apart."""
    keys = set()
    for name in ("fixed", "uncertainty", "gradnorm", "surgery"):
        TypeAdapter(Weighting).validate_python({"method": name})
        stage = method("hard-sharing", source_tasks=["x"], weighting={"method": name})
        keys.add(make_key("tune", stage.canonical()))
    assert len(keys) == 4

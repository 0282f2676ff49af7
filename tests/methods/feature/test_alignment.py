"""Laws of the alignment losses, and of fine-tuning with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.kinds import build, score
from tests.methods.parameter.laws import method
from transferline.methods.feature.dann import Dann, reversal, reversed_gradient
from transferline.methods.feature.deep_coral import coral_loss
from transferline.methods.feature.mmd import mmd

NAMES = ("deep-coral", "mmd", "dann")


def normal(rows: int, seed: int, move: float = 0.0) -> torch.Tensor:
    return torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed)) + move


class TestDistances:
    @pytest.mark.parametrize("distance", [coral_loss, mmd])
    def test_nothing_lies_between_a_batch_and_itself(self, distance) -> None:
        one = normal(40, 0)
        assert float(distance(one, one)) == pytest.approx(0, abs=1e-6)

    def test_known_covariances(self) -> None:
        """Variances of 1 and of 4 in each of six directions that do not correlate: (6 x 9) / (4 x 36)."""
        one = torch.cat([torch.eye(6), -torch.eye(6)]) * (11 / 2) ** 0.5
        assert float(coral_loss(one, 2 * one)) == pytest.approx(6 * 9 / (4 * 36), rel=1e-5)

    def test_means_are_seen_by_kernels_and_not_by_covariances(self) -> None:
        assert float(mmd(normal(60, 1), normal(60, 2, 3.0))) > 10 * float(mmd(normal(60, 1), normal(60, 2)))
        assert float(coral_loss(normal(60, 1), normal(60, 1, 3.0))) == pytest.approx(0, abs=1e-6)

    def test_a_batch_of_one_has_no_covariance(self) -> None:
        assert float(coral_loss(normal(1, 0), normal(5, 1))) == 0.0


class TestReversal:
    def test_the_gradient_comes_back_reversed_and_the_features_as_they_are(self) -> None:
        features = normal(3, 0).requires_grad_()
        out = reversed_gradient(features, 0.5)
        assert torch.allclose(out, features)
        out.sum().backward()
        assert torch.allclose(features.grad, torch.full_like(features, -0.5))

    def test_it_grows_from_nothing_to_one(self) -> None:
        assert reversal(0.0) == 0.0
        assert reversal(1.0) == pytest.approx(1.0, abs=1e-4)

    def test_a_classifier_is_left_at_chance_where_the_shift_can_be_hidden(self) -> None:
        """Source and target differ in one direction that the labels do not need: it is given up, and the labels are kept."""
        torch.manual_seed(0)
        rng = np.random.default_rng(0)
        y_true = torch.from_numpy(rng.integers(0, 2, 800))
        points = torch.from_numpy(rng.normal(size=(800, 2)).astype(np.float32)) * 0.3
        points[:, 0] += 2.0 * y_true - 1.0
        domain = torch.arange(800) % 2
        points[:, 1] += 2.0 * domain - 1.0
        network, head = torch.nn.Linear(2, 1), torch.nn.Linear(1, 2)
        stage = Dann(source_tasks=("plays",), hidden=16)
        extra = stage.extra(1)
        parameters = [*network.parameters(), *head.parameters(), *extra.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=1e-2)
        for step in range(1500):
            features = network(points)
            loss = torch.nn.functional.cross_entropy(head(features), y_true)
            loss = loss + stage.distance(features[domain == 0], features[domain == 1], extra, step / 1500)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        features = network(points).detach().numpy()
        from transferline.evaluation.drift import proxy_a_distance

        before, _ = proxy_a_distance(points[domain == 0].numpy(), points[domain == 1].numpy())
        after, _ = proxy_a_distance(features[domain == 0], features[domain == 1])
        assert before > 1.9
        assert after < 0.4
        assert (head(network(points)).argmax(dim=1) == y_true).float().mean() > 0.97


class TestFineTuning:
    @pytest.mark.parametrize("name", NAMES)
    def test_a_source_helps_a_target_without_labels(self, name: str, kinds, tiny: Path, tmp_path: Path) -> None:
        """Only the source's labels are learnt from; the target's texts are aligned with."""
        data = {**kinds["single-label"], "plays/train": kinds["single-label"]["train"]}
        stage = method(name, source_tasks=["plays"], target_labels=False, weight=0.1)
        assert stage.alone() == method("full")
        out, _ = build(stage, data, tmp_path / "t", tiny)
        assert score(out, data["test"], "accuracy", tmp_path / "p") > 0.8

    def test_weight_zero_without_source_loss_matters_not_to_the_shape(self, kinds, tiny: Path, tmp_path: Path) -> None:
        """The result is an ordinary model: no domain classifier is saved with it."""
        from transferline.models.weights import read_tensors

        data = {**kinds["single-label"], "plays/train": kinds["single-label"]["train"]}
        dann, _ = build(method("dann", source_tasks=["plays"], epochs=1), data, tmp_path / "dann", tiny)
        plain, _ = build(method("full", epochs=1), data, tmp_path / "full", tiny)
        assert read_tensors(dann).keys() == read_tensors(plain).keys()

    def test_micro_batches_change_nothing(self, kinds, tiny: Path, tmp_path: Path) -> None:
        from dataclasses import replace

        from tests.kinds import CPU
        from transferline.core.stage import Work
        from transferline.models.weights import read_tensors

        data = {**kinds["single-label"], "plays/train": kinds["single-label"]["train"]}
        found = []
        for micro in (None, 4):
            folder = tmp_path / str(micro)
            (folder / "state").mkdir(parents=True)
            runtime = (
                replace(CPU, micro_batch=micro)
                if hasattr(CPU, "__dataclass_fields__")
                else CPU.model_copy(update={"micro_batch": micro})
            )
            work = Work(data, 0, folder, folder / "state", runtime, lambda _: None, tiny, "t", (tiny,))
            method("deep-coral", source_tasks=["plays"], epochs=1).build(work)
            found.append(read_tensors(folder))
        assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])

"""Laws of forests, and of the refitting of their structure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from tests.kinds import build, score
from tests.matrices import blobs, prepare_matrix
from tests.methods.parameter.laws import method
from transferline.methods.parameter.trees import Tree, below_or_at, divergence, refit, trees_of
from transferline.models.networks.feature_network import FeaturesConfig
from transferline.models.networks.forest_network import ForestConfig, ForestForSequenceClassification
from transferline.models.random_init import FeaturesBase
from transferline.models.weights import open_tuned

WIDTH = 6
PARTS = ("feature", "threshold", "below", "shares")


def numbered(rows: int, seed: int, apart: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    points, names = blobs(rows, WIDTH, 3, seed, apart)
    return points, np.array([int(name[1:]) for name in names])


def test_the_network_says_what_scikit_learn_says() -> None:
    points, y_true = numbered(300, 0)
    rows = points.astype(np.float32)
    forest = RandomForestClassifier(8, max_depth=5, random_state=0).fit(rows, y_true)
    trees = trees_of(forest, 3)
    nodes, depth = max(len(tree.feature) for tree in trees), max(tree.depth() for tree in trees)
    encoder = FeaturesConfig(width=WIDTH, hidden_size=WIDTH).to_dict()
    config = ForestConfig(encoder=encoder, trees=8, nodes=nodes, depth=depth, num_labels=3)
    model = ForestForSequenceClassification(config).eval()
    for i, tree in enumerate(trees):
        for name in PARTS:
            getattr(model, name)[i, : len(tree.feature)] = torch.from_numpy(getattr(tree, name))
    said = model.walk(torch.from_numpy(rows))
    assert np.allclose(said.numpy(), forest.predict_proba(rows), atol=1e-6)
    logits = model(features=torch.from_numpy(rows)).logits
    assert torch.allclose(logits.softmax(-1), said.clamp(1e-4), atol=1e-3)


def test_thresholds_in_fp32_send_every_row_the_same_way() -> None:
    numbers = np.random.default_rng(0).normal(size=1000)
    rounded = below_or_at(numbers).astype(np.float64)
    assert (rounded <= numbers).all()
    assert np.allclose(rounded, numbers, rtol=1e-6)


def test_refitting_on_the_same_examples_changes_no_answer() -> None:
    """One tree without bootstrap, refitted on what it was grown on: the cuts fall where they were."""
    points, y_true = numbered(200, 3, 0.8)
    forest = RandomForestClassifier(1, bootstrap=False, max_depth=4, random_state=0)
    tree = trees_of(forest.fit(points.astype(np.float32), y_true), 3)[0]
    again = refit(tree, points, y_true)
    assert np.allclose(again.threshold, tree.threshold, atol=1e-6)
    assert np.array_equal(again.below, tree.below)
    assert np.allclose(again.shares, tree.shares, atol=1e-6)


def test_a_node_that_nothing_reaches_becomes_a_leaf_with_the_sources_shares() -> None:
    tree = Tree(
        np.array([0, 0, 0]),
        np.zeros(3, dtype=np.float32),
        np.array([[1, 2], [1, 1], [2, 2]]),
        np.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]], dtype=np.float32),
    )
    alone = refit(tree, np.zeros((0, 1)), np.zeros(0, dtype=int))
    assert alone.is_leaf(0)
    assert np.allclose(alone.shares[0], [0.5, 0.5])
    same = refit(tree, np.full((5, 1), 2.0), np.ones(5, dtype=int))  # one value: there is nothing to cut
    assert same.is_leaf(0)
    assert same.shares[0][1] > 0.9


def test_divergence_is_zero_between_equals_and_one_between_strangers() -> None:
    found = divergence(np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), np.array([1.0, 0.0]))
    assert found[0] == pytest.approx(0)
    assert found[1] == pytest.approx(1)
    assert 0 < found[2] < 1


def test_a_structure_survives_a_shift_of_its_features(tmp_path: Path) -> None:
    """The target's columns are those of the source, stretched and moved: thresholds are wrong there, questions are not."""
    points, y_true = blobs(600, WIDTH, 4, 0, 1.2)
    moved, mine = blobs(600, WIDTH, 4, 1, 1.2)
    source_rows = prepare_matrix(tmp_path, "source", points, y_true)
    own = prepare_matrix(tmp_path, "target", moved * 3 + 10, mine, limit={"train": 24})
    data = {**own, "source/train": source_rows["train"]}
    base, _ = build(FeaturesBase(method="features", width=WIDTH), {}, tmp_path / "base", Path())
    refitted = method("refitted-forest", source_tasks=["source"])
    assert refitted.alone() == method("forest")
    scores = {}
    stages = (("refitted", refitted, data), ("as it was", method("forest"), {**data, "train": source_rows["train"]}))
    for name, stage, roles in stages:
        out, _ = build(stage, roles, tmp_path / name, base, seed=1)
        scores[name] = score(out, data["test"], "accuracy", tmp_path / f"p-{name}")
    assert scores["refitted"] > 0.75 > 0.5 > scores["as it was"], scores


def test_a_forest_on_an_encoder_is_saved_and_opened(kinds, tiny: Path, tmp_path: Path) -> None:
    data = {**kinds["single-label"], "plays/train": kinds["single-label"]["train"]}
    out, figures = build(method("refitted-forest", source_tasks=["plays"], trees=20), data, tmp_path / "m", tiny)
    assert figures["nodes"] > 20
    assert open_tuned("AutoModelForSequenceClassification", out).config.trees == 20
    assert score(out, data["test"], "accuracy", tmp_path / "p") > 0.65

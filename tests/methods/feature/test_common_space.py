"""Laws of the common space of sides that share labels and no columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.kinds import build, score
from tests.matrices import blobs, prepare_matrix
from tests.methods.parameter.laws import method
from transferline.methods.feature.common_space import common_space
from transferline.methods.feature.source_features import SourceFeatures
from transferline.models.random_init import FeaturesBase

LABELS = 4


def sides(rows: int, seed: int) -> tuple[SourceFeatures, SourceFeatures]:
    """The same clusters seen through two random matrices, of other widths, with noise."""
    rng = np.random.default_rng(seed)
    made = []
    for wide, number, count in ((30, 1, rows), (20, 2, 40)):
        points, names = blobs(count, 6, LABELS, seed + number, 1.2)
        seen = points @ np.random.default_rng(number).normal(size=(6, wide)) + rng.normal(size=(count, wide))
        made.append(SourceFeatures(seen, np.array([int(name[1:]) for name in names])))
    return made[0], made[1]


def test_labels_come_together_whatever_side_they_are_from() -> None:
    pair = sides(400, 0)
    maps = common_space(pair, 3, 20, 0.3, 0.1, 5)
    centres = []
    for side, (middle, mapping) in zip(pair, maps, strict=True):
        points = (side.features - middle) @ mapping
        centres.append(np.stack([points[side.y_true == label].mean(axis=0) for label in range(LABELS)]))
    apart = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=2)
    assert (apart.argmin(axis=1) == np.arange(LABELS)).all()
    assert np.diag(apart).mean() < 0.25 * apart[~np.eye(LABELS, dtype=bool)].mean()


def test_equal_sides_get_equal_maps() -> None:
    one, _ = sides(200, 1)
    (_, first), (_, second) = common_space([one, one], 3, 20, 0.3, 0.1, 5)
    assert np.allclose(first, second, atol=1e-6 * np.abs(first).max())


def test_a_source_with_other_columns_says_which_labels_are_alike(tmp_path: Path) -> None:
    """Eight labels that lie in a plane, three examples of each in 60 noisy columns: the source's rows, of other columns, show the
    plane, and a map to two dimensions is learnt from few examples where a map to eight labels is not."""
    gains = []
    for seed in range(3):
        root = tmp_path / str(seed)
        root.mkdir()
        data = {}
        for name, wide, rows, noise in (("source", 30, 640, 0.5), ("target", 60, 640, 3.0)):
            rng = np.random.default_rng(100 * seed + wide)
            centres = 3 * np.random.default_rng(seed).normal(size=(8, 2))
            y_true = rng.integers(8, size=rows)
            latent = centres[y_true] + 0.5 * rng.normal(size=(rows, 2))
            seen = latent @ rng.normal(size=(2, wide)) + noise * rng.normal(size=(rows, wide))
            limit = {} if name == "source" else {"train": 24, "validation": 80}
            data[name] = prepare_matrix(root, name, seen, np.array([f"c{i}" for i in y_true]), limit=limit)
        roles = {**data["target"], "source/train": data["source"]["train"]}
        base, _ = build(FeaturesBase(method="features", width=60), {}, root / "base", Path())
        common = method("common-space", source_tasks=["source"])
        assert common.alone() == method("probe")
        scores = []
        for name, stage in (("common", common), ("alone", common.alone())):
            out, _ = build(stage, roles, root / name, base)
            scores.append(score(out, roles["test"], "accuracy", root / f"p-{name}"))
        gains.append(scores[0] - scores[1])
    assert np.mean(gains) > 0.05, gains


def test_a_matrix_may_teach_texts(kinds, tiny: Path, tmp_path: Path) -> None:
    points, y_true = blobs(200, 8, 2, 0)
    source_rows = prepare_matrix(tmp_path, "m", points, np.where(y_true == "c0", "bad", "good"))
    data = {**kinds["single-label"], "m/train": source_rows["train"]}
    out, figures = build(method("common-space", source_tasks=["m"]), data, tmp_path / "common", tiny)
    assert figures["borrowed"] > 50
    assert score(out, data["test"], "accuracy", tmp_path / "p") > 0.7

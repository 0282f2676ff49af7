"""Laws of LP-FT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tests.kinds import build, score
from tests.methods.parameter.laws import method, setting
from transferline.evaluation.prediction_tables import read_predictions
from transferline.models.weights import read_tensors


def test_the_first_phase_of_lp_ft_is_the_probe(kinds, tiny: Path, tmp_path: Path) -> None:
    probe, _ = build(method("probe"), kinds["single-label"], tmp_path / "probe", tiny)
    _, model, _, _, _ = setting(kinds, tiny, tmp_path, method("lp-ft"))
    torch.testing.assert_close(model.state_dict()["classifier.weight"], read_tensors(probe)["classifier.weight"])
    torch.testing.assert_close(model.state_dict()["classifier.bias"], read_tensors(probe)["classifier.bias"])


def test_lp_ft_of_numbers_starts_at_the_probes_answers(kinds, tiny: Path, tmp_path: Path) -> None:
    stage = method("lp-ft", epochs=1, patience=1, schedule={"learning_rate": 1e-12}, head_learning_rate=1e-12)
    probe, _ = build(method("probe"), kinds["regression"], tmp_path / "probe", tiny)
    tuned, _ = build(stage, kinds["regression"], tmp_path / "tuned", tiny)
    test = kinds["regression"]["test"]
    for folder in (probe, tuned):
        score(folder, test, "pearson", tmp_path / f"said-{folder.parent.name}")
    one, two = (read_predictions(tmp_path / f"said-{name}").outputs for name in ("probe", "tuned"))
    np.testing.assert_allclose(one, two, rtol=1e-2, atol=0.3)

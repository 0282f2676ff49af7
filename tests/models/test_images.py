"""Image models as bases: a ViT and a ResNet of tiny random configs read rows of pixels, learn, and bear a synthetic shift."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.kinds import QUICK, build, score
from tests.matrices import prepare_matrix
from tests.methods.parameter.laws import method
from transferline.core.errors import InputError
from transferline.methods.feature.standardise import Standardise
from transferline.models.bases import FolderBase
from transferline.models.families import FEATURES, family_of
from transferline.models.random_init import RandomBase
from transferline.models.weights import load_model

SIDE = 8
MODELS = {
    "vit": {
        "image_size": SIDE, "patch_size": 2, "num_channels": 1, "hidden_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 48,
    },
    "resnet": {
        "num_channels": 1, "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic",
        "image_size": SIDE,
    },
}  # fmt: skip


def bars(rows: int, seed: int, contrast: float = 1.0, light: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Noisy grey images (rows, 1, side, side), 0 to 255: a bright bar that lies or stands, anywhere."""
    rng = np.random.default_rng(seed)
    y_true = rng.integers(2, size=rows)
    images = rng.normal(60, 15, size=(rows, 1, SIDE, SIDE))
    for image, stands, place in zip(images, y_true, rng.integers(SIDE, size=rows), strict=True):
        image[0][(slice(None), place) if stands else (place, slice(None))] += 120
    return (images * contrast + light).clip(0, 255).round(), np.where(y_true, "stands", "lies")


def base_of(name: str, folder: Path) -> Path:
    base = RandomBase.model_validate({"method": "random", "config": {"model_type": name, **MODELS[name]}})
    assert base.known_family() == FEATURES
    return build(base, {}, folder, Path())[0]


@pytest.mark.parametrize("name", MODELS)
def test_the_base_says_what_the_model_itself_says_of_an_image(name: str, tmp_path: Path) -> None:
    """Its preprocessor's rescaling, mean and spread included."""
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    model = AutoModel.from_config(AutoConfig.for_model(name, **MODELS[name])).eval()
    source = tmp_path / "source"
    model.save_pretrained(source)
    how = {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.4], "image_std": [0.2]}
    (source / "preprocessor_config.json").write_text(json.dumps(how))
    folder = FolderBase(method="folder", path=str(source)).resolved(tmp_path)
    assert folder.known_family() == FEATURES
    out, _ = build(folder, {}, tmp_path / "base", Path())
    assert family_of(out).name == FEATURES
    images = torch.from_numpy(bars(5, 0)[0]).float()
    wrapped, new = load_model("AutoModel", out, 0)
    assert not new
    said = wrapped.eval()(features=images.flatten(1)).last_hidden_state[:, 0]
    own = model(pixel_values=(images / 255 - 0.4) / 0.2).last_hidden_state
    pooled = own.mean(dim=(2, 3)) if own.ndim == 4 else own.mean(dim=1)
    assert torch.allclose(said, pooled, atol=1e-4)


def test_the_preprocessor_is_part_of_what_a_folder_is(tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModel

    source = tmp_path / "source"
    AutoModel.from_config(AutoConfig.for_model("vit", **MODELS["vit"])).save_pretrained(source)
    plain = FolderBase(method="folder", path="source").resolved(tmp_path)
    (source / "preprocessor_config.json").write_text('{"do_rescale": true}')
    assert FolderBase(method="folder", path="source").resolved(tmp_path).canonical() != plain.canonical()


def test_a_model_that_does_not_say_how_large_its_images_are_is_refused(tmp_path: Path) -> None:
    sizeless = {name: value for name, value in MODELS["resnet"].items() if name != "image_size"}
    base = RandomBase.model_validate({"method": "random", "config": {"model_type": "resnet", **sizeless}})
    with pytest.raises(InputError, match="size of its images"):
        build(base, {}, tmp_path / "m", Path())


@pytest.mark.parametrize("name", MODELS)
def test_images_are_learnt_and_a_source_in_another_light_helps(name: str, tmp_path: Path) -> None:
    """Bars in bright light teach a target of ten darker images: by borrowed and aligned images better than alone."""
    source_rows = prepare_matrix(tmp_path, "bright", *bars(500, 1))
    own = prepare_matrix(
        tmp_path, "dark", *bars(400, 2, contrast=0.5, light=10), limit={"train": 10, "validation": 100}
    )
    data = {**own, "bright/train": source_rows["train"]}
    base, _ = build(Standardise(), own, tmp_path / "scaled", base_of(name, tmp_path / "base"))
    quick = {**QUICK, "epochs": 200, "patience": 200, "schedule": {"batch_size": 32, "learning_rate": 5e-3}}
    aligned = method("deep-coral", source_tasks=["bright"], weight=0.1, **quick)
    scores = []
    for stage in (aligned, aligned.alone()):
        folder = tmp_path / str(stage.canonical()["method"])
        out, _ = build(stage, data, folder, base)
        scores.append(score(out, data["test"], "accuracy", tmp_path / f"p-{folder.name}"))
    assert scores[0] > 0.7
    assert scores[0] > scores[1] + 0.05, scores

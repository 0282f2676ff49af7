"""Image models as bases: convert a ViT or ResNet folder to a model that reads rows of pixels, channels first.

The preprocessor's rescaling, mean and standard deviation become the scaling of the columns. Images must have the right size in the
feature matrix, because nothing is resized here. Use small images only: a row is a line of text in the prepared data.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transferline.core.errors import InputError
from transferline.data.rows import Rows
from transferline.models.architectures import table

PREPROCESSOR = "preprocessor_config.json"


def is_image_model(family: str) -> bool:
    """Whether transformers has an image classifier of that type and no masked LM (multimodal types have both)."""
    return family in table("IMAGE_CLASSIFICATION") and family not in table("MASKED_LM")


def make_image_base(source: Path, out: Path) -> None:
    """Write a base that reads rows of pixels from an image model's folder. Raises InputError if the image size is unknown."""
    import torch
    from transformers import AutoConfig

    from transferline.models.networks.feature_network import FeaturesConfig, FeaturesModel
    from transferline.models.weights import load_model

    inner = AutoConfig.from_pretrained(source, local_files_only=True, trust_remote_code=False)
    settings = json.loads((source / PREPROCESSOR).read_text("utf-8")) if (source / PREPROCESSOR).exists() else {}
    shape = shape_of(source, inner, settings)
    width = shape[0] * shape[1] * shape[2]
    image_model, _ = load_model("AutoModel", source, 0)
    config = FeaturesConfig(width=width, hidden_size=hidden_of(inner), shape=shape, image=inner.to_dict())
    model = FeaturesModel(config)
    model.looks.load_state_dict(image_model.state_dict())
    # transformers rescales first and normalises then: (scale * x - mean) / std = (x - mean / scale) / (std / scale)
    scale = settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", bool(settings)) else 1.0
    mean, std = (
        torch.tensor(settings[name])
        if settings.get("do_normalize") and name in settings
        else torch.full((shape[0],), default)
        for name, default in (("image_mean", 0.0), ("image_std", 1.0))
    )
    pixels = shape[1] * shape[2]
    model.middle.copy_((mean / scale).repeat_interleave(pixels))
    model.spread.copy_((std / scale).repeat_interleave(pixels))
    model.save_pretrained(out)
    Rows(width).save_pretrained(out)


def shape_of(source: Path, config: Any, how: dict[str, Any]) -> list[int]:
    """[channels, height, width] of a model's images, from its config or its preprocessor's settings `how`.

    Raises InputError if neither has a size.
    """
    # a preprocessor resizes first and crops then, so the crop is the size that the model gets
    size = getattr(config, "image_size", None) or how.get("crop_size") or how.get("size")
    if isinstance(size, dict):
        size = [size.get("height") or size.get("shortest_edge"), size.get("width") or size.get("shortest_edge")]
    sides = [size, size] if isinstance(size, int) else size
    if not sides or None in sides:
        mend = f"Write `image_size` into config.json or `size` into {PREPROCESSOR}"
        raise InputError(source, "the size of its images is unknown", mend)
    return [int(getattr(config, "num_channels", 3)), int(sides[0]), int(sides[1])]


def hidden_of(config: Any) -> int:
    """Width of the last hidden state. Convolutional models have a width per stage."""
    return int(config.hidden_sizes[-1] if hasattr(config, "hidden_sizes") else config.hidden_size)

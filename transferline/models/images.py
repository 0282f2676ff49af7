"""Image models as bases: a folder of a ViT or ResNet becomes one that reads rows of pixels, channels first.

Its preprocessor's rescaling, mean and spread become the units of the columns; resizing is left to whoever writes the matrix.
Small images only: a row is a line of text in the prepared data.
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
    """Whether transformers has an image classifier of that type, and no text model."""
    return family in table("IMAGE_CLASSIFICATION") and family not in table("MASKED_LM")


def make_image_base(source: Path, out: Path) -> None:
    """Write the base that looks at images by the model of a folder. Raises InputError where the size of its images is not known."""
    import torch
    from transformers import AutoConfig

    from transferline.models.networks.feature_network import FeaturesConfig, FeaturesModel
    from transferline.models.weights import load_model

    inner = AutoConfig.from_pretrained(source, local_files_only=True, trust_remote_code=False)
    how = json.loads((source / PREPROCESSOR).read_text("utf-8")) if (source / PREPROCESSOR).exists() else {}
    shape = shape_of(source, inner, how)
    width = shape[0] * shape[1] * shape[2]
    looks, _ = load_model("AutoModel", source, 0)
    config = FeaturesConfig(width=width, hidden_size=hidden_of(inner), shape=shape, image=inner.to_dict())
    model = FeaturesModel(config)
    model.looks.load_state_dict(looks.state_dict())
    scale = how.get("rescale_factor", 1 / 255) if how.get("do_rescale", bool(how)) else 1.0
    mean, std = (
        torch.tensor(how[name]) if how.get("do_normalize") and name in how else torch.full((shape[0],), default)
        for name, default in (("image_mean", 0.0), ("image_std", 1.0))
    )
    places = shape[1] * shape[2]
    model.middle.copy_((mean / scale).repeat_interleave(places))
    model.spread.copy_((std / scale).repeat_interleave(places))
    model.save_pretrained(out)
    Rows(width).save_pretrained(out)


def shape_of(source: Path, config: Any, how: dict[str, Any]) -> list[int]:
    """(channels, height, width) of the images that a model was made for."""
    size = getattr(config, "image_size", None) or how.get("crop_size") or how.get("size")
    if isinstance(size, dict):
        size = [size.get("height") or size.get("shortest_edge"), size.get("width") or size.get("shortest_edge")]
    sides = [size, size] if isinstance(size, int) else size
    if not sides or None in sides:
        mend = f"Write `image_size` into config.json or `size` into {PREPROCESSOR}"
        raise InputError(source, "does not say how large its images are", mend)
    return [int(getattr(config, "num_channels", 3)), int(sides[0]), int(sides[1])]


def hidden_of(config: Any) -> int:
    """Width of the last hidden state."""
    return int(config.hidden_sizes[-1] if hasattr(config, "hidden_sizes") else config.hidden_size)

"""An encoder that has learnt other tasks, handed on in the shape of the base that it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transferline.models.tokenization import load_tokenizer
from transferline.models.weights import load_model, save_model


def keep_encoder(model: Any, parent: Path, out: Path) -> None:
    """Save the parent with what a headed model's encoder has learnt; the head is dropped, and so is a layer that only pools."""
    import torch

    kept, _ = load_model("AutoModel", parent, 0)
    learnt = model.base_model.state_dict()
    with torch.no_grad():
        for name, tensor in kept.state_dict().items():
            if name in learnt and learnt[name].shape == tensor.shape:
                tensor.copy_(learnt[name])
    save_model(kept, load_tokenizer(parent), parent, out)

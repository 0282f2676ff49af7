"""Export the encoder of a tuned model in the format of its base, for the next stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transferline.models.tokenization import load_tokenizer
from transferline.models.weights import load_model, save_model


def keep_encoder(model: Any, parent: Path, out: Path) -> None:
    """Save the parent with a tuned model's encoder weights to `out`. The head and its pooling layer are dropped."""
    import torch

    kept, _ = load_model("AutoModel", parent, 0)
    learnt = model.base_model.state_dict()
    with torch.no_grad():
        for name, tensor in kept.state_dict().items():
            if name in learnt and learnt[name].shape == tensor.shape:
                tensor.copy_(learnt[name])
    save_model(kept, load_tokenizer(parent), parent, out)

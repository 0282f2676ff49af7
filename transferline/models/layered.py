"""Build a classifier on chosen hidden layers of an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transferline.core.errors import InputError
from transferline.models.weights import load_model, name_outputs


def layered(folder: Path, layers: Sequence[int], labels: list[str], problem: Any, seed: int) -> Any:
    """Put a new linear layer on chosen hidden layers of a folder's encoder.

    `layers`: 0 is the embeddings, negative numbers count from the top. `problem` is transformers' `problem_type`. Raises InputError
    if a layer does not exist.
    """
    from transferline.models.networks.layered_network import LayeredConfig, LayeredForSequenceClassification

    encoder, _ = load_model("AutoModel", folder, seed)
    depth = encoder.config.num_hidden_layers
    wrong = [layer for layer in layers if not -depth - 1 <= layer <= depth]
    if wrong:
        raise InputError("method 'extraction'", f"there is no layer {wrong[0]}", f"Layers are 0 to {depth}")
    config = LayeredConfig(encoder=encoder.config.to_dict(), layers=list(layers), problem_type=problem)
    name_outputs(config, labels)
    model = LayeredForSequenceClassification(config)
    model.encoder.load_state_dict(encoder.state_dict())
    return model.eval()

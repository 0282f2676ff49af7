"""Encoder for rows of a feature matrix, read as standardised columns or as the pixels of an image.

Without `image` the encoding of a row is the standardised row, and the linear layer does the rest. With `image`, the config of an
image model of transformers (ViT, ResNet, ...), a row holds the pixels of an image of `shape` (channels, height, width).
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, SequenceClassifierOutput

from transferline.models.networks.pooling import classified, inner_config


class FeaturesConfig(PreTrainedConfig):
    """Number of columns. For images also their shape and the config of the image model."""

    model_type = "transferline-features"

    width: int = 1
    hidden_size: int = 0
    num_hidden_layers: int = 0
    pooling: str = "mean"
    shape: list[int] | None = None
    image: dict[str, Any] | None = None


class FeaturesModel(PreTrainedModel):
    """Standardise rows and, for images, encode them: (rows, width) -> (rows, 1, hidden). A row counts as one token."""

    config_class = FeaturesConfig
    base_model_prefix = "rows"
    main_input_name = "features"
    middle: torch.Tensor
    spread: torch.Tensor
    looks: Any

    def __init__(self, config: FeaturesConfig) -> None:
        super().__init__(config)
        self.register_buffer("middle", torch.zeros(config.width))
        self.register_buffer("spread", torch.ones(config.width))
        self.looks = AutoModel.from_config(inner_config(config.image)) if config.image else None
        # without an image model there is no other parameter, and callers ask the first one for the device
        self.anchor = torch.nn.Parameter(torch.zeros(1), requires_grad=False)
        self.post_init()

    def forward(self, features: torch.Tensor, attention_mask: Any = None, **_: Any) -> BaseModelOutput:
        rows = (features - self.middle) / self.spread
        if self.looks is not None:
            rows = self.seen(rows.reshape(len(rows), *self.config.shape))
        hidden = rows.unsqueeze(1)
        return BaseModelOutput(last_hidden_state=hidden, hidden_states=(hidden,))

    def seen(self, images: torch.Tensor) -> torch.Tensor:
        """Encode images, (n, channels, height, width) -> (n, hidden): the mean over all positions."""
        states = self.looks(pixel_values=images).last_hidden_state
        # convolutional models give (n, hidden, height, width), transformers give (n, patches, hidden)
        return states.flatten(2).mean(dim=2) if states.ndim == 4 else states.mean(dim=1)


class FeaturesForSequenceClassification(PreTrainedModel):
    """A linear layer on encoded rows."""

    config_class = FeaturesConfig
    base_model_prefix = "rows"
    main_input_name = "features"

    def __init__(self, config: FeaturesConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.rows = FeaturesModel(config)
        self.classifier = torch.nn.Linear(config.hidden_size, int(config.num_labels or 1))
        self.post_init()

    def forward(
        self, features: torch.Tensor, attention_mask: Any = None, labels: Any = None, **_: Any
    ) -> SequenceClassifierOutput:
        return classified(self.config, self.classifier(self.rows(features).last_hidden_state[:, 0]), labels)

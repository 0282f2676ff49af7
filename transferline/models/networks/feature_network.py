"""A network that reads rows of a feature matrix: each column in units of its own, or as the pixels of an image.

Without `image` what it says of a row is the row itself, and everything is left to the linear layer on it. With `image`, the
config of one of transformers' image models (ViT, ResNet, ...), a row is a picture, `shape` (channels, height, width), channels
first.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, SequenceClassifierOutput

from transferline.models.networks.pooling import classified, inner_config


class FeaturesConfig(PreTrainedConfig):
    """Columns of the matrix; of images their shape and the config of the model that looks at them."""

    model_type = "transferline-features"

    width: int = 1
    hidden_size: int = 0
    num_hidden_layers: int = 0
    pooling: str = "mean"
    shape: list[int] | None = None
    image: dict[str, Any] | None = None


class FeaturesModel(PreTrainedModel):
    """Rows in units of their columns, (rows, width) -> (rows, 1, hidden): one token a row."""

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
        self.anchor = torch.nn.Parameter(torch.zeros(1), requires_grad=False)  # says where the model lies
        self.post_init()

    def forward(self, features: torch.Tensor, attention_mask: Any = None, **_: Any) -> BaseModelOutput:
        rows = (features - self.middle) / self.spread
        if self.looks is not None:
            rows = self.seen(rows.reshape(len(rows), *self.config.shape))
        hidden = rows.unsqueeze(1)
        return BaseModelOutput(last_hidden_state=hidden, hidden_states=(hidden,))

    def seen(self, images: torch.Tensor) -> torch.Tensor:
        """What the image model makes of (n, channels, height, width): (n, hidden), the mean over all places."""
        states = self.looks(pixel_values=images).last_hidden_state
        return states.flatten(2).mean(dim=2) if states.ndim == 4 else states.mean(dim=1)


class FeaturesForSequenceClassification(PreTrainedModel):
    """Rows, or what an image model makes of them, and a linear layer."""

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

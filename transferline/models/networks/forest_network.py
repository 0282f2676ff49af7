"""A forest of decision trees on a frozen encoder: every tree as tensors, walked down for all examples at once.

The structure of a forest is what is transferred (transferline/methods/parameter/forest.py); here it only answers.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from transferline.models.networks.pooling import classified, inner_config, mean_of_tokens

SMALLEST = (
    1e-4  # a label that no tree expects keeps this probability, so that one surprise is not the end of a log-likelihood
)


class ForestConfig(PreTrainedConfig):
    """The encoder's own config, and the size of the forest: `nodes` in the largest tree, and the depth of the deepest."""

    model_type = "transferline-forest"

    encoder: dict[str, Any] | None = None
    trees: int = 1
    nodes: int = 1
    depth: int = 1


class ForestForSequenceClassification(PreTrainedModel):
    """Mean leaf distribution over trees; its logarithm are the logits."""

    config_class = ForestConfig
    base_model_prefix = "encoder"
    feature: torch.Tensor
    threshold: torch.Tensor
    below: torch.Tensor
    shares: torch.Tensor

    def __init__(self, config: ForestConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.encoder = AutoModel.from_config(inner_config(config.encoder or {}))
        size, labels = (config.trees, config.nodes), int(config.num_labels or 1)
        self.register_buffer("feature", torch.zeros(size, dtype=torch.long))
        self.register_buffer("threshold", torch.zeros(size))
        self.register_buffer("below", torch.zeros((*size, 2), dtype=torch.long))  # of a leaf: the leaf itself
        self.register_buffer("shares", torch.full((*size, labels), 1 / labels))
        self.classifier = torch.nn.Linear(labels, labels, bias=False)
        with torch.no_grad():
            self.classifier.weight.copy_(torch.eye(labels))
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Everything is set by hand."""

    def forward(self, attention_mask: Any = None, labels: Any = None, **inputs: Any) -> SequenceClassifierOutput:
        states = self.encoder(attention_mask=attention_mask, **inputs).last_hidden_state
        shares = self.walk(mean_of_tokens(states, attention_mask).float())
        return classified(self.config, self.classifier(shares.clamp(min=SMALLEST).log()), labels)

    def walk(self, points: torch.Tensor) -> torch.Tensor:
        """Mean distribution of the leaves that points (n, width) end in: (n, labels)."""
        trees = torch.arange(self.config.trees, device=points.device).expand(len(points), -1)
        place = torch.zeros_like(trees)
        for _ in range(self.config.depth):
            seen = points.gather(1, self.feature[trees, place])
            right = (seen > self.threshold[trees, place]).long()
            place = self.below[trees, place, right]
        return self.shares[trees, place].mean(dim=1)

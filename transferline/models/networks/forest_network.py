"""Random forest on a frozen encoder, stored as tensors and evaluated for all examples at once.

This is inference only. transferline/methods/parameter/forest.py transfers the structure of a forest.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from transferline.models.networks.pooling import classified, inner_config, mean_of_tokens

# smallest probability of a label: one label that no tree predicts must not make the log-likelihood infinite
SMALLEST = 1e-4


class ForestConfig(PreTrainedConfig):
    """Config of the encoder, and the size of the forest."""

    model_type = "transferline-forest"

    encoder: dict[str, Any] | None = None
    trees: int = 1
    nodes: int = 1
    """nodes of the largest tree"""
    depth: int = 1
    """depth of the deepest tree"""


class ForestForSequenceClassification(PreTrainedModel):
    """Forest classifier. The logits are the logarithm of the leaf distribution, averaged over the trees."""

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
        self.register_buffer(
            "below", torch.zeros((*size, 2), dtype=torch.long)
        )  # both children of a leaf are the leaf itself
        self.register_buffer("shares", torch.full((*size, labels), 1 / labels))
        # the identity: scoring code expects every classifier to end in a linear layer
        self.classifier = torch.nn.Linear(labels, labels, bias=False)
        with torch.no_grad():
            self.classifier.weight.copy_(torch.eye(labels))
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Do nothing: all weights are set from the fitted forest."""

    def forward(self, attention_mask: Any = None, labels: Any = None, **inputs: Any) -> SequenceClassifierOutput:
        states = self.encoder(attention_mask=attention_mask, **inputs).last_hidden_state
        shares = self.walk(mean_of_tokens(states, attention_mask).float())
        return classified(self.config, self.classifier(shares.clamp(min=SMALLEST).log()), labels)

    def walk(self, points: torch.Tensor) -> torch.Tensor:
        """Label distribution of features, (n, width) -> (n, labels): the mean over trees of the leaves they fall into."""
        trees = torch.arange(self.config.trees, device=points.device).expand(len(points), -1)
        node = torch.zeros_like(trees)
        # a leaf is its own child, so shallow trees wait in their leaves until the deepest one is done
        for _ in range(self.config.depth):
            values = points.gather(1, self.feature[trees, node])
            right = (values > self.threshold[trees, node]).long()
            node = self.below[trees, node, right]
        return self.shares[trees, node].mean(dim=1)

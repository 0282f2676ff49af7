"""Per-example loss weights, applied in one place for every tuning method.

The loss of a batch becomes the mean of weight times loss. Weights are scaled to mean one over all examples, so that learning
rates and schedules keep their meaning. Equal weights change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from transferline.core.problem import IGNORED_LABEL

if TYPE_CHECKING:
    import torch

WEIGHT = "weight"  # of a prepared record, and of a batch


def weights_of(records: Sequence[dict]) -> np.ndarray | None:
    """Weights (n,) with mean one, fp32. None if no record has a weight, or if all are equal."""
    weights = np.array([float(record.get(WEIGHT, 1.0)) for record in records], dtype=np.float64)
    if not len(weights) or np.ptp(weights) == 0:
        return None
    return (weights / weights.mean()).astype(np.float32)


def supervised(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, Any]:
    """Loss of a labelled batch, weighted where it has weights, and the model's output."""
    import torch

    weight = batch.pop(WEIGHT, None)
    output = model(**batch)
    if weight is None and _tags_words(model, output.logits):
        weight = torch.ones(len(output.logits), device=output.logits.device)  # a batch may have no labelled word
    if weight is None:
        return output.loss, output
    return weighted(model, output.logits.float(), batch["labels"], weight), output


def _tags_words(model: Any, logits: torch.Tensor) -> bool:
    return logits.dim() == 3 and logits.shape[-1] == model.config.num_labels != model.config.vocab_size


def weighted(model: Any, logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean of weight times loss over the examples, or over their words or tokens where each has a label of its own."""
    import torch
    from torch.nn import functional

    if logits.dim() == 3:
        logits = logits[:, -labels.shape[1] :]  # without the virtual tokens of a prompt
        if not model.config.is_encoder_decoder and logits.shape[-1] == model.config.vocab_size:  # says the next token
            logits, labels = logits[:, :-1], labels[:, 1:]
        each = functional.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED_LABEL, reduction="none")
        return (each * weight[:, None]).sum() / (labels != IGNORED_LABEL).sum().clamp(min=1)
    if model.config.problem_type == "regression":
        each = (logits.squeeze(-1) - labels.float()) ** 2
    elif model.config.problem_type == "multi_label_classification":
        each = functional.binary_cross_entropy_with_logits(logits, labels.float(), reduction="none").mean(dim=1)
    else:
        each = functional.cross_entropy(logits, labels, reduction="none")
    return torch.mean(each * weight)

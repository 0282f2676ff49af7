"""Rows of a feature matrix as inputs of a network.
 `Rows` has the interface of a tokenizer, so that code that reads examples treats texts and rows alike. A base for features holds
it in place of a tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transferline.data.feature_matrix import dense, read_row

FILE = "features.json"


class Rows:
    """Reads `column:value` texts of a matrix with `width` columns. One row counts as one token."""

    model_input_names = ("features", "attention_mask")
    model_max_length = 1
    truncation_side = "right"
    pad_token = pad_token_id = eos_token = eos_token_id = cls_token_id = sep_token_id = mask_token_id = None

    def __init__(self, width: int) -> None:
        self.width = width

    def __len__(self) -> int:
        return self.width

    def __call__(
        self,
        texts: Sequence[str] | str,
        pairs: None = None,
        padding: bool = False,
        return_tensors: Any = None,
        **_: Any,
    ) -> Any:
        """Input lists of rows, or a padded batch with `return_tensors`. Rows are never truncated."""
        from transformers import BatchEncoding

        several = [texts] if isinstance(texts, str) else list(texts)
        inputs = {
            "input_ids": [[0] for _ in several],
            "attention_mask": [[1] for _ in several],
            "features": [read_row(text, self.width) for text in several],
        }
        return self.pad(inputs, return_tensors) if return_tensors else BatchEncoding(inputs)

    def pad(self, inputs: Mapping[str, Any], return_tensors: str = "pt") -> Any:
        """A batch: `features` (rows, width), and a mask of ones (rows, 1)."""
        import torch
        from transformers import BatchEncoding

        features = torch.from_numpy(dense(inputs["features"], self.width))
        return BatchEncoding({"features": features, "attention_mask": torch.ones(len(features), 1, dtype=torch.long)})

    def save_pretrained(self, folder: Path) -> None:
        (Path(folder) / FILE).write_text(json.dumps({"width": self.width}) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls, folder: Path) -> Rows:
        return cls(json.loads((Path(folder) / FILE).read_text(encoding="utf-8"))["width"])


def units(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column of points (n, d). A constant column gets standard deviation one."""
    std = points.std(axis=0)
    return points.mean(axis=0), np.where(std > 0, std, 1.0)

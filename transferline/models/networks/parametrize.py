"""Parametrization that appends trainable rows or columns to a frozen weight (torch.nn.utils.parametrize)."""

from __future__ import annotations

import torch


class Widened(torch.nn.Module):
    """Concatenate a trainable part to a frozen tensor along one axis."""

    def __init__(self, start: torch.Tensor, axis: int) -> None:
        super().__init__()
        self.new = torch.nn.Parameter(start)
        self.axis = axis

    def forward(self, frozen: torch.Tensor) -> torch.Tensor:
        return torch.cat([frozen, self.new.to(frozen.dtype)], dim=self.axis)

"""Setup that all entries of a tournament share: target, data, bases, label budgets and seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from transferline.data.declarations import TargetSpec
from transferline.methods.label_budget import FILE, Labels
from transferline.models.bases import FetchedBase
from transferline.models.families import Family
from transferline.recipes.admission import TransferSettings
from transferline.recipes.chain import Data, Pin, Step


@dataclass(frozen=True)
class Ground:
    """Setup of a tournament: target, data, bases, checkpoint folder, label budgets and seeds."""

    target: str
    spec: TargetSpec
    data: Data
    bases: Mapping[str, FetchedBase]
    families: Mapping[str, Family | None]
    store: Path
    budgets: tuple[int, ...]
    seeds: int
    settings: TransferSettings = field(default_factory=dict)
    everything: int = 0
    """number of labelled rows available, if the largest budget is smaller"""

    @property
    def rows(self) -> int:
        """Number of labelled training examples of the largest budget."""
        return self.budgets[-1]

    def whole(self, budget: int) -> bool:
        """Whether a budget contains all available labels."""
        return budget >= max(self.rows, self.everything)

    def labels(self, budget: int, seed: int) -> Step | None:
        """The step that selects the labels of a budget, or None if the budget contains all labels."""
        if self.whole(budget):
            return None
        read = (("train", self.data["train"].md5),)
        return Step("select", Labels(count=budget), (), read, seed, f"labels {budget}")

    def with_labels(self, budget: int, seed: int) -> Data:
        """The data with the labels of a budget. The key of the step that selects them takes the place of their md5."""
        step = self.labels(budget, seed)
        return self.data if step is None else {**self.data, "train": Pin(self.store / step.key / FILE, step.key)}

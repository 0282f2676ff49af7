"""What all entries of a tournament share: the target, its data, the bases, the label budgets and the seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from transferline.data.declarations import TargetSpec
from transferline.methods.label_budget import FILE, Labels
from transferline.models.bases import FetchedBase
from transferline.models.families import Family
from transferline.recipes.admission import Settings
from transferline.recipes.chain import Data, Pin, Step


@dataclass(frozen=True)
class Ground:
    """What all entries share: target, data, bases, the store's folder, budgets and seeds."""

    target: str
    spec: TargetSpec
    data: Data
    bases: Mapping[str, FetchedBase]
    families: Mapping[str, Family | None]
    store: Path
    budgets: tuple[int, ...]
    seeds: int
    settings: Settings = field(default_factory=dict)
    everything: int = 0
    """labelled rows that there are, where the largest budget is fewer"""

    @property
    def rows(self) -> int:
        """Labelled training examples of the largest budget."""
        return self.budgets[-1]

    def whole(self, budget: int) -> bool:
        """Whether a budget is all the labels that there are."""
        return budget >= max(self.rows, self.everything)

    def labels(self, budget: int, seed: int) -> Step | None:
        """The step that takes a budget's labels; None where they are all."""
        if self.whole(budget):
            return None
        read = (("train", self.data["train"].md5),)
        return Step("select", Labels(count=budget), (), read, seed, f"labels {budget}")

    def with_labels(self, budget: int, seed: int) -> Data:
        """The data as a budget's models see it: the labels are named by the key of the step that takes them."""
        step = self.labels(budget, seed)
        return self.data if step is None else {**self.data, "train": Pin(self.store / step.key / FILE, step.key)}

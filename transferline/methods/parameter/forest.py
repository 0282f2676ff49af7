"""Random forests on frozen features, and STRUT: forests grown on a source and refitted on the target.

Segev, Harel, Mannor, Crammer & El-Yaniv, "Learn on Source, Refine on Target: A Model Transfer Learning Framework with Random
Forests" (2017), section 3.2 (STRUT). A tree keeps its structure and the feature of each node. Each threshold is chosen again on
the target's examples, so that the labels on either side are distributed like the source's. Nodes that no target example reaches
are pruned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.flops import PADDING, Prior, Size, StepTexts
from transferline.core.problem import ALIGNING, Ability, Need, TargetKind
from transferline.core.stage import Progress, Stage, StageKind, Work
from transferline.methods.parameter.trees import Tree, refit, trees_of
from transferline.methods.parameter.tuning import open_tokenizer, save_tuned
from transferline.models.tokenization import TokenizerSettings, Truncation
from transferline.targets import target_of
from transferline.targets.example_weights import weights_of
from transferline.targets.sequence import SequenceTarget
from transferline.targets.target import Examples


class Forest(Stage):
    """Fit a random forest on frozen features."""

    kind: ClassVar[StageKind] = "tune"
    gpu: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("train", "validation")
    source: ClassVar[str] = "Breiman 2001"
    prior: ClassVar[Prior] = Prior(frozen=True)
    tasks: ClassVar[tuple[TargetKind, ...]] = ("single-label",)
    ability: ClassVar[Ability | None] = "encode"

    method: Literal["forest"] = "forest"
    trees: Annotated[int, Field(ge=1)] = 50
    """number of trees"""
    depth: Annotated[int, Field(ge=1, le=20)] = 8
    """maximum depth of a tree"""
    leaf: Annotated[int, Field(ge=1)] = 2
    """minimum number of examples in a leaf"""
    max_tokens: Annotated[int, Field(ge=8)] = 128
    truncation: Truncation = "head"

    def flops(self, size: Size, tokens: StepTexts) -> float:
        return PADDING * size.forward(tokens.cut(self.max_tokens).every())

    def build(self, work: Work) -> dict[str, float]:
        from transferline.models.layered import layered

        target = target_of(work.data["train"])
        assert isinstance(target, SequenceTarget)
        reading = TokenizerSettings(self.max_tokens, self.truncation)
        tokenizer = open_tokenizer(target, work.needs_parent(), reading)
        parts = {role: target.examples(work.data[role], tokenizer, reading) for role in self.roles()}
        reader = layered(work.needs_parent(), [-1], target.labels, target.problem, work.seed).to(work.runtime.device)
        features = {role: target.features(reader, part) for role, part in parts.items() if role != "validation"}
        grown = self.grow(features, parts, len(target.labels), work)
        model = as_network(grown, reader.encoder, target).to(work.runtime.device)
        figures = save_tuned(model, tokenizer, target, parts["validation"], reading=reading, out=work.out)
        return {**figures, "nodes": float(sum(len(tree.feature) for tree in grown))}

    def grow(
        self, features: dict[str, np.ndarray], parts: dict[str, Examples], labels: int, work: Work
    ) -> Sequence[Tree]:
        """Grow the trees of the forest from features (n, width) by role."""
        own = parts["train"]
        return self.plant(features["train"], own.y_true, labels, work, weights_of(own.records))

    def plant(
        self, points: np.ndarray, y_true: np.ndarray, labels: int, work: Work, weights: np.ndarray | None = None
    ) -> list[Tree]:
        """Fit scikit-learn's forest on points (n, width) and label numbers (n,)."""
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(
            self.trees, max_depth=self.depth, min_samples_leaf=self.leaf, random_state=work.seed
        )
        forest.fit(points.astype(np.float32), y_true, sample_weight=weights)
        work.report(Progress(work.name, self.trees, self.trees, "trees", 0.0, {}))
        return trees_of(forest, labels)


class RefittedForest(Forest):
    """Grow a forest on source examples, then refit its thresholds and leaves on the target (STRUT)."""

    source: ClassVar[str] = "Segev et al. 2017, section 3.2"
    needs: ClassVar[tuple[Need, ...]] = ALIGNING

    method: Literal["refitted-forest"] = "refitted-forest"  # type: ignore[assignment]
    source_tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    """source tasks: targets of params.yaml whose training examples the trees are grown on"""

    def roles(self) -> tuple[str, ...]:
        return (*self.reads, *(f"{name}/train" for name in self.source_tasks))

    def alone(self) -> Stage:
        return Forest(**{name: getattr(self, name) for name in Forest.model_fields if name != "method"})

    def grow(
        self, features: dict[str, np.ndarray], parts: dict[str, Examples], labels: int, work: Work
    ) -> Sequence[Tree]:
        roles = self.roles()[len(self.reads) :]
        points = np.concatenate([features[role] for role in roles])
        y_true = np.concatenate([parts[role].y_true for role in roles])
        own = parts["train"]
        weights = weights_of(own.records)
        grown = self.plant(points, y_true, labels, work)
        return [refit(tree, features["train"], own.y_true, weights) for tree in grown]


def as_network(trees: Sequence[Tree], encoder: Any, target: SequenceTarget) -> Any:
    """Turn a forest into a network on top of the encoder, so that it is saved and served like any other model."""
    import torch

    from transferline.models.networks.forest_network import ForestConfig, ForestForSequenceClassification
    from transferline.models.weights import name_outputs

    nodes = max(len(tree.feature) for tree in trees)
    depth = max(tree.depth() for tree in trees)
    config = ForestConfig(
        encoder=encoder.config.to_dict(), trees=len(trees), nodes=nodes, depth=depth, problem_type=target.problem
    )
    name_outputs(config, target.labels)
    model = ForestForSequenceClassification(config)
    model.encoder.load_state_dict(encoder.state_dict())
    for i, tree in enumerate(trees):
        for name in ("feature", "threshold", "below", "shares"):
            values = getattr(tree, name)
            getattr(model, name)[i, : len(values)] = torch.from_numpy(values)
    return model.eval()

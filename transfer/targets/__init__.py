"""Kinds of target task: how labelled examples of each are read, what head they need, and how they are answered."""

from __future__ import annotations

import json
from pathlib import Path

from transfer.corpora.declared import Kind
from transfer.corpora.files import kind_of
from transfer.targets.generation import Generation
from transfer.targets.multi import MultiLabel
from transfer.targets.regression import Regression
from transfer.targets.single import SingleLabel
from transfer.targets.target import Target
from transfer.targets.tokens import Tokens

TARGETS: dict[Kind, type[Target]] = {
    kind.name: kind for kind in (SingleLabel, MultiLabel, Regression, Tokens, Generation)
}


def target_of(train: Path) -> Target:
    """The target that a training split teaches."""
    return TARGETS[kind_of(train)].learn(train)


def kind_of_model(folder: Path) -> Kind:
    """What kind of target a tuned model was made for: its config says it."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    name = (config.get("architectures") or [""])[0]
    if name.endswith("ForTokenClassification"):
        return "tokens"
    if not name.endswith("ForSequenceClassification"):
        return "generation"
    kinds: dict[str, Kind] = {"regression": "regression", "multi_label_classification": "multi-label"}
    return kinds.get(config.get("problem_type") or "", "single-label")


__all__ = ["TARGETS", "Target", "kind_of_model", "target_of"]

"""Kinds of target task: how labelled examples of each are read, what head they need, and how they are answered."""

from __future__ import annotations

import json
from pathlib import Path

from transferline.core.problem import TargetKind
from transferline.data.prepared_files import kind_of
from transferline.targets.generation import Generation
from transferline.targets.multi import MultiLabel
from transferline.targets.regression import Regression
from transferline.targets.single import SingleLabel
from transferline.targets.target import Target
from transferline.targets.tokens import OUTSIDE, Tokens

TARGETS: dict[TargetKind, type[Target]] = {
    kind.name: kind for kind in (SingleLabel, MultiLabel, Regression, Tokens, Generation)
}


def target_of(train: Path) -> Target:
    """The target that a training split teaches."""
    return TARGETS[kind_of(train)].learn(train)


def kind_of_model(folder: Path) -> TargetKind:
    """What kind of target a tuned model was made for: its config says it."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    name = (config.get("architectures") or [""])[0]
    if name.endswith("ForTokenClassification"):
        return "tokens"
    if not name.endswith("ForSequenceClassification"):
        return "generation"
    kinds: dict[str, TargetKind] = {"regression": "regression", "multi_label_classification": "multi-label"}
    return kinds.get(config.get("problem_type") or "", "single-label")


def labels_of_model(folder: Path) -> list[str]:
    """Names of the labels that a tuned model predicts, or types of its spans. Empty for kinds without labels."""
    kind = kind_of_model(folder)
    if kind in ("regression", "generation"):
        return []
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    names = [config["id2label"][number] for number in sorted(config["id2label"], key=int)]
    return sorted({name[2:] for name in names if name != OUTSIDE}) if kind == "tokens" else names


__all__ = ["TARGETS", "Target", "kind_of_model", "labels_of_model", "target_of"]

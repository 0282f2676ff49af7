"""The diagnosis of a target with one base, as a cached stage.

All estimates are linear models or statistics of frozen features of a few hundred texts. *When* to transfer: the distance of
corpus and sources from the target. *What* to transfer: the layer that predicts the labels best. *From where*: the gain from each
source's examples and predictions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.flops import PADDING, Lengths, Size, StepTexts
from transferline.core.problem import Ability
from transferline.core.stage import Progress, Stage, StageKind, Work
from transferline.data.prepared_files import content_of, features_of, kind_of, read_jsonl, write_json
from transferline.diagnosis.affinity import affinities
from transferline.diagnosis.divergence import measure_divergence
from transferline.diagnosis.layer_probes import cross_validated, features_of_layers
from transferline.diagnosis.swapped_labels import swapped_labels
from transferline.diagnosis.text_signals import perplexity_of, words_score
from transferline.diagnosis.transferability import expected_prediction, h_score, leep, logme
from transferline.methods.feature.coral import coral
from transferline.methods.label_budget import nested_order
from transferline.methods.parameter.linear import fit_linear, scaling
from transferline.models.tokenization import TokenizerSettings
from transferline.targets import Target, target_of

FILE = "diagnosis.json"
ANSWERED = ("single-label", "multi-label", "regression")  # kinds with one answer a text: features say something of them


class Diagnose(Stage):
    """Transferability of a base to a target, and the expected gain from corpus and sources, before any training."""

    kind: ClassVar[StageKind] = "select"
    gpu: ClassVar[bool] = True
    random: ClassVar[bool] = False
    reads: ClassVar[tuple[str, ...]] = ("train",)
    source: ClassVar[str] = "You et al. 2021; Nguyen et al. 2020; Zamir et al. 2018"
    version: ClassVar[int] = 3  # finds sources with swapped labels
    ability: ClassVar[Ability | None] = "encode"

    method: Literal["diagnose"] = "diagnose"
    source_tasks: tuple[str, ...] = ()
    """source targets that are looked at"""
    corpus: bool = True
    """look at the domain's corpus"""
    texts: Annotated[int, Field(ge=50)] = 200
    """most texts of each side that are read; of the target's own examples twice as many"""
    max_tokens: Annotated[int, Field(ge=8)] = 64

    def roles(self) -> tuple[str, ...]:
        return (*self.reads, *(("corpus",) if self.corpus else ()), *(f"{name}/train" for name in self.source_tasks))

    def flops(self, size: Size, tokens: StepTexts) -> float:
        most = {role: 2 * self.texts if role == "train" else self.texts for role in tokens.texts}
        read = [tokens[role].cut(self.max_tokens).longest(count) for role, count in most.items()]
        return PADDING * size.forward(Lengths.joined(read))

    def build(self, work: Work) -> dict[str, float]:
        train = read_jsonl(work.data["train"])
        kind = kind_of(work.data["train"])
        own = [train[i] for i in sorted(nested_order(train, 0)[: 2 * self.texts])]
        sides, there = {"train": own}, {}
        for role in self.roles()[1:]:
            rows = read_jsonl(work.data[role])
            there[role] = len(rows)
            sides[role] = rows[:: max(1, -(-len(rows) // self.texts))]
        texts = {role: [content_of(row["text"], row.get("pair")) for row in rows] for role, rows in sides.items()}
        every = [text for some in texts.values() for text in some]
        states = features_of_layers(work.needs_parent(), every, TokenizerSettings(self.max_tokens), work.runtime)
        ends = np.cumsum([len(some) for some in texts.values()])[:-1]
        parts = dict(zip(texts, np.split(states, ends, axis=1), strict=True))
        target = target_of(work.data["train"])
        found: dict[str, Any] = {"kind": kind, "rows": len(train), "looked_at": len(own), "labels": len(target.labels)}
        found["per_label"] = len(train) / max(1, len(target.labels))
        found["words_a_text"] = float(np.mean([len(t.split()) for t in texts["train"]]))
        if kind in ANSWERED:
            found |= what(target, own, texts["train"], parts["train"])
        found["perplexity"] = perplexity_of(work.needs_parent(), texts["train"], work.runtime)
        found["divergence"] = {
            role: measure_divergence(some, texts["train"], (parts[role][-1], parts["train"][-1])).flat()
            for role, some in texts.items()
            if role != "train" and len(some) >= 20
        }
        if kind in ANSWERED:
            source_rows = {name: (sides[f"{name}/train"], parts[f"{name}/train"][-1]) for name in self.source_tasks}
            found["sources"] = whence(target, own, parts["train"][-1], source_rows, work)
            for name, entry in found["sources"].items():
                entry["rows"] = there[f"{name}/train"]
        write_json(work.out / FILE, found)
        figures = {"texts": float(len(every)), "layers": float(len(states))}
        figures |= {"probe": found["probe"]["score"]} if "probe" in found else {}
        work.report(Progress(work.name, 1, 1, "diagnoses", 0.0, figures))
        return figures


def what(target: Target, rows: Sequence[dict], texts: Sequence[str], states: np.ndarray) -> dict[str, Any]:
    """Probes by folds, LogME and H-score of each layer, from states (layers + 1, n, d), and a probe on words alone."""
    y_true = target.truth_of(rows)
    curve = [cross_validated(target.name, layer, y_true) for layer in states.astype(np.float64)]
    classes = len(target.labels) if target.name == "single-label" else None
    scores: dict[str, Any] = {}
    if target.name != "multi-label":
        scores["logme"] = [logme(layer, y_true, classes) for layer in states.astype(np.float64)]
    if classes:
        scores["h_score"] = [h_score(layer, y_true) for layer in states.astype(np.float64)]
    return {
        "layers": [{"score": score, "error": error} for score, error in curve],
        "probe": {"score": curve[-1][0], "error": curve[-1][1]},
        "words": words_score(target.name, texts, y_true, features_of(rows[0])),
        "majority": majority_of(target, y_true),
        **scores,
    }


def majority_of(target: Target, y_true: np.ndarray) -> float:
    """Score of the majority class, for single labels only."""
    return float(np.bincount(y_true).max() / len(y_true)) if target.name == "single-label" else 0.0


def whence(
    target: Target,
    rows: Sequence[dict],
    own: np.ndarray,
    source_rows: Mapping[str, tuple[Sequence[dict], np.ndarray]],
    work: Work,
) -> dict[str, Any]:
    """Value of each source: of its examples beside the target's, of its predictions, and its affinity among the sources."""
    found: dict[str, Any] = {}
    likelihoods: dict[str, np.ndarray] = {}
    y_true, points = target.truth_of(rows), own.astype(np.float64)
    for name, (theirs, features) in source_rows.items():
        other, there = target_of(work.data[f"{name}/train"]), features.astype(np.float64)
        same = other.name == target.name and other.labels == target.labels
        entry: dict[str, Any] = {"kind": other.name, "same_labels": same}
        labels = other.truth_of(theirs)
        if same:
            for how, side in (("pooled", there), ("coral", coral(there, points, 0.1))):
                score, error = cross_validated(target.name, points, y_true, more=(side, labels))
                entry[how] = {"score": score, "error": error}
        if other.name == target.name == "single-label":
            scaled = scaling(there)
            model = fit_linear("single-label", 1.0, scaled(there), labels)
            said = model.predict_proba(scaled(points))
            entry["leep"] = leep(said, y_true)
            likelihoods[name] = expected_prediction(said, y_true)
            if same:
                predicted = model.classes_[said.argmax(axis=1)]
                entry["zero_shot"] = float((predicted == y_true).mean())
                entry["swapped"] = swapped_labels(predicted, y_true, target.labels)
                if entry["swapped"]:  # the labels as they are named, because training would use those
                    likelihoods[name] = np.where(predicted == y_true, said.max(axis=1), 1 - said.max(axis=1))
        found[name] = entry
    if len(likelihoods) > 1:
        for name, affinity in zip(likelihoods, affinities(list(likelihoods.values())), strict=True):
            found[name]["affinity"] = float(affinity)
    return found

"""Upper bounds on the cost of a comparison before it starts: FLOPs from sizes and token counts, minutes from the machine.

Each stage states the FLOPs of its own steps (core/flops.py). The bound holds for the declared epochs, without early stopping, and
with an allowance for padding.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from transferline.core.flops import Lengths, Size, StepTexts
from transferline.core.problem import TargetKind
from transferline.data.prepared_files import kind_of, read_texts
from transferline.data.rows import Rows
from transferline.models.families import FEATURES, Family
from transferline.models.tokenization import load_tokenizer
from transferline.models.weights import stored_shapes
from transferline.recipes.chain import Step
from transferline.tournament.costs import Lineages

STAGE_SECONDS = 3.0  # of starting, saving and recording a stage, beside its computation


@dataclass
class Forecast:
    """Upper bounds for steps on some bases.

    `bases` are folders by the key of their step, `files` prepared data by the name in a step, `steps` all steps by key.
    """

    bases: Mapping[str, Path]
    files: Mapping[str, Path]
    steps: Mapping[str, Step] = field(default_factory=dict)
    _lengths: dict[tuple[str, str], Lengths] = field(default_factory=dict)
    _sizes: dict[str, Size] = field(default_factory=dict)

    def flops(self, step: Step, base: str, validation: str) -> float:
        """Upper bound on the FLOPs of one step. `validation` names the validation split.

        A step on a base that is not in `bases` counts zero, because its size is not known yet.
        """
        if step.kind == "base" or base not in self.bases:
            return 0.0
        texts = self._read(step, base, validation)
        return step.stage.flops(texts.parents[0], texts)

    def _read(self, step: Step, base: str, validation: str) -> StepTexts:
        """What a step reads: texts by role, the sizes of its parents, and the kind of target."""
        models = [key for key in step.parents if key not in self.steps or self.steps[key].kind != "select"]
        sizes = tuple(self._size(key, base, validation) for key in models) or (self._base_size(base),)
        texts = {role: self.lengths(base, name) for role, name in step.data}
        return StepTexts(texts, sizes, self._kind(validation))

    def _size(self, key: str, base: str, validation: str) -> Size:
        """Size of the model that a step passes on."""
        step = self.steps.get(key)
        if key in self.bases or step is None:
            return self._base_size(key if key in self.bases else base)
        if step.kind == "base":
            return self._base_size(base)  # not fetched yet: a student, at most as large as its teacher
        texts = self._read(step, base, validation)
        return step.stage.leaves(texts.parents[0], texts)

    def lengths(self, base: str, name: str) -> Lengths:
        """Lengths of the texts of a file, or of those that an earlier step selects, in the tokens of a base."""
        step = self.steps.get(name)
        if step is not None:
            selected = step.stage.selects(StepTexts({role: self.lengths(base, part) for role, part in step.data}))
            if selected is not None:
                return selected
        if (base, name) not in self._lengths:
            self._lengths[base, name] = self._measure(base, name)
        return self._lengths[base, name]

    def _measure(self, base: str, name: str) -> Lengths:
        texts, tokenizer = read_texts(self.files[name]), load_tokenizer(self.bases[base])
        if isinstance(tokenizer, Rows):  # a row is one token, also of another matrix
            return Lengths.alike(len(texts), 1)
        tokenizer.model_max_length = 10**6  # each method truncates by its own settings
        return Lengths(np.array([float(len(ids)) for ids in tokenizer(texts)["input_ids"]]))

    def _kind(self, name: str) -> TargetKind:
        return kind_of(self.files[name])

    def _base_size(self, base: str) -> Size:
        if base not in self._sizes:
            self._sizes[base] = size_of(self.bases[base])
        return self._sizes[base]


def size_of(folder: Path) -> Size:
    """Read a model's size from its config and the headers of its safetensors files, without loading the weights."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    weights = sum(
        float(np.prod(shape))
        for name, shape in stored_shapes(folder).items()
        if len(shape) >= 2 and "embed" not in name and "wte" not in name and "wpe" not in name
    )
    if config.get("model_type") == FEATURES:
        return _size_of_rows(config, weights)
    width = config.get("hidden_size") or config.get("n_embd") or config.get("d_model") or config.get("dim") or 0
    layers = config.get("num_hidden_layers") or config.get("n_layer") or config.get("num_layers") or 0
    layers = layers or config.get("n_layers") or 0
    shape = Family(config["model_type"]).shape
    size = Size(weights, float(layers), float(width), float(config.get("vocab_size", 0)), shape)
    return _as_family(size, config)


def _as_family(size: Size, config: dict[str, Any]) -> Size:
    """Correct a size for families that compute more than one product for each weight, and one matrix of attention scores."""
    layers, width = size.layers, size.width
    match config["model_type"]:
        case "albert":  # all layers share their weights
            return replace(size, weights=size.weights * layers)
        case "xlnet":  # projects positions twice as long as the text, and attends to them as well
            return replace(size, weights=size.weights + layers * width**2, layers=2 * layers)
        case (
            "deberta-v2"
        ):  # attends to relative positions in both directions, whose number does not depend on the text's
            span = max(config.get("position_buckets", 0), 0) or config.get("max_position_embeddings", 512)
            return replace(size, weights=size.weights + 4 * layers * width * span)
    if size.shape in ("recurrent", "static"):  # without attention
        return replace(size, layers=0.0)
    if size.shape == "encoder-decoder":  # a classifier's decoder reads the text again, and attends to the encoder
        return replace(size, layers=3 * layers)
    return size


def _size_of_rows(config: dict[str, Any], weights: float) -> Size:
    """Size of a base that reads rows: a head on the columns, and for images the encoder at each position."""
    head, image = 128.0 * config["hidden_size"], config.get("image") or {}
    if not image:
        return Size(head, shape="features")
    _, height, width = config["shape"]
    places = height * width // int(image.get("patch_size", 1)) ** 2 + 1
    depth = float(image.get("num_hidden_layers", 0))
    return Size(weights + head, depth, config["hidden_size"], shape="features", places=places)


def speed(lineages: Lineages, least: float = 1e10) -> float:
    """FLOPs per second: the lower quartile over at least three recorded stages on this machine, otherwise a short benchmark."""
    costs = [lineage["cost"] for lineage in lineages.values() if lineage.get("cost")]
    rates = [cost["flops"] / cost["seconds"] for cost in costs if cost["flops"] > least and cost["seconds"] > 0]
    return float(np.quantile(rates, 0.25)) if len(rates) >= 3 else _trial()


def _trial(size: int = 768, seconds: float = 0.5) -> float:
    """Benchmark matrix products, and return a tenth of their FLOPs per second: small models spend most of their time elsewhere."""
    import torch

    one = torch.randn(size, size)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        one @ one
        count += 1
    return 0.1 * count * 2 * size**3 / (time.perf_counter() - start)


def minutes(flops: Iterable[float], rate: float) -> float:
    """Minutes to run stages one after another, given their FLOPs and the machine's FLOPs per second."""
    every = list(flops)
    return (sum(every) / rate + STAGE_SECONDS * len(every)) / 60

"""Forecast an upper bound on a tournament's cost: FLOPs from model sizes and token counts, minutes from the machine's speed.

A forward pass costs 2 FLOPs per weight and token, a training step three times as much (Kaplan et al. 2020, section 2.1). Attention
adds 4 FLOPs per layer, width and position. The bound assumes all declared epochs, texts at full length, no frozen layers, and 25 %
padding. Early stopping, less padding and frozen layers make the real cost lower.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from transferline.data.prepared_files import read_texts
from transferline.data.rows import Rows
from transferline.models.families import FEATURES, STATIC
from transferline.models.tokenization import load_tokenizer
from transferline.recipes.chain import Step
from transferline.tournament.costs import Lineages

PADDING = 1.25  # tokens including padding, per token of text
STAGE_SECONDS = 3.0  # to start, save and record a stage, in addition to its computation
LATENCY_ROWS = 20  # single texts for which a prediction step measures latency, in addition to the test


@dataclass
class Forecast:
    """Upper bounds on the cost of steps.

    `bases` maps the key of a base's step to its folder, `files` the name of data in a step to its file.
    """

    bases: Mapping[str, Path]
    files: Mapping[str, Path]
    steps: Mapping[str, Step] = field(default_factory=dict)
    """steps that write data for other steps: label subsets and weighted source examples"""
    _lengths: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    _sizes: dict[str, Size] = field(default_factory=dict)

    def flops(self, step: Step, base: str, validation: str, test: str, rows: Mapping[str, int]) -> float:
        """Upper bound on the FLOPs of one step on a base. `rows` maps the key of a label subset to its size."""
        stage: Any = step.stage
        if step.kind in ("base",) or base not in self.bases:
            return 0.0
        size, most = self._size(base), getattr(stage, "max_tokens", 10**6)
        tune = getattr(stage, "tune", stage)  # the control from scratch wraps a method
        if step.kind == "adapt" and hasattr(stage, "source_task"):
            train, held = (self.tokens(base, name, tune.max_tokens) for _, name in step.data)
            return PADDING * size.forward(tune.max_tokens) * tune.restarts * tune.epochs * (3 * train + held)
        if step.kind == "adapt" and hasattr(stage, "inner"):
            rows_read = stage.rounds * stage.inner * stage.schedule.batch_size
            return PADDING * 3 * size.forward(stage.max_tokens) * rows_read * stage.max_tokens
        if step.kind == "adapt" and not hasattr(stage, "tokens"):
            return 0.0  # vocabulary extension trains nothing
        if step.kind == "adapt":
            return PADDING * 3 * stage.tokens * size.forward(getattr(stage, "block", 256), head=True)
        if step.kind == "predict":
            return PADDING * self.tokens(base, test, 10**6) * size.forward(128)
        if step.kind == "select":
            names = [name for _, name in step.data] if getattr(stage, "method", "") != "labels" else []
            return PADDING * sum(self.tokens(base, n, most, rows) for n in names) * size.forward(128)
        if not any(hasattr(tune, name) for name in ("epochs", "Cs", "trees")):
            return 0.0
        most = getattr(tune, "max_tokens", 128)
        train = self.tokens(base, dict(step.data)["train"], most, rows)
        held = self.tokens(base, validation, most)
        forward = PADDING * size.forward(most, head=hasattr(tune, "block")) * columns_of(tune)
        source_rows = self._source_tokens(base, step, tune, most, rows)
        if not hasattr(tune, "epochs"):
            return forward * (train + source_rows + 2 * held) if "encoder" in size.kind else 0.0
        runs = getattr(tune, "restarts", 1) * tune.epochs
        return forward * (runs * (3 * (train + source_rows) + held) + train + 2 * held)

    def _source_tokens(self, base: str, step: Step, stage: Any, most: int, rows: Mapping[str, int]) -> float:
        """Tokens of other tasks that a method reads in an epoch: as many of their examples as it draws."""
        names = {role: name for role, name in step.data if "/" in role or role == "corpus"}
        own = self.rows(dict(step.data)["train"], rows)
        if hasattr(stage, "block"):  # an auxiliary language model draws blocks of its text
            return float(stage.block * max(own, 1))
        total = 0.0
        for name in names.values():
            count = self.rows(name, rows)
            share = own / count if hasattr(stage, "epochs") else 1.0
            # temperature sampling draws (count / own)^(1/T) examples per target example
            if hasattr(stage, "temperature"):
                share = max((count / own) ** (1 / stage.temperature), 1 / stage.schedule.batch_size) * own / count
            total += self.tokens(base, name, most) * share * (1 + stage.schedule.batch_size / own if share < 1 else 1)
        return total

    def rows(self, name: str, subsets: Mapping[str, int]) -> int:
        """Number of examples of a file, a label subset, or the selected source examples, given by name."""
        step = self.steps.get(name)
        if step is not None and hasattr(step.stage, "source_tasks"):
            return sum(self.rows(part, subsets) for _, part in step.data)
        return subsets[name] if name in subsets else len(read_texts(self.files[name]))

    def tokens(self, base: str, name: str, most: int, rows: Mapping[str, int] | None = None) -> float:
        """Number of tokens of a file, with texts truncated to `most`.

        A label subset counts the longest texts, because the texts that it will contain are not known yet.
        """
        step = self.steps.get(name)
        if step is not None and hasattr(step.stage, "source_tasks"):
            return sum(self.tokens(base, part, most, rows) for _, part in step.data)
        subset = (rows or {}).get(name)
        lengths = np.minimum(self._of(base, "train" if subset is not None else name), most)
        return float(lengths.sum() if subset is None else np.sort(lengths)[::-1][:subset].sum())

    def _of(self, base: str, name: str) -> np.ndarray:
        if (base, name) not in self._lengths:
            texts = read_texts(self.files[name])
            tokenizer = load_tokenizer(self.bases[base])
            if isinstance(tokenizer, Rows):  # a row of a feature matrix counts as one token
                self._lengths[base, name] = np.ones(len(texts))
                return self._lengths[base, name]
            tokenizer.model_max_length = 10**6  # count full lengths without a warning; methods truncate
            self._lengths[base, name] = np.array([len(ids) for ids in tokenizer(texts)["input_ids"]])
        return self._lengths[base, name]

    def _size(self, base: str) -> Size:
        if base not in self._sizes:
            self._sizes[base] = size_of(self.bases[base])
        return self._sizes[base]


def columns_of(stage: Any) -> int:
    """How many encoders every example of a method passes through."""
    return 1 + len(stage.source_tasks) if hasattr(stage, "stitch_learning_rate") else 1


@dataclass(frozen=True)
class Size:
    """Size of a model: weights in matrix products, layers x width, and weights of the vocabulary head."""

    weights: float
    layers_width: float
    head: float
    kind: str
    places: int = 1
    """number of positions of one row: 1, or for images the number of patches or pixels"""

    def forward(self, positions: int, head: bool = False) -> float:
        """FLOPs of a forward pass for one token (for a row: for all its positions), with attention over `positions`."""
        seen = positions if self.places == 1 else self.places
        token = 2 * (self.weights + (self.head if head else 0.0)) + 4 * self.layers_width * seen
        return self.places * token


def size_of(folder: Path) -> Size:
    """Read a model's size from its config and the headers of its safetensors files, without loading the weights."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    width = config.get("hidden_size") or config.get("n_embd") or config.get("d_model") or config.get("dim") or 0
    layers = config.get("num_hidden_layers") or config.get("n_layer") or config.get("num_layers") or 0
    weights = sum(
        float(np.prod(shape))
        for path in folder.glob("*.safetensors")
        for name, shape in _shapes(path).items()
        if len(shape) >= 2 and "embed" not in name and "wte" not in name and "wpe" not in name
    )
    if config.get("model_type") == FEATURES:
        return _size_of_rows(config, weights)
    kind = "static" if config.get("model_type") == STATIC else "encoder"
    more = (layers + 1) / layers if layers else 1.0  # mean pooling may add a layer
    return Size(weights * more, layers * width * more, float(config.get("vocab_size", 0) * width), kind)


def _size_of_rows(config: dict[str, Any], weights: float) -> Size:
    """Size of a base that reads rows: a head on the columns, and for images the encoder at each position."""
    head, image = 128.0 * config["hidden_size"], config.get("image") or {}
    if not image:
        return Size(head, 0.0, 0.0, "encoder")
    _, height, width = config["shape"]
    places = height * width // int(image.get("patch_size", 1)) ** 2 + 1
    depth = image.get("num_hidden_layers", 0) * config["hidden_size"]
    return Size(weights + head, depth, 0.0, "encoder", places)


def _shapes(path: Path) -> dict[str, list[int]]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}


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

"""Mean-pooled sentence embeddings, cached by text.

Embeddings are cached in an array store (core/array_store.py) under a hash of the model and of the tokenizer settings. Data
selection, source examples at every label budget, and diagnoses share the cache. A cached embedding equals a computed one up to
the rounding of its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from transferline.core.array_store import Shelf
from transferline.core.checkpoint import known_digest
from transferline.core.cost import Gauge
from transferline.core.runtime import Runtime
from transferline.core.stage import make_key
from transferline.models.tokenization import TokenizerSettings, load_tokenizer
from transferline.models.weights import load_config, load_model

SIZE = 64  # texts in a batch


def embed(
    folder: Path, texts: Sequence[str], reading: TokenizerSettings, runtime: Runtime, cache: Path | None = None
) -> np.ndarray:
    """Embeddings of texts, fp32 of shape (texts, width): the mean over tokens of the last hidden state.

    With a `cache` folder, every text is embedded once and read from there afterwards.
    """
    if cache is None or not texts:
        return _compute(folder, texts, reading, runtime)
    import xxhash

    made_from = {"model": known_digest(folder), "reading": asdict(reading), "version": 1}
    shelf = Shelf(cache / make_key("embeddings", made_from), load_config(folder).hidden_size, np.float32)
    names = [xxhash.xxh3_128_hexdigest(text.encode()) for text in texts]

    def make(wanted: list[int]) -> list[np.ndarray]:
        return list(_compute(folder, [texts[i] for i in wanted], reading, runtime)[:, None])

    # The cost of cached texts is shared out by characters: counting tokens would mean tokenising texts that are cached already.
    shelf.fill(names, [1.0 + len(text) for text in texts], make)
    return np.concatenate([shelf.row(name) for name in names])


def _compute(folder: Path, texts: Sequence[str], reading: TokenizerSettings, runtime: Runtime) -> np.ndarray:
    import torch

    from transferline.models.networks.pooling import mean_of_tokens

    tokenizer = load_tokenizer(folder, reading)
    model: Any = load_model("AutoModel", folder, 0)[0].eval().to(runtime.device)
    # texts of similar length share a batch: little padding
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
    points = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    gauge = Gauge()
    with torch.inference_mode():
        for start in range(0, len(order), SIZE):
            chosen = order[start : start + SIZE]
            some = [texts[i] for i in chosen]
            batch = tokenizer(some, truncation=True, padding=True, return_tensors="pt").to(runtime.device)
            mask = batch["attention_mask"]
            with gauge.count(int(mask.sum())):
                points[chosen] = mean_of_tokens(model(**batch).last_hidden_state, mask).cpu().numpy()
    return points

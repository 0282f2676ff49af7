"""Cached outputs of frozen lower layers, which run in evaluation mode.

Liu et al., "AutoFreeze: Automatically Freezing Model Blocks to Accelerate Fine-tuning" (2021), section 4.2: without dropout and
without gradient the output of frozen layers is the same in every epoch. It is also the same for every seed and every label budget
on one parent, so the cache lies in the store beside the checkpoints, under a key of its own (array_store.py).
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from transferline.core.array_store import Shelf
from transferline.core.checkpoint import known_digest
from transferline.core.cost import Gauge
from transferline.core.stage import Work, make_key
from transferline.targets.target import SIZE, Examples

if TYPE_CHECKING:
    import torch

FAMILIES = (
    "bert",
    "roberta",
    "xlm-roberta",
    "camembert",
    "electra",
)  # embeddings, then `encoder.layer`, nothing between


def stand_still(model: Any) -> None:
    """Keep every part of an encoder that has nothing to learn in evaluation mode: no dropout where nothing is learnt."""
    for module in model.base_model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()
            module.train = types.MethodType(lambda self, mode=True: self, module)


class FrozenPrefix:
    """The embeddings and lowest layers of a model, with a cache of their outputs."""

    def __init__(self, model: Any, layers: int, work: Work) -> None:
        self.model, self.base = model, model.base_model
        self.embeddings, self.layers, self.count = self.base.embeddings, self.base.encoder.layer, layers
        self.half = work.runtime.precision == "bf16"
        assert work.cache is not None
        digest = known_digest(work.needs_parent())
        kind, width = (np.int16 if self.half else np.float32), model.config.hidden_size
        made_from = {"parent": digest, "layers": layers, "precision": work.runtime.precision, "version": 1}
        self.shelf = Shelf(work.cache / make_key("prefix", made_from), width, kind)

    @classmethod
    def of(cls, model: Any, work: Work) -> FrozenPrefix | None:
        """The prefix of a model: all that is frozen from the bottom. None where its outputs cannot be kept: a family of another
        make, nothing frozen, or no place for them."""
        base = model.base_model
        if work.cache is None or model.config.model_type not in FAMILIES or hasattr(base, "embeddings_project"):
            return None
        if any(parameter.requires_grad for parameter in base.embeddings.parameters()):
            return None
        learns = [any(parameter.requires_grad for parameter in layer.parameters()) for layer in base.encoder.layer]
        return cls(model, [*learns, True].index(True), work)

    def examples(self, examples: Examples) -> CachedOutputs:
        """The same examples as outputs of the prefix. Outputs that are not cached are computed now."""
        names = [examples.name(i) for i in range(len(examples))]
        self.shelf.fill(names, examples.lengths, lambda wanted: self._run(examples, wanted))
        return CachedOutputs(examples, self.shelf, names)

    def take_off(self) -> Any:
        """The model without its prefix. It reads the prefix's outputs."""
        import torch

        class Given(torch.nn.Module):
            def forward(self, inputs_embeds: torch.Tensor, **_: Any) -> torch.Tensor:
                return inputs_embeds

        self.base.embeddings, self.base.encoder.layer = Given(), self.layers[self.count :]
        self.model.prefix = self
        return self.model

    def put_back(self) -> Any:
        """The whole model again."""
        self.base.embeddings, self.base.encoder.layer = self.embeddings, self.layers
        del self.model.prefix
        return self.model

    def _run(self, examples: Examples, wanted: Sequence[int]) -> list[np.ndarray]:
        """Outputs of the prefix for some examples, in batches of similar length."""
        import torch

        order = sorted(wanted, key=lambda i: (examples.lengths[i], i))
        gauge, made = Gauge(), {}
        self.model.eval()
        self.base.encoder.layer = self.layers[: self.count]
        device = next(self.embeddings.parameters()).device
        try:
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=self.half):
                for start in range(0, len(order), SIZE):
                    part = order[start : start + SIZE]
                    batch = {name: value.to(device) for name, value in examples.batch(part).items()}
                    with gauge.count(sum(examples.lengths[i] for i in part)):
                        states = self.base(**batch).last_hidden_state
                    for i, row in zip(part, states, strict=True):
                        made[i] = self._stored(row[: examples.lengths[i]])
        finally:
            self.base.encoder.layer = self.layers
        return [made[i] for i in wanted]

    def _stored(self, row: torch.Tensor) -> np.ndarray:
        import torch

        return (row.bfloat16().view(torch.int16) if self.half else row.float()).cpu().numpy()


class CachedOutputs(Examples):
    """Examples of which the prefix's output is read instead of the tokens."""

    def __init__(self, examples: Examples, shelf: Shelf, names: Sequence[str]) -> None:
        super().__init__(examples.records, examples.inputs, examples.tokenizer, examples.y_true)
        self.shelf, self.names = shelf, names

    def batch(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """`inputs_embeds` (batch, tokens, width), padded with zeros, and the mask."""
        import torch

        longest = max(self.lengths[i] for i in indices)
        states = torch.zeros(len(indices), longest, self.shelf.width)
        mask = torch.zeros(len(indices), longest, dtype=torch.long)
        for place, i in enumerate(indices):
            row = torch.from_numpy(np.array(self.shelf.row(self.names[i])))
            states[place, : len(row)] = row.view(torch.bfloat16) if row.dtype == torch.int16 else row
            mask[place, : len(row)] = 1
        return {"inputs_embeds": states, "attention_mask": mask}

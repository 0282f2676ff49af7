"""Text generation: replies, summaries, rewrites, by an encoder-decoder or by a decoder that continues the source.

A decoder reads `source, newline, target, end`. The loss is on the target alone. Decoding is greedy, so that a model's output is
reproducible.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transferline.core.problem import IGNORED_LABEL
from transferline.data.blocks import padded
from transferline.evaluation.predictions import Predictions, Texts, objects
from transferline.models.families import family_of
from transferline.models.heads import Pooling
from transferline.models.tokenization import TokenizerSettings
from transferline.models.weights import load_headed, open_tuned
from transferline.targets.target import Examples, Target

if TYPE_CHECKING:
    import torch

SIZE = 16


class Generation(Target):
    """Maximum likelihood of the target text given the source."""

    name = "generation"
    ability = "generate"
    generates = True

    @classmethod
    def learn(cls, train: Path) -> Generation:
        return cls()

    two_sided = False  # as the family of the loaded model is

    def load(self, folder: Path, pooling: Pooling, seed: int, pretrained: bool = True) -> Any:
        self.two_sided = family_of(folder).two_sided
        return load_headed(family_of(folder).generator, folder, seed, pretrained)

    def open(self, folder: Path) -> Any:
        self.two_sided = family_of(folder).two_sided
        return open_tuned(family_of(folder).generator, folder)

    def truth_of(self, records: Sequence[dict]) -> np.ndarray:
        return objects([record.get("target", "") for record in records])

    def examples(self, path: Path, tokenizer: Any, reading: TokenizerSettings) -> Examples:
        made = super().examples(path, tokenizer, reading)
        return Sources(made.records, made.inputs, tokenizer, made.y_true, reading, self.two_sided)

    def unlabelled(self, records: Sequence[dict], tokenizer: Any, reading: TokenizerSettings) -> Examples:
        made = super().unlabelled(records, tokenizer, reading)
        return Sources(made.records, made.inputs, tokenizer, self.truth_of(records), reading, self.two_sided)

    def labelled(self, examples: Examples, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        assert isinstance(examples, Sources)
        return examples.taught(indices)

    def units(self, examples: Examples, indices: Sequence[int]) -> float:
        """Number of target tokens in the loss. A decoder that reads no source does not predict the first one."""
        assert isinstance(examples, Sources)
        bare = 0 if examples.two_sided else sum(not examples.inputs["input_ids"][i] for i in indices)
        return float(sum(len(examples.targets[i]) for i in indices) - bare)

    def answer(self, model: Any, examples: Examples) -> np.ndarray:
        import torch

        assert isinstance(examples, Sources)
        outputs = [""] * len(examples)
        tokenizer = examples.tokenizer
        with torch.inference_mode():
            for chosen in examples.by_length(SIZE):
                batch = {name: value.to(model.device) for name, value in examples.asked(chosen).items()}
                said = model.generate(
                    **batch,
                    max_new_tokens=examples.reading.target_tokens,
                    do_sample=False,
                    num_beams=1,
                    pad_token_id=tokenizer.pad_token_id,
                    eos_token_id=tokenizer.eos_token_id,
                )
                new = said if examples.two_sided else said[:, batch["input_ids"].shape[1] :]
                for i, text in zip(chosen, tokenizer.batch_decode(new, skip_special_tokens=True), strict=True):
                    outputs[i] = " ".join(text.split())
        return objects(outputs)

    def predictions(self, examples: Examples, outputs: np.ndarray) -> Predictions:
        return Texts(tuple(record["id"] for record in examples.records), (), examples.y_true, outputs)

    def measure(self, model: Any, examples: Examples) -> dict[str, float]:
        """Mean loss per target token. `score` is its negative, because generating at every validation would cost too much."""
        import torch

        total, tokens = 0.0, 0
        with torch.inference_mode():
            for chosen in examples.by_length(SIZE):
                batch = {n: v.to(model.device) for n, v in self.labelled(examples, chosen).items()}
                count = int((batch["labels"] != IGNORED_LABEL).sum())
                total, tokens = total + float(model(**batch).loss) * count, tokens + count
        loss = total / max(1, tokens)
        return {"loss": loss, "perplexity": float(np.exp(min(loss, 50.0))), "score": -loss}


class Sources(Examples):
    """Sources and targets as token lists, in the two forms that a model is taught and asked in."""

    def __init__(
        self,
        records: Sequence[dict],
        inputs: dict[str, list],
        tokenizer: Any,
        y_true: Any,
        reading: TokenizerSettings,
        two_sided: bool,
    ) -> None:
        self.reading, self.two_sided = reading, two_sided
        texts = list(y_true)
        bare = tokenizer(texts, add_special_tokens=False, truncation=True, max_length=reading.target_tokens - 1)
        self.targets = [[*row, tokenizer.eos_token_id] for row in bare["input_ids"]]
        if not self.two_sided:
            newline = tokenizer("\n", add_special_tokens=False)["input_ids"]
            sources = tokenizer(
                [record["text"] for record in records],
                add_special_tokens=False,
                truncation=True,
                max_length=reading.max_tokens - len(newline),
            )["input_ids"]
            inputs = {"input_ids": [[*row, *newline] for row in sources]}
        super().__init__(records, inputs, tokenizer, y_true)

    def some(self, indices: Sequence[int]) -> Examples:
        part = super().some(indices)
        assert isinstance(part, Sources)
        part.targets = [self.targets[i] for i in indices]
        return part

    def asked(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """Inputs to generate from. A decoder's are padded on the left, so that every prompt ends where generation begins."""
        import torch

        if self.two_sided:
            return self.batch(indices)
        ids = [self.inputs["input_ids"][i] for i in indices]
        width, pad = max(map(len, ids)), self.tokenizer.pad_token_id
        padded = torch.tensor([[pad] * (width - len(row)) + row for row in ids])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids])
        return {"input_ids": padded, "attention_mask": mask}

    def taught(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """Inputs and labels to learn from."""
        import torch

        targets = [self.targets[i] for i in indices]
        if self.two_sided:
            return {**self.batch(indices), "labels": padded(targets, IGNORED_LABEL)}
        sources = [self.inputs["input_ids"][i] for i in indices]
        whole = [[*source, *target] for source, target in zip(sources, targets, strict=True)]
        labels = [[IGNORED_LABEL] * len(s) + t for s, t in zip(sources, targets, strict=True)]
        mask = padded([[1] * len(row) for row in whole], 0)
        ids = padded(whole, self.tokenizer.pad_token_id)
        return {"input_ids": ids, "attention_mask": mask.to(torch.long), "labels": padded(labels, IGNORED_LABEL)}

"""Interface of every kind of target: read examples, load a model with the right head, predict and measure."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from transferline.core.cost import Gauge
from transferline.core.errors import InputError
from transferline.core.problem import Ability, TargetKind
from transferline.data.prepared_files import read_jsonl
from transferline.data.rows import Rows
from transferline.evaluation.predictions import Predictions
from transferline.models.encodings import Memo, content
from transferline.models.heads import Pooling, output_layer
from transferline.models.tokenization import TokenizerSettings, encode

if TYPE_CHECKING:
    import torch


class Examples:
    """Tokenised examples of a prepared split. `y_true` holds the labels in the form that the kind of target uses."""

    def __init__(self, records: Sequence[dict], inputs: dict[str, list], tokenizer: Any, y_true: Any) -> None:
        self.records, self.inputs, self.tokenizer, self.y_true = records, inputs, tokenizer, y_true
        self.lengths: list[int] = [len(ids) for ids in inputs["input_ids"]]

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """Padded inputs of some examples, without labels."""
        chosen = {name: [values[i] for i in indices] for name, values in self.inputs.items()}
        return dict(self.tokenizer.pad(chosen, return_tensors="pt"))

    def name(self, index: int) -> str:
        """A name for the content of an example's input, independent of its file."""
        import xxhash

        parts = [content(self.inputs[name][index]) for name in sorted(self.inputs)]
        return xxhash.xxh3_128_hexdigest(b"|".join(parts))

    def some(self, indices: Sequence[int]) -> Examples:
        """Some examples by themselves."""
        part = copy.copy(self)
        part.records = [self.records[i] for i in indices]
        part.y_true = (
            self.y_true[list(indices)] if isinstance(self.y_true, np.ndarray) else [self.y_true[i] for i in indices]
        )
        part.inputs = {name: [values[i] for i in indices] for name, values in self.inputs.items()}
        part.lengths = [self.lengths[i] for i in indices]
        return part

    def parts(self, size: int) -> list[list[int]]:
        """Indices in batches of like length: little padding."""
        order = sorted(range(len(self)), key=lambda i: (self.lengths[i], i))
        return [order[start : start + size] for start in range(0, len(order), size)]

    def by_length(self, size: int) -> Iterator[list[int]]:
        """Yield the batches of similar length. The computation for each is counted as a cost of the stage."""
        gauge = Gauge()
        for part in self.parts(size):
            with gauge.count(sum(self.lengths[i] for i in part)):
                yield part


class Target(ABC):
    """One kind of task with its labels, in the order of a model's outputs."""

    name: ClassVar[TargetKind]
    ability: ClassVar[Ability] = "classify"
    generates: ClassVar[bool] = False

    def __init__(self, labels: Sequence[str] = ()) -> None:
        self.labels = list(labels)

    @classmethod
    @abstractmethod
    def learn(cls, train: Path) -> Target:
        """The target of a training split: its labels, and what else the kind takes from them."""

    @abstractmethod
    def load(self, folder: Path, pooling: Pooling, seed: int, pretrained: bool = True) -> Any:
        """A model with this target's head on the weights of a folder, or of its shape with random ones."""

    @abstractmethod
    def open(self, folder: Path) -> Any:
        """Open the tuned model of a folder and adopt its labels."""

    @abstractmethod
    def truth_of(self, records: Sequence[dict]) -> Any:
        """The labels of records as the loss wants them."""

    @abstractmethod
    def answer(self, model: Any, examples: Examples) -> np.ndarray:
        """The model's answers, in the order of the examples, as this kind's predictions hold them."""

    @abstractmethod
    def predictions(self, examples: Examples, outputs: np.ndarray) -> Predictions:
        """Predictions with the labels beside them."""

    @abstractmethod
    def measure(self, model: Any, examples: Examples) -> dict[str, float]:
        """Figures on held-out examples. `score` (higher is better) ranks models."""

    @abstractmethod
    def labelled(self, examples: Examples, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """A batch with `labels`, from which the model works out its own loss."""

    def admit(self, records: Sequence[dict]) -> None:
        """Add the labels of a test that the model does not know after its own, for the kinds that number their labels."""

    def units(self, examples: Examples, indices: Sequence[int]) -> float:
        """Number of labels that the mean loss of some examples averages over: one for each example by default."""
        return float(len(indices))

    def examples(self, path: Path, tokenizer: Any, reading: TokenizerSettings) -> Examples:
        """The examples of a prepared split."""
        records = read_jsonl(path)
        return Examples(records, self.encode(records, tokenizer, reading), tokenizer, self.truth_of(records))

    def unlabelled(self, records: Sequence[dict], tokenizer: Any, reading: TokenizerSettings) -> Examples:
        """Examples without labels, for prediction only."""
        return Examples(records, self.encode(records, tokenizer, reading), tokenizer, np.zeros(len(records)))

    def encode(self, records: Sequence[dict], tokenizer: Any, reading: TokenizerSettings) -> dict[str, list]:
        """Input lists of records."""
        check_space(records, tokenizer)
        pairs = [r["pair"] for r in records] if records and "pair" in records[0] else None
        return encode(tokenizer, [r["text"] for r in records], pairs, reading)

    def settle(self, model: Any) -> None:
        """Finish a trained model before it is saved."""

    def features(self, model: Any, examples: Examples) -> np.ndarray:
        """Inputs of the last linear layer for each example, fp64 of shape (examples, width)."""
        with caught_features(model) as caught:
            forward(model, examples)
        parts = examples.parts(SIZE)
        if caught[0].ndim == 3 and caught[0].shape[1] > 1:  # a decoder's head looks at every token; the last one counts
            ends = [[examples.lengths[i] - 1 for i in part] for part in parts]
            caught = [seen[np.arange(len(end)), end] for seen, end in zip(caught, ends, strict=True)]
        rows = np.concatenate([part.reshape(-1, part.shape[-1]) for part in caught]).astype(np.float64)
        restored = np.empty_like(rows)
        restored[[i for part in parts for i in part]] = rows
        return restored


def check_space(records: Sequence[dict], tokenizer: Any) -> None:
    """Raise InputError where a base would read records of another input space than its own."""
    width = tokenizer.width if isinstance(tokenizer, Rows) else None
    found = records[0].get("features") if records else width
    if found != width:
        sides = [f"a matrix with {one} columns" if one else "texts" for one in (found, width)]
        mend = "Learn from it by `common-space`, or choose a base that reads both"
        raise InputError("examples", f"they are rows of {sides[0]}, and the base reads {sides[1]}", mend)


SIZE = 64  # examples a batch when nothing is learnt


def forward(model: Any, examples: Examples, size: int = SIZE) -> np.ndarray:
    """Logits in fp32, (examples, labels), in the order of the examples."""
    import torch

    memo = Memo(model, examples.inputs, examples.parts(size))
    known = memo.reuse()
    if known is not None:
        return known
    logits = np.zeros((len(examples), model.config.num_labels), dtype=np.float32)
    with torch.inference_mode(), memo.watch():
        for chosen in examples.by_length(size):
            batch = {name: value.to(model.device) for name, value in examples.batch(chosen).items()}
            logits[chosen] = model(**batch).logits.float().cpu().numpy()
    memo.keep(logits)
    return logits


@contextmanager
def caught_features(model: Any) -> Iterator[list[np.ndarray]]:
    """A list that collects, batch by batch, the inputs of the model's last linear layer."""
    caught: list[np.ndarray] = []
    hook = output_layer(model).register_forward_pre_hook(lambda _, args: caught.append(args[0].float().cpu().numpy()))
    try:
        yield caught
    finally:
        hook.remove()

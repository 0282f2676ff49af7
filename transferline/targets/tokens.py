"""A tag for each word: entities and other spans, in the BIO scheme.

A word of several sub-words is tagged by its first one, and only that one is in the loss (Devlin et al. 2019, section
5.3). Words beyond the truncation are answered with O.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transferline.core.problem import IGNORED_LABEL
from transferline.data.prepared_files import read_jsonl
from transferline.evaluation.metrics import measure
from transferline.evaluation.predictions import Predictions, Tags, objects
from transferline.models.heads import Pooling
from transferline.models.tokenization import TokenizerSettings
from transferline.models.weights import load_headed, open_tuned
from transferline.targets.target import SIZE, Examples, Target, caught_features

if TYPE_CHECKING:
    import torch

OUTSIDE = "O"


class Tokens(Target):
    """Softmax over the tags of the training split for each word. Every type has a B- and an I- tag."""

    name = "tokens"
    ability = "tag"

    @classmethod
    def learn(cls, train: Path) -> Tokens:
        types = sorted({tag[2:] for record in read_jsonl(train) for tag in record["label"] if tag != OUTSIDE})
        return cls([OUTSIDE, *(f"{place}-{kind}" for kind in types for place in "BI")])

    def load(self, folder: Path, pooling: Pooling, seed: int, pretrained: bool = True) -> Any:
        return load_headed("AutoModelForTokenClassification", folder, seed, pretrained, self.labels)

    def open(self, folder: Path) -> Any:
        model = open_tuned("AutoModelForTokenClassification", folder)
        self.labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
        return model

    def truth_of(self, records: Sequence[dict]) -> np.ndarray:
        return objects([tuple(record.get("label", ())) for record in records])

    def encode(self, records: Sequence[dict], tokenizer: Any, reading: TokenizerSettings) -> dict[str, list]:
        words = [record["words"] for record in records]
        encoded = tokenizer(words, is_split_into_words=True, truncation=True, max_length=reading.max_tokens)
        places = [first_pieces(encoded.word_ids(i), len(row)) for i, row in enumerate(words)]
        return {**dict(encoded), "places": places}

    def examples(self, path: Path, tokenizer: Any, reading: TokenizerSettings) -> Examples:
        made = super().examples(path, tokenizer, reading)
        return TaggedExamples(made.records, made.inputs, made.tokenizer, made.y_true)

    def unlabelled(self, records: Sequence[dict], tokenizer: Any, reading: TokenizerSettings) -> Examples:
        made = super().unlabelled(records, tokenizer, reading)
        return TaggedExamples(made.records, made.inputs, made.tokenizer, made.y_true)

    def labelled(self, examples: Examples, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        import torch

        batch = examples.batch(indices)
        labels = torch.full(batch["input_ids"].shape, IGNORED_LABEL)
        number = {label: i for i, label in enumerate(self.labels)}
        for row, i in enumerate(indices):
            for place, tag in zip(_places(examples)[i], examples.y_true[i], strict=True):
                if place >= 0:
                    labels[row, place] = number[tag]
        return {**batch, "labels": labels}

    def units(self, examples: Examples, indices: Sequence[int]) -> float:
        """Number of words with a label in the loss."""
        return float(sum(place >= 0 for i in indices for place in _places(examples)[i]))

    def answer(self, model: Any, examples: Examples) -> np.ndarray:
        import torch

        outputs: list[tuple[str, ...]] = [()] * len(examples)
        with torch.inference_mode():
            for chosen in examples.by_length(SIZE):
                batch = {name: value.to(model.device) for name, value in examples.batch(chosen).items()}
                best = model(**batch).logits.argmax(dim=-1).cpu().tolist()
                for i, row in zip(chosen, best, strict=True):
                    places = _places(examples)[i]
                    outputs[i] = tuple(self.labels[row[place]] if place >= 0 else OUTSIDE for place in places)
        return objects(outputs)

    def predictions(self, examples: Examples, outputs: np.ndarray) -> Predictions:
        types = sorted({label[2:] for label in self.labels if label != OUTSIDE})
        return Tags(tuple(record["id"] for record in examples.records), tuple(types), examples.y_true, outputs)

    def measure(self, model: Any, examples: Examples) -> dict[str, float]:
        """F1 of exact spans. `score` breaks ties by the share of right tags."""
        made = self.predictions(examples, self.answer(model, examples))
        f1, accuracy = measure("span_f1", made), measure("token_accuracy", made)
        return {"span_f1": f1, "token_accuracy": accuracy, "score": f1 + 1e-3 * accuracy}

    def features(self, model: Any, examples: Examples) -> np.ndarray:
        """Inputs of the last layer for each word that is not truncated: (words, width)."""
        import torch

        rows: dict[int, np.ndarray] = {}
        with caught_features(model) as caught, torch.inference_mode():
            for chosen in examples.by_length(SIZE):
                model(**{name: value.to(model.device) for name, value in examples.batch(chosen).items()})
                for i, hidden in zip(chosen, caught.pop(), strict=True):
                    rows[i] = hidden[[place for place in _places(examples)[i] if place >= 0]]
        return np.concatenate([rows[i] for i in range(len(examples))]).astype(np.float64)

    def words_of(self, examples: Examples) -> list[int]:
        """How many words of each example are not cut off."""
        return [sum(place >= 0 for place in places) for places in _places(examples)]

    def tags_of_words(self, examples: Examples) -> np.ndarray:
        """The tag number of each word that is not cut off, in the order of `features`."""
        number = {label: i for i, label in enumerate(self.labels)}
        pairs = [zip(_places(examples)[i], examples.y_true[i], strict=True) for i in range(len(examples))]
        return np.array([number[tag] for pair in pairs for place, tag in pair if place >= 0])


class TaggedExamples(Examples):
    """Examples whose inputs carry the position of each word's first piece beside the tokens."""

    def __init__(self, records: Sequence[dict], inputs: dict[str, list], tokenizer: Any, y_true: Any) -> None:
        self.places: list[list[int]] = inputs["places"]
        super().__init__(records, {n: v for n, v in inputs.items() if n != "places"}, tokenizer, y_true)

    def name(self, index: int) -> str:
        """Of one row of tokens, split into words in one way."""
        return f"{super().name(index)} {self.places[index]}"

    def some(self, indices: Sequence[int]) -> Examples:
        part = super().some(indices)
        assert isinstance(part, TaggedExamples)
        part.places = [self.places[i] for i in indices]
        return part


def first_pieces(word_ids: Sequence[int | None], words: int) -> list[int]:
    """Position of the first piece of each of `words` words; -1 for words that are truncated or have no piece."""
    places = [-1] * words
    for place, word in enumerate(word_ids):
        if word is not None and places[word] < 0:
            places[word] = place
    return places


def _places(examples: Examples) -> list[list[int]]:
    assert isinstance(examples, TaggedExamples)
    return examples.places

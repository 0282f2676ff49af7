"""Base class of all fine-tuning methods: read the target, load the model, train it, keep the best checkpoint, save it.

A subclass overrides only its own differences: how to change the model before training, which parameters train at which
learning rate and when, extra terms of the loss, and how to turn the result back into an ordinary model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.flops import ALL, PADDING, Backward, Size, StepTexts
from transferline.core.problem import TargetKind
from transferline.core.stage import Stage, StageKind, Work, name_of
from transferline.models.heads import Pooling, head_parameters, layers_of
from transferline.models.tokenization import TokenizerSettings, Truncation, load_tokenizer
from transferline.targets import Target, target_of
from transferline.targets.example_weights import WEIGHT, supervised, weights_of
from transferline.targets.target import Examples
from transferline.training.learner import TRAINED, Learner, Schedule
from transferline.training.loop import History, train

if TYPE_CHECKING:
    import torch

SEEDS_APART = 10_000
"""seed offset between restarts: larger than the number of seeds in any run, so that no two restarts share a seed"""


class FineTuning(Stage):
    """Base class of fine-tuning methods, with the settings that all of them share."""

    kind: ClassVar[StageKind] = "tune"
    version: ClassVar[int] = TRAINED
    reads: ClassVar[tuple[str, ...]] = ("train", "validation")
    long: ClassVar[bool] = True
    gpu: ClassVar[bool] = True
    random: ClassVar[bool] = True

    epochs: Annotated[int, Field(ge=1)] = 10
    patience: Annotated[int, Field(ge=1)] = 3
    """epochs without a better validation score before training stops (early stopping)"""
    max_tokens: Annotated[int, Field(ge=8)] = 128
    truncation: Truncation = "head"
    """part of a longer text to keep: its head, its tail, or both"""
    target_tokens: Annotated[int, Field(ge=2)] = 64
    """generation only: maximum number of tokens to generate"""
    pooling: Pooling = "mean"
    head_learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """peak learning rate of the new head"""
    restarts: Annotated[int, Field(ge=1)] = 1
    """training runs with different initial heads; the one with the best validation score is kept"""
    schedule: Schedule = Schedule(batch_size=16)

    def build(self, work: Work) -> dict[str, float]:
        return self.fit(work)

    def fit(self, work: Work, pretrained: bool = True) -> dict[str, float]:
        """Train and save the best model to `work.out`.

        The model starts with the parent's weights, or with random weights in the same architecture if `pretrained` is false.
        Returns the validation metrics, with `score` and `best_step` among them. Raises InputError where nothing is trainable.
        """
        target = target_of(work.data["train"])
        reading = self.reading()
        best: tuple[History, Any, Target] | None = None
        for restart in range(self.restarts):
            seed = work.seed + restart * SEEDS_APART
            # each restart saves its training state in its own folder, so that a killed run resumes the right one
            mine = replace(work, seed=seed, state=work.state / f"restart-{restart}" if restart else work.state)
            model = self.load(target, mine, pretrained)
            tokenizer = self.prepare(open_tokenizer(target, mine.needs_parent(), reading))
            examples, validation = (target.examples(work.data[s], tokenizer, reading) for s in ("train", "validation"))
            learner = self.learner(target, self.shape(model, target, examples, validation), examples, validation, mine)
            history = self._train(learner, mine)
            if best is None or history.best_score > best[0].best_score:
                best = (history, learner.model, target)
        assert best is not None
        model = self.finish(best[1])
        target.settle(model)
        figures = save_tuned(model, tokenizer, target, validation, reading=reading, out=work.out, save=self.save)
        return {**figures, "best_step": float(best[0].best_step)}

    def flops(self, size: Size, tokens: StepTexts) -> float:
        size, tokens = self.network(size, tokens), tokens.cut(self.max_tokens)
        train, held = tokens["train"], size.forward(tokens["validation"])
        epochs = sum(size.step(train, self.backward(size, epoch)) for epoch in range(self.epochs))
        epochs += self.epochs * (self.beside(size, tokens) + held)
        return PADDING * (self.restarts * (self.before(size, tokens) + epochs) + held)

    def leaves(self, size: Size, tokens: StepTexts) -> Size:
        return self.network(size, tokens)

    def longest_input(self, kind: TargetKind) -> int:
        # a decoder reads the source and goes on with the target
        return self.max_tokens + (self.target_tokens if kind == "generation" else 0)

    def network(self, size: Size, tokens: StepTexts) -> Size:
        """Size of the network during training. By default that of the parent, with the target's head."""
        if tokens.kind == "generation":
            return replace(size, writes=self.target_tokens)
        return size.mean_pooled() if self.pooling == "mean" and tokens.kind != "tokens" else size

    def backward(self, size: Size, epoch: int) -> Backward:
        """The part of the network that an epoch's backward passes compute. All of it by default."""
        return ALL

    def beside(self, size: Size, tokens: StepTexts) -> float:
        """FLOPs of an epoch on other texts than the target's. None by default."""
        return 0.0

    def before(self, size: Size, tokens: StepTexts) -> float:
        """FLOPs before the first epoch. None by default."""
        return 0.0

    def _train(self, learner: Learner, work: Work) -> History:
        if not any(p.requires_grad for p in learner.model.parameters()):
            what = "everything is frozen, and there is no new head to train"
            raise InputError(f"method {name_of(type(self))!r}", what, "Freeze fewer layers")
        # parameters that never train are left out of the saved training state
        learner.model.always_frozen = frozenset(n for n, p in learner.model.named_parameters() if not p.requires_grad)
        steps = self.epochs * -(-len(learner.lengths) // self.schedule.batch_size)  # -(-a // b) rounds up
        return train(
            learner,
            self.schedule,
            steps,
            seed=work.seed,
            runtime=work.runtime,
            state=work.state,
            report=work.report,
            name=work.name,
            patience=self.patience,
        )

    def reading(self) -> TokenizerSettings:
        return TokenizerSettings(self.max_tokens, self.truncation, self.target_tokens)

    def prepare(self, tokenizer: Any) -> Any:
        """Change the tokenizer before texts are read, for example to add tokens. Returns it unchanged by default."""
        return tokenizer

    def load(self, target: Target, work: Work, pretrained: bool) -> Any:
        """Load the model to train, with the target's head."""
        return target.load(work.needs_parent(), self.pooling, work.seed, pretrained)

    def shape(self, model: Any, target: Target, train: Examples, validation: Examples) -> Any:
        """Change the model before training. Parameters frozen here are neither trained nor saved in the training state."""
        return model

    def learner(self, target: Target, model: Any, train: Examples, validation: Examples, work: Work) -> TuningLearner:
        """The learner that the training loop runs."""
        return TuningLearner(self, target, model, train, validation)

    def finish(self, model: Any) -> Any:
        """Turn the trained model into an ordinary one, for example by merging adapters. Returns it unchanged by default."""
        return model

    def save(self, model: Any, out: Path) -> None:
        """Save the finished model to a folder."""
        save_plain(model, out)


class TuningLearner(Learner):
    """Learner for a model with the target's head. Validation examples drive early stopping."""

    def __init__(self, method: FineTuning, target: Target, model: Any, train: Examples, validation: Examples) -> None:
        self.method, self.target, self.model = method, target, model
        self.train, self.validation = train, validation
        self.lengths = train.lengths
        self.head = head_of(model, target)
        self.weights = weights_of(train.records)
        # subclasses may read or move whole parameters, which sharding would split
        self.shards = type(self) is TuningLearner

    def groups(self, rate: float) -> list[dict]:
        """Optimiser groups: the encoder at `rate`, the new head at its own, usually higher, learning rate."""
        learning = [p for p in self.model.parameters() if p.requires_grad]
        encoder = [p for p in learning if id(p) not in self.head]
        head = [p for p in learning if id(p) in self.head]
        groups = ({"params": encoder, "lr": rate}, {"params": head, "lr": self.method.head_learning_rate})
        return [group for group in groups if group["params"]]

    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        batch = self.target.labelled(self.train, indices)
        if self.weights is None:
            return batch
        import torch

        return {**batch, WEIGHT: torch.from_numpy(self.weights[list(indices)])}

    def units(self, indices: Sequence[int], epoch: int) -> dict[str, float]:
        return {"": self.target.units(self.train, indices)}

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return supervised(self.model, batch)[0]

    def validate(self) -> dict[str, float]:
        return self.target.measure(self.model, self.validation)


def head_of(model: Any, target: Target) -> set[int]:
    """Identities (`id`) of the parameters of a new head. A generation head is pretrained, so it has none."""
    return set() if target.generates else head_parameters(model)


def open_tokenizer(target: Target, folder: Path, reading: TokenizerSettings) -> Any:
    """Load a folder's tokenizer for a target."""
    # tagging reads words that are split already; byte-level vocabularies encode a word differently without the space before it
    more = {"add_prefix_space": True} if target.name == "tokens" else {}
    return load_tokenizer(folder, reading, **more)


def save_tuned(
    model: Any,
    tokenizer: Any,
    target: Target,
    validation: Examples,
    *,
    reading: TokenizerSettings,
    out: Path,
    save: Callable[[Any, Path], None] | None = None,
) -> dict[str, float]:
    """Save a tuned model with its tokenizer. Returns its validation metrics, with `score` among them."""
    figures = target.measure(model, validation)
    (save or save_plain)(model, out)
    tokenizer.save_pretrained(out)
    reading.save(out, target.generates)
    named = {f"validation_{name}": value for name, value in figures.items() if name != "score"}
    return {**named, "score": figures["score"]}


def save_plain(model: Any, out: Path) -> None:
    """Save with `save_pretrained` of transformers."""
    model.save_pretrained(out)


def depth_groups(model: Any) -> list[list[Any]]:
    """Trainable parameters of the encoder by depth: embeddings and other parameters outside the layers first, top layer last.

    The head and frozen parameters (the pooling layer) are left out. A family with shared layer weights has two groups.
    """
    base, layers = model.base_model, layers_of(model)
    owned = {id(p) for layer in layers for p in layer.parameters()}
    head = head_parameters(model)
    rest = [p for p in base.parameters() if id(p) not in owned and id(p) not in head]
    groups = [rest, *([*layer.parameters()] for layer in layers)]
    learning = [[p for p in group if p.requires_grad] for group in groups]
    return [learning[0], *(group for group in learning[1:] if group)]

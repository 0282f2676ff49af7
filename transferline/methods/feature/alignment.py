"""Base class of methods that align source and target features during fine-tuning.

One network reads batches of both, and a distance between their features is added to the loss. The features are the inputs of
the head's last layer. A distance needs the full batch, so the runtime's micro-batches are not used. Source examples are read in
shuffled epochs, and their order depends on (seed, step) only.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from transferline.core.flops import Lengths, Size, StepTexts
from transferline.core.problem import ALIGNING, Need, TargetKind, Transfer
from transferline.core.sampling import Endless
from transferline.core.stage import Stage, Work
from transferline.methods.parameter.full import plain
from transferline.methods.parameter.tuning import FineTuning, TuningLearner, open_tokenizer
from transferline.models.heads import output_layer
from transferline.targets import Target
from transferline.targets.example_weights import supervised
from transferline.targets.target import Examples
from transferline.training.gradients import accumulate

if TYPE_CHECKING:
    import torch

SOURCE_SPLITS = "lent_"  # prefix of the names of source tensors in a batch


class Aligned(FineTuning):
    """Base class of methods that align source and target features while they train on the labels."""

    transfer: ClassVar[Transfer] = "feature"
    needs: ClassVar[tuple[Need, ...]] = ALIGNING
    tasks: ClassVar[tuple[TargetKind, ...]] = ("single-label", "multi-label", "regression")

    source_tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    """source tasks: targets of params.yaml whose labelled examples are trained on as well"""
    weight: Annotated[float, Field(ge=0)] = 1.0
    """weight in the loss of the distance between source and target features"""
    target_labels: bool = True
    """false: use the target's texts for alignment only, without their labels (unsupervised domain adaptation)"""

    def roles(self) -> tuple[str, ...]:
        return (*self.reads, *(f"{name}/train" for name in self.source_tasks))

    def beside(self, size: Size, tokens: StepTexts) -> float:
        """FLOPs of an epoch on source examples: as many batches as there are of the target."""
        batch, sources = self.schedule.batch_size, Lengths.joined(tokens.sources())
        drawn = batch * -(-len(tokens["train"]) // batch)
        return size.step(sources.padded(batch)) * drawn / max(1, len(sources))

    def alone(self) -> Stage:
        """Plain fine-tuning with the same settings."""
        return plain(self)

    @abstractmethod
    def distance(self, source: torch.Tensor, target: torch.Tensor, extra: Any, done: float) -> torch.Tensor:
        """Distance between two batches of features (n, width) and (m, width), a scalar.

        `extra` is the network that `extra` returned, `done` the share of training steps already done (0 to 1).
        """

    def extra(self, width: int) -> Any:
        """A network that is trained with the distance, such as a domain classifier, or None."""
        return None

    def learner(self, target: Target, model: Any, train: Examples, validation: Examples, work: Work) -> TuningLearner:
        reading = self.reading()
        tokenizer = open_tokenizer(target, work.needs_parent(), reading)
        source_rows = [target.examples(work.data[f"{name}/train"], tokenizer, reading) for name in self.source_tasks]
        return AlignedLearner(self, target, model, train, validation, source_rows=source_rows, seed=work.seed)

    def finish(self, model: Any) -> Any:
        return model.network


class AlignedLearner(TuningLearner):
    """Learner that reads a batch of the target and a batch of the sources with one network."""

    method: Aligned
    whole = True  # the distance needs the full batch, not micro-batches

    def __init__(
        self,
        method: Aligned,
        target: Target,
        model: Any,
        train: Examples,
        validation: Examples,
        *,
        source_rows: Sequence[Examples],
        seed: int,
    ) -> None:
        import torch

        super().__init__(method, target, model, train, validation)
        self.network, self.source_rows = model, source_rows
        self.rows = [(number, i) for number, part in enumerate(source_rows) for i in range(len(part))]
        self.order = Endless(len(self.rows), (seed,))
        extra, whole = method.extra(output_layer(model).in_features), torch.nn.Module()
        whole.network, whole.extra = model, extra
        self.model, self.done = whole, 0.0
        if extra is not None:
            self.head |= {id(p) for p in extra.parameters()}

    def before_step(self, step: int, steps: int) -> None:
        self.done = step / steps
        size = self.method.schedule.batch_size
        self.drawn = [self.rows[i] for i in self.order.take(step * size, (step + 1) * size)]

    def tokens(self, indices: Sequence[int]) -> int:
        return super().tokens(indices) + sum(self.source_rows[number].lengths[i] for number, i in self.drawn)

    def accumulate_gradients(
        self, accelerator: Any, indices: Sequence[int], epoch: int, micro: int | None
    ) -> torch.Tensor:
        return accumulate(accelerator, self, indices, epoch, None, whole=True)

    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        batch = super().collate(indices, epoch)
        for number, part in enumerate(self.source_rows):
            chosen = [i for source_task, i in self.drawn if source_task == number]
            if chosen:
                source_rows = self.target.labelled(part, chosen)
                batch |= {f"{SOURCE_SPLITS}{number}_{name}": value for name, value in source_rows.items()}
        return batch

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        import torch

        own = {name: value for name, value in batch.items() if not name.startswith(SOURCE_SPLITS)}
        mine, loss = self._read(own)
        parts, losses = [], []
        for number in range(len(self.source_rows)):
            start = f"{SOURCE_SPLITS}{number}_"
            source_rows = {name.removeprefix(start): value for name, value in batch.items() if name.startswith(start)}
            if source_rows:
                features, one = self._read(source_rows)
                parts.append(features)
                losses.append(one * len(features))
        source = torch.cat(parts)
        total = torch.stack(losses).sum() / len(source)
        if self.method.target_labels:
            total = total + loss
        distance = self.method.distance(source.float(), mine.float(), self.model.extra, self.done)
        return total + self.method.weight * distance

    def validate(self) -> dict[str, float]:
        return self.target.measure(self.network, self.validation)

    def _read(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (n, width) and the loss of a labelled batch."""
        # a hook reads the inputs of the last layer without knowledge of the head's architecture
        seen: list[torch.Tensor] = []
        hook = output_layer(self.network).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            loss, _ = supervised(self.network, batch)
        finally:
            hook.remove()
        return seen[0].reshape(len(seen[0]), -1), loss

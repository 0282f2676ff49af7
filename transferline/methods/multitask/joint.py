"""Base class of multitask methods: one learner per task, temperature sampling, and one step over all tasks.

An epoch is one pass over the target's examples. Each batch of the target comes with examples of every source task. Temperature
sampling sets their number: tasks of size N are drawn in proportion to N^(1/T) (Arivazhagan et al. 2019, section 4.2). T = 1 is in
proportion to size, and a high T draws all tasks about equally. The examples drawn depend on (seed, step) only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from transferline.core.flops import Lengths, Size, StepTexts
from transferline.core.sampling import Endless
from transferline.core.stage import Stage, Work
from transferline.methods.multitask.weighting import Fixed, Weighting
from transferline.methods.parameter.full import plain
from transferline.methods.parameter.tuning import FineTuning, TuningLearner, head_of, open_tokenizer
from transferline.models.heads import head_parameters
from transferline.targets import Target, target_of
from transferline.targets.target import Examples
from transferline.training.gradients import accumulate
from transferline.training.learner import Learner

if TYPE_CHECKING:
    import torch


class Multitask(FineTuning):
    """Base class of methods that train the target together with other targets of params.yaml."""

    source_tasks: tuple[str, ...] = ()
    """source tasks: targets of params.yaml, of any kind, to train on as well"""
    temperature: Annotated[float, Field(ge=1)] = 5.0
    """sampling temperature; 1: tasks are drawn in proportion to their size, higher: more equally"""
    weighting: Weighting = Fixed(method="fixed")
    """how to combine the losses of the tasks"""

    def roles(self) -> tuple[str, ...]:
        return (*self.reads, *(f"{name}/train" for name in self.source_tasks))

    def beside(self, size: Size, tokens: StepTexts) -> float:
        return drawn_flops(self, size, tokens, tokens.sources())

    def alone(self) -> Stage:
        """Plain fine-tuning with the same settings."""
        return plain(self)

    def learner(self, target: Target, model: Any, train: Examples, validation: Examples, work: Work) -> TuningLearner:
        others = [self.part(work.data[f"{name}/train"], work) for name in self.source_tasks]
        self.share(model, others)
        return self.learns_as()(self, target, model, train, validation, others=others, work=work)

    def part(self, path: Path, work: Work) -> TuningLearner:
        """A learner for a source task, with its own head and examples on the same parent."""
        return part_of(self, path, work)

    def share(self, model: Any, others: Sequence[TuningLearner]) -> None:
        """Tie the parameters that the tasks share. By default they share none."""

    def learns_as(self) -> type[MultitaskLearner]:
        """The class of the learner that combines the tasks."""
        return MultitaskLearner

    def finish(self, model: Any) -> Any:
        return model.models[0]


def drawn_flops(method: Multitask | Any, size: Size, tokens: StepTexts, sources: Sequence[Lengths]) -> float:
    """FLOPs of an epoch on the examples that temperature sampling draws from source tasks, in random batches."""
    own, batch = len(tokens["train"]), method.schedule.batch_size
    total = 0.0
    for texts in sources:
        each = max(1.0, batch * (len(texts) / max(1, own)) ** (1 / method.temperature))
        total += size.step(texts.padded(each)) / max(1, len(texts)) * each * -(-own // batch)
    return total


def read_task(method: FineTuning, path: Path, work: Work) -> tuple[Target, Examples]:
    """A task and its training examples, tokenised with a method's settings."""
    target, reading = target_of(path), method.reading()
    tokenizer = open_tokenizer(target, work.needs_parent(), reading)
    return target, target.examples(path, tokenizer, reading)


def part_of(method: FineTuning, path: Path, work: Work) -> TuningLearner:
    """A learner for the task of a training file, with its own head on the parent's weights."""
    target, examples = read_task(method, path, work)
    model = target.load(work.needs_parent(), method.pooling, work.seed)
    return TuningLearner(method, target, model, examples, examples)


def together(models: Sequence[Any], more: dict[str, Any]) -> Any:
    """Put the models of several tasks into one module, the target's first. `more` are extra parameters, such as loss weights."""
    import torch

    module = torch.nn.Module()
    module.models = torch.nn.ModuleList(models)
    module.more = torch.nn.ParameterDict(more)
    return module


class MultitaskLearner(TuningLearner):
    """Learner that takes one step over several tasks. `shared` are the parameters that all tasks train."""

    method: Multitask
    whole = True  # the weighting combines the gradients of full batches

    def __init__(
        self,
        method: Multitask,
        target: Target,
        model: Any,
        train: Examples,
        validation: Examples,
        *,
        others: Sequence[Learner],
        work: Work,
    ) -> None:
        self.own = TuningLearner(method, target, model, train, validation)
        self.parts: list[Learner] = [self.own, *others]
        self.kinds = [
            getattr(part.target, "name", "") if isinstance(part, TuningLearner) else "" for part in self.parts
        ]
        self.weighting = method.weighting
        self.state = self.weighting.parameters(len(self.parts)) if others else {}
        self.method, self.target, self.train, self.validation = method, target, train, validation
        self.model = together([part.model for part in self.parts], self.state)
        self.weights = None  # each task's learner has its own sample weights
        self.lengths, self.step = train.lengths, 0
        self.rows = [Endless(len(part.lengths), (work.seed, n)) for n, part in enumerate(others, start=1)]
        self.head = head_of(model, target).union(*(_head(part) for part in others))
        self.shared = shared_parameters([part.model for part in self.parts])
        # examples of each source task per target example, by temperature sampling: (n / N)^(1/T)
        self.rates = [(len(p.lengths) / len(self.lengths)) ** (1 / method.temperature) for p in others]

    def groups(self, rate: float) -> list[dict]:
        inside = {id(p) for p in self.model.models.parameters()}
        groups = [
            {**group, "params": [p for p in group["params"] if id(p) in inside]} for group in super().groups(rate)
        ]
        learnt = self.weighting.groups(self.state) if self.state else []
        return [*(group for group in groups if group["params"]), *learnt]

    def before_step(self, step: int, steps: int) -> None:
        self.step = step
        self.drawn = [self._draw(number) for number in range(1, len(self.parts))]

    def tokens(self, indices: Sequence[int]) -> int:
        others = zip(self.parts[1:], self.drawn, strict=True)
        return super().tokens(indices) + sum(part.lengths[i] for part, chosen in others for i in chosen)

    def accumulate_gradients(
        self, accelerator: Any, indices: Sequence[int], epoch: int, micro: int | None
    ) -> torch.Tensor | float:
        work = list(zip(self.parts, [list(indices), *self.drawn], strict=True))
        if len(work) == 1:
            return accumulate(accelerator, self.own, indices, epoch, micro, whole=True)

        def task(number: int, scale: Any) -> float:
            part, chosen = work[number]
            return float(accumulate(accelerator, part, chosen, epoch, micro, scale=scale, whole=True))

        return self.weighting.accumulate_gradients(task, self.kinds, self.state, self.shared, accelerator)

    def after_step(self, rate: float) -> None:
        self.weighting.settle(self.state)

    def validate(self) -> dict[str, float]:
        return self.own.validate()

    def _draw(self, number: int) -> list[int]:
        """Indices of the examples of a source task for the current step."""
        each = max(1.0, self.rates[number - 1] * self.method.schedule.batch_size)
        return self.rows[number - 1].take(int(self.step * each), int((self.step + 1) * each))


def tie(model: Any, to: Any) -> None:
    """Share parameters: `model`'s encoder gets those of `to`'s that have the same name and shape."""
    theirs = dict(model.base_model.named_parameters())
    for name, parameter in to.base_model.named_parameters():
        if name in theirs and theirs[name].shape == parameter.shape:
            place, _, leaf = name.rpartition(".")
            setattr(model.base_model.get_submodule(place), leaf, parameter)


def shared_parameters(models: Sequence[Any]) -> list[torch.nn.Parameter]:
    """Trainable parameters that belong to all of the models."""
    known = [{id(p) for p in model.parameters()} for model in models]
    return [p for p in models[0].parameters() if p.requires_grad and all(id(p) in one for one in known)]


def _head(part: Learner) -> set[int]:
    return head_of(part.model, part.target) if isinstance(part, TuningLearner) else head_parameters(part.model)

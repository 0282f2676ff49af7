"""Cross-stitch networks: learn how much the tasks share at each layer.

Misra et al., "Cross-stitch Networks for Multi-task Learning" (2016), sections 4 and 5: all columns start from one pretrained
network. The stitch matrices start near the identity and have a higher learning rate. The target's model needs all columns, so it
is several times as large as its base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.flops import Prior, Size, StepTexts
from transferline.core.problem import TargetKind
from transferline.core.stage import Work
from transferline.methods.multitask.joint import Multitask, MultitaskLearner, read_task
from transferline.methods.multitask.weighting import Fixed
from transferline.methods.parameter.tuning import TuningLearner
from transferline.models.families import family_of
from transferline.models.weights import load_model, name_outputs
from transferline.targets import Target, target_of
from transferline.targets.sequence import SequenceTarget
from transferline.targets.target import Examples

if TYPE_CHECKING:
    import torch

COLUMNS = ("bert", "roberta", "xlm-roberta", "camembert", "electra")  # encoders with their layers in `encoder.layer`


class CrossStitch(Multitask):
    """Train the target and source tasks on columns that exchange their hidden states after each layer."""

    source: ClassVar[str] = "Misra et al. 2016, section 4"
    tasks: ClassVar[tuple[TargetKind, ...]] = ("single-label", "multi-label", "regression")
    prior: ClassVar[Prior] = Prior(below_full=0.01)

    method: Literal["cross-stitch"] = "cross-stitch"
    kept: Annotated[float, Field(gt=0, le=1)] = 0.9
    """initial weight of a task's own column in the stitches; the other columns share the rest"""
    stitch_learning_rate: Annotated[float, Field(gt=0)] = 1e-2
    """peak learning rate of the stitches; the paper uses 100 to 1,000 times the network's learning rate"""
    weighting: Fixed = Fixed(method="fixed")

    def network(self, size: Size, tokens: StepTexts) -> Size:
        columns = 1 + len(self.source_tasks)  # every text passes through all of them
        return replace(size, weights=columns * size.weights, layers=columns * size.layers)

    def load(self, target: Target, work: Work, pretrained: bool) -> Any:
        """Load the network, with the parent's weights in every column and a head for each task."""
        from transferline.models.networks.cross_stitch_network import (
            CrossStitchConfig,
            CrossStitchForSequenceClassification,
        )

        assert isinstance(target, SequenceTarget)
        family = family_of(work.needs_parent()).name
        if family not in COLUMNS:
            mend = f"Use a base of {', '.join(COLUMNS)}, or `soft-sharing`"
            raise InputError("method 'cross-stitch'", f"a base of the family {family!r} has no layers to stitch", mend)
        parent, _ = load_model("AutoModel", work.needs_parent(), work.seed)
        outputs = [len(target.labels), *(len(self._other(name, work).labels) for name in self.source_tasks)]
        config = CrossStitchConfig(
            column=parent.config.to_dict(), outputs=outputs, kept=self.kept, problem_type=target.problem
        )
        name_outputs(config, target.labels)
        model = CrossStitchForSequenceClassification(config)
        for column in model.columns:
            column.load_state_dict(parent.state_dict())
        return model

    def part(self, path: Path, work: Work) -> TuningLearner:
        """A learner with the task's examples only. `share` sets its model, which is the target's network."""
        target, examples = read_task(self, path, work)
        return Column(self, target, None, examples, examples)

    def share(self, model: Any, others: Sequence[TuningLearner]) -> None:
        for number, part in enumerate(others, start=1):
            assert isinstance(part, Column)
            part.model, part.number = model, number

    def learns_as(self) -> type[MultitaskLearner]:
        return StitchLearner

    def _other(self, name: str, work: Work) -> SequenceTarget:
        target = target_of(work.data[f"{name}/train"])
        if not isinstance(target, SequenceTarget):
            what = f"{name!r} is a {target.name} target, and a column predicts labels of whole texts only"
            raise InputError("method 'cross-stitch'", what, "Use `hard-sharing` with tasks of other kinds")
        return target


class Column(TuningLearner):
    """Learner for a source task on its column of the network."""

    number: int = 0

    def __init__(self, method: Any, target: Target, model: Any, train: Examples, validation: Examples) -> None:
        self.method, self.target, self.model = method, target, model
        self.train, self.validation, self.lengths, self.head = train, validation, train.lengths, set()
        self.weights = None

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        from transferline.models.networks.pooling import loss_of

        assert isinstance(self.target, SequenceTarget)
        labels = batch.pop("labels")
        logits = self.model(**batch, task=self.number).logits
        return loss_of(self.target.problem, logits, labels)


class StitchLearner(MultitaskLearner):
    """Learner of one network with a column for each task. The stitches have their own learning rate."""

    def groups(self, rate: float) -> list[dict]:
        method = self.method
        assert isinstance(method, CrossStitch)
        network = self.own.model
        heads = [*network.others.parameters(), *network.classifier.parameters()]
        return [
            {"params": list(network.columns.parameters()), "lr": rate},
            {"params": heads, "lr": method.head_learning_rate},
            {"params": [network.stitches], "lr": method.stitch_learning_rate, "weight_decay": 0.0},
        ]

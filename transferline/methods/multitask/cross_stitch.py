"""Cross-stitch networks: how much the tasks share is learnt, layer by layer.

Misra et al., "Cross-stitch Networks for Multi-task Learning" (2016), sections 4 and 5: columns start from one pretrained network,
stitches near the identity, with a higher rate of their own. The target's model needs all columns, so it stays several times as
large as its base.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.errors import InputError
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

COLUMNS = ("bert", "roberta", "xlm-roberta", "camembert", "electra")  # encoders whose layers stand in `encoder.layer`


class CrossStitch(Multitask):
    """Learn the target and other tasks on columns that exchange what their layers say."""

    source: ClassVar[str] = "Misra et al. 2016, section 4"
    tasks: ClassVar[tuple[TargetKind, ...]] = ("single-label", "multi-label", "regression")

    method: Literal["cross-stitch"] = "cross-stitch"
    kept: Annotated[float, Field(gt=0, le=1)] = 0.9
    """share of its own column that a task starts with"""
    stitch_learning_rate: Annotated[float, Field(gt=0)] = 1e-2
    """peak rate of the stitches: the paper's is a hundred to a thousand times that of the network"""
    weighting: Fixed = Fixed(method="fixed")

    def load(self, target: Target, work: Work, pretrained: bool) -> Any:
        """Every column starts as the parent; the other tasks' heads come with `together`."""
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
        """Its model is made with the target's; only the examples are its own."""
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
            what = f"{name!r} is a {target.name} target, and a column answers a text as a whole"
            raise InputError("method 'cross-stitch'", what, "Use `hard-sharing` beside tasks of other kinds")
        return target


class Column(TuningLearner):
    """Another task's examples, answered by its column of the one network."""

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
    """One network with a column for each task; the stitches learn at a rate of their own."""

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

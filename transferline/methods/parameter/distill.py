"""Distillation: train a smaller student on its teacher's outputs and on the labels.

Hinton, Vinyals & Dean, "Distilling the Knowledge in a Neural Network" (2015), section 2: the student's loss is the cross entropy
with the teacher's softened probabilities (times T squared), mixed with the cross entropy with the labels. The student is the
parent model with fewer, evenly spaced layers (Sanh et al., "DistilBERT", 2019, section 3), or another base.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.flops import Prior, Size, StepTexts
from transferline.core.problem import TargetKind
from transferline.core.stage import Stage, Work
from transferline.methods.parameter.full import Full
from transferline.methods.parameter.tuning import FineTuning, TuningLearner
from transferline.models.tokenization import load_tokenizer, tokenizer_settings_of
from transferline.models.weights import load_model
from transferline.targets import TARGETS, Target
from transferline.targets.example_weights import supervised
from transferline.targets.regression import Regression
from transferline.targets.target import Examples, forward

if TYPE_CHECKING:
    import torch


class Distill(FineTuning):
    """Train a smaller student on the outputs of a teacher that was tuned on the same chain."""

    source: ClassVar[str] = "Hinton et al. 2015, section 2; Sanh et al. 2019, section 3"
    tasks: ClassVar[tuple[TargetKind, ...]] = ("single-label", "multi-label", "regression")
    prior: ClassVar[Prior] = Prior(below_full=0.02)

    method: Literal["distill"] = "distill"
    teacher: Full = Full()
    """settings of the teacher's fine-tuning, on the recipe's own chain"""
    student: str | None = None
    """a base of params.yaml to start from; if empty, the chain's model with fewer layers"""
    layers: Annotated[int, Field(ge=1)] | None = 3
    """number of layers of the student; empty: all layers"""
    temperature: Annotated[float, Field(gt=0)] = 2.0
    """softens the probabilities of teacher and student (T)"""
    of_teacher: Annotated[float, Field(ge=0, le=1)] = 0.5
    """weight of the teacher's outputs in the loss; the labels have the rest"""

    def canonical(self) -> dict[str, Any]:
        """The canonical form without the student's name, because the student's key is among the parents."""
        return {key: value for key, value in super().canonical().items() if key != "student"}

    def helpers(self) -> dict[str, Stage]:
        return {"teacher": self.teacher}

    def starts_from(self) -> str | None:
        return self.student

    def network(self, size: Size, tokens: StepTexts) -> Size:
        if self.layers is not None and self.student is None:
            size = size.with_layers(self.layers)
        return super().network(size, tokens)

    def before(self, size: Size, tokens: StepTexts) -> float:
        """FLOPs of the teacher's outputs for the training texts."""
        return tokens.parents[1].forward(tokens["train"])

    def load(self, target: Target, work: Work, pretrained: bool) -> Any:
        if self.layers is None or self.student is not None:
            return super().load(target, work, pretrained)
        shorter = shortened(work.needs_parent(), self.layers, work.state / "student")
        return super().load(target, replace(work, parent=shorter), pretrained)

    def learner(self, target: Target, model: Any, train: Examples, validation: Examples, work: Work) -> TuningLearner:
        teacher = TARGETS[target.name]()
        network = teacher.open(work.parents[1]).to(work.runtime.device)
        tokenizer = load_tokenizer(work.parents[1])
        read = teacher.examples(work.data["train"], tokenizer, tokenizer_settings_of(work.parents[1], tokenizer))
        said = forward(network, read)
        if isinstance(target, Regression):
            # the teacher predicts in the label's units, the student standardised
            said = (said - target.middle) / target.std
        return Taught(self, target, model, train, validation, said)


class Taught(TuningLearner):
    """Learner with the teacher's logits for every training example, computed once."""

    method: Distill

    def __init__(
        self,
        method: Distill,
        target: Target,
        model: Any,
        train: Examples,
        validation: Examples,
        said: np.ndarray,
    ) -> None:
        super().__init__(method, target, model, train, validation)
        self.said = said

    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        import torch

        return {**super().collate(indices, epoch), "said": torch.from_numpy(self.said[list(indices)])}

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        said = batch.pop("said")
        loss, output = supervised(self.model, batch)
        share = self.method.of_teacher
        return share * self._from_teacher(output.logits.float(), said) + (1 - share) * loss

    def _from_teacher(self, logits: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
        """Cross entropy with the teacher's softened probabilities; for regression the mean squared error."""
        from torch.nn import functional

        temperature = self.method.temperature
        if self.target.name == "regression":
            return functional.mse_loss(logits, said)
        # T squared keeps the size of these gradients independent of T (Hinton et al. 2015, section 2)
        if self.target.name == "multi-label":
            soft = (said / temperature).sigmoid()
            return functional.binary_cross_entropy_with_logits(logits / temperature, soft) * temperature**2
        soft = functional.softmax(said / temperature, dim=-1)
        return functional.cross_entropy(logits / temperature, soft) * temperature**2


def shortened(folder: Path, layers: int, out: Path) -> Path:
    """Save a copy of a model folder with `layers` evenly spaced layers to `out`. Returns `out`.

    Raises InputError where the model has fewer layers or no single stack of layers.
    """
    import torch

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    model, _ = load_model("AutoModel", folder, 0)
    depth = model.config.num_hidden_layers
    if layers > depth:
        raise InputError("method 'distill'", f"{layers} layers are more than the parent's {depth}", "Ask for fewer")
    kept = [round((i + 0.5) * depth / layers - 0.5) for i in range(layers)]
    stacks = [
        (m, name) for m in model.modules() for name, c in m.named_children() if isinstance(c, torch.nn.ModuleList)
    ]
    full = [(m, name) for m, name in stacks if len(getattr(m, name)) == depth]
    if not full:
        mend = "Name a smaller base as `student`"
        raise InputError("method 'distill'", f"{model.config.model_type!r} has no stack of layers to shorten", mend)
    for module, name in full:
        setattr(module, name, torch.nn.ModuleList([getattr(module, name)[i] for i in kept]))
    model.config.num_hidden_layers = layers
    if getattr(model.config, "layer_types", None):  # families that mix kinds of attention list a type per layer
        model.config.layer_types = [model.config.layer_types[i] for i in kept]
    model.save_pretrained(out)
    load_tokenizer(folder).save_pretrained(out)
    return out

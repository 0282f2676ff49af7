"""SimCSE: contrastive learning with two dropout masks as the two views of a sentence.

Gao et al., "SimCSE" (2021), section 3, unsupervised: each sentence passes through the encoder twice in training mode. The loss
is the cross entropy over cosine similarities within the batch, divided by a temperature of 0.05. SimCSE suits sentence encoders:
it trains the pooled output that they are used for, whereas masked language modelling would add a new, random head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.flops import Lengths, Size, StepTexts
from transferline.core.problem import Ability, TargetKind
from transferline.core.stage import Work
from transferline.data.blocks import affixes, held_out, pieces, tokenise
from transferline.methods.objectives.objective import Objective, opened
from transferline.models.weights import load_model, save_model
from transferline.training.learner import Learner, Schedule

if TYPE_CHECKING:
    import torch


class SimCSE(Objective):
    """Adapt a sentence encoder by contrastive learning."""

    source: ClassVar[str] = "Gao et al. 2021, section 3"
    ability: ClassVar[Ability | None] = "encode"

    method: Literal["simcse"] = "simcse"
    temperature: Annotated[float, Field(gt=0)] = 0.05
    """divides the cosine similarities"""
    piece: Annotated[int, Field(ge=8)] = 32
    """maximum length of a piece of a document, in tokens"""
    tokens: Annotated[int, Field(ge=1)] = 500_000
    """number of training tokens; each is counted once, although it is encoded twice"""
    schedule: Schedule = Schedule(batch_size=64, learning_rate=3e-5)

    def longest_input(self, kind: TargetKind) -> int:
        return self.piece

    def longest(self, tokens: StepTexts) -> int:
        return tokens.longest(self.piece)

    def step_flops(self, size: Size, example: Lengths) -> float:
        return 2 * size.step(example)  # two views of each piece

    def build(self, work: Work) -> dict[str, float]:
        tokenizer, parent = opened(work)
        model, _ = load_model("AutoModel", parent, work.seed)
        trained, measured = held_out(self.file(work))
        longest = self.piece - tokenizer.num_special_tokens_to_add()
        learner = ContrastiveLearner(model, tokenizer, pieces(tokenise(tokenizer, trained), longest), self.temperature)
        probe = ContrastiveLearner(
            model, tokenizer, pieces(tokenise(tokenizer, measured), longest)[:512], self.temperature
        )
        return self.adapt(
            work, learner, probe.uniformity, lambda: save_model(model, tokenizer, parent, work.out), "uniformity"
        )


class ContrastiveLearner(Learner):
    """Learner on pieces of text. Each batch is encoded twice, with two dropout masks."""

    whole = True  # the other texts of the batch are the negatives, so it must not be split

    def __init__(self, model: Any, tokenizer: Any, texts: Sequence[list[int]], temperature: float) -> None:
        self.model, self.tokenizer, self.temperature = model, tokenizer, temperature
        before, after = affixes(tokenizer)
        self.texts = [[*before, *text, *after] for text in texts]
        self.lengths = [len(text) for text in self.texts]

    def collate(self, indices: Sequence[int], epoch: int) -> dict[str, torch.Tensor]:
        return dict(self.tokenizer.pad({"input_ids": [self.texts[i] for i in indices]}, return_tensors="pt"))

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        import torch

        twice = {name: torch.cat([value, value]) for name, value in batch.items()}
        one, two = torch.nn.functional.normalize(self.pooled(twice).float(), dim=-1).chunk(2)
        similarity = one @ two.T / self.temperature
        return torch.nn.functional.cross_entropy(similarity, torch.arange(len(one), device=similarity.device))

    def pooled(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Mean of the last hidden state over the tokens that are not padding, (batch, width)."""
        from transferline.models.networks.pooling import mean_of_tokens

        return mean_of_tokens(self.model(**batch).last_hidden_state, batch["attention_mask"])

    def uniformity(self, size: int = 64) -> float:
        """log mean exp(-2 |x - y|^2) over pairs of held-out pieces (Wang & Isola 2020). Lower is more uniform."""
        import torch

        self.model.eval()
        with torch.no_grad():
            parts = []
            for start in range(0, len(self.texts), size):
                batch = self.collate(range(start, min(start + size, len(self.texts))), 0)
                parts.append(self.pooled({k: v.to(self.model.device) for k, v in batch.items()}))
            points = torch.nn.functional.normalize(torch.cat(parts).float(), dim=-1)
            if len(points) < 2:
                return 0.0
            return float(torch.pdist(points).pow(2).mul(-2).exp().mean().log())

"""SimCSE: a sentence should be nearest to itself under another dropout mask, and far from its neighbours.

Gao et al., "SimCSE" (2021), section 3, unsupervised: the two views of a sentence are the same tokens passed twice
through the encoder in training mode; the loss is cross entropy over cosine similarities within the batch, divided by a
temperature of 0.05. This is what a sentence encoder wants as adaptation: it keeps the space that its pooled
output lives in, where a masked-LM head would have to be learnt anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from transferline.core.problem import Ability
from transferline.core.stage import Work
from transferline.data.blocks import affixes, held_out, pieces, tokenise
from transferline.methods.objectives.objective import Objective, opened
from transferline.models.weights import load_model, save_model
from transferline.training.learner import Learner, Schedule

if TYPE_CHECKING:
    import torch


class SimCSE(Objective):
    """Contrastive adaptation of a sentence encoder."""

    source: ClassVar[str] = "Gao et al. 2021, section 3"
    ability: ClassVar[Ability | None] = "encode"

    method: Literal["simcse"] = "simcse"
    temperature: Annotated[float, Field(gt=0)] = 0.05
    piece: Annotated[int, Field(ge=8)] = 32
    """longest piece of a document, in tokens"""
    tokens: Annotated[int, Field(ge=1)] = 500_000
    """tokens to train on (each counted once, though it is encoded twice)"""
    schedule: Schedule = Schedule(batch_size=64, learning_rate=3e-5)

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
    """Pieces of text; a batch is encoded twice, under two dropout masks."""

    whole = True  # the other texts of the batch are what a text is told from

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
        """Mean of the last layer over the tokens that are not padding, shape (batch, width)."""
        from transferline.models.networks.pooling import mean_of_tokens

        return mean_of_tokens(self.model(**batch).last_hidden_state, batch["attention_mask"])

    def uniformity(self, size: int = 64) -> float:
        """log mean exp(-2 |x - y|^2) over pairs of held-out pieces (Wang & Isola 2020): lower is more spread out."""
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

"""Laws of TSDAE."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.kinds import within
from transferline.methods.objectives.denoising import DenoisingLearner, damaged, tied
from transferline.models.tokenization import load_tokenizer
from transferline.models.weights import load_model


class TestDenoising:
    def test_the_share_that_is_left_is_as_declared_and_never_nothing(self) -> None:
        left = [len(damaged(list(range(50)), 0.6, (0, 0, i))) for i in range(400)]
        assert within(sum(left), 400 * 50, 0.4)
        assert all(damaged([5], 0.99, (0, 0, i)) == [5] for i in range(50))

    def test_what_is_left_keeps_its_order(self) -> None:
        for i in range(20):
            kept = damaged(list(range(30)), 0.6, (0, 1, i))
            assert kept == sorted(kept)

    def test_encoder_and_decoder_are_one_set_of_weights(self, tiny: Path) -> None:
        encoder, _ = load_model("AutoModel", tiny, 0)
        decoder, _ = load_model("AutoModelForCausalLM", tiny, 0, is_decoder=True, add_cross_attention=True)
        pair = tied(encoder, decoder)
        name = "encoder.layer.0.attention.self.query.weight"
        assert dict(pair.decoder.base_model.named_parameters())[name] is dict(encoder.named_parameters())[name]

    def test_the_decoder_sees_the_sentence_through_one_vector_only(self, tiny: Path) -> None:
        """With the pooled vector of another sentence the loss changes; with another padding it does not."""
        encoder, _ = load_model("AutoModel", tiny, 0)
        decoder, _ = load_model("AutoModelForCausalLM", tiny, 0, is_decoder=True, add_cross_attention=True)
        learner = DenoisingLearner(
            tied(encoder, decoder).eval(), load_tokenizer(tiny), [[8, 9, 10], [20, 21, 22]], 0.5, 0
        )
        batch = learner.collate([0], 0)
        other = {**batch, **{k: v for k, v in learner.collate([1], 0).items() if k.startswith("noisy")}}
        with torch.no_grad():
            assert float(learner.loss(batch)) != float(learner.loss(other))

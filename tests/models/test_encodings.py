"""Shared encodings change how fast an answer comes, never the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.kinds import build
from transferline.core.cost import metered
from transferline.methods.parameter import Probe
from transferline.models import encodings
from transferline.models.encodings import sharing
from transferline.models.tokenization import load_tokenizer, tokenizer_settings_of
from transferline.targets import TARGETS


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    encodings.forget()
    yield
    encodings.forget()


@pytest.fixture
def probes(kinds: dict[str, dict[str, Path]], bases: Callable[[str], Path], tmp_path: Path) -> list[Path]:
    """Two heads on one encoder."""
    data, base = kinds["single-label"], bases("bert")
    weak, strong = Probe(max_tokens=16, Cs=(0.01,)), Probe(max_tokens=16, Cs=(100.0,))
    made = [build(weak, data, tmp_path / "weak", base)[0], build(strong, data, tmp_path / "strong", base)[0]]
    encodings.forget()
    return made


def outputs(folder: Path, test: Path) -> np.ndarray:
    target = TARGETS["single-label"]()
    network, tokenizer = target.open(folder), load_tokenizer(folder)
    return target.answer(network, target.examples(test, tokenizer, tokenizer_settings_of(folder, tokenizer)))


def test_a_second_head_reuses_the_encoding_and_says_what_it_would_have_said(
    probes: list[Path], kinds: dict[str, dict[str, Path]]
) -> None:
    test = kinds["single-label"]["test"]
    alone = [outputs(folder, test) for folder in probes]
    assert not encodings._cache
    spent = []
    with sharing():
        for folder, expected in zip(probes, alone, strict=True):
            with metered() as meter:
                assert np.array_equal(outputs(folder, test), expected)
            spent.append((meter.tokens, meter.flops))
    assert len(encodings._cache) == 1
    assert not np.array_equal(*alone)
    assert spent[0] == spent[1]  # shared work counts in full for each
    assert spent[0][0] > 0


def test_what_was_not_counted_is_not_taken_for_free_by_what_is(
    probes: list[Path], kinds: dict[str, dict[str, Path]]
) -> None:
    """Predictions are not metered; a stage that reads the same texts afterwards is."""
    test = kinds["single-label"]["test"]
    with sharing():
        outputs(probes[0], test)
        with metered() as meter:
            outputs(probes[1], test)
    assert meter.flops > 0
    assert meter.tokens > 0


def test_other_weights_and_other_texts_have_encodings_of_their_own(
    probes: list[Path], kinds: dict[str, dict[str, Path]]
) -> None:
    target = TARGETS["single-label"]()
    network, tokenizer = target.open(probes[0]), load_tokenizer(probes[0])
    examples = [
        target.examples(kinds["single-label"][s], tokenizer, tokenizer_settings_of(probes[0], tokenizer))
        for s in ("test", "train")
    ]
    with sharing():
        first = target.answer(network, examples[0])
        target.answer(network, examples[1])
        next(network.base_model.parameters()).data.mul_(1.5)
        assert not np.array_equal(target.answer(network, examples[0]), first)
    assert len(encodings._cache) == 3

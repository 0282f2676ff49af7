"""Laws of nearest-neighbour selection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.kinds import build
from transferline.data.prepared_files import read_texts, write_jsonl
from transferline.recipes.registry import ADAPTING

SMALL = {"tokens": 12_000, "schedule": {"batch_size": 16, "learning_rate": 3e-3}}


class TestNearest:
    def test_the_tasks_own_domain_is_picked_among_others(self, kinds, tiny: Path, tmp_path: Path) -> None:
        """A corpus of film sentences and of sentences over other words: those of the task's words are chosen."""
        rng = np.random.default_rng(0)
        own = read_texts(kinds["single-label"]["corpus"])[:60]
        foreign = [" ".join(rng.choice(["stent", "graft", "valve"], 9)) for _ in range(60)]
        write_jsonl(tmp_path / "corpus.jsonl", ({"text": text} for text in [*own, *foreign]))
        data = {**kinds["single-label"], "corpus": tmp_path / "corpus.jsonl"}
        out, figures = build(ADAPTING["nearest"].model_validate({"k": 3}), data, tmp_path / "t", tiny)
        chosen = read_texts(out / "corpus.jsonl")
        assert 3 <= len(chosen) == figures["chosen"]
        assert set(chosen) <= set(own)

    def test_a_text_picks_itself_first(self, tmp_path: Path) -> None:
        from transferline.methods.instance.nearest import nearest

        points = np.random.default_rng(0).normal(size=(40, 8))
        chosen, distance = nearest(points, points[[3, 17]], 1)
        assert chosen == [3, 17]
        assert distance == pytest.approx(0, abs=1e-6)

    def test_an_objective_reads_what_was_selected(self, kinds, tiny: Path, tmp_path: Path) -> None:
        chosen, _ = build(ADAPTING["nearest"].model_validate({"k": 2}), kinds["single-label"], tmp_path / "s", tiny)
        stage = ADAPTING["masked"].model_validate({**SMALL, "block": 16, "text": "selected"})
        assert stage.roles() == ("selected",)
        _, figures = build(stage, {}, tmp_path / "m", tiny, chosen)
        assert figures["heldout_loss"] < figures["heldout_loss_before"]

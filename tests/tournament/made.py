"""Tournaments out of thin air: models that are right with a known probability, and the evidence about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from transferline.data.declarations import TargetSpec
from transferline.data.fingerprints import FILE as SEEN
from transferline.data.prepared_files import write_jsonl
from transferline.evaluation.predictions import Predictions
from transferline.methods.objectives import SimCSE
from transferline.methods.parameter import Freeze, Full, Lora, Probe
from transferline.models.bases import FolderBase
from transferline.recipes.chain import Pin
from transferline.recipes.recipe import Recipe
from transferline.tournament.leaderboard import Evidence
from transferline.tournament.plan import Tournament, plan_tournament
from transferline.tournament.setup import Ground

SPEC = TargetSpec(domain="d", data="x", margin=0.02)
RECIPES = {
    "adapted": Recipe(base="b", adapt=(SimCSE(),), tune=Full()),
    "full": Recipe(base="b", tune=Full()),
    "lora": Recipe(base="b", tune=Lora()),
    "freeze": Recipe(base="b", tune=Freeze()),
    "probe": Recipe(base="b", tune=Probe()),
}


def ground(folder: Path = Path("/anywhere"), budgets: tuple[int, ...] = (20, 50, 200), seeds: int = 3) -> Ground:
    data = {role: Pin(folder / f"{role}.jsonl", role) for role in ("train", "validation", "test", "corpus")}
    return Ground("t", SPEC, data, {"b": FolderBase(method="folder", path="b")}, {"b": None}, folder, budgets, seeds)


def texts(rows: int) -> list[dict]:
    return [{"id": f"{i:016x}", "text": "word " * (3 + i % 20) + str(i), "label": "ab"[i % 2]} for i in range(rows)]


def says(rng: np.random.Generator, ease: np.ndarray, skill: float, std: float = 0.0) -> Predictions:
    """A model of two labels: the ease of an example (logit), the skill of the method, the luck of a seed, noise."""
    rows = len(ease)
    right = ease + skill + rng.normal(0, std) + rng.normal(0, 1, rows) > 0
    y_true = np.arange(rows) % 2
    said = np.where(right, y_true, 1 - y_true)
    ids = tuple(f"{i:016x}" for i in range(rows))
    return Predictions(ids, ("a", "b"), y_true, np.stack([said == 0, said == 1], axis=1) * 0.8 + 0.1)


@dataclass
class World:
    """Skills of entries with all labels (a half less of a unit at every smaller budget), and what their models cost."""

    skills: Mapping[str, float]
    flops: Mapping[str, float] = field(default_factory=dict)
    std: float = 0.0
    rows: int = 600
    seed: int = 0
    leaky: Sequence[str] = ()
    validation_skills: Mapping[str, float] = field(default_factory=dict)

    def evidence(self, folder: Path, tournament: Tournament) -> Evidence:
        rng = np.random.default_rng(self.seed)
        write_jsonl(folder / "test.jsonl", texts(self.rows))
        ease, held = rng.normal(0.5, 1, self.rows), rng.normal(0.5, 1, 400)
        test, validation, lineages = {}, {}, {}
        budgets = tournament.ground.budgets
        for leaf in tournament.leaves:
            if leaf.key in test:
                continue
            skill = self.skills[leaf.entry] - 0.5 * (len(budgets) - 1 - budgets.index(leaf.budget))
            test[leaf.key] = says(rng, ease, skill, self.std)
            if leaf.budget == budgets[-1]:
                chosen = self.validation_skills.get(leaf.entry, skill)
                validation[leaf.key] = says(rng, held, chosen, self.std)
            (folder / leaf.key).mkdir(exist_ok=True)
            seen = [int(f"{i:016x}", 16) for i in range(7)] if leaf.entry in self.leaky else []
            np.save(folder / leaf.key / SEEN, np.array(seen, dtype=np.uint64))
        for key, step in tournament.steps.items():
            entry = step.role.split()[0]
            spent = {"flops": self.flops.get(entry, 1e9), "tokens": 1e3, "seconds": 1.0, "peak_bytes": 1e9, "curve": []}
            lineages[key] = {"cost": spent, "summary": {"score": 0.5}}
        figures = {key: {"latency_ms": 1.0, "model_bytes": 1e6} for key in test}
        folders = {key: folder / key for key in test}
        return Evidence(tournament, "accuracy", SPEC.margin, test, validation, lineages, figures, folders)


CONTROLS = {"scratch": -1.0, "tfidf": -0.6, "majority": -0.5, "frozen-probe": -0.2}


def world(folder: Path, recipes: Sequence[str], skills: Mapping[str, float], **more: object) -> Evidence:
    """The evidence of a tournament among some recipes."""
    plan = plan_tournament(ground(folder), {name: RECIPES[name] for name in recipes})
    everyone = {**CONTROLS, **{name: 0.0 for name in plan.entries if name not in CONTROLS}, **skills}
    return World(everyone, **more).evidence(folder, plan)  # type: ignore[arg-type]

"""Plan a retrain: the steps, their keys, and the checkpoints that can be reused. Needs neither Prefect nor MLflow."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transferline.core.errors import InputError
from transferline.core.project import root, store
from transferline.core.runtime import Runtime
from transferline.data.declarations import LEAST_SEEDS, MOST_SEEDS, TargetSpec
from transferline.models.bases import FetchedBase, FolderBase
from transferline.models.families import Family, family_of
from transferline.recipes.admission import TransferSettings, check_recipe, setting_between
from transferline.recipes.chain import Chain, Data, Step, plan
from transferline.recipes.params import AUTO, Params, project_params
from transferline.recipes.recipe import Recipe
from transferline.targets import target_of
from transferline.tasks.support.commit_marks import committed

if TYPE_CHECKING:
    from transferline.tasks.support.comparison_decision import RecordedDecision


@dataclass(frozen=True)
class Line:
    """Resolved inputs of one retrain: target, recipe, seeds, runtime and the declarations of params.yaml."""

    params: Params
    target: str
    recipe: str
    spec: TargetSpec
    seeds: int
    runtime: Runtime
    decided: RecordedDecision | None = None

    def settled(self, data: Data) -> Line:
        """This line with `auto` replaced by the recipe of the last comparison. Raises InputError if that decision is stale."""
        if self.recipe != AUTO:
            return self
        from transferline.tasks.support.comparison_decision import settle

        decision = self._last_decision
        base = Step("base", resolved_base(self.params, decision["base"]["name"])).key
        decided = settle(decision, data, base, self.params.recipes)
        return replace(self, recipe=decided.name, decided=decided)

    def source_tasks(self) -> tuple[str, ...]:
        """Source tasks of the recipe. For `auto`, those of the last comparison's choice."""
        if self.recipe != AUTO:
            return self.declared.source_task_names()
        decision = self._last_decision
        return Recipe.model_validate(decision["recipe"]).source_task_names() if decision["ship"] else ()

    def plan(self, data: Data) -> Chain:
        """Plan the chain. Raises InputError if setting, kind of target or model family do not admit the recipe."""
        return plan(
            self.target,
            self.spec,
            self.recipe,
            self.declared,
            self.base,
            data,
            seeds=self.seeds,
            family=family_known(self.base),
            others={
                name: resolved_base(self.params, name)
                for name in self.params.bases
                if name == self.declared.tune.starts_from()
            },
            settings=settings_of(self.params, self.target, data, self.declared.source_task_names()),
        )

    @cached_property
    def declared(self) -> Recipe:
        """The recipe itself: of the decision for `auto`, else of params.yaml."""
        return self.decided.recipe if self.decided else self.params.recipe(self.recipe)

    @cached_property
    def base(self) -> FetchedBase:
        """The recipe's base. Resolved once, because hashing a local folder takes seconds."""
        return resolved_base(self.params, self.declared.base)

    @cached_property
    def _last_decision(self) -> dict[str, Any]:
        # imported here: it loads MLflow, which a plan with a named recipe does not need
        from transferline.tasks.support.comparison_decision import last_decision

        return last_decision(self.target)

    def check_family(self, chain: Chain) -> None:
        """Check the recipe against the family of the collected base. Raises InputError if the family does not support it."""
        family = family_of(store() / chain.steps[0].key)
        check_recipe(self.recipe, self.declared, self.spec, chain.setting, family, chain.settings)


def resolved_base(params: Params, name: str) -> FetchedBase:
    """A base of params.yaml. A local folder gets the hash of its content, which is part of its key."""
    base = params.base(name)
    return base.resolved(root()) if isinstance(base, FolderBase) else base


def family_known(base: FetchedBase) -> Family | None:
    """The model family of a base if it is declared or the base was collected before, else None."""
    folder = Path(base.path) if isinstance(base, FolderBase) else store() / Step("base", base).key
    read = family_of(folder) if (folder / "config.json").exists() else None
    name = base.known_family() or (read.name if read else None)
    return Family(name, read.positions if read else None) if name else None


def open_line(target: str | None, recipe: str | None, seeds: int | None, device: str, precision: str) -> Line:
    """Read params.yaml and resolve every name, the default target among them.

    Raises InputError on a wrong name, before slow imports and before any compute.
    """
    params = project_params()
    name = target or params.default_target
    spec = params.target(name)
    chosen = recipe or spec.recipe
    if chosen != AUTO:  # `auto` is resolved later, when the data is known (`Line.settled`)
        params.recipe(chosen)
    if seeds is not None and seeds < LEAST_SEEDS:
        raise InputError("seeds", f"{seeds} are too few for a verdict", f"Ask for {LEAST_SEEDS} or more")
    if seeds is not None and seeds > MOST_SEEDS:
        raise InputError("seeds", f"{seeds} are too many", f"Ask for {MOST_SEEDS} or fewer")
    runtime = Runtime.model_validate({"device": device, "precision": precision})
    return Line(params, name, chosen, spec, seeds or spec.seeds, runtime)


def settings_of(params: Params, target: str, data: Data, source_tasks: Iterable[str]) -> TransferSettings:
    """Transfer setting of each source task with the target: declared by the pair, else derived from domains and labels."""

    def side(name: str, role: str) -> tuple[TargetSpec, frozenset[str]]:
        return params.target(name), frozenset(target_of(data[role].path).labels)

    found = {}
    for name in source_tasks:
        declared = params.pairs[params.pair(name, target)].setting
        found[name] = declared or setting_between(side(name, f"{name}/train"), side(target, "train"))
    return found


def reusable(chain: Chain) -> dict[str, bool]:
    """Step key -> whether its checkpoint can be reused. Builds nothing."""
    keys = [step.key for step in chain]
    with ThreadPoolExecutor() as pool:  # hashing files releases the GIL, so threads help
        return dict(zip(keys, pool.map(committed, keys), strict=True))

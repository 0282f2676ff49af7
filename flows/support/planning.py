"""Planning a line: what would be built, under which keys, and what is there already. Prefect and MLflow are not needed for it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from transferline.core.errors import InputError
from transferline.core.project import root, store
from transferline.core.runtime import Runtime
from transferline.data.declarations import TargetSpec
from transferline.models.bases import FetchedBase, FolderBase
from transferline.models.families import Family, family_of
from transferline.recipes.admission import Settings, check_recipe, setting_between
from transferline.recipes.chain import Chain, Data, Step, plan
from transferline.recipes.params import AUTO, Params, load_params
from transferline.recipes.recipe import Recipe
from transferline.targets import target_of
from transferline.tasks.support.commit_marks import committed

if TYPE_CHECKING:
    from transferline.tasks.support.comparison_decision import RecordedDecision

LEAST_SEEDS = 3  # fewer say nothing about the spread


@dataclass(frozen=True)
class Line:
    """What one retrain is about: the declarations it follows, and the runtime it runs on."""

    params: Params
    target: str
    recipe: str
    spec: TargetSpec
    seeds: int
    runtime: Runtime
    decided: RecordedDecision | None = None

    def settled(self, data: Data) -> Line:
        """The line with the recipe of the last decision, where it asks for that one. Raises InputError on a stale one."""
        if self.recipe != AUTO:
            return self
        from transferline.tasks.support.comparison_decision import last_decision, settle

        decision = last_decision(self.target)
        base = Step("base", resolved_base(self.params, decision["base"]["name"])).key
        decided = settle(decision, data, base, self.params.recipes)
        return replace(self, recipe=decided.name, decided=decided)

    def source_tasks(self) -> tuple[str, ...]:
        """The source targets that the recipe learns from; of `auto`, the recipe of the last decision."""
        if self.recipe != AUTO:
            return self.declared.source_task_names()
        from transferline.tasks.support.comparison_decision import last_decision

        decision = last_decision(self.target)
        return Recipe.model_validate(decision["recipe"]).source_task_names() if decision["ship"] else ()

    def plan(self, data: Data) -> Chain:
        """The chain for some data; refused where setting, kind of target or family do not admit the recipe."""
        base = resolved_base(self.params, self.declared.base)
        return plan(
            self.target,
            self.spec,
            self.recipe,
            self.declared,
            base,
            data,
            self.seeds,
            family_known(base),
            {
                name: resolved_base(self.params, name)
                for name in self.params.bases
                if name == self.declared.tune.starts_from()
            },
            settings_of(self.params, self.target, data, self.declared.source_task_names()),
        )

    @property
    def declared(self) -> Recipe:
        return self.decided.recipe if self.decided else self.params.recipe(self.recipe)

    def check_family(self, chain: Chain) -> None:
        """Refuse what the collected base's family cannot do, now that it is known."""
        family = family_of(store() / chain.steps[0].key)
        check_recipe(self.recipe, self.declared, self.spec, chain.setting, family, chain.settings)


def resolved_base(params: Params, name: str) -> FetchedBase:
    """A base of params.yaml; a folder's with its content's hash filled in."""
    base = params.base(name)
    return base.resolved(root()) if isinstance(base, FolderBase) else base


def family_known(base: FetchedBase) -> Family | None:
    """A base's family, if it is declared, can be read, or was collected before."""
    folder = store() / Step("base", base).key
    name = base.known_family() or (family_of(folder).name if (folder / "config.json").exists() else None)
    return Family(name) if name else None


def open_line(target: str, recipe: str | None, seeds: int | None, device: str, precision: str) -> Line:
    """Read the declarations and refuse wrong names at once, before anything heavy is imported or run."""
    params = load_params(root() / "params.yaml")
    spec = params.target(target)
    chosen = recipe or spec.recipe
    if chosen != AUTO:
        params.recipe(chosen)
    if seeds is not None and seeds < LEAST_SEEDS:
        raise InputError("seeds", f"{seeds} are too few for a verdict", f"Ask for {LEAST_SEEDS} or more")
    runtime = Runtime.model_validate({"device": device, "precision": precision})
    return Line(params, target, chosen, spec, seeds or spec.seeds, runtime)


def settings_of(params: Params, target: str, data: Data, source_tasks: Iterable[str]) -> Settings:
    """The setting that each source target makes with a target: as its pair declares it, else derived from the data."""

    def side(name: str, role: str) -> tuple[TargetSpec, frozenset[str]]:
        return params.target(name), frozenset(target_of(data[role].path).labels)

    found = {}
    for name in source_tasks:
        declared = params.pairs[params.pair(name, target)].setting
        found[name] = declared or setting_between(side(name, f"{name}/train"), side(target, "train"))
    return found


def reusable(chain: Chain) -> dict[str, bool]:
    """Which steps of a chain are there already; computes nothing."""
    keys = [step.key for step in chain]
    with ThreadPoolExecutor() as pool:  # each file is read and hashed, which needs no lock of Python's
        return dict(zip(keys, pool.map(committed, keys), strict=True))

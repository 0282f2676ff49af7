"""Admission: check a recipe against the transfer setting, the kind of target and the base's family before anything runs."""

from __future__ import annotations

from collections.abc import Mapping

from transferline.core.errors import InputError
from transferline.core.problem import Domain, Setting, Task
from transferline.core.stage import SELECTED, name_of
from transferline.data.declarations import TargetSpec
from transferline.models.families import Family
from transferline.models.heads import check_pooling
from transferline.recipes.recipe import Recipe
from transferline.targets import TARGETS

TransferSettings = Mapping[str, Setting]
"""name of a source task -> its transfer setting with the target"""

SEQUENCES = ("single-label", "multi-label", "regression")  # kinds with one prediction per text, which need pooling


def check_recipe(
    name: str,
    declared: Recipe,
    spec: TargetSpec,
    setting: Setting,
    family: Family | None,
    settings: TransferSettings | None = None,
) -> None:
    """Raise InputError if the settings, the kind of target or the base's family do not admit a recipe.

    `setting` is the transfer setting of the base, `settings` are those of the source tasks. A family of None is not checked.
    """
    chosen, task = False, spec.task
    for stage in declared.stages:
        method = name_of(type(stage))
        who = f"recipe {name!r}, method {method!r}"
        if not stage.source_task_names():
            setting.admit(stage.needs, who)
        for source_task in stage.source_task_names():
            (settings or {}).get(source_task, Setting.UNKNOWN).admit(stage.needs, f"{who}, source {source_task!r}")
        if SELECTED in stage.roles() and not chosen:
            raise InputError(
                who, "it reads selected text, but no stage before it selects any", "Put `nearest` before it"
            )
        chosen = chosen or stage.kind == "select"
        if task not in stage.tasks:
            suits = ", ".join(stage.tasks)
            raise InputError(
                who, f"it does not support {task} targets", f"It supports {suits}; see `transferline methods`"
            )
        if family is not None and stage.ability is not None:
            family.admit(stage.ability, who)
        if family is not None and family.positions and stage.longest_input(task) > family.positions:
            what = f"it reads up to {stage.longest_input(task)} tokens, but the base has {family.positions} positions"
            raise InputError(
                who, what, f"Lower `max_tokens` (or `block`, `piece`) to {family.positions}, or take another base"
            )
    if family is not None:
        who = f"recipe {name!r}, a {task} target"
        family.admit(TARGETS[task].ability, who)
        if (family.shape == "features") != (spec.features is not None):
            reads = "rows of numbers" if family.shape == "features" else "texts"
            mend = (
                "For rows, use a base with `method: features` and set `features: <columns>` in the target. "
                "For texts, use another base"
            )
            raise InputError(who, f"its base reads {reads}, but the target's examples are {spec.space}", mend)
        if task in SEQUENCES and hasattr(declared.tune, "pooling") and declared.tune.ability != "encode":
            check_pooling(family.name, declared.tune.pooling, f"recipe {name!r}")


def setting_of(recipe: Recipe) -> Setting:
    """The setting that a recipe declares, or `unknown`, because the corpus and the task of a public base are not known."""
    return recipe.setting or Setting.UNKNOWN


def setting_between(source: tuple[TargetSpec, frozenset[str]], target: tuple[TargetSpec, frozenset[str]]) -> Setting:
    """Derive the setting of a source and a target, each given as its params.yaml entry and the labels of its training split.

    Targets share a domain if params.yaml gives them the same one; its corpus represents P(X). The kind of task is part of the label
    space. Labels with the same name are taken to mean the same. Where they do not, the pair must declare its setting.
    """
    sides = []
    for spec, labels in (source, target):
        space = frozenset(f"{spec.task} {label}" for label in labels)
        sides.append((Domain(spec.domain, spec.space, spec.domain), Task(spec.data, space, spec.task)))
    return Setting.derive(sides[0], sides[1])

"""Whether a recipe may be used at all: setting, kind of target and the base's family decide before anything is computed."""

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

Settings = Mapping[str, Setting]
"""source target -> the setting that it makes with the target"""

SEQUENCES = ("single-label", "multi-label", "regression")  # kinds with one answer a text, which therefore pool


def check_recipe(
    name: str,
    declared: Recipe,
    spec: TargetSpec,
    setting: Setting,
    family: Family | None,
    settings: Settings | None = None,
) -> None:
    """Raise InputError where the settings, the kind of target or the base's family do not admit a recipe.

    `setting` is that of the base; `settings` those of the source targets that stages learn from.
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
            raise InputError(who, "reads selected text, and no stage before it selects any", "Put `nearest` before it")
        chosen = chosen or stage.kind == "select"
        if task not in stage.tasks:
            suits = ", ".join(stage.tasks)
            raise InputError(who, f"does not suit a {task} target", f"It suits {suits}; see `transferline methods`")
        if family is not None and stage.ability is not None:
            family.admit(stage.ability, who)
    if family is not None:
        who = f"recipe {name!r}, a {task} target"
        family.admit(TARGETS[task].ability, who)
        if (family.shape == "features") != (spec.features is not None):
            reads = "rows of numbers" if family.shape == "features" else "texts"
            mend = "Use a base with `method: features` for rows, with `features: <columns>` in the target, and others for texts"
            raise InputError(who, f"its base reads {reads}, and the target's examples are {spec.space}", mend)
        if task in SEQUENCES and hasattr(declared.tune, "pooling") and declared.tune.ability != "encode":
            check_pooling(family.name, declared.tune.pooling, f"recipe {name!r}")


def setting_of(recipe: Recipe) -> Setting:
    """Nobody knows a public base's corpus or task, so a base as the source is `unknown` unless it is declared."""
    return recipe.setting or Setting.UNKNOWN


def setting_between(source: tuple[TargetSpec, frozenset[str]], target: tuple[TargetSpec, frozenset[str]]) -> Setting:
    """The setting of two targets of params.yaml, each with the labels of its training split.

    A domain is what params.yaml calls one: its corpus stands for P(X). The kind of task is part of the label space. That labels
    of one name mean the same on both sides nobody can see in the data: where they do not, the pair declares its setting.
    """
    sides = []
    for spec, labels in (source, target):
        space = frozenset(f"{spec.task} {label}" for label in labels)
        sides.append((Domain(spec.domain, spec.space, spec.domain), Task(spec.data, space, spec.task)))
    return Setting.derive(sides[0], sides[1])

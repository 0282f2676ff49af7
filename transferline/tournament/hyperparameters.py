"""Hyperparameter search and successive halving with Optuna, on validation only.

Every recipe gets the same number of trials over the same search space: its own settings first, then the same random points, so
that all recipes are tuned equally. Successive halving (Jamieson & Talwalkar 2016; Optuna has the asynchronous form of Li et al.
2020) drops recipes at rungs of 1, f, f^2 ... seeds. The best recipe of a rung is always kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from transferline.data.split import fingerprint
from transferline.recipes.comparison import changed
from transferline.recipes.recipe import Recipe

RATE, EPOCHS = "tune.schedule.learning_rate", "tune.epochs"
RATES_FACTOR = 10  # the rate is sought from a tenth to ten times the declared one
EPOCHS_FACTOR = 2  # at most so many times the declared epochs


def settings(recipe: Recipe, trials: int, who: str) -> list[dict[str, Any]]:
    """Changes to a recipe, one per trial. The first is empty, and the only one if the method has no epochs."""
    tune: Any = recipe.tune
    if trials <= 1 or not hasattr(tune, "epochs"):
        return [{}]
    optuna, rate = _optuna(), tune.schedule.learning_rate
    space = {
        RATE: optuna.distributions.FloatDistribution(rate / RATES_FACTOR, rate * RATES_FACTOR, log=True),
        EPOCHS: optuna.distributions.IntDistribution(1, EPOCHS_FACTOR * tune.epochs),
    }
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial({RATE: rate, EPOCHS: tune.epochs})
    points = [study.ask(space).params for _ in range(trials)]
    # two significant digits: the rate is part of the recipe's name and key
    return [{}, *({RATE: float(f"{p[RATE]:.2g}"), EPOCHS: p[EPOCHS]} for p in points[1:])]


def tried(name: str, recipe: Recipe, trials: int) -> dict[str, Recipe]:
    """The variants of a recipe to try, by name. The recipe itself keeps its name."""
    made = {}
    for number, changes in enumerate(settings(recipe, trials, name)):
        variant = f"{name} rate={changes[RATE]:g} epochs={changes[EPOCHS]}" if changes else name
        unique = variant if variant not in made else f"{variant} #{number}"
        made[unique] = changed(recipe, changes, name) if changes else recipe
    return made


def longer(recipe: Recipe, times: float) -> Recipe:
    """Multiply a recipe's epochs and patience by `times`. Returns it unchanged if it has no epochs or `times` is at most 1."""
    tune: Any = recipe.tune
    if not hasattr(tune, "epochs") or times <= 1:
        return recipe
    epochs = max(tune.epochs, math.floor(tune.epochs * times))
    patience = math.ceil(tune.patience * epochs / tune.epochs)
    return changed(recipe, {EPOCHS: epochs, "tune.patience": patience}, "equal compute")


def rungs(seeds: int, factor: int) -> list[int]:
    """Number of seeds at each rung: 1, f, f^2, ... and all seeds at the last."""
    # 1e-9: log(f^k, f) may be a little above k by rounding
    count = max(0, math.ceil(math.log(seeds, factor) - 1e-9)) if factor else 0
    return [*(factor**i for i in range(count)), seeds]


def halve(
    names: Sequence[str], stops: Sequence[int], factor: int, scores: Callable[[list[str], int], Mapping[str, float]]
) -> list[list[str]]:
    """Names of the recipes kept after each rung but the last.

    `scores(names, seeds)` returns mean validation scores over so many seeds. Optuna's pruner is asynchronous, so its result depends
    on the order of reports. They are ordered by a hash of the names, so that the order of declaration does not matter.
    """
    optuna = _optuna()
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=factor)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    trials = {name: study.ask() for name in sorted(names, key=lambda name: fingerprint(f"rung {name}"))}
    left = []
    for stop in stops[:-1]:
        values = scores([name for name in names if name in trials], stop)
        for name, trial in list(trials.items()):
            trial.report(values[name], step=stop)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                del trials[name]
        left.append([name for name in names if name in trials])
    return left


def best_of(scores: Mapping[str, float]) -> str:
    """The variant with the best validation score; in a tie, the first."""
    return max(scores, key=lambda name: (scores[name], -list(scores).index(name)))


def _optuna() -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna

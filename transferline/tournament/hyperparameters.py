"""Search and successive halving, by Optuna, on validation only.

Every recipe gets the same number of trials over the same space: its own settings first, then random points, the same
for all, so that nobody is tuned harder than another. Halving (Jamieson & Talwalkar 2016; here the asynchronous form of Li et al.
2020, which Optuna has) thins the field out at rungs of 1, f, f^2 ... seeds: the best stays at every rung, whoever is beside it.
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
    """Changes to a recipe, one a trial; the first is none. One trial where a method has neither rate nor epochs."""
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
    asked = [study.ask(space).params for _ in range(trials)]
    return [{}, *({RATE: float(f"{p[RATE]:.2g}"), EPOCHS: p[EPOCHS]} for p in asked[1:])]


def tried(name: str, recipe: Recipe, trials: int) -> dict[str, Recipe]:
    """The variants of a recipe, by name; the recipe itself keeps its own."""
    made = {}
    for number, changes in enumerate(settings(recipe, trials, name)):
        told = f"{name} rate={changes[RATE]:g} epochs={changes[EPOCHS]}" if changes else name
        made[told if told not in made else f"{told} #{number}"] = changed(recipe, changes, name) if changes else recipe
    return made


def longer(recipe: Recipe, times: float) -> Recipe:
    """A recipe with so many times its epochs, and as much more patience; as it is where it has no epochs."""
    tune: Any = recipe.tune
    if not hasattr(tune, "epochs") or times <= 1:
        return recipe
    epochs = max(tune.epochs, math.floor(tune.epochs * times))
    patience = math.ceil(tune.patience * epochs / tune.epochs)
    return changed(recipe, {EPOCHS: epochs, "tune.patience": patience}, "equal compute")


def rungs(seeds: int, factor: int) -> list[int]:
    """Seeds at each rung: 1, f, f^2, ... and all of them at last."""
    count = max(0, math.ceil(math.log(seeds, factor) - 1e-9)) if factor else 0
    return [*(factor**i for i in range(count)), seeds]


def halve(
    names: Sequence[str], stops: Sequence[int], factor: int, scores: Callable[[list[str], int], Mapping[str, float]]
) -> list[list[str]]:
    """Who is left after each rung; `scores(names, seeds)` are mean validation scores over so many seeds.

    The order in which Optuna hears of the scores is that of a hash of the names: it must not depend on how they were listed.
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
    """The variant with the best validation score; of equals the first."""
    return max(scores, key=lambda name: (scores[name], -list(scores).index(name)))


def _optuna() -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna

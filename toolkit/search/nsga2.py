"""Optuna's NSGA-II."""

from __future__ import annotations

from optuna.samplers import BaseSampler, NSGAIISampler

from toolkit.search.evaluator import Evaluator
from toolkit.search.optuna_driver import drive, make_coding, require_limit

POPULATION = 50
"""Mappings of a generation, which are evaluated together."""


def nsga2(evaluator: Evaluator, seed: int) -> None:
    """Cross and mutate the best mappings of each generation.

    Raises
    ------
    InputError
        If the budget has no limit.
    DoesNotFitError
        If no valid tiling is found.
    """
    require_limit(evaluator, "nsga2")
    coding = make_coding(evaluator)
    starts = coding.starts(POPULATION, evaluator.warm_starts, seed)
    drive(evaluator, nsga2_sampler, seed, coding, starts, batch=POPULATION, fronts=True)


def nsga2_sampler(seed: int) -> BaseSampler:
    """Make Optuna's NSGA-II, whose mutations redraw one parameter in a child on average."""
    return NSGAIISampler(population_size=POPULATION, seed=seed)

"""Optuna's NSGA-II over hardware."""

from __future__ import annotations

from optuna.samplers import BaseSampler, NSGAIISampler

from toolkit.codesign.scoring import Scorer

POPULATION = 16
"""Points of a generation: some for each of the sizes that templates have."""


def nsga2_hardware(scorer: Scorer, seed: int) -> BaseSampler:
    """Cross and mutate the best points of each generation."""
    return NSGAIISampler(population_size=POPULATION, seed=seed)

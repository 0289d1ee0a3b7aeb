"""Small random problems whose whole map space can be enumerated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolkit.arch import Architecture, Compute, Fanout, Level, Memory
from toolkit.errors import DoesNotFitError
from toolkit.mapping.space import Factors
from toolkit.model import EXACT, FACTORFLOW
from toolkit.search import OBJECTIVES, Problem, make_problem
from toolkit.workload import Workload, conv1d, gemm

ROLES = ("input", "weight", "output")


class Dice:
    """Shorthand for the draws below, all from one generator."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def one_of(self, *values: int) -> int:
        return int(self.rng.choice(values))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def subset(self, names: tuple[str, ...], probability: float) -> tuple[str, ...]:
        return tuple(name for name in names if self.chance(probability))

    def figure(self, low: float, high: float) -> float:
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))


def draw_problem(seed: int, factors: Factors = "perfect") -> Problem | None:
    """Draw a problem; None if constraints and capacities leave nothing.

    The first four objectives and two conventions go round with the seed, so that any eight
    seeds in a row cover all of them. Ragged problems have exact conventions: only these count
    tiles that are cut off.
    """
    dice = Dice(seed)
    workload = _workload(dice)
    arch = _architecture(dice, workload.dimensions)
    try:
        return make_problem(
            arch,
            workload,
            objective=list(OBJECTIVES)[seed % 4],
            conventions=EXACT if factors == "ragged" else (EXACT, FACTORFLOW)[seed // 4 % 2],
            bias_read=dice.chance(0.3),
            factors=factors,
        )
    except DoesNotFitError:
        return None


def _workload(dice: Dice) -> Workload:
    if dice.chance(0.5):
        return gemm(
            dice.one_of(1, 2, 4, 5, 6, 8, 9, 12, 16),
            dice.one_of(1, 2, 3, 4, 6, 8, 12, 16),
            dice.one_of(1, 2, 4, 6, 7, 8, 10, 12),
        )
    return conv1d(
        dice.one_of(1, 2, 4, 6, 8),
        dice.one_of(1, 2, 3, 4),
        dice.one_of(2, 4, 6, 8, 9),
        dice.one_of(1, 2, 3, 4, 5),
        stride=dice.one_of(1, 2, 3),
        dilation=dice.one_of(1, 1, 2, 3),
    )


def _architecture(dice: Dice, dimensions: tuple[str, ...]) -> Architecture:
    levels: list[Level] = []
    for depth in range(dice.one_of(2, 3, 3)):
        levels.append(_memory(dice, depth))
        if dice.chance(0.5):
            levels.append(_fanout(dice, depth, dimensions))
    lanes = dice.one_of(1, 1, 2, 4)
    levels.append(
        Compute(
            "MAC",
            dice.figure(0.1, 2),
            cycles=dice.one_of(1, 1, 2),
            mesh=lanes,
            dimensions=dice.subset(dimensions, 0.5) if lanes > 1 else (),
            leakage_pj_per_cycle=dice.one_of(0, 1) / 10,
        )
    )
    return Architecture("drawn", tuple(levels))


def _memory(dice: Dice, depth: int) -> Memory:
    bypasses = dice.subset(ROLES, 0.25) if depth else ()
    memory = Memory(
        f"Memory{depth}",
        dice.one_of(4, 8, 12, 16, 24, 32, 64, 128) if depth else None,
        dice.figure(1, 100) / 4**depth,
        dice.figure(1, 100) / 4**depth,
        dice.figure(0.5, 8) * 4**depth,
        dice.figure(0.5, 8) * 4**depth,
        leakage_pj_per_cycle=dice.one_of(0, 0, 1, 10) / 10,
        multiple_buffering=dice.one_of(1, 1, 2),
        multiple_reuses=dice.chance(0.7),
    )
    return replace(memory, bypasses=bypasses if len(bypasses) < len(ROLES) else ())


def _fanout(dice: Dice, depth: int, dimensions: tuple[str, ...]) -> Fanout:
    return Fanout(
        f"Fanout{depth}",
        dice.one_of(2, 3, 4, 6, 8),
        dice.subset(dimensions, 0.6),
        multicast=dice.chance(0.8),
        reduction=dice.chance(0.8),
        selective_multicast=dice.chance(0.2),
        selective_reduction=dice.chance(0.2),
        pe_to_pe=dice.chance(0.3),
        power_gating=dice.chance(0.3),
    )

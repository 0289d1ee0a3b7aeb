"""What a mapping leaves unused of every capacity and mesh, and what would no longer fit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from toolkit.arch.levels import Level, Memory
from toolkit.mapping.factors import prime_factors
from toolkit.mapping.mapping import IntArray, to_arrays
from toolkit.mapping.space import Factors, MapSpace
from toolkit.model.evaluate import Evaluation


@dataclass(frozen=True, slots=True)
class Growth:
    """The next step of one dimension at one level: its smallest prime factor left elsewhere.

    Parameters
    ----------
    dimension : str
        What would grow.
    prime : int
        By how much.
    needed : float
        Words of the tiles of one instance, or instances, that it would take.
    fits : bool
        Whether there is room for it.
    """

    dimension: str
    prime: int
    needed: float
    fits: bool


@dataclass(frozen=True, slots=True)
class CapacityUse:
    """Room in one instance of a memory.

    Parameters
    ----------
    level : str
        A memory of limited capacity.
    used_words, usable_words : float
        Per instance, one copy of each tile.
    growth : tuple of Growth
        Per dimension that grows some tile here and has iterations left outside.
    """

    level: str
    used_words: float
    usable_words: float
    growth: tuple[Growth, ...]

    @property
    def binds(self) -> bool:
        """Whether some dimension cannot grow here for lack of room."""
        return any(not growth.fits for growth in self.growth)


@dataclass(frozen=True, slots=True)
class MeshUse:
    """Instances of a spatial level in use, within each instance of what lies outside.

    Parameters
    ----------
    level : str
        A fanout or the compute level.
    used, mesh : int
        Instances.
    growth : tuple of Growth
        Per dimension that may be unrolled here and has iterations left elsewhere.
    """

    level: str
    used: int
    mesh: int
    growth: tuple[Growth, ...]

    @property
    def binds(self) -> bool:
        """Whether some dimension cannot be unrolled further for lack of instances."""
        return any(not growth.fits for growth in self.growth)


def capacity_uses(evaluation: Evaluation) -> tuple[CapacityUse, ...]:
    """Tell for every memory of limited capacity which dimensions could grow in it."""
    space, factors = _space(evaluation), _factors(evaluation)
    uses = []
    for m, level in enumerate(space.memory_levels.tolist()):
        if not math.isfinite(space.capacity[m]):
            continue
        extents = np.prod(factors[level:].astype(np.float64), axis=0)
        used, usable = _words(space, m, extents), float(space.capacity[m])
        growth = []
        for d, dimension in enumerate(space.dimensions):
            prime = _smallest_prime(factors[:level, d])
            longer = extents.copy()
            longer[d] *= prime
            needed = _words(space, m, longer)
            if needed > used:
                growth.append(Growth(dimension, prime, needed, needed <= usable))
        uses.append(CapacityUse(space.arch.levels[level].name, used, usable, tuple(growth)))
    return tuple(uses)


def mesh_uses(evaluation: Evaluation) -> tuple[MeshUse, ...]:
    """Tell for every spatial level which dimensions could be unrolled further over it."""
    space, factors = _space(evaluation), _factors(evaluation)
    uses = []
    for i, level in enumerate(space.arch.levels):
        if isinstance(level, Memory):
            continue
        used = math.prod(factors[i].tolist())
        growth = []
        for d, dimension in enumerate(space.dimensions):
            prime = _smallest_prime(np.delete(factors[:, d], i))
            if prime > 1 and _may_unroll(level, dimension, int(factors[i, d]) * prime):
                needed = used * prime
                growth.append(Growth(dimension, prime, needed, needed <= level.mesh))
        uses.append(MeshUse(level.name, used, level.mesh, tuple(growth)))
    return tuple(uses)


def _space(evaluation: Evaluation) -> MapSpace:
    conventions = evaluation.conventions
    rule: Factors = "perfect" if conventions.transfers == "sequential" else "ragged"
    return MapSpace(evaluation.arch, evaluation.workload, conventions.window_footprint, rule)


def _factors(evaluation: Evaluation) -> IntArray:
    return to_arrays(evaluation.mapping, evaluation.arch, evaluation.workload)[0]


def _words(space: MapSpace, memory: int, extents: np.ndarray) -> float:
    return float(space.memory_words(memory, space.cut_off(extents[None]))[0])


def _smallest_prime(factors: IntArray) -> int:
    """Smallest prime that divides any of the factors, 1 if there is none."""
    primes = [prime_factors(int(f))[0][0] for f in factors if f > 1]
    return min(primes, default=1)


def _may_unroll(level: Level, dimension: str, factor: int) -> bool:
    listed = not isinstance(level, Memory) and dimension in level.dimensions
    rules = [c for c in level.constraints if c.dimension == dimension]
    return listed and all(rule.allows(factor) for rule in rules)

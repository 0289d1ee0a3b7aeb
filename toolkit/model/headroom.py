"""What a mapping leaves unused of every capacity and mesh, and what would no longer fit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from toolkit.arch.levels import Level, Memory
from toolkit.mapping.factors import prime_factors
from toolkit.mapping.kept import Seen
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray, to_arrays
from toolkit.mapping.space import Factors, MapSpace
from toolkit.model.conventions import map_space
from toolkit.model.evaluate import Evaluation


@dataclass(frozen=True, slots=True)
class Growth:
    """The next step of one dimension at one level, for which other levels make up.

    Parameters
    ----------
    dimension : str
        What would grow.
    prime : int or None
        What the level's factor would be multiplied with: the smallest prime factor left
        elsewhere; None of a ragged dimension, of which it would be one more.
    iterations : int
        The factor that the level would have.
    needed : float
        Words of the tiles of one instance, or instances, that it would take.
    fits : bool
        Whether there is room for it.
    """

    dimension: str
    prime: int | None
    iterations: int
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


def capacity_uses(evaluation: Evaluation, rule: Factors | None = None) -> tuple[CapacityUse, ...]:
    """Tell for every memory of limited capacity which dimensions could grow in it.

    Parameters
    ----------
    evaluation : Evaluation
        Of the mapping.
    rule : {"perfect", "ragged"}, optional
        Which factors it could have instead; by default those that its conventions search.
        Dimensions of which its own last tiles are cut off stay ragged.
    """
    space, factors = _space(evaluation), _factors(evaluation)
    ragged = _ragged(space, factors, rule or evaluation.conventions.factors)
    uses = []
    for m, level in enumerate(space.memory_levels.tolist()):
        if not math.isfinite(space.capacity[m]):
            continue
        extents = np.minimum(np.prod(factors[level:].astype(np.float64), axis=0), space.sizes)
        seen = space.keeping.seen(m, factors.astype(np.float64))
        used, usable = _words(space, m, extents, seen), float(space.capacity[m])
        growth = []
        for d, dimension in enumerate(space.dimensions):
            prime, more = _next(int(factors[level, d]), factors[:level, d], bool(ragged[d]))
            longer = extents.copy()
            longer[d] = np.prod(factors[level + 1 :, d].astype(np.float64)) * more
            needed = _words(space, m, np.minimum(longer, space.sizes), seen)
            if needed > used:
                growth.append(Growth(dimension, prime, more, needed, needed <= usable))
        uses.append(CapacityUse(space.arch.levels[level].name, used, usable, tuple(growth)))
    return tuple(uses)


def mesh_uses(evaluation: Evaluation, rule: Factors | None = None) -> tuple[MeshUse, ...]:
    """Tell for every spatial level which dimensions could be unrolled further over it.

    Parameters
    ----------
    evaluation, rule
        See `capacity_uses`.
    """
    space, factors = _space(evaluation), _factors(evaluation)
    ragged = _ragged(space, factors, rule or evaluation.conventions.factors)
    uses = []
    for i, level in enumerate(space.arch.levels):
        if isinstance(level, Memory):
            continue
        used = math.prod(factors[i].tolist())
        growth = []
        for d, dimension in enumerate(space.dimensions):
            own = int(factors[i, d])
            prime, more = _next(own, np.delete(factors[:, d], i), bool(ragged[d]))
            if more > own and _may_unroll(level, dimension, more):
                needed = used // own * more
                growth.append(Growth(dimension, prime, more, needed, needed <= level.mesh))
        uses.append(MeshUse(level.name, used, level.mesh, tuple(growth)))
    return tuple(uses)


def _space(evaluation: Evaluation) -> MapSpace:
    conventions = evaluation.conventions
    return map_space(
        evaluation.arch, evaluation.workload, conventions, conventions.counted_factors
    )


def _factors(evaluation: Evaluation) -> IntArray:
    return to_arrays(evaluation.mapping, evaluation.arch, evaluation.workload)[0]


def _words(space: MapSpace, memory: int, extents: FloatArray, seen: Seen | None) -> float:
    # What stays for the whole run leaves nothing to bring in but what fanouts have outside.
    own = None if seen is None else Seen(*(np.maximum(x, extents)[None] for x in seen))
    return float(space.memory_words(memory, space.cut_off(extents[None]), own)[0])


def _ragged(space: MapSpace, factors: IntArray, rule: Factors) -> BoolArray:
    """Dimensions of which factors need only reach the size."""
    cut_off = factors.astype(np.float64).prod(axis=0) != space.sizes
    return np.asarray(space.ragged & (cut_off | (rule == "ragged")))


def _next(factor: int, others: IntArray, ragged: bool) -> tuple[int | None, int]:
    """By which prime a factor could grow at the cost of others, and what it would be then.

    None, and the next integer, of a ragged dimension; the factor itself if nothing is left.
    """
    if ragged:
        return None, factor + int((others > 1).any())
    prime = min((prime_factors(int(f))[0][0] for f in others if f > 1), default=1)
    return prime, factor * prime


def _may_unroll(level: Level, dimension: str, factor: int) -> bool:
    listed = not isinstance(level, Memory) and dimension in level.dimensions
    rules = [c for c in level.constraints if c.dimension == dimension]
    return listed and all(rule.allows(factor) for rule in rules)

"""Compiled form of `MapSpace.check`, capacities aside: the compiled cost model tells those."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.compilation import compiled, inlined
from toolkit.mapping.space import MapSpace
from toolkit.model.compiled_plan import Ints


class Rules(NamedTuple):
    """What a map space asks of factors and loop orders; L levels, D dimensions.

    Attributes
    ----------
    sizes : [D]
        Products of the factors.
    lower, upper : [L, D]
        Bounds of the factors.
    mesh : [L]
        Most instances of spatial levels, 0 for memories.
    slots : [L, D]
        Dimension required at a position of the loop order, -1 for any.
    ranks : [L, D]
        Relative order of the dimensions that a memory's constraint names, -1 for the others.
    """

    sizes: Ints
    lower: Ints
    upper: Ints
    mesh: Ints
    slots: Ints
    ranks: Ints


def make_rules(space: MapSpace) -> Rules:
    """Write a map space's rules as arrays."""
    mesh = np.zeros(space.shape[0], dtype=np.int64)
    mesh[space.spatial_levels] = space.mesh[space.spatial_levels]
    slots = np.full(space.shape, -1, dtype=np.int64)
    ranks = np.full(space.shape, -1, dtype=np.int64)
    for rule, level in zip(space.order_rules, space.memory_levels, strict=True):
        if rule.slots:
            slots[level] = rule.slots
        for rank, d in enumerate(rule.sequence):
            ranks[level, d] = rank
    return Rules(space.sizes.copy(), space.lower.copy(), space.upper.copy(), mesh, slots, ranks)


@inlined
def admits_factors(rules: Rules, factors: Ints) -> bool:
    """Whether factors keep their bounds, products and meshes.

    Products are floats, which cannot wrap around and are exact up to 2^53, the largest size and
    mesh.
    """
    for d in range(factors.shape[1]):
        product = 1.0
        for level in range(factors.shape[0]):
            f = factors[level, d]
            if f < rules.lower[level, d] or f > rules.upper[level, d]:
                return False
            product *= np.float64(f)
        if product != np.float64(rules.sizes[d]):
            return False
    for level in range(factors.shape[0]):
        if rules.mesh[level] == 0:
            continue
        instances = 1.0
        for d in range(factors.shape[1]):
            instances *= np.float64(factors[level, d])
        if instances > np.float64(rules.mesh[level]):
            return False
    return True


@inlined
def admits_order(rules: Rules, order: Ints, level: int) -> bool:
    """Whether a memory's loop order is a permutation that its constraint admits."""
    used, last = 0, -1
    for k in range(order.shape[1]):
        d = order[level, k]
        if d < 0 or d >= order.shape[1] or used >> d & 1:
            return False
        used |= 1 << d
        if rules.slots[level, k] >= 0 and rules.slots[level, k] != d:
            return False
        if rules.ranks[level, d] >= 0:
            if rules.ranks[level, d] < last:
                return False
            last = rules.ranks[level, d]
    return True


@compiled
def admit(rules: Rules, factors: Ints, order: Ints, admitted: NDArray[np.bool_]) -> None:
    """Tell which mappings of a batch break no rule but, perhaps, capacities."""
    for b in range(factors.shape[0]):
        admitted[b] = admits_factors(rules, factors[b])
        if not admitted[b]:
            continue
        for level in range(factors.shape[1]):
            if rules.mesh[level] == 0 and not admits_order(rules, order[b], level):
                admitted[b] = False
                break

"""How large a map space is: exactly where that can be computed, else an honest estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from toolkit.display import format_count, object_html
from toolkit.mapping.kept import Seen
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.mapping.orders import ReuseRule, order_classes
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import (
    SPLIT_LIMIT,
    EffortSpentError,
    combine_splits,
    split_features,
)

COUNT_EFFORT = 1 << 23
"""Most partial tilings that an exact count looks at: some seconds of work, after which an estimate
is the better answer."""

SAMPLES = 1 << 17
"""Draws behind an estimate: a share of one half is then known to 0.3 % of itself."""


@dataclass(frozen=True, slots=True)
class SpaceSize:
    """Size of a map space.

    Parameters
    ----------
    tilings : int
        Valid tilings, loop orders aside.
    tilings_exact : bool
        Whether that is a count rather than an estimate.
    standard_error : float
        Of an estimate, in tilings; 0 for a count, inf if beyond double precision.
    orders : int
        Admissible combinations of loop orders over all memories, for each tiling.
    order_classes : int
        The same with one order per reuse class.
    method : str
        How the tilings were counted, in words.
    """

    tilings: int
    tilings_exact: bool
    standard_error: float
    orders: int
    order_classes: int
    method: str

    def __repr__(self) -> str:
        about = "" if self.tilings_exact else "about "
        return f"<SpaceSize {about}{format_count(self.mappings)} mappings>"

    def _repr_html_(self) -> str:
        """For notebooks: tilings, loop orders, mappings."""
        about = "" if self.tilings_exact else "about "
        facts = [
            ("tilings", f"{about}{format_count(self.tilings)}, {self.method}"),
            ("loop orders", f"{format_count(self.orders)} for each tiling"),
            ("order classes", f"{format_count(self.order_classes)} that differ in reuse"),
            ("mappings", f"{about}{format_count(self.mappings)}"),
        ]
        return object_html("The map space", facts)

    @property
    def mappings(self) -> int:
        """Valid mappings: tilings times loop orders."""
        return self.tilings * self.orders


def space_size(
    space: MapSpace,
    *,
    rule: ReuseRule = "model",
    effort: int = COUNT_EFFORT,
    seed: int = 0,
) -> SpaceSize:
    """Count the valid tilings and loop orders of a map space.

    Splits of one dimension are counted on the lattice of its divisors. Where meshes and
    capacities cannot bind several dimensions at once the product is the answer; otherwise
    splits are grouped by what binds (tile extents and spatial factors), and the groups of all
    dimensions are combined. If that takes more than `effort`, random draws give an estimate.

    Parameters
    ----------
    space : MapSpace
        What to measure.
    rule : {"model", "factorflow"}
        Reuse classes to count; see `order_classes`.
    effort : int
        Most combinations of groups to look at.
    seed : int
        Of the draws behind an estimate.

    Raises
    ------
    MappingError
        If a memory has too many reuse classes to list.

    Examples
    --------
    >>> import toolkit
    >>> problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2))
    >>> toolkit.space_size(problem.space).tilings > 0
    True
    """
    orders = math.prod(rule_.admissible for rule_ in space.order_rules)
    classes = math.prod(
        len(order_classes(space.arch, int(level), space.workload, rule=rule))
        for level in space.memory_levels
    )
    tilings, error, method = _count_tilings(space, effort, seed)
    return SpaceSize(tilings, error is None, error or 0.0, orders, classes, method)


def _count_tilings(space: MapSpace, effort: int, seed: int) -> tuple[int, float | None, str]:
    independent = math.prod(lattice.total for lattice in space.lattices)
    if independent == 0:
        return 0, None, "product of the dimensions' splits"
    memories, spatial = _shared_limits(space)
    if not len(memories) and not len(spatial):
        return independent, None, "product of the dimensions' splits"
    if all(lattice.total <= SPLIT_LIMIT for lattice in space.lattices):
        try:
            count = _count_groups(space, memories, spatial, effort)
            return count, None, "combination of splits grouped by extent and spatial factor"
        except EffortSpentError:
            pass
    return _estimate(space, independent, seed)


def _shared_limits(space: MapSpace) -> tuple[IntArray, IntArray]:
    """Memories, spatial levels that the largest splits of all dimensions together exceed."""
    memories = []
    whole = Seen(*[space.sizes[None].astype(np.float64)] * 2)
    for m in np.flatnonzero(space.binding).tolist():
        level = int(space.memory_levels[m])
        largest = [[float(r.extent_range(level)[1]) for r in space.lattices]]
        if not space.fits(m, np.array(largest), whole)[0]:
            memories.append(m)
    spatial = [
        level
        for level in space.spatial_levels.tolist()
        if math.prod(r.factor_range(level)[1] for r in space.lattices) > space.mesh[level]
    ]
    return np.array(memories, dtype=np.int64), np.array(spatial, dtype=np.int64)


def _count_groups(space: MapSpace, memories: IntArray, spatial: IntArray, effort: int) -> int:
    tables, weights = [], []
    for d, lattice in enumerate(space.lattices):
        table = lattice.table()
        first, counts = _group(split_features(space, d, table, memories, spatial))
        tables.append(table[first])
        weights.append(counts.astype(object))
    total = 0
    for picks in combine_splits(space, tables, 1 << 16, effort):
        product = weights[0][picks[:, 0]]
        for d in range(1, len(weights)):
            product = product * weights[d][picks[:, d]]
        total += int(product.sum())
    return total


def _group(features: FloatArray) -> tuple[IntArray, IntArray]:
    """Position of the first row of every distinct one, and how often each occurs."""
    _, first, counts = np.unique(features, axis=0, return_index=True, return_counts=True)
    return first.astype(np.int64), counts.astype(np.int64)


def _estimate(space: MapSpace, independent: int, seed: int) -> tuple[int, float, str]:
    rng = np.random.default_rng(seed)
    valid = drawn = 0
    while drawn < SAMPLES:
        batch = [lattice.sample(1 << 14, rng) for lattice in space.lattices]
        valid += int(space.check_factors(np.stack(batch, axis=2)).sum())
        drawn += 1 << 14
    share = valid / drawn
    # Without a single hit or miss, what one more draw could have shown.
    spread = math.sqrt(share * (1 - share) / drawn) or 1 / drawn
    method = f"{valid} of {drawn} random draws were valid"
    try:
        error = float(independent * Fraction(spread))
    except OverflowError:
        error = math.inf
    return independent * valid // drawn, error, method
